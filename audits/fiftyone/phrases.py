"""Claims in a few words, as they are shown and filtered by."""

from collections.abc import Mapping
from typing import Any


def phrase(claim: Mapping[str, Any]) -> str:
    """A claim in a few words: `3 circle`, `red circle`, `circle left of star`, `"STOP"`.

    Args:
        claim: by the field names of `CLAIM_TYPE`; fields without a value may be missing.
    """
    kind = claim["kind"]
    if kind == "position":
        other = claim.get("object")
        where = claim.get("region") if other is None else f"{claim.get('relation')} {other}"
        return f"{claim.get('subject')} {where}"
    if kind == "text":
        return f'"{claim.get("text")}"'
    return str(claim.get("object")) if kind == "object" else f"{claim.get(kind)} {claim.get('object')}"
