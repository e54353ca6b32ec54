"""What pages of the rating application send: read with a limit, and checked."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

BODY_MAX_BYTES = 4096
SECONDS_MAX = 24 * 3600.0


async def read_form(request: Request) -> Mapping[str, str]:
    """The first value of each field of a form.

    Raises:
        HTTPException: 413, it is too long.
    """
    fields = parse_qs((await _read(request)).decode("utf8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


async def read_object(request: Request) -> Mapping[str, Any]:
    """A JSON object.

    Raises:
        HTTPException: 413, it is too long; 400, it is none.
    """
    try:
        values = json.loads(await _read(request) or b"{}")
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "That is no JSON.") from error
    if not isinstance(values, dict):
        raise HTTPException(400, "That is no JSON object.")
    return values


def whole_number(body: Mapping[str, Any], name: str) -> int:
    """The number of a question or rating.

    Raises:
        HTTPException: 400, there is none.
    """
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise HTTPException(400, f"That names no {name}.")
    return value


def seconds(body: Mapping[str, Any]) -> float | None:
    """How long an answer took; None where that is no such time."""
    value = body.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= SECONDS_MAX:
        return None
    return float(value)


async def _read(request: Request) -> bytes:
    content = b""
    with suppress(ClientDisconnect):
        async for part in request.stream():
            content += part
            if len(content) > BODY_MAX_BYTES:
                raise HTTPException(413, "That is more than a rating.")
    return content
