"""Pictures as raters see them: encoded anew, so that nothing in the file tells its model, under addresses that tell nothing either."""

import hashlib
import hmac
import io
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from recaptrain.evaluation.pictures import Picture

Key = tuple[int, int, int]
"""Number of model, prompt and image, as in a study."""
KEPT_BYTES = 256 * 2**20
"""Encoded pictures that stay in memory."""


class ShownImages:
    """The pictures of a study as PNG, by their tokens; may be used on any thread.

    Args:
        secret: of the study; tokens are made of it, so that a page opened yesterday shows its pictures today.
    """

    def __init__(self, pictures: Mapping[Key, Picture], secret: str) -> None:
        self._pictures = pictures
        self._tokens = {key: _token(key, secret) for key in pictures}
        self._keys = {token: key for key, token in self._tokens.items()}
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def token(self, key: Key) -> str:
        """The name under which a picture is served."""
        return self._tokens[key]

    def by_token(self, token: str) -> bytes | None:
        """The picture that is served under a name; None where there is none.

        Raises:
            ImageUnreadable: it is missing or damaged.
        """
        key = self._keys.get(token)
        return None if key is None else self.content(key)

    def content(self, key: Key) -> bytes:
        """A picture as PNG.

        Raises:
            ImageUnreadable: it is missing or damaged.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        image = self._pictures[key].load()
        file = io.BytesIO()
        image.save(
            file, "PNG", compress_level=1, icc_profile=None
        )  # a profile is of the program that wrote it
        content = file.getvalue()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = content
                self._size += len(content)
            while self._size > KEPT_BYTES and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
        return content


def _token(key: Key, secret: str) -> str:
    return hmac.new(secret.encode(), repr(key).encode(), hashlib.sha256).hexdigest()[:32]
