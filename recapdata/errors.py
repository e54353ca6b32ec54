"""The mistakes a user can make, one exception type each; the console prints their message as one line.

A message says *what* is wrong, *where*, and *what to do*. Errors of one row never raise out of a run: they become a row
of the failure ledger, with the type's name.
"""


class RecapdataError(Exception):
    """Base of every error that is the user's to mend; anything else is a bug and shows its traceback."""


class SourceNotFound(RecapdataError):
    """The source to ingest from does not exist, or is not of the kind that its prefix says."""


class SourceError(RecapdataError):
    """The source exists but cannot be read as what it claims to be (a missing column, no metadata, …)."""


class NotADataset(RecapdataError):
    """The folder is not a recapdata dataset folder (it has no recapdata.yaml)."""


class DatasetExists(RecapdataError):
    """The folder already holds a dataset, and the command would not add to it."""


class DatasetDamaged(RecapdataError):
    """Parts of a dataset folder contradict each other (a sum does not hold, a shard is missing or torn)."""


class DatasetEmpty(RecapdataError):
    """The dataset holds no records, or none yet."""


class DatasetBusy(RecapdataError):
    """Another process is writing to the same dataset folder."""


class CaptionSetNotFound(RecapdataError):
    """No caption set of that name in the dataset."""


class CaptionSetExists(RecapdataError):
    """The caption set exists and was written with other settings; nothing is overwritten unasked."""


class ColumnNotFound(RecapdataError):
    """No such column among those that came along with the images."""


class CaptionerNotFound(RecapdataError):
    """No captioner of that name, or no model of that id and revision."""


class ModelNotSupported(RecapdataError):
    """The model exists but is not of a kind this command can use."""


class VersionError(RecapdataError):
    """A version that exists, is malformed, or breaks the semantic rule for what changed."""


class NothingToPublish(RecapdataError):
    """The dataset equals its parent version."""


class PublishRefused(RecapdataError):
    """The plan cannot be carried out as it stands (no licence, a regression in the audit, …)."""


class HubError(RecapdataError):
    """The Hub cannot be reached or refuses the request."""


class PipelineNotFound(RecapdataError):
    """No spaCy pipeline of that name is installed."""


class AuditNotFound(RecapdataError):
    """No audit of that caption set, or one that no longer fits its captions."""


class MissingExtra(RecapdataError):
    """The command needs an optional part of the installation."""


class OptionError(RecapdataError):
    """An option's value cannot be used."""


class InputError(RecapdataError):
    """An input file cannot be read as what the command expects."""


class DetectorError(RecapdataError):
    """A detector failed, or returned something that is no list of detections."""


class ClusterError(RecapdataError):
    """There is no cluster to run on, or its nodes cannot do the work."""


class DiskFull(RecapdataError):
    """There is no room left to write to; what is finished is safe, and the same command goes on."""
