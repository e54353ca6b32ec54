"""The rating application over HTTP: what it asks, what it refuses, and that nothing on its pages tells a model."""

import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from recapdata.dataset.decoding import decode_image
from recaptrain.evaluation.humans.app import application, results_key
from recaptrain.evaluation.humans.database import Database
from recaptrain.evaluation.humans.protocols import PROTOCOLS
from recaptrain.evaluation.humans.ratings import read_progress, read_votes
from tests.recaptrain.evaluation.humans.folders import ARABIC, HOSTILE, LONG, MODELS, write_study

PROMPTS = ["one", HOSTILE, ARABIC, LONG, "half of a \ud83d pair"]
OWN = "http://127.0.0.1:8760"
RED, BLUE = (255, 0, 0), (0, 0, 255)


def open_database(path: Path, **settings: Any) -> Database:
    return Database(path / "out", write_study(path, PROMPTS, **settings), ratings=2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(open_database(tmp_path)) as database:
        yield database


def client(database: Database, name: str | None = None, *, host: str = "127.0.0.1") -> TestClient:
    """A browser with cookies of its own, in which a rater has entered."""
    found = TestClient(application(database, host=host, seed=0), base_url=OWN)
    if name is not None:
        assert found.post("/begin", data={"name": name}).url == f"{OWN}/rate"
    return found


def send(rater: TestClient, state: dict[str, Any], answer: str) -> dict[str, Any]:
    """Answer the question of a state."""
    current = state["current"]
    body = {"question": current["question"], "rating": current["rating"], "answer": answer, "seconds": 1.0}
    response = rater.post("/vote", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


def color(rater: TestClient, address: str) -> tuple[int, int, int]:
    with Image.open(io.BytesIO(rater.get(address).content)) as image:
        return image.convert("RGB").getpixel((0, 0))  # type: ignore[return-value]


@pytest.mark.parametrize("protocol", ["prompt-following", "style", "coherence"])
def test_a_vote_for_a_side_is_one_for_the_model_that_stood_there(tmp_path: Path, protocol: str) -> None:
    """Ada always takes the red picture, which is the first model's, Bo always the right one."""
    with closing(open_database(tmp_path, protocol=protocol)) as database:
        ada, bo = client(database, "Ada"), client(database, "Bo")
        state = ada.get("/next").json()
        while state["current"]:
            colors = [color(ada, address) for address in state["current"]["images"]]
            assert sorted(colors) == [BLUE, RED]
            state = send(ada, state, "left" if colors[0] == RED else "right")
        state = bo.get("/next").json()
        while state["current"]:
            state = send(bo, state, "right")
        assert (state["own"], state["done"], state["wanted"], state["waiting"]) == (5, 10, 10, False)
        votes = read_votes(database)
        assert [vote.answer for vote in votes if vote.rater == "Ada"] == ["a"] * 5
        assert all(vote.answer == ("a" if vote.left_is_b else "b") for vote in votes if vote.rater == "Bo")
        # Sides are exchanged for the second rating, so Bo's rights are Ada's rights and lefts in turn.
        assert sum(vote.left_is_b for vote in votes) == 5


def test_pictures_by_themselves_are_asked_yes_or_no(tmp_path: Path) -> None:
    with closing(open_database(tmp_path, protocol="success")) as database:
        ada = client(database, "Ada")
        state = ada.get("/next").json()
        assert len(state["current"]["images"]) == 1
        assert state["current"]["caption"] in PROMPTS
        state = send(ada, state, "yes")
        send(ada, state, "no")
        assert [vote.answer for vote in read_votes(database)] == ["yes", "no"]


@pytest.mark.parametrize("prompts", ["original", "read"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_caption_is_shown_where_the_protocol_says(tmp_path: Path, protocol: str, prompts: str) -> None:
    with closing(open_database(tmp_path, protocol=protocol, prompts=prompts)) as database:
        current = client(database, "Ada").get("/next").json()["current"]
        if PROTOCOLS[protocol].caption:
            assert current["caption"].removesuffix(", in detail") in PROMPTS
            assert current["caption"].endswith(", in detail") == (prompts == "read")
        else:
            assert current["caption"] is None


def test_nothing_that_raters_receive_tells_a_model(database: Database) -> None:
    """Neither names of folders and files, nor what the pictures' files say, nor their addresses."""
    ada = client(database, "Ada")
    state = ada.get("/next").json()
    texts = [ada.get(path).text for path in ("/", "/rate", "/next", "/rate.js", "/style.css")]
    addresses = state["current"]["images"] + state["next"]["images"]
    contents = [ada.get(address) for address in addresses]
    texts += [each.content.decode("latin-1") + str(each.headers) for each in contents]
    for name in (*MODELS, "0000-0", "metadata", ".png", "sRGB", "iCCP", "tEXt"):
        for text in texts:
            assert name not in text.replace("image/png", ""), name
    assert len(set(addresses)) == len(addresses)


def test_pictures_are_shown_as_they_are(tmp_path: Path) -> None:
    study = write_study(tmp_path, ["one"], models=1, protocol="success")
    path = tmp_path / MODELS[0] / "0000-0.png"
    pixels = bytes(number % 256 for number in range(48 * 32 * 3))
    Image.frombytes("RGB", (48, 32), pixels).save(path)
    with closing(Database(tmp_path / "out", study)) as database:
        ada = client(database, "Ada")
        content = ada.get(ada.get("/next").json()["current"]["images"][0]).content
    assert decode_image(content).tobytes() == pixels


def test_addresses_of_pictures_outlive_the_server(tmp_path: Path) -> None:
    with closing(open_database(tmp_path)) as database:
        ada = client(database, "Ada")
        first = ada.get("/next").json()
    with closing(Database(tmp_path / "out", database.study, ratings=2)) as database:
        again = client(database)
        again.cookies = ada.cookies
        assert again.get("/next").json() == first
        assert again.get(first["current"]["images"][0]).status_code == 200


def test_undo_and_skip(database: Database) -> None:
    ada = client(database, "Ada")
    first = ada.get("/next").json()
    assert not first["undoable"]
    after = send(ada, first, "tie")
    assert (after["undoable"], after["own"]) == (True, 1)
    assert after["current"]["question"] == first["next"]["question"]
    undone = ada.post("/undo", json={}).json()
    assert (undone["current"], undone["undoable"], undone["own"]) == (first["current"], False, 0)
    skipped = ada.post("/skip", json={"question": first["current"]["question"]}).json()
    assert (skipped["current"], skipped["own"]) == (after["current"], 0)
    assert read_progress(database).skipped == 1


def test_an_answer_that_is_not_kept_is_said_with_what_is_next(database: Database) -> None:
    """The page is open twice: the second answer to the same question, another one, is refused, and the page goes on."""
    ada = client(database, "Ada")
    state = ada.get("/next").json()
    send(ada, state, "left")
    again = send(ada, state, "tie")
    assert "answered this question already" in again["refused"]
    assert again["current"]["question"] == state["next"]["question"]
    assert len(read_votes(database)) == 1


def test_raters_are_known_by_name_on_any_device(database: Database) -> None:
    ada, elsewhere, bo = client(database, "Ada"), client(database, "  Ada "), client(database, "Bo")
    state = send(ada, ada.get("/next").json(), "left")
    assert elsewhere.get("/next").json()["own"] == 1
    assert bo.get("/next").json()["own"] == 0
    assert "Ada" in ada.get("/rate").text
    assert ada.post("/leave").url == f"{OWN}/"
    assert ada.get("/next").status_code == 401
    assert ada.get("/rate").url == f"{OWN}/"
    assert elsewhere.get("/next").json()["current"] == state["current"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b", "a\u202eb"])
def test_names_that_are_none_are_asked_for_again(database: Database, name: str) -> None:
    response = client(database).post("/begin", data={"name": name})
    assert response.status_code == 400
    assert "Please give a name of at most 60 characters." in response.text
    assert database.rows("SELECT * FROM raters") == []


def test_a_name_is_text(database: Database) -> None:
    page = client(database, "<b>Ada</b>").get("/rate").text
    assert "&lt;b&gt;Ada&lt;/b&gt;" in page
    assert "<b>" not in page


def test_damaged_pictures_are_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(open_database(tmp_path)) as database:
        for number in range(5):
            if number != 2:
                (tmp_path / MODELS[1] / f"000{number}-0.png").write_bytes(b"no picture")
        ada = client(database, "Ada")
        state = ada.get("/next").json()
        assert state["current"]["caption"] == ARABIC
        after = send(ada, state, "left")
        assert (after["current"], after["waiting"], after["done"], after["wanted"]) == (None, False, 1, 2)
        assert read_progress(database).unreadable == 4
        assert (
            "a picture of model-recap cannot be shown and is left out: NotAnImage" in capsys.readouterr().err
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "rebound.example:8760"},  # DNS rebinding
        {"host": "192.168.1.5:8760"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},  # another server of this machine
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_names_and_pages_of_others_are_refused_everywhere(
    database: Database, headers: dict[str, str]
) -> None:
    ada = client(database, "Ada")
    state = ada.get("/next").json()
    body = {"question": state["current"]["question"], "rating": 0, "answer": "left"}
    for path in ("/next", "/rate.js", state["current"]["images"][0], "/results/x"):
        assert ada.get(path, headers=headers).status_code == 403, path
    for path in ("/vote", "/skip", "/undo"):
        assert ada.post(path, json=body, headers=headers).status_code == 403, path
    assert ada.post("/begin", data={"name": "Eve"}, headers=headers).status_code == 403
    assert ada.post("/leave", headers=headers).status_code == 403
    assert read_votes(database) == []
    assert database.rows("SELECT name FROM raters") == [("Ada",)]


def test_a_link_from_another_site_opens_the_page_and_nothing_else(database: Database) -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    ada = client(database, "Ada")
    assert ada.get("/rate", headers=link).status_code == 200
    assert ada.get("/next", headers=link).status_code == 403
    assert ada.post("/leave", headers=link).status_code == 403
    assert "frame-ancestors 'none'" in ada.get("/rate").headers["content-security-policy"]


def test_the_network_is_let_in_where_it_is_told(database: Database) -> None:
    open_to_all = client(database, host="0.0.0.0")
    assert open_to_all.get("/", headers={"host": "192.168.1.5:8760"}).status_code == 200
    assert open_to_all.get("/", headers={"host": "rebound.example:8760"}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"not json", 400),
        (b"[1]", 400),
        (b"[" * 4000, 400),
        (b'{"answer": "left"}', 400),
        (b'{"question": true, "rating": 0, "answer": "left"}', 400),
        (b'{"question": 0, "rating": -1, "answer": "left"}', 400),
        (b'{"question": 99, "rating": 0, "answer": "left"}', 400),
        (b'{"question": 0, "rating": 0, "answer": "yes"}', 400),
        (b'{"question": 0, "rating": 0, "answer": "a"}', 400),  # a model's letter is nothing a rater knows
        (b'{"question": 0, "rating": 0, "answer": ["left"]}', 400),
        (b'{"x": "' + b"x" * 5000 + b'"}', 413),
    ],
)
def test_what_is_no_vote_is_refused_in_one_line(database: Database, body: bytes, status: int) -> None:
    response = client(database, "Ada").post("/vote", content=body)
    assert response.status_code == status
    assert set(response.json()) == {"error"}
    assert read_votes(database) == []


@pytest.mark.parametrize("seconds", [None, -1, "x", True, 1e9, [1]])
def test_an_impossible_time_is_left_out_and_the_vote_is_kept(database: Database, seconds: Any) -> None:
    ada = client(database, "Ada")
    current = ada.get("/next").json()["current"]
    body = {"question": current["question"], "rating": current["rating"], "answer": "tie"}
    ada.post("/vote", content=json.dumps({**body, "seconds": seconds}))
    assert [vote.seconds for vote in read_votes(database)] == [None]


def test_results_are_behind_a_key(database: Database) -> None:
    ada = client(database, "Ada")
    assert ada.get("/results/0000000000000000").status_code == 404
    address = f"/results/{results_key(database)}"
    assert "There are no ratings yet, of 10." in ada.get(address).text
    state = ada.get("/next").json()
    while state["current"]:
        state = send(ada, state, "tie")
    page = ada.get(address).text
    assert "5 of 10 ratings, on 5 of 5 prompts, by 1 rater" in page
    assert MODELS[0] in page
    assert "50.0 % [50.0 %, 50.0 %]" in page
    assert results_key(database) not in ada.get("/rate").text + ada.get("/").text


def test_a_full_disk_is_said_and_no_vote_is_claimed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    ada = client(database, "Ada")
    state = ada.get("/next").json()
    with monkeypatch.context() as patch:
        patch.setattr("recaptrain.evaluation.humans.calls.vote", full)
        current = state["current"]
        body = {"question": current["question"], "rating": current["rating"], "answer": "tie"}
        response = ada.post("/vote", json=body)
    assert response.status_code == 507
    assert response.json() == {"error": "Your answer could not be kept: the disk is full."}
    assert send(ada, state, "tie")["own"] == 1
