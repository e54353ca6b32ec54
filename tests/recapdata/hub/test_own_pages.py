"""The Hub answers under its own names, and no page of another site; in Chromium such a page learns and changes nothing."""

import http.client
import json
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from recapdata.hub.process import Hub, running_hub
from tests.audits.fiftyone.browser import browsing, needs_browser
from tests.strange_page import attempts, elsewhere
from tests.waiting import HANGS


def ask(hub: Hub, path: str = "/api/datasets", method: str = "GET", **headers: str) -> tuple[int, bytes]:
    address = hub.endpoint.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=HANGS)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers={"Host": address, **named})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_requests_under_other_names_and_from_other_pages_are_refused(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id, repo_type="dataset")
    port = hub.endpoint.rpartition(":")[2]
    paths = [
        "/",
        "/api/datasets",
        f"/api/datasets/{repo_id}",
        f"/datasets/{repo_id}/resolve/main/.gitattributes",
    ]
    for path in paths:
        assert ask(hub, path)[0] == 200
        assert ask(hub, path, Host=f"localhost:{port}")[0] == 200
        for wrong in (
            {"Host": "evil.example"},
            {"Host": f"evil.example:{port}"},
            {"Origin": "http://evil.example"},
        ):
            status, body = ask(hub, path, **wrong)
            assert status == 403
            assert set(json.loads(body)) == {"error"}
    token = {"Authorization": f"Bearer {hub.token}"}
    assert ask(hub, "/api/repos/create", "POST", Origin="null", **token)[0] == 403
    assert ask(hub, "/api/whoami-v2", Host="evil.example", **token)[0] == 403
    assert ask(hub, "/api/whoami-v2", **token)[0] == 200


def test_stock_clients_reach_it_by_every_own_name(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id, repo_type="dataset")
    port = hub.endpoint.rpartition(":")[2]
    for endpoint in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
        api = HfApi(endpoint=endpoint)
        name = endpoint[7:12].replace(".", "-")
        api.upload_file(path_or_fileobj=b"x", path_in_repo=name, repo_id=repo_id, repo_type="dataset")
        assert name in api.list_repo_files(repo_id, repo_type="dataset")


def test_further_names_are_given(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", names=["hub.example.org"]) as hub:
        assert ask(hub, Host="hub.example.org")[0] == 200
        assert ask(hub, Host="hub.example.com")[0] == 403


@pytest.mark.browser
@needs_browser
def test_a_page_of_another_site_learns_and_changes_nothing(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    api.upload_file(path_or_fileobj=b"a secret", path_in_repo="x.txt", repo_id=repo_id, repo_type="dataset")
    before = api.list_datasets()
    file = f"{hub.endpoint}/datasets/{repo_id}/resolve/main/x.txt"
    new = json.dumps({"name": "stolen", "type": "dataset"})
    authorization = {"authorization": f"Bearer {hub.token}"}  # even one that has the token
    requests = [
        {"url": file},
        {"url": f"{hub.endpoint}/api/repos/create", "method": "POST", "body": new, "headers": authorization},
        {"url": f"{hub.endpoint}/api/repos/create", "method": "POST", "body": new},
    ]
    rebound = hub.endpoint.replace("127.0.0.1", "rebound.example")
    with browsing(rebind="rebound.example") as page, elsewhere() as address:
        page.goto(address)
        assert attempts(page, requests) == [[], [], []]
        page.goto(f"{rebound}/datasets/{repo_id}/resolve/main/x.txt")
        assert "a secret" not in page.content()
        assert "own names only" in page.content()
    assert [each.id for each in api.list_datasets()] == [each.id for each in before]
