"""The Hub in use: its address, its client, and its errors in one line.

`HF_ENDPOINT` is read at every call, so that a process may start a Hub first and speak to it afterwards.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recapdata.errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

PUBLIC = "https://huggingface.co"


def endpoint() -> str:
    """Address of the Hub in use: `HF_ENDPOINT`, or the public Hub where that is unset."""
    return (os.environ.get("HF_ENDPOINT") or PUBLIC).rstrip("/")


def is_public() -> bool:
    """Whether the Hub in use is the public one."""
    return endpoint() == PUBLIC


def configure_client() -> None:
    """Switch Xet off unless the Hub is the public one: huggingface_hub uploads through it without asking the server."""
    if is_public() or "HF_HUB_DISABLE_XET" in os.environ:
        return
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    if (constants := sys.modules.get("huggingface_hub.constants")) is not None:
        constants.HF_HUB_DISABLE_XET = True  # type: ignore[attr-defined]


def hub_api() -> "HfApi":
    """The stock client of the Hub in use, with the token that the environment gives it."""
    configure_client()
    from huggingface_hub import HfApi

    return HfApi(endpoint=endpoint(), library_name="recapdata")


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn the client's exceptions into one line: what, on which Hub, and what to do.

    Args:
        what: the repository and revision, such as `me/birds at v1.0.0`; it opens the message.

    Raises:
        HubError: the Hub cannot be reached, does not know the thing, or refuses.
    """
    import httpx2
    from huggingface_hub import errors

    at = endpoint()
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{what}: no such revision on {at}; its tags are the published versions") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{what}: no such dataset or model on {at}, or a private one that this token may not read "
            "(check the name, HF_ENDPOINT and HF_TOKEN)"
        ) from error
    except errors.HFValidationError as error:
        raise HubError(f"{what}: not a name a Hub accepts (user/name): {error}") from error
    except (
        httpx2.TransportError,
        errors.RevisionResolutionError,
        errors.OfflineModeIsEnabled,
        errors.LocalEntryNotFoundError,
    ) as error:
        raise HubError(
            f"{what}: the Hub at {at} cannot be reached ({_reason(error)}); check HF_ENDPOINT and the network"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        hint = "; check HF_TOKEN" if status in (401, 403) else ""
        raise HubError(f"{what}: the Hub at {at} answered {status}: {_reason(error)}{hint}") from error


def _reason(error: Exception) -> str:
    """The innermost cause of an exception in one line."""
    message = getattr(error, "server_message", None)
    if message:
        return " ".join(str(message).split())
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    return " ".join((str(inner) or type(inner).__name__).split())[:200]
