"""Who may do what: the token writes, anybody reads what is public, and a private name cannot be told from a missing one."""

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from recapdata.hub.process import Hub


def test_whoami(hub: Hub) -> None:
    assert HfApi().whoami()["name"] == "me"
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        HfApi().whoami(token="hf_another")


def test_anonymous_reads_public_and_writes_nothing(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    HfApi().create_repo(repo_id)
    anonymous = HfApi(token=False)
    path = hf_hub_download(repo_id, ".gitattributes", token=False, local_dir=tmp_path)
    assert b"filter=lfs" in Path(path).read_bytes()
    writes = (
        lambda: anonymous.create_repo(f"{repo_id}.new"),
        lambda: anonymous.create_commit(repo_id, [CommitOperationAdd("a", b"a")], commit_message="no"),
        lambda: anonymous.create_tag(repo_id, tag="v1"),
        lambda: anonymous.create_branch(repo_id, branch="b"),
        lambda: anonymous.update_repo_settings(repo_id, private=True),
        lambda: anonymous.delete_repo(repo_id),
    )
    for write in writes:
        with pytest.raises(HfHubHTTPError, match="export the HF_TOKEN") as raised:
            write()
        assert raised.value.response.status_code == 401
    assert anonymous.repo_info(repo_id).sha == HfApi().repo_info(repo_id).sha


def test_private_is_as_if_it_were_not_there(hub: Hub, repo_id: str, tmp_path: Path) -> None:
    HfApi().create_repo(repo_id, private=True)
    for name in (repo_id, f"{repo_id}.missing"):
        reads = (
            lambda name=name: HfApi(token=False).model_info(name),
            lambda name=name: hf_hub_download(name, ".gitattributes", token=False, cache_dir=tmp_path),
            lambda name=name: snapshot_download(name, token=False, cache_dir=tmp_path),
            lambda name=name: HfApi(token=False).list_repo_refs(name),
            lambda name=name: HfApi(token=False).auth_check(name),
        )
        messages = set()
        for read in reads:
            with pytest.raises(RepositoryNotFoundError) as raised:
                read()
            assert raised.value.response.status_code == 401
            messages.add((raised.value.server_message or "").replace(".missing", ""))
        assert messages == {
            f"No public repository {repo_id} on this Hub; if it is private, export this Hub's HF_TOKEN."
        }
    HfApi().auth_check(repo_id, write=True)


def test_another_token_is_refused_even_for_public_repositories(hub: Hub, repo_id: str) -> None:
    HfApi().create_repo(repo_id)
    with pytest.raises(HfHubHTTPError, match="not the token of this Hub") as raised:
        HfApi().model_info(repo_id, token="hf_of_the_public_hub")
    assert raised.value.response.status_code == 401


def test_a_name_without_namespace_is_no_repository(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        HfApi().model_info("gpt2")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("gpt2", "config.json", cache_dir=tmp_path)
