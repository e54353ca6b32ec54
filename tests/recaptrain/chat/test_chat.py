"""Names of chat models, and requests that are made once."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from recapdata.captioners.answers import Words
from recapdata.errors import OptionError
from recaptrain.chat import ChatOptions, Opening, Reply, Request, Turn, open_chat_model, parse_model
from recaptrain.chat.asking import ask, request_key
from recaptrain.chat.journal import AnswerJournal

WORDS = Words("answer", "--model", "--protocol")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("me/model", ("transformers", "me/model", None)),
        ("me/model@v1", ("transformers", "me/model", "v1")),
        ("transformers:me/model@v1", ("transformers", "me/model", "v1")),
        ("http://127.0.0.1:8000/v1#@cf/me/model", ("server", "http://127.0.0.1:8000/v1#@cf/me/model", None)),
        ("server:http://127.0.0.1/v1", ("server", "http://127.0.0.1/v1", None)),
        ("mine.own:open_it", ("mine.own:open_it", None, None)),
        ("mine:open_it:fast", ("mine:open_it", "fast", None)),
    ],
)
def test_names(text: str, parsed: tuple[str, str | None, str | None]) -> None:
    assert parse_model(text) == parsed


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a@b"
    folder.mkdir()
    assert parse_model(str(folder)) == ("transformers", str(folder), None)
    with pytest.raises(OptionError, match="give the revision once"):
        parse_model("me/model@v1", "v2")
    assert parse_model("me/model", "v2") == ("transformers", "me/model", "v2")


class Echo:
    """A model from outside: says what it hears; takes no more than `most` requests."""

    def __init__(self, most: int = 10**6) -> None:
        self.most = most
        self.heard: list[str] = []
        self.identity = {"model": "echo", "revision": "1"}

    def replies(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Reply]]:
        for request, _ in zip(requests, range(self.most), strict=False):
            self.heard.append(request.conversation[-1].text)
            yield request, Reply(text=f"{request.conversation[-1].text}!")


def open_echo(opening: Opening) -> Echo:
    assert (opening.max_tokens, opening.pictures, opening.revision) == (9, True, "r")
    return Echo()


def open_nameless(opening: Opening) -> SimpleNamespace:
    return SimpleNamespace(identity={"model": ""}, replies=None)


def test_a_model_from_outside() -> None:
    options = ChatOptions(model=f"{__name__}:open_echo", revision="r")
    assert open_chat_model(options, max_tokens=9, words=WORDS, pictures=True).identity["model"] == "echo"
    with pytest.raises(OptionError, match="must name model and revision"):
        open_chat_model(ChatOptions(model=f"{__name__}:open_nameless"), max_tokens=9, words=WORDS)
    with pytest.raises(OptionError, match="has no open_all"):
        open_chat_model(ChatOptions(model=f"{__name__}:open_all"), max_tokens=9, words=WORDS)


def request(text: str) -> Request:
    turns = [Turn("user", text)]
    return Request(key=request_key(turns), conversation=turns)


def test_a_request_is_made_once(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []
    with AnswerJournal(tmp_path / "answers.jsonl") as journal:
        first = Echo()
        assert ask(first, map(request, ["a", "b", "a"]), journal) == 2
        assert first.heard == ["a", "b"]
        second = Echo()
        made = ask(
            second, map(request, "abc"), journal, advance=lambda n=1, failed=0: asked.append((n, failed))
        )
        assert (made, second.heard) == (1, ["c"])
        assert asked == [(1, 0)] * 3
        assert journal.reply(request("b").key) == Reply(text="b!")


def test_what_a_model_leaves_is_a_failure(tmp_path: Path) -> None:
    """Of three requests it answers one, drops the second, and does not take the third."""
    counts: list[tuple[int, int]] = []
    with AnswerJournal(tmp_path / "answers.jsonl") as journal:
        made = ask(
            Echo(most=1),
            map(request, "abc"),
            journal,
            advance=lambda n=1, failed=0: counts.append((n, failed)),
        )
        assert made == 1
        assert journal.reply(request("c").key).error == "NoAnswer: the model gave none"
    assert counts == [(1, 0), (2, 2)]


def test_a_key_tells_turns_pictures_and_what_else_there_is_apart() -> None:
    turns = [Turn("system", "Be short."), Turn("user", "hello")]
    keys = [
        request_key(turns),
        request_key(turns[1:]),
        request_key(turns, ["1"]),
        request_key(turns, ["1", "2"]),
        request_key(turns, seed=1),
        request_key([Turn("user", "Be short."), Turn("user", "hello")]),
    ]
    assert len(set(keys)) == len(keys)
    assert request_key(list(turns)) == keys[0]
