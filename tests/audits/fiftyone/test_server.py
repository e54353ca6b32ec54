"""The App's server answers its own page and no other: on every route, under its own names, with its own pictures."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from recapdata.dataset.folder import DatasetFolder
from recapdata.records import image_key
from tests.audits.fiftyone.browser import TIMEOUT, browsing, needs_browser, served
from tests.builders import build_dataset, png
from tests.strange_page import attempts, elsewhere
from tests.waiting import HANGS, until

ROUTES = [
    ("GET", "/"),
    ("GET", "/fiftyone"),
    ("GET", "/media?filepath=/etc/passwd"),
    ("GET", "/plugins"),
    ("GET", "/plugins/recapdata-caption-audit/fiftyone.yml"),
    ("GET", "/features"),
    ("GET", "/ontologies"),
    ("GET", "/screenshot/x"),
    ("GET", "/graphql?query={uid}"),
    ("GET", "/runtime-assets/models/sam2/x"),
    ("POST", "/graphql"),
    ("POST", "/operators"),
    ("POST", "/operators/execute"),
    ("POST", "/operators/execute/generator"),
    ("POST", "/operators/resolve-type"),
    ("POST", "/operators/resolve-placements"),
    ("POST", "/operators/resolve-execution-options"),
    ("POST", "/operators/subscribe-execution-store"),
    ("POST", "/aggregate"),
    ("POST", "/event"),
    ("POST", "/events"),
    ("POST", "/frames"),
    ("POST", "/geo"),
    ("POST", "/sort"),
    ("POST", "/tag"),
    ("POST", "/tagging"),
    ("POST", "/values"),
    ("PATCH", "/dataset/x/sample/y"),
    ("DELETE", "/anything"),
    ("OPTIONS", "/operators/execute"),
    ("HEAD", "/media?filepath=/etc/passwd"),
]


@pytest.fixture(scope="module")
def folder(fo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    return build_dataset(tmp_path_factory.mktemp("server") / "pets", sets={"alt": ["a dog"] * 6})


@pytest.fixture(scope="module")
def address(folder: DatasetFolder) -> Iterator[str]:
    """Host and port of the App of a dataset."""
    with served(folder.path) as url:
        yield urlsplit(url).netloc


def ask(address: str, path: str, method: str = "GET", body: Any = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=HANGS)
    connection.request(method, path, body=json.dumps(body or {}), headers={"Host": address, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read()


def picture(fo: ModuleType, folder: DatasetFolder) -> str:
    dataset = next(each for each in map(fo.load_dataset, fo.list_datasets()) if folder.path.name in each.name)
    return str(dataset.first().filepath)


def export(name: str, fo: ModuleType) -> dict[str, Any]:
    """What the App sends to export keys."""
    return {
        "operator_uri": "@recapdata/caption-audit/export_keys",
        "dataset_name": next(each for each in fo.list_datasets() if "pets" in each),
        "params": {"file": name},
        "view": [],
    }


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_is_closed_to_others(address: str, method: str, path: str) -> None:
    port = address.rpartition(":")[2]
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://localhost:{port}"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ):
        status, body = ask(address, path, method, **headers)
        assert status == 403, headers
        assert b"own" in body or method == "HEAD"


def test_every_route_of_fiftyone_is_behind_the_guard(fo: ModuleType) -> None:
    from audits.fiftyone.server import guarded
    from recapdata.hub.own_pages import OwnPagesOnly

    async def app(*_: Any) -> None:
        raise AssertionError("reached")

    assert isinstance(guarded(app, []), OwnPagesOnly)  # outermost: there is no route beside it


def test_its_own_page_is_answered(address: str, fo: ModuleType, folder: DatasetFolder) -> None:
    origin = {"Origin": f"http://{address}", "Sec-Fetch-Site": "same-origin"}
    assert ask(address, "/fiftyone", **origin)[0] == 200
    port = address.rpartition(":")[2]
    assert ask(address, "/fiftyone", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200
    status, body = ask(address, "/operators/execute", "POST", export("from-the-page.txt", fo), **origin)
    assert (status, json.loads(body)["result"]) == (200, {"keys": 6})
    assert len((folder.path / "exports" / "from-the-page.txt").read_text().split()) == 6


def test_media_are_pictures_of_datasets(address: str, fo: ModuleType, folder: DatasetFolder) -> None:
    path = picture(fo, folder)
    assert ask(address, f"/media?filepath={quote(path)}") == (200, png(0))
    assert Path(path).stem == image_key(png(0))
    for wrong in (
        "/etc/passwd",
        "/proc/self/environ",
        str(folder.path / "recapdata.yaml"),
        str(folder.image_shard(0)),
        f"{path}/../../../../etc/passwd",
        f"{path}\0",
        "",
    ):
        for query in (f"filepath={quote(wrong)}", f"filepath={quote(path)}&filepath={quote(wrong)}"):
            status, body = ask(address, f"/media?{query}")
            assert status == 404, wrong
            assert b"root:" not in body
    assert ask(address, f"/media/?filepath={quote('/etc/passwd')}")[0] == 404
    assert ask(address, "/media")[0] == 404


@pytest.mark.browser
@pytest.mark.timeout(TIMEOUT)
@needs_browser
def test_a_page_of_another_site_reads_and_changes_nothing(
    address: str, fo: ModuleType, folder: DatasetFolder, tmp_path: Path
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("precious")
    server = f"http://{address}"
    before = sorted(each.name for each in folder.path.rglob("*"))
    names = fo.list_datasets()
    execute = json.dumps(export(str(own), fo)), json.dumps(export("stolen.txt", fo))
    query = 'mutation { deleteSavedView(viewName: "x", datasetName: "y") }'
    requests = [
        {"url": f"{server}/media?filepath={quote(picture(fo, folder))}"},
        {"url": f"{server}/media?filepath=/etc/passwd"},
        {"url": f"{server}/fiftyone"},
        {"url": f"{server}/plugins"},
        *({"url": f"{server}/operators/execute", "method": "POST", "body": body} for body in execute),
        {"url": f"{server}/graphql", "method": "POST", "body": json.dumps({"query": query})},
        {
            "url": f"{server}/graphql",
            "method": "POST",
            "body": json.dumps({"query": "{uid}"}),
            "headers": {"content-type": "application/json"},
        },
    ]
    port = address.rpartition(":")[2]
    with browsing(rebind="rebound.example") as page, elsewhere() as strange:
        for start in (strange, strange.replace("127.0.0.1", "rebound.example")):
            page.goto(start)
            assert attempts(page, requests) == [[]] * len(requests)
        for path in ("/media?filepath=/etc/passwd", "/", "/datasets/pets"):  # a name that leads here now
            page.goto(f"http://rebound.example:{port}{path}")
            assert "own names only" in page.content()
            assert "root:" not in page.content()
        page.goto(strange)
        page.set_content(f'<iframe src="{server}/"></iframe>')
        framed = until(
            lambda: next((each for each in page.frames[1:] if each.url not in ("", "about:blank")), None)
        )
        framed.wait_for_load_state()
        assert framed.url.startswith(("chrome-error:", server))
        assert "own pages only" in framed.content() or framed.url.startswith("chrome-error:")
        page.set_content(f'<a href="{server}/fiftyone">x</a>')
        with page.expect_navigation():
            page.click("a")
        assert "version" not in page.content()  # no page, so a link does not lead there
    assert own.read_text() == "precious"
    assert sorted(each.name for each in folder.path.rglob("*")) == before
    assert fo.list_datasets() == names
