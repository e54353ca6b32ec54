"""Command line, options dataclass and function of the Python API have the same options with the same defaults."""

import inspect
from collections.abc import Mapping
from importlib import import_module

import pytest
import typer

from audits.options import AuditOptions, ReportOptions, ViewOptions
from recapdata.captioners import CaptionerOptions
from recapdata.ingestion.options import IngestOptions
from recapdata.options import typer_parameters
from recapdata.publishing.options import PublishOptions
from recapdata.recaptioning.options import RunOptions
from recaptrain.captioner.settings import CaptionerSettings
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.evaluation.judge.settings import JudgeSettings
from recaptrain.generation.settings import GenerateSettings
from recaptrain.generation.upsampling.settings import UpsampleSettings

DATACLASSES = {
    ("audits", "run"): [AuditOptions],
    ("audits", "report"): [ReportOptions],
    ("audits", "view"): [ViewOptions],
    ("recapdata", "ingest"): [IngestOptions],
    ("recapdata", "publish"): [PublishOptions],
    ("recapdata", "recaption"): [CaptionerOptions, RunOptions],
    ("recaptrain", "captioner"): [CaptionerSettings],
    ("recaptrain", "diffusion"): [DiffusionSettings],
    ("recaptrain", "generate"): [GenerateSettings],
    ("recaptrain", "judge"): [JudgeSettings],
    ("recaptrain", "upsample"): [UpsampleSettings],
}
FUNCTIONS = {"captioner": "train_captioner", "diffusion": "train_diffusion"}
"""Command → function of the Python API, where the name is another."""
PARAMETERS = {"only": "sets", ("compare", "audit"): "audits"}
"""Option → parameter, where the name is another."""
ALONE = {"json", "debug", "help", "recipe"}
"""Options of a console alone."""
FILES = {("audits", "claims")}
"""Commands that read and write files where the function takes and returns values."""


def commands():
    for package in ("recapdata", "audits", "recaptrain"):
        app = import_module(f"{package}.cli").app
        for name, command in typer.main.get_command(app).commands.items():
            yield package, name, command


def plain(value):
    """A default as it counts: lists and the text of them alike, empty ones like none at all."""
    if isinstance(value, tuple | list | Mapping):
        return ",".join(map(str, value)) if any(each is not None for each in value) else None
    return None if value in ("", inspect.Parameter.empty) else value


def options(command):
    """Default by name; `inspect.Parameter.empty` of one that is required."""
    found = (each for each in command.params if each.param_type_name == "option" and each.name not in ALONE)
    return {each.name: inspect.Parameter.empty if each.required else each.default for each in found}


@pytest.mark.parametrize(
    ("package", "name", "command"), list(commands()), ids=lambda each: getattr(each, "name", each)
)
def test_function_and_command_have_the_same_options_and_defaults(package, name, command):
    public = import_module(package)
    function = FUNCTIONS.get(name, name.replace("-", "_"))
    if function not in getattr(public, "__all__", ()) or (package, name) in FILES:
        return
    parameters = inspect.signature(getattr(public, function)).parameters
    for option, default in options(command).items():
        parameter = PARAMETERS.get((name, option)) or PARAMETERS.get(option, option)
        assert parameter in parameters, f"{package}.{function} has no {parameter}"
        assert plain(parameters[parameter].default) == plain(default), f"{package}.{function}({parameter}=…)"
        required = parameters[parameter].default is inspect.Parameter.empty
        assert required == (default is inspect.Parameter.empty), f"{package}.{function}({parameter}=…)"


@pytest.mark.parametrize(("package", "name"), DATACLASSES, ids="-".join)
def test_every_field_is_an_option_of_its_command(package, name):
    command = next(each for *where, each in commands() if where == [package, name])
    given = options(command)
    for field in (each for options in DATACLASSES[package, name] for each in typer_parameters(options)):
        assert plain(given[field.name]) == plain(field.default)


def test_python_has_the_defaults_of_the_command_line():
    """The ones that differed once: what is trained and averaged, how the learning rate moves, how often captions are dropped."""
    diffusion = DiffusionSettings(dataset="ds", mixture="alt", base="embedded")
    assert (diffusion.train, diffusion.ema_decay) == (("unet", "text_encoder"), 0.9999)
    assert diffusion.caption_mixture.dropout == 0.1
    assert diffusion.optimization.checkpoint_every == 500
    captioner = CaptionerSettings(dataset="ds", captions="short=human", base="embedded")
    assert (captioner.lr_scheduler, captioner.lr_warmup_steps, captioner.patience) == ("cosine", 10, 5)
    assert (captioner.validation_interval, captioner.optimization.checkpoint_every) == (20, 20)  # 300 / 15
    assert captioner.optimization.learning_rate == 4e-5
    assert CaptionerSettings(
        dataset="ds", captions="short=human", base="embedded", lora=4
    ).optimization.learning_rate == pytest.approx(2e-4)
