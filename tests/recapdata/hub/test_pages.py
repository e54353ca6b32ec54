"""The addresses that commands print, opened in a browser: plain pages, of which nothing runs."""

import re
import urllib.error
import urllib.request

import pytest
from huggingface_hub import CommitOperationAdd as Add
from huggingface_hub import HfApi

from recapdata.hub.process import Hub

CARD = """---
license: mit
---
<!-- recapdata:begin intro -->
# Birds <script>alert(1)</script>

![x](http://evil.example/x.png) [bad](javascript:alert(1)) **bold** <img src=x onerror=alert(1)>

| a | b |
|---|---|
| 1 | <b>2</b> |
"""
EVIL = "<img src=x onerror=alert(1)>.txt"


def page(address: str, token: str | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
    headers = {"Accept": "text/html", **headers} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers.items())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers.items())


@pytest.fixture
def commit_url(hub: Hub, repo_id: str) -> str:
    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset")
    done = api.create_commit(
        repo_id,
        [Add("README.md", CARD.encode()), Add("data/a.bin", b"12345"), Add(EVIL, b"<script>x</script>")],
        commit_message="first <script>",
        repo_type="dataset",
    )
    api.create_tag(repo_id, tag="v1.0.0", repo_type="dataset")
    return done.commit_url


def test_pages_of_a_repository(hub: Hub, repo_id: str, commit_url: str) -> None:
    top = f"{hub.endpoint}/datasets/{repo_id}"
    for address, words in (
        (top, ["Birds", "v1.0.0", "data/", "<strong>bold</strong>", "<td>1</td>", "dataset · public"]),
        (f"{top}/tree/v1.0.0", ["Birds", "data/"]),
        (f"{top}/tree/main/data", ["a.bin", "5 bytes"]),
        (f"{top}/tree/refs%2Fheads%2Fmain", ["Birds"]),
        (f"{top}/blob/main/README.md", ["license: mit"]),
        (f"{top}/blob/main/data/a.bin", ["download"]),
        (f"{top}/commits/main", ["first &lt;script&gt;"]),
        (commit_url, ["first &lt;script&gt;", "added", "data/a.bin"]),
        (hub.endpoint, [repo_id]),
    ):
        status, text, headers = page(address)
        assert (status, [word for word in words if word not in text]) == (200, []), address
        assert not re.search(r"<(script|img|b|iframe)\b", text), address
        assert "recapdata:begin" not in text or "blob" in address
        assert 'href="javascript' not in text
        assert "default-src 'none'" in headers["content-security-policy"]


def test_every_link_of_a_page_leads_somewhere(hub: Hub, repo_id: str, commit_url: str) -> None:
    top = f"{hub.endpoint}/datasets/{repo_id}"
    _, text, _ = page(top)
    links = {link for link in re.findall(r'href="(/[^"]*)"', text) if repo_id in link}
    assert len(links) >= 6
    for link in links:
        assert page(f"{hub.endpoint}{link}")[0] == 200, link


def test_what_is_not_there_or_private_is_a_page_too(hub: Hub, repo_id: str, commit_url: str) -> None:
    top = f"{hub.endpoint}/datasets/{repo_id}"
    assert page(f"{top}/tree/none")[0] == 404
    assert page(f"{top}/blob/main/none.txt")[0] == 404
    HfApi().update_repo_settings(repo_id, private=True, repo_type="dataset")
    status, text, headers = page(top)
    assert (status, headers["www-authenticate"].startswith("Basic")) == (401, True)
    assert "Birds" not in text
    assert repo_id not in page(hub.endpoint)[1]
    assert page(top, hub.token)[0] == 200


def test_a_link_on_another_site_leads_to_a_page_and_to_nothing_else(
    hub: Hub, repo_id: str, commit_url: str
) -> None:
    navigation = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    top = f"/datasets/{repo_id}"
    assert page(f"{hub.endpoint}{top}", **navigation)[0] == 200
    for path in (
        f"/api{top}",
        f"{top}/resolve/main/README.md",
        f"{top}/raw/main/README.md",
        f"{top}/info/refs",
    ):
        assert page(f"{hub.endpoint}{path}", **navigation)[0] == 403, path


def test_a_folder_of_many_files_has_pages(hub: Hub, repo_id: str) -> None:
    api = HfApi()
    api.create_repo(repo_id)
    api.create_commit(repo_id, [Add(f"d/{n:04d}", b"") for n in range(1500)], commit_message="many")
    _, first, _ = page(f"{hub.endpoint}/{repo_id}/tree/main/d")
    more = re.search(r'href="([^"]*\?after=[^"]*)"', first)
    assert more is not None
    _, second, _ = page(f"{hub.endpoint}{more[1]}")
    names = re.findall(r">(\d{4})</a>", first + second)
    assert names == [f"{n:04d}" for n in range(1500)]
