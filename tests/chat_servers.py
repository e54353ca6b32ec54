"""OpenAI-compatible servers: one that stumbles in every way, by script, and a real one."""

import base64
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.vlms import save_vlm
from tests.waiting import HANGS, until


def completion(content, finish_reason="stop", tokens=5, **message):
    """The body of an answer."""
    message = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": {"completion_tokens": tokens}}


def picture_of(request: dict[str, Any]) -> Image.Image:
    """The first picture of a request."""
    parts = [
        part for turn in request["messages"] if isinstance(turn["content"], list) for part in turn["content"]
    ]
    url = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
    return Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB")


def text_of(request: dict[str, Any]) -> str:
    """What the user says last."""
    content = request["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def red_of_request(request: dict[str, Any]) -> int:
    """How red the first pixel of its picture is."""
    return picture_of(request).getpixel((0, 0))[0]


def seen(request: dict[str, Any]) -> str:
    """`seen <red> (<prompt>)`."""
    return f"seen {red_of_request(request)} ({text_of(request)})"


class Stumbling(BaseHTTPRequestHandler):
    """Answers as its server does; the script of that says what goes wrong before, by what a request is about."""

    protocol_version = "HTTP/1.1"
    server: "StumblingServer"

    def do_GET(self):
        if self.server.dead:
            return self._cut()
        self._say(200, {"object": "list", "data": self.server.models})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({**request, "authorization": self.headers.get("Authorization")})
        about = self.server.about(request)
        with self.server.lock:
            asked = self.server.asked[about]
            self.server.asked[about] += 1
        script = self.server.script.get(about, [])
        step = script[min(asked, len(script) - 1)] if script else "fine"
        if step == "die":
            self.server.dead = True
            self.server.socket.close()
        if self.server.dead or step == "cut":
            self._cut()
        elif step == "fine":
            self._say(200, completion(self.server.answer(request)))
        elif step == "hang":
            self.server.closing.wait()
            self.close_connection = True
        elif step == "nonsense":
            self._say(200, "certainly!")
        elif isinstance(step, dict):
            self._say(200, step)
        elif isinstance(step, bytes):
            self._send(200, step, {})
        elif step == "hollow":
            self._say(200, {"choices": []})
        elif step == "silent":
            self._say(200, completion("  "))
        else:
            self._say(int(step), {"error": f"no: {step}"}, {"Retry-After": "0.02"} if step == "429" else {})

    def _cut(self):
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _say(self, status, body, headers=None):
        self._send(status, json.dumps(body).encode(), headers)

    def _send(self, status, content, headers=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class StumblingServer(ThreadingHTTPServer):
    """A server on a free port.

    Args:
        about: what a request is about, by which `script` and `asked` know it.
        answer: the text of its answer.

    Attributes:
        script: what goes wrong, try by try; the last is repeated.
        asked: how often it was asked.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        about: Callable[[dict[str, Any]], Hashable] = red_of_request,
        answer: Callable[[dict[str, Any]], str] = seen,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Stumbling)
        self.about, self.answer = about, answer
        self.script: dict[Hashable, list] = {}
        self.models = [{"id": "me/model", "owned_by": "tests"}]
        self.asked: Counter[Hashable] = Counter()
        self.requests: list[dict] = []
        self.lock = threading.Lock()
        self.dead = False
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(server: StumblingServer) -> Iterator[StumblingServer]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def transformers_serving(root: Path) -> Iterator[str]:
    """`transformers serve` in a process of its own, with a tiny model that sees pictures; its address and model."""
    pytest.importorskip("fastapi", reason="transformers serve needs fastapi")
    pytest.importorskip("openai", reason="transformers serve needs openai")
    model = save_vlm("qwen2_vl", root / "model")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (root / "home" / "hub").mkdir(parents=True)
    program = Path(sys.executable).with_name("transformers")
    command = [program, "serve", model, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with open(root / "log", "w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, "HF_HOME": str(root / "home"), "HF_HUB_OFFLINE": "1"},
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, root / "log")
            yield f"http://127.0.0.1:{port}/v1#{model}"
        finally:
            process.terminate()
            process.wait(HANGS)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(url).raise_for_status().is_success
        except httpx.TransportError:
            return False

    until(answers)
