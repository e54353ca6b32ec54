"""The plugin's operators as FiftyOne executes them, and the delegated one as its worker does."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from audits.fiftyone.app import install
from audits.fiftyone.changes import save_edit
from audits.fiftyone.dataset import build
from audits.fiftyone.exports import EXPORTS
from audits.runner.run import run
from recapdata.dataset.folder import DatasetFolder
from recapdata.dataset.keys import read_keys_file
from recapdata.dataset.writing import writing
from recapdata.publishing import plan_publication, publish
from recapdata.records import Object, Provenance, image_key
from tests.builders import build_dataset, noise_jpeg, png, write_captions

KEYS = [image_key(png(index)) for index in range(6)]
DOG = Object(bbox=(2, 0, 4, 8), category="dog", color="brown")
ALT = ["a red dog", "a cat", "a brown dog", "three dogs", "a dog", "<b>a dog</b>"]


@pytest.fixture
def folder(fo: ModuleType, tmp_path: Path) -> DatasetFolder:
    install()
    folder = build_dataset(
        tmp_path / "pets",
        sets={"alt": ALT, "recap-short": ["A brown dog."] * 6},
        objects=[[DOG]] * 6,
        license="cc0-1.0",
    )
    run(folder.path, evidence=["annotations"])
    return folder


def latest_runs(dataset: Any) -> Any:
    from audits.fiftyone.plugin import runs

    return runs.latest_runs(dataset)


def clear_runs(dataset: Any) -> None:
    from audits.fiftyone.plugin import runs

    runs.clear_runs(dataset)


def execute(name: str, dataset: Any, **options: Any) -> Any:
    """The result of an operator, and what it asks the App to do."""
    import fiftyone.operators as operators

    params = options.pop("params", {})
    found = operators.execute_operator(
        f"@recapdata/caption-audit/{name}", {"dataset": dataset, **options}, params=params
    )
    asked = found.executor.to_json()["requests"] if found.executor else []
    return found.result, {each["operator_uri"]: each["params"] for each in asked}


def test_two_sets_are_compared(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    found, asked = execute("compare_caption_sets", dataset, params={"a": "alt", "b": "recap-short"})
    rows = {row[0]: row[1:] for row in found["rows"]}
    a, b, _ = rows["color precision"]
    assert (a[:4], b[:5]) == ("50.0", "100.0")  # of a red dog and a brown one
    assert found["opened"] > 0
    assert any("set_view" in name for name in asked)


def test_two_revisions_are_compared(fo: ModuleType, hub: Any, repo_id: str, folder: DatasetFolder) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    before = build(f"{repo_id}@v1.0.0").name
    write_captions(folder, "alt", 0, KEYS[:4], ["a brown dog", *ALT[1:4]])
    run(folder.path, evidence=["annotations"])
    publish(plan_publication(folder.path, repo_id, version="1.1.0"))
    after = fo.load_dataset(build(f"{repo_id}@v1.1.0").name)
    found, asked = execute("compare_revisions", after, params={"other": before, "set": "alt"})
    rows = {row[0]: row[1:] for row in found["rows"]}
    assert [each[:5] for each in rows["color precision"][:2]] == ["50.0 ", "100.0"]
    (view,) = [params["view"] for name, params in asked.items() if "set_view" in name]
    assert KEYS[0] in str(view)


def test_keys_are_exported_into_the_folder_of_exports(
    fo: ModuleType, folder: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    chosen = dataset.limit(2).values("id")
    found, _ = execute("export_keys", dataset, selected=chosen, params={"file": "keys.txt"})
    assert found == {"keys": 2}
    assert read_keys_file(folder.path / "exports" / "keys.txt") == set(KEYS[:2])
    monkeypatch.setenv(EXPORTS, str(tmp_path / "told"))
    found, asked = execute("export_keys", dataset, params={"file": "all keys.txt"})
    assert found == {"keys": 6}
    assert str(tmp_path / "told" / "all keys.txt") in str(asked)
    assert read_keys_file(tmp_path / "told" / "all keys.txt") == set(KEYS)


@pytest.mark.parametrize(
    "name",
    [
        "{own}",
        "../own.txt",
        "../../own.txt",
        "a/own.txt",
        ".own",
        "..",
        ".",
        "own.txt\n",
        "a\0",
        "~/own.txt",
        "-",
        "x" * 101,
    ],
    ids=ascii,
)
def test_nothing_is_exported_elsewhere(
    fo: ModuleType, folder: DatasetFolder, tmp_path: Path, name: str
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    dataset = fo.load_dataset(build(folder.path).name)
    found, asked = execute("export_keys", dataset, params={"file": name.replace("{own}", str(own))})
    assert found == {}
    assert "choose another file" in str(asked)
    assert own.read_text() == "precious"
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_exported_through_links(fo: ModuleType, folder: DatasetFolder, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "keys.txt").write_text("precious")
    dataset = fo.load_dataset(build(folder.path).name)
    (folder.path / "exports").symlink_to(own)
    assert execute("export_keys", dataset, params={"file": "keys.txt"})[0] == {}
    (folder.path / "exports").unlink()
    (folder.path / "exports").mkdir()
    (folder.path / "exports" / "keys.txt").symlink_to(own / "keys.txt")
    assert execute("export_keys", dataset, params={"file": "keys.txt"})[0] == {"keys": 6}
    assert not (folder.path / "exports" / "keys.txt").is_symlink()
    assert (own / "keys.txt").read_text() == "precious"


def test_a_verdict_is_marked_and_a_caption_edited(fo: ModuleType, folder: DatasetFolder) -> None:
    dataset = fo.load_dataset(build(folder.path).name)
    first = dataset.first().id
    found, _ = execute(
        "mark_verdicts", dataset, current_sample=first, params={"set": "alt", "claim": "all", "word": "right"}
    )
    assert found == {"marked": 2}
    found, asked = execute(
        "edit_caption", dataset, current_sample=first, params={"set": "alt", "caption_0": "a brown dog"}
    )
    assert found == {"edits": 1}
    with writing(folder):
        found, asked = execute(
            "edit_caption", dataset, current_sample=first, params={"set": "alt", "caption_0": "x"}
        )
    assert found == {}
    assert "another recapdata process" in str(asked)  # said, not raised


def test_what_is_published_cannot_be_changed(
    fo: ModuleType, hub: Any, repo_id: str, folder: DatasetFolder
) -> None:
    publish(plan_publication(folder.path, repo_id, version="1.0.0"))
    dataset = fo.load_dataset(build(f"{repo_id}@v1.0.0").name)
    with pytest.raises(Exception, match=r"(?i)validation|invalid"):
        execute(
            "edit_caption",
            dataset,
            current_sample=dataset.first().id,
            params={"set": "alt", "caption_0": "x"},
        )


@pytest.mark.parametrize(
    ("captioner", "model", "offered", "server"),
    [
        ("embedded", "embedded", "embedded", "http://HOST/v1#MODEL"),
        ("server", "me/model", "", "http://HOST/v1#me/model"),  # its address is not kept
        ("vlm", "google/paligemma2-3b", "google/paligemma2-3b", "http://HOST/v1#MODEL"),
        ("vlm", "/no/such/folder", "", "http://HOST/v1#MODEL"),
        ("coca", "laion/coca", "coca:laion/coca", "http://HOST/v1#MODEL"),
        ("mine", "mine", "", "http://HOST/v1#MODEL"),  # code, which its name alone does not open
    ],
)
def test_a_captioner_is_offered_only_where_it_works(
    fo: ModuleType, folder: DatasetFolder, captioner: str, model: str, offered: str, server: str
) -> None:
    from audits.fiftyone.plugin.sending import RecaptionSelection

    sets = {
        **folder.manifest.sets,
        "recap-short": Provenance(writer="model", captioner=captioner, model=model),
    }
    folder.save_manifest(replace(folder.manifest, sets=sets))
    dataset = fo.load_dataset(build(folder.path).name)
    assert form(RecaptionSelection(), dataset)["captioner"]["default"] == offered
    assert server in form(RecaptionSelection(), dataset)["captioner"]["view"]["description"]
    params = {"set": "x", "captioner": "http://127.0.0.1:1/v1#other", "style": "short"}
    execute("recaption_selection", dataset, request_delegation=True, params=params)
    assert (
        form(RecaptionSelection(), dataset)["captioner"]["default"] == params["captioner"]
    )  # what was typed last


def form(operator: Any, dataset: Any, **more: Any) -> dict[str, Any]:
    """The fields of an operator's form, as the App gets them."""
    import fiftyone.operators.executor as executor

    context = executor.ExecutionContext(request_params={"dataset_name": dataset.name, "params": {}, **more})
    properties = operator.resolve_input(context).to_json()["type"]["properties"]
    return dict(properties)


def test_an_edited_caption_is_audited_in_the_background(fo: ModuleType, folder: DatasetFolder) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    dataset = fo.load_dataset(build(folder.path).name)
    save_edit(dataset, dataset.match({"key": KEYS[0]}).first(), "alt", "a brown dog")
    execute(
        "audit_set", dataset, request_delegation=True, params={"set": "edited", "evidence": "annotations"}
    )
    (result,) = DelegatedOperationService().execute_queued_operations(dataset_name=dataset.name, limit=1)
    assert result.error is None
    dataset.reload()
    edited = dataset.match({"key": KEYS[0]}).first()
    assert (edited.alt_audit["contradicted"], edited.edited_audit["contradicted"]) == (1, 0)
    assert [run.words for run in latest_runs(dataset)] == ["audit edited: done"]


@pytest.mark.slow
def test_the_selection_is_recaptioned_in_the_background(fo: ModuleType, folder: DatasetFolder) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    dataset = fo.load_dataset(build(folder.path).name)
    from audits.fiftyone.plugin.sending import RecaptionSelection

    chosen = dataset.limit(2).values("id")
    assert "fill" not in form(RecaptionSelection(), dataset)  # all are captioned: nothing is left to fill
    fill = form(RecaptionSelection(), dataset, selected=chosen)["fill"]["default"]
    params = {"set": "recap-2", "captioner": "embedded", "style": "short", "fill": fill}
    execute("recaption_selection", dataset, selected=chosen, request_delegation=True, params=params)
    service = DelegatedOperationService()
    (result,) = service.execute_queued_operations(dataset_name=dataset.name, limit=1)
    assert result.error is None
    dataset.reload()
    captions = dataset.values("recap_2")
    assert captions[2:] == ["A brown dog."] * 4  # of the latest whole set, so that this one can be published
    assert all(caption not in (None, "A brown dog.") for caption in captions[:2])
    assert replace(folder.manifest.sets["recap-2"], date=None).captioner is not None


def test_a_captioner_that_is_not_there_fails_with_its_own_words(
    fo: ModuleType, folder: DatasetFolder
) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    dataset = fo.load_dataset(build(folder.path).name)
    params = {"set": "recap-2", "captioner": "no-such-model", "style": "short"}
    execute("recaption_selection", dataset, request_delegation=True, params=params)
    (result,) = DelegatedOperationService().execute_queued_operations(dataset_name=dataset.name, limit=1)
    assert "no-such-model" in result.error
    assert "CommandFailed" in result.error
    (run,) = latest_runs(dataset)
    assert run.words.startswith("recaption recap-2 failed: ")
    assert "no-such-model" in run.words
    assert "Traceback" not in run.words
    clear_runs(dataset)
    assert latest_runs(dataset) == []


def test_a_picture_that_cannot_be_captioned_takes_nothing_from_the_others(
    fo: ModuleType, tmp_path: Path
) -> None:
    from fiftyone.operators.delegated import DelegatedOperationService

    install()
    images = [png(0), noise_jpeg(1)[:800], png(2)]  # the second ends too early
    folder = build_dataset(tmp_path / "pets", images=images, sets={"alt": ["a dog"] * 3})
    dataset = fo.load_dataset(build(folder.path).name)
    params = {"set": "recap-2", "captioner": "embedded", "style": "short", "evidence": ""}
    execute("recaption_selection", dataset, request_delegation=True, params=params)
    (result,) = DelegatedOperationService().execute_queued_operations(dataset_name=dataset.name, limit=1)
    assert "exit code 1" in result.error  # said, and the rest is there, audited
    dataset.reload()
    captions = dict(zip(dataset.values("key"), dataset.values("recap_2"), strict=True))
    assert [captions[image_key(image)] is not None for image in images] == [True, False, True]
    audited = dict(zip(dataset.values("key"), dataset.values("recap_2_audit.words"), strict=True))
    assert [audited[image_key(image)] is not None for image in images] == [True, False, True]
