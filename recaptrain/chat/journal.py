"""The journal of answers: a JSON line each, on disk before the request is taken for done.

    {"key": "…", "text": "…", "finish_reason": "stop", "tokens": 57, …}     an answer; further fields are for people
    {"key": "…", "error": "Timeout: no answer within 300 s", …}              a failure: the request is made again by the next run

A journal is only ever appended to, so several runs may share one. A line that is no answer (what a kill leaves of the last one, or what somebody else
wrote) answers nothing, and its request is made again.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from recapdata.atomic import flush, open_to_append
from recapdata.dataset.bounded import TooLarge, read_lines
from recapdata.errors import InputError
from recaptrain.chat import Reply

MOST_TOKENS = 2**31


@dataclass
class AnswerJournal:
    """The answers of a file by their keys, and the file to add more to; use it as a context manager.

    Attributes:
        replies: of all requests that were answered.
        failures: why there is no answer, of requests whose last try failed.
        about: further fields of the lines of answers, by key.
    """

    path: Path
    replies: dict[str, Reply] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    about: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def __enter__(self) -> "AnswerJournal":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: what a full disk refuses must not be waiting in a buffer when the file is closed. Opened first: it refuses links.
        self._file = open_to_append(self.path)
        try:
            self._read()
            flush(self.path.parent)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, key: str, reply: Reply, about: Mapping[str, Any]) -> None:
        """Note the reply to a request; it is on disk when this returns.

        A reply that could not be read back (text that is no Unicode, no number of tokens) is noted as a failure.
        """
        reply = storable(reply)
        row: dict[str, Any] = {"key": key}
        if reply.text is None:
            row["error"] = self.failures[key] = str(reply.error)
        else:
            row |= {"text": reply.text, "finish_reason": reply.finish_reason, "tokens": reply.tokens}
            self.replies[key] = reply
            self.failures.pop(key, None)
            self.about[key] = dict(about)
        # What is said of a request may hold half a surrogate pair, which JSON can escape and UTF-8 cannot hold.
        text = json.dumps({**about, **row}, ensure_ascii=False, separators=(",", ":"))
        content = text.encode("utf8", "backslashreplace") + b"\n"
        line = memoryview(content if self._ends_a_line() else b"\n" + content)
        while line:
            line = line[self._file.write(line) :]
        os.fsync(self._file.fileno())

    def reply(self, key: str) -> Reply:
        """The reply to a request, which may be a failure."""
        error = self.failures.get(key, "NoAnswer: the model gave none")
        return self.replies.get(key) or Reply(text=None, error=error)

    def _ends_a_line(self) -> bool:
        """Whether what is in the file ends with a line: else a kill has left a part of one."""
        size = os.fstat(self._file.fileno()).st_size
        if not size:
            return True
        with open(self.path, "rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def _read(self) -> None:
        if not self.path.is_file():
            return
        try:
            for line in read_lines(self.path):
                self._take(line)
        except (TooLarge, OSError) as error:
            raise InputError(
                f"{self.path} cannot be read ({error}); move it away, and its answers are asked for again"
            ) from error

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return
        key = row.get("key") if isinstance(row, dict) else None
        if not isinstance(key, str):
            return
        if isinstance(row.get("text"), str):
            reply = Reply(text=row["text"], finish_reason=row.get("finish_reason"), tokens=row.get("tokens"))
            if storable(reply) is reply:
                self.replies[key] = reply
                self.failures.pop(key, None)
                self.about[key] = {
                    name: value
                    for name, value in row.items()
                    if name not in ("key", "text", "finish_reason", "tokens")
                }
        elif isinstance(row.get("error"), str) and key not in self.replies:
            self.failures[key] = row["error"][:2000].encode("utf8", "replace").decode()


def storable(reply: Reply) -> Reply:
    """The same reply where it can be written and read back; else the failure that it is."""
    if reply.text is None:
        error = (
            reply.error if isinstance(reply.error, str) and reply.error else "NoAnswer: the model gave none"
        )
        return Reply(text=None, error=error[:2000].encode("utf8", "replace").decode())
    wrong = None
    if not isinstance(reply.text, str):
        wrong = f"the answer is a {type(reply.text).__name__}, no text"
    elif not reply.text.strip():
        return Reply(text=None, error="EmptyAnswer: the model ended without a word")
    elif reply.text.encode("utf8", "ignore").decode() != reply.text:
        wrong = "the answer is no text that can be stored (surrogates not allowed)"
    elif reply.finish_reason is not None and not _word(reply.finish_reason):
        wrong = "its finish_reason is no word"
    elif reply.tokens is not None and not _count(reply.tokens):
        wrong = "its tokens are no number of tokens"
    return reply if wrong is None else Reply(text=None, error=f"BadAnswer: {wrong}")


def _word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 40 and value.isprintable()


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS
