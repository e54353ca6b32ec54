"""Chat templates of strangers, rendered in a process of their own that has bounds of time and memory.

A template is a program of whoever made the model: loops inside loops run for years, `"x" * 10**10` takes all memory there is, already when it is
compiled, and nothing within a process can stop either. So transformers' own function renders in a child that is forked once and asked again and
again; where a system forks no processes, in this one.
"""

import json
import os
import pickle
import resource
import select
import signal
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from recapdata.errors import ModelNotSupported

SECONDS = 60.0
"""For a batch of conversations; honest templates take a thousandth."""
MEMORY_BYTES = 2**30
"""What a template may take beside what the process had."""
MOST_CHARACTERS = 2**22
"""Of all texts of a batch."""

Message = Mapping[str, Any]
VERBATIM = (
    "{{ messages[0]['content'] if messages[0]['content'] is string else messages[0]['content'][-1]['text'] }}"
)
"""The template of a conversation that is rendered already, and is the text of its only turn."""
_HEAD_BYTES = 8


def render(
    processor: Any, conversations: Sequence[Sequence[Message]], *, add_generation_prompt: bool = True
) -> list[str]:
    """The text of each conversation by the template of a model.

    Args:
        processor: of transformers with a `chat_template`, or a tokenizer.
        conversations: messages as transformers has them; pictures are left out of what the template sees.

    Raises:
        ModelNotSupported: the template takes more time, memory or room than the bounds above.
        ValueError: it cannot be read, or refuses a conversation.
    """
    template = processor.chat_template
    template = template.get("default") if isinstance(template, Mapping) else template
    tokenizer = getattr(processor, "tokenizer", processor)
    job = {
        "conversations": [[_without_pictures(each) for each in turns] for turns in conversations],
        "chat_template": template,
        "add_generation_prompt": add_generation_prompt,
        **{name: str(value) for name, value in tokenizer.special_tokens_map.items()},
    }
    reply = _ask(job) if hasattr(os, "fork") else _rendered(job)
    if "exhausted" in reply:
        raise ModelNotSupported(
            f"the model's chat template {reply['exhausted']}, which no honest one does; give another model"
        )
    if "error" in reply:
        raise ValueError(reply["error"])
    texts: list[str] = reply["texts"]
    return texts


def rendered(text: str, pictures: Sequence[Any] = ()) -> list[Message]:
    """The conversation that `VERBATIM` makes this text of, with these pictures in it."""
    parts = [{"type": "image", "image": each} for each in pictures]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}] if parts else text}]


def _without_pictures(message: Message) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return message
    return {**message, "content": [{**part, "image": ""} if "image" in part else part for part in content]}


def _rendered(job: Mapping[str, Any]) -> dict[str, Any]:
    """The texts, or why there are none."""
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        texts, _ = render_jinja_template(**job)
    except MemoryError:
        return {"exhausted": f"takes more than {MEMORY_BYTES / 2**30:g} GB"}
    except Exception as error:  # noqa: BLE001 - templates raise whatever they like
        return {"error": f"{type(error).__name__}: {' '.join(str(error)[:1000].split())[:300]}"}
    if sum(map(len, texts)) > MOST_CHARACTERS:
        return {"exhausted": f"writes more than {MOST_CHARACTERS:,} characters"}
    return {"texts": texts}


# -- the child ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Child:
    """A forked process that renders."""

    process: int
    to: int
    back: int

    def end(self) -> None:
        """End it, whatever it does."""
        for handle in (self.to, self.back):
            os.close(handle)
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.process, 0)


_lock = threading.Lock()
_child: _Child | None = None


def _forget() -> None:
    """In a process that was forked for whatever: the child is its parent's, and so is the lock."""
    global _lock, _child
    if _child is not None:
        os.close(_child.to)
        os.close(_child.back)
    _lock, _child = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _ask(job: Mapping[str, Any]) -> dict[str, Any]:
    """What the child of this process answers; one that does not in time is ended."""
    global _child
    with _lock:
        if _child is None:
            _child = _forked()
        content = pickle.dumps(job)
        try:
            _write(_child.to, content)
            reply: dict[str, Any] = json.loads(_read(_child.back, time.monotonic() + SECONDS))
            return reply
        except BaseException as error:
            _child.end()
            _child = None
            if isinstance(error, TimeoutError):
                return {"exhausted": f"takes more than {SECONDS:g} s"}
            if isinstance(error, EOFError | BrokenPipeError):
                return {"exhausted": "ended the process that renders it"}
            raise


def _forked() -> _Child:
    import_module("transformers.utils.chat_template_utils")  # so that a child need import nothing
    to_child, from_child = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: the child uses nothing of theirs
        process = os.fork()
    if process == 0:
        _serve(to_child[0], from_child[1])
    os.close(to_child[0])
    os.close(from_child[1])
    return _Child(process, to_child[1], from_child[0])


def _serve(asked: int, answers: int) -> NoReturn:
    """The child: answer until nobody asks any more."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for handle in range(3):
            os.dup2(nothing, handle)
        _close_all_but(asked, answers)
        with suppress(OSError, ValueError):
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, resource.RLIM_INFINITY))
        while True:
            job = pickle.loads(_read(asked))
            _write(answers, json.dumps(_rendered(job)).encode())
    finally:
        os._exit(0)


def _close_all_but(*handles: int) -> None:
    """Close what the parent had open, so that no lock outlives it."""
    start = 3
    for handle in (*sorted(handles), os.sysconf("SC_OPEN_MAX")):
        os.closerange(start, handle)
        start = handle + 1


def _write(handle: int, content: bytes) -> None:
    left = memoryview(len(content).to_bytes(_HEAD_BYTES, "big") + content)
    while left:
        left = left[os.write(handle, left) :]


def _read(handle: int, deadline: float | None = None) -> bytes:
    """A message.

    Raises:
        EOFError: the other side has ended.
        TimeoutError: it did not come in time.
    """
    head = _read_bytes(handle, _HEAD_BYTES, deadline)
    return _read_bytes(handle, int.from_bytes(head, "big"), deadline)


def _read_bytes(handle: int, size: int, deadline: float | None) -> bytes:
    content = bytearray()
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    while len(content) < size:
        if deadline is not None and not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        if not (part := os.read(handle, min(size - len(content), 2**20))):
            raise EOFError
        content += part
    return bytes(content)
