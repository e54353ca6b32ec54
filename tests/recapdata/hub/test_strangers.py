"""Requests and files made to harm a Hub: each is refused in a sentence, and the next request is answered."""

import base64
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from recapdata.hub import card_checks, cards, upload_pack
from recapdata.hub.endpoints import pages
from recapdata.hub.ignoring import IgnoreRules
from recapdata.hub.process import Hub
from recapdata.hub.refusals import Refusal

LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
HEADS = {
    "recursive": "a: &a [*a]",
    "recursive mapping": "a: &a {b: *a}",
    "billion laughs": LAUGHS,
    "deep": "a: " + "[" * 5000,
    "deep and closed": "a: " + "[" * 200 + "]" * 200,
    "many": "a: [" + "1," * 300_000 + "]",
    "unknown alias": "a: *b",
    "a python object": "a: !!python/object/apply:os.system [id]",
    "a list as a key": "? [a]\n: b",
    "a text as a date": "a: !!timestamp x",
    "a text as a number": "a: !!float x",
    "nothing as a number": "a: !!int ''",
    "surrogate": 'a: "\\uD800"',
    "control": "a: \x01",
}
ODD_VALUES = {
    "infinity": ("a: .inf", "inf"),
    "not a number": ("a: .nan", "nan"),
    "long integer": ("a: " + "9" * 4000, hex(int("9" * 4000))),
    "a date": ("a: 2026-01-02", "2026-01-02"),
}


def request(hub: Hub, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {hub.token}", "Content-Type": "application/json", **headers}
    ask = urllib.request.Request(f"{hub.endpoint}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(ask, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_head_that_harms_is_an_error_at_once(head: str) -> None:
    readme, began = f"---\n{head}\n---\n# x\n", time.process_time()
    assert len(card_checks.problems(readme)[0]) == 1
    assert cards.read_card(readme) == {}
    assert time.process_time() - began < 20


def test_a_head_of_which_much_is_wrong_says_some_of_it() -> None:
    """66,000 configs of one name, and 199,000 licenses that are none: quadratic, or 200 MB of text, where each is said."""
    began = time.process_time()
    for head in (
        "configs: [" + "{config_name: a}," * 66_000 + "]",
        "license: [" + "x," * 199_000 + "]",
    ):
        errors, _ = card_checks.problems(f"---\n{head}\n---\n")
        assert 1 <= len(errors) <= card_checks.MISTAKES_MAX
    assert time.process_time() - began < 60


def test_keys_of_one_hash_take_no_longer_than_others() -> None:
    """Multiples of 2^61 - 1 are all of hash 0, so that a dictionary of n of them takes n²/2 comparisons: some minutes."""
    prime = 2**61 - 1
    head = "a: {" + ",".join(f"{prime * (number + 1)}: " for number in range(78_000)) + "}"
    began = time.process_time()
    assert len(cards.read_card(f"---\n{head}\n---\n")["a"]) == 78_000
    assert time.process_time() - began < 60
    assert cards.read_card("---\na: &a {1: x, y: z}\nb: {<<: *a, y: w}\nc: !!set {q}\n---\n") == {
        "a": {"1": "x", "y": "z"}, "b": {"1": "x", "y": "w"}, "c": str({"q"})
    }  # fmt: skip


def test_comments_of_a_card_are_taken_out_in_one_reading() -> None:
    for text, shown in (
        ("<!-- a -->\nb", "\nb"),
        ("<!-- a\nb -->\t\nc\n<!-- d -->", "\nc\n"),
        ("<!-- a --> b\n<!-- c -->", "<!-- a --> b\n"),
        ("a <!-- b -->\n<!-- c", "a <!-- b -->\n<!-- c"),
    ):
        assert pages._without_comments(text) == shown
    assert pages._html("<b>" + "[" * 500_000).startswith("<pre>&lt;b&gt;[[")
    began = time.process_time()
    for bomb in ("<!--\n" * 100_000, "<!--\n" * 100_000 + "--> x", "<!--" + "--> x" * 100_000):
        assert pages._without_comments(bomb) == bomb
    assert time.process_time() - began < 60


def test_requests_of_git_that_it_does_not_make(hub: Hub, repo_id: str) -> None:
    """Wanted once or a thousand times, a history is sent once."""
    head = str(HfApi().create_repo(repo_id) and HfApi().repo_info(repo_id).sha)

    def lines(*texts: str) -> bytes:
        return b"".join(upload_pack.packet(f"{text}\n") for text in texts) + b"0000"

    def asked(body: bytes) -> int:
        return request(hub, "POST", f"/{repo_id}.git/git-upload-pack", body)[0]

    assert asked(lines(f"want {head}", "done")) == 200
    assert upload_pack.read_wish(lines(*[f"want {head}"] * 1000)).wants == (head,)
    for body in (
        lines("want  "),
        lines(f"want {head}", "deepen 0", "done"),
        lines(f"want {head}", "deepen \u0663", "done"),
        lines(f"want {'f' * 40}", "done"),
        b"ffff",
        b"000g",
        b"-001",
        b"",
    ):
        assert asked(body) in (200, 400), body[:40]
    batch = {"operation": "upload", "objects": []}
    for transfers in (7, {"multipart": 1}, "multipart"):
        answer = request(
            hub, "POST", f"/{repo_id}.git/info/lfs/objects/batch", {**batch, "transfers": transfers}
        )
        assert (answer[0], b"list of names" in answer[1]) == (400, True)


@pytest.mark.parametrize(("head", "value"), ODD_VALUES.values(), ids=ODD_VALUES)
def test_values_that_json_has_no_word_for(head: str, value: str) -> None:
    assert cards.read_card(f"---\n{head}\n---\n") == {"a": value}


def test_an_ordinary_alias_is_read() -> None:
    assert cards.read_card("---\na: &x [1, 2]\nb: *x\n---\n") == {"a": [1, 2], "b": [1, 2]}


def test_a_readme_that_harms_is_no_commit_and_hides_no_list(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    for head in HEADS.values():
        content = base64.b64encode(f"---\n{head}\n---\n".encode()).decode()
        lines: list[dict[str, Any]] = [
            {"key": "header", "value": {"summary": "a card"}},
            {"key": "file", "value": {"path": "README.md", "content": content, "encoding": "base64"}},
        ]
        body = "\n".join(map(json.dumps, lines)).encode()
        status, answer = request(hub, "POST", f"/api/models/{repo_id}/commit/main", body)
        assert (status, b"Invalid metadata in README.md" in answer) == (400, True)
    assert repo_id in {model.id for model in api.list_models(author=repo_id.split("/")[0])}


@pytest.mark.parametrize("size", [2**70, 2**63, -1, 1.5, True, None, "1"])
def test_sizes_that_no_file_has(hub: Hub, repo_id: str, size: object) -> None:
    HfApi().create_repo(repo_id)
    row = {"oid": "a" * 64, "size": size}
    status, answer = request(
        hub,
        "POST",
        f"/{repo_id}.git/info/lfs/objects/batch",
        {"operation": "upload", "transfers": ["multipart"], "objects": [row]},
    )
    assert status == 200
    (returned,) = json.loads(answer)["objects"]
    assert "size of at most" in returned["error"]["message"]
    files = {"files": [{"path": "a.bin", "size": size}]}
    status, answer = request(hub, "POST", f"/api/models/{repo_id}/preupload/main", files)
    assert (status, b"size of at most" in answer) == (400, True)


def test_a_size_that_the_disk_has_no_room_for(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id)
    row = {"oid": "a" * 64, "size": 5 * 2**40}
    body = {"operation": "upload", "transfers": ["multipart"], "objects": [row]}
    _, answer = request(hub, "POST", f"/{repo_id}.git/info/lfs/objects/batch", body)
    error = json.loads(answer)["objects"][0]["error"]
    assert (error["code"], "bytes left" in error["message"]) == (507, True)


def test_numbers_beyond_all_bounds_in_addresses(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    api.create_commit(repo_id, [CommitOperationAdd("a.bin", b"12345")], commit_message="large")
    huge = "9" * 5000
    for path in ("tree/main", "commits/main", "lfs-files"):
        for cursor in (f":{huge}", ":-1", ":1e9", f"{'f' * 40}:0", ":../..", "%00:1"):
            status, _ = request(hub, "GET", f"/api/models/{repo_id}/{path}?cursor={cursor}")
            assert status in (200, 400, 404), (path, cursor[:20])
    assert request(hub, "GET", f"/api/models?limit={huge}")[0] == 200
    assert request(hub, "GET", "/api/models?limit=0")[0] == 200
    for file in (".gitattributes", "a.bin"):
        for wanted in (
            f"bytes=0-{huge}",
            f"bytes={huge}-",
            f"bytes=-{huge}",
            "bytes=" + "0-0," * 500,
            "bytes=5-1",
        ):
            status, _ = request(hub, "GET", f"/{repo_id}/resolve/main/{file}", Range=wanted)
            assert status in (200, 206, 400, 416), (file, wanted[:20])
    deep = b'{"files":' + b"[" * 100_000
    assert request(hub, "POST", f"/api/models/{repo_id}/preupload/main", deep)[0] == 400
    assert request(hub, "POST", f"/api/models/{repo_id}/commit/main", deep)[0] == 400
    assert request(hub, "POST", f"/api/models/{repo_id}/paths-info/main", {"paths": 7})[0] == 400


def test_a_rule_that_never_ends(hub: Hub, repo_id: str) -> None:
    """By backtracking, the first two take minutes and more than the age of the universe."""
    HfApi().create_repo(repo_id)
    for rule, name in (
        ("**/a/**/a/**/a/**/ab", "/".join("a" * 500)),
        ("**/a/" * 100 + "ab", "/".join("a" * 500)),
        ("*a" * 60 + "b", "a" * 250),
        ("[!" * 1000, "a"),
    ):
        files = {"files": [{"path": name, "size": 1}], "gitIgnore": rule}
        began = time.monotonic()
        status, _ = request(hub, "POST", f"/api/models/{repo_id}/preupload/main", files)
        assert status in (200, 400)
        assert time.monotonic() - began < 60
    with pytest.raises(Refusal, match="take too long"):
        IgnoreRules("\n".join(["**/x/**/*.y"] * 10_000)).match("/".join("a" * 500))


@pytest.mark.parametrize(
    ("rules", "ignored", "kept"),
    [
        ("*.log\n!keep.log", ["a.log", "d/a.log"], ["keep.log", "d/keep.log", "log"]),
        ("build/", ["build/a", "s/build/a"], ["build", "rebuild/a"]),
        ("/top\na/b", ["top", "top/x", "a/b/c"], ["s/top", "s/a/b"]),
        ("**/x/**/y", ["x/y", "a/x/1/2/y"], ["y", "x"]),
        ("foo/**\n!foo/a", ["foo/b", "foo/b/c"], ["foo", "foo/a"]),
        ("# no\n\\#yes\n\\!yes\nend\\ \n", ["#yes", "!yes", "end "], ["# no", "no", "end"]),
        ("[^a]b\n[!c]d\na\\*", ["xb", "xd", "a*"], ["ab", "cd", "ax"]),
        ("foo\n!foo/a", ["foo/a"], []),  # nothing comes back from an ignored folder
    ],
)
def test_rules_mean_what_they_mean_to_git(rules: str, ignored: list[str], kept: list[str]) -> None:
    """Compared with `git check-ignore` when this was written: equal for 24,000 random rules and paths."""
    matched = IgnoreRules(rules)
    assert [path for path in [*ignored, *kept] if matched.match(path)] == ignored


def test_names_that_no_header_and_no_answer_can_hold(hub: Hub, repo_id: str) -> None:
    """A blank first, which no header may begin with; half a surrogate pair, which is no UTF-8; a NUL, which libgit2 refuses late."""
    HfApi().create_repo(repo_id)
    assert request(hub, "GET", "/api/models/%20/a")[0] == 400
    for name in ("\ud800", " ", "a\0b"):
        for body in ({"name": name}, {"name": "a", "organization": name}, {"name": "a", "type": name}):
            status, answer = request(hub, "POST", "/api/repos/create", body)
            assert (status, b"error" in answer) == (400, True)
        assert request(hub, "POST", f"/api/models/{repo_id}/tag/main", {"tag": name})[0] == 400
    assert request(hub, "POST", f"/api/models/{repo_id}/branch/a%00b", {})[0] == 400


@pytest.mark.parametrize("path", ["..\\x", ".\\x", "C:\\x", "\\x", "a/" + "b" * 256, "C:/x"])
def test_paths_that_would_leave_a_folder_on_windows(hub: Hub, repo_id: str, path: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    with pytest.raises(HfHubHTTPError, match="cannot be a path") as raised:
        api.create_commit(repo_id, [CommitOperationAdd(path, b"x")], commit_message="out")
    assert raised.value.response.status_code == 422
