"""Model folders that would have a library read elsewhere, or wait for ever; and those of the Hub's cache, which are links."""

import json
import os

import pytest

from recapdata.errors import ModelNotSupported
from recapdata.models.folders import check_folder
from recapdata.models.sources import resolve_model


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "part").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "part" / "same.json").symlink_to(folder / "config.json")
    (folder / ".hidden").symlink_to("/etc")
    (tmp_path / "mine.json").write_text('{"mine": 1}')
    check_folder(folder)
    return folder


def test_links_that_lead_out_are_refused(folder, tmp_path):
    for name, target in (
        ("chat_template.jinja", tmp_path / "mine.json"),
        ("part/tokenizer.json", "../../mine.json"),
        ("unet", "/etc"),
        ("zero.json", "/dev/zero"),
    ):
        (folder / name).symlink_to(target)
        with pytest.raises(ModelNotSupported, match=f"its '{name}' is a link that leads out of the folder"):
            resolve_model(str(folder), kind="captioner")
        (folder / name).unlink()


def test_what_is_no_file_is_refused(folder):
    (folder / "tokenizer.json").symlink_to(folder / "nowhere")
    with pytest.raises(ModelNotSupported, match=r"its 'tokenizer.json' is no file that can be read"):
        check_folder(folder)
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")
    with pytest.raises(ModelNotSupported, match=r"its 'tokenizer.json' is no file that can be read"):
        check_folder(folder)


@pytest.mark.parametrize(
    "name", ["../../mine.safetensors", "/etc/passwd", "part/x.safetensors", "..", "a\\b", 1]
)
def test_weights_lie_beside_their_index(folder, name):
    index = folder / "part" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    check_folder(folder)
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelNotSupported, match=r"says that weights lie in .+, which is no file beside it"):
        check_folder(folder)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": [1]}', '{"weight_map": {"a": []}}', "[" * 10**5]
)
def test_an_index_that_is_none_is_one_line(folder, content):
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ModelNotSupported, match=r"model.safetensors.index.json' cannot be read as an index"):
        check_folder(folder)


def test_a_snapshot_of_the_hub_s_cache_is_links_to_its_blobs(tmp_path):
    """And to nothing else: neither to other files of the cache nor to blobs that are a link themselves."""
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "c0", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "x").write_text("{}")
    (tmp_path / "token").write_text("secret")
    (snapshot / "config.json").symlink_to("../../blobs/x")
    check_folder(snapshot)
    (snapshot / "other.json").symlink_to("../../../token")
    with pytest.raises(ModelNotSupported, match=r"'other.json' is a link that leads out"):
        check_folder(snapshot)
    (snapshot / "other.json").unlink()
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelNotSupported, match=r"'config.json' is a link that leads out"):
        check_folder(snapshot)
