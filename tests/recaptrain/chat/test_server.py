"""Conversations with a server that stumbles in every way (`tests.chat_servers`)."""

import re
from dataclasses import replace

import pytest
from PIL import Image

from recapdata.captioners.answers import CreditsSpent, Words
from recapdata.captioners.chat_api import Patience, ServerUnreachable
from recapdata.errors import CaptionerNotFound, OptionError
from recaptrain.chat import Opening, Reply, Request, Turn
from recaptrain.chat.server import ServerChat, open_server
from tests.chat_servers import StumblingServer, completion, serving, text_of
from tests.waiting import HANGS

QUICK = Patience(attempts=3, first_pause=0.01, longest_pause=0.05, timeout=HANGS)
OPENING = Opening(
    model=None,
    revision="f00d",
    temperature=0.0,
    seed=0,
    max_tokens=9,
    pictures=True,
    words=Words("answer", "--model", "--protocol"),
)


@pytest.fixture
def stumbling():
    with serving(StumblingServer(about=text_of, answer=lambda request: f"{text_of(request)}!")) as server:
        yield server


def talk(server, *texts, patience=QUICK, opening=OPENING) -> dict[str, Reply]:
    model = ServerChat(server.address, None, opening, patience)
    requests = [Request(key=text, conversation=[Turn("system", "Hm."), Turn("user", text)]) for text in texts]
    return {request.key: reply for request, reply in model.replies(iter(requests))}


def test_every_request_has_its_own_answer(stumbling):
    texts = [f"{number}" for number in range(70)]  # more than are sent at once
    assert talk(stumbling, *texts) == {
        text: Reply(text=f"{text}!", finish_reason="stop", tokens=5) for text in texts
    }
    assert set(stumbling.asked.values()) == {1}
    first = stumbling.requests[0]
    assert [turn["role"] for turn in first["messages"]] == ["system", "user"]
    assert (first["model"], first["max_tokens"], first["temperature"]) == ("me/model", 9, 0)
    assert "seed" not in first
    assert isinstance(first["messages"][1]["content"], str)


def test_pictures_travel_before_the_text(stumbling):
    model = ServerChat(stumbling.address, None, replace(OPENING, temperature=0.5), QUICK)
    pictures = (Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue"))
    ((_, reply),) = model.replies([Request(key="k", conversation=[Turn("user", "which?", pictures)])])
    assert reply.text == "which?!"
    (request,) = stumbling.requests
    assert [part["type"] for part in request["messages"][0]["content"]] == ["image_url", "image_url", "text"]
    assert request["temperature"] == 0.5
    assert 0 <= request["seed"] < 2**31


def test_the_identity_names_model_revision_and_sampling(stumbling):
    model = ServerChat(stumbling.address, None, OPENING, QUICK)
    assert model.identity == {
        "model": "me/model", "revision": "f00d", "served_by": "tests", "max_tokens": 9, "temperature": 0.0,
    }  # fmt: skip
    drawn = ServerChat(stumbling.address, None, replace(OPENING, temperature=1.0, seed=3), QUICK)
    assert (drawn.identity["temperature"], drawn.identity["seed"]) == (1.0, 3)


TROUBLE = [
    (["500", "fine"], None),
    (["429", "429", "fine"], None),
    (["cut", "fine"], None),
    (["nonsense", "fine"], None),
    (["500"], "ServerBusy: 500"),
    (["429"], "ServerBusy: 429"),
    (["cut"], "ConnectionLost: "),
    (["400"], "ServerRefused: 400"),
    (["nonsense"], "BadAnswer: "),
    (["hollow"], "BadAnswer: no choices"),
    (["silent"], "EmptyAnswer: the server answered without a word"),
    ([completion("half \ud83d")], "BadAnswer: the answer is no text that can be stored"),
    ([completion("Correct", tokens=2**40)], "BadAnswer: completion_tokens"),
    ([completion("Correct", tokens=-1)], "BadAnswer: completion_tokens"),
    ([completion("Correct", ["stop"])], "BadAnswer: finish_reason is a list"),
    ([completion(["Correct", ["deep"]])], "BadAnswer: a part"),
    ([completion(None, "length", 9)], "TokenLimit: all 9 tokens were spent before an answer was there"),
    ([completion("<think>Hm.</think>")], "EmptyAnswer: the model reasoned and wrote no answer"),
    ([completion(None, refusal="I cannot")], "Declined: I cannot; change --protocol, or name another model"),
    ([b"[" * 100_000], "BadAnswer: JSON nested too deeply"),
    ([b"\xff\xfe\x00"], "BadAnswer: no JSON"),
    ([{"error": {"message": "this model has no vision part"}}], "ServerRefused: .*name another: --model URL#MODEL"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "error"), TROUBLE, ids=[f"{error}" for _, error in TROUBLE])
def test_a_server_that_stumbles(stumbling, script, error):
    stumbling.script = {"bad": script}
    found = talk(stumbling, "bad", "good")
    assert found["good"].text == "good!"
    assert stumbling.asked["good"] == 1
    if error is None:
        assert found["bad"].text == "bad!"
    else:
        assert found["bad"].text is None
        assert re.match(error, found["bad"].error), found["bad"].error


def test_an_answer_that_does_not_come(stumbling):
    stumbling.script = {"bad": ["hang"]}
    model = ServerChat(stumbling.address, None, OPENING, replace(QUICK, attempts=2, timeout=1.0))
    requests = [Request(key="bad", conversation=[Turn("user", "bad")])]
    ((_, reply),) = model.replies(requests)
    assert reply.error.startswith("Timeout: no answer within 1 s")


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("401", CaptionerNotFound),
        ("404", CaptionerNotFound),
        ({"error": {"type": "insufficient_quota"}}, CreditsSpent),
        ("die", ServerUnreachable),
    ],
)
def test_what_ends_the_run(stumbling, step, kind):
    stumbling.script = {"7": [step]}
    model = ServerChat(stumbling.address, None, OPENING, QUICK)
    requests = (Request(key=f"{n}", conversation=[Turn("user", f"{n}")]) for n in range(200))
    answered = []
    with pytest.raises(kind):
        answered += [request.key for request, _ in model.replies(requests)]
    assert len(stumbling.asked) < 200


def test_which_model_must_be_clear(stumbling):
    stumbling.models = [{"id": "a"}, {"id": "b"}]
    with pytest.raises(
        CaptionerNotFound, match=f"serves a, b; say which: --model server:{stumbling.address}#MODEL"
    ):
        open_server(replace(OPENING, model=stumbling.address))
    assert open_server(replace(OPENING, model=f"{stumbling.address}#b")).identity["model"] == "b"
    with pytest.raises(OptionError, match="give the server's address"):
        open_server(replace(OPENING, model="me/model"))
