"""Addresses without the secrets in them: what is written down of where an image came from may be published.

A password stands before the host, tokens and signatures in the query. An address that had one no longer opens the image; which
image it was can still be told.
"""

import re
from urllib.parse import quote, unquote

HIDDEN = "REDACTED"
"""Stands for a secret value."""

_USER = re.compile(r"(?<=://)[^\s/?#]*@")
_PARAMETER = re.compile(r"(?<=[?&;#])([^\s=&;#?]+)=([^\s&;#]*)")
#: Words in a parameter's name that make its value a secret, as those of signed addresses have them.
_SECRET = re.compile(
    r"token|secret|passw|passphrase|signature|credential|session|auth|jwt|bearer|(?:api|access|private|pair|account).?key|key.?(?:id|pair)",
    re.IGNORECASE,
)
_SECRET_NAMES = frozenset({"key", "sig", "sign", "pwd", "pass", "policy", "hmac", "hdnea", "hdnts"})
#: Names of signatures in the addresses of some image hosts, where the value is long; a short one is a size or a style.
_SIGNATURE_NAMES = frozenset({"s", "h", "hm", "hash", "oh", "md5"})
_SHORTEST_SIGNATURE = 16
#: Tokens that can be told by themselves: JSON web tokens, and those of well-known services.
_TOKEN = re.compile(
    r"\beyJ[\w-]{10,}\.[\w-]+(?:\.[\w-]+)?|\b(?:hf|gh[opsur]|github_pat|glpat|sk|xox[abprs])[_-][\w-]{16,}|\bA[KS]IA[0-9A-Z]{16}\b"
)
_DEEPEST = 3


def without_secrets(text: str, *, depth: int = 0) -> str:
    """The text with user and password of its addresses left out, and `REDACTED` for tokens and signatures in them.

    Any other text, and an address without secrets, comes back as it is.
    """
    if "://" not in text:
        return text

    def parameter(match: re.Match[str]) -> str:
        name, value = match.groups()
        plain, inner = unquote(name).lower(), unquote(value)
        if (
            _SECRET.search(plain)
            or plain in _SECRET_NAMES
            or (plain in _SIGNATURE_NAMES and len(value) >= _SHORTEST_SIGNATURE)
        ):
            return f"{name}={HIDDEN}" if value else match[0]
        if "://" in inner and depth < _DEEPEST:  # an address inside of an address, as proxies take it
            cleaned = without_secrets(inner, depth=depth + 1)
            return match[0] if cleaned == inner else f"{name}={quote(cleaned, safe='', errors='replace')}"
        return match[0]

    text = _USER.sub("", text)
    return _TOKEN.sub(HIDDEN, _PARAMETER.sub(parameter, text))
