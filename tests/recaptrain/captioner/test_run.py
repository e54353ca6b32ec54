"""Tuning a captioner: every family learns and captions afterwards, runs resume exactly, the card is true, mistakes are one line."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from recapdata.captioners import CaptionerOptions, open_captioner
from recapdata.errors import CaptionSetNotFound, InputError, ModelNotSupported, OptionError
from recapdata.scenes import draw_scene, encode_png, human_short
from recaptrain.captioner.run import tune_captioner, tune_captioners
from recaptrain.captioner.settings import CaptionerSettings
from recaptrain.cli import app
from recaptrain.training.run_folder import RunFolder
from tests.builders import build_dataset
from tests.recaptrain.pipelines import build_scenes
from tests.vlms import save_vlm
from tests.waiting import HANGS


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}

    def folder(family):
        if family not in made:
            made[family] = save_vlm(family, tmp_path_factory.mktemp("vlm") / family)
        return made[family]

    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("scenes") / "ds", rows=20, shard_rows=12).path


BOTH = "short=short,long=long"


def settings(dataset, base, captions=BOTH, **changes):
    options = {
        "captions": captions,
        "steps": 4,
        "lr": 1e-3,
        "validate_every": 2,
        "patience": 0,
        "batch_size": 2,
        "lr_warmup_steps": 0,
        "samples": 0,
        "mixed_precision": "no",
        **changes,
    }
    return CaptionerSettings(dataset=str(dataset), base=str(base), **options)


def weights(out, name="model"):
    return load_file(out / f"{name}.safetensors")


def equal(ones, others):
    return ones.keys() == others.keys() and all(torch.equal(ones[name], others[name]) for name in ones)


def caption(folder, style="short"):
    captioner = open_captioner("vlm", CaptionerOptions(model=str(folder), style=style, max_tokens=4))
    captioner.load()
    picture = Image.fromarray(np.full((40, 60, 3), 99, np.uint8))
    return captioner, captioner.caption(captioner.prepare([picture]), ["k"])


@pytest.mark.parametrize(
    "family", ["paligemma", "llava", "idefics3", "qwen2_vl", "qwen3_vl", "gemma3", "smolvlm"]
)
def test_a_family_learns_both_styles_and_captions_afterwards(tmp_path, folders, scenes, family):
    base, out = folders(family), tmp_path / "out"
    summary = tune_captioner(settings(scenes, base, steps=2, prompt=["short=in short"], freeze="vision"), out)
    assert summary.captions == {"short": 16, "long": 16}
    assert summary.held_out == {"short": 4, "long": 4}
    assert summary.loss < summary.loss_before
    captioner, (written,) = caption(out)
    assert captioner.provenance.prompt == "in short"
    assert captioner.provenance.style == "short"
    assert written.caption or written.error
    long = open_captioner("vlm", CaptionerOptions(model=str(out), style="long")).provenance.prompt
    assert long == open_captioner("vlm", CaptionerOptions(model=str(base), style="long")).provenance.prompt
    before, after = weights(base), weights(out)
    assert before.keys() == after.keys()
    seeing = [name for name in before if "vision" in name or "visual" in name]
    assert equal({n: before[n] for n in seeing}, {n: after[n] for n in seeing})
    assert not equal(before, after)


@pytest.mark.parametrize("family", ["blip", "git", "blip2"])
def test_a_plain_model_learns_one_style(tmp_path, folders, scenes, family):
    summary = tune_captioner(settings(scenes, folders(family), captions="short=short"), tmp_path / "out")
    assert summary.loss < summary.loss_before
    assert summary.prompts == {"short": ""}
    _, (written,) = caption(tmp_path / "out")
    assert written.caption or written.error
    with pytest.raises(OptionError, match="takes no instruction"):
        tune_captioner(settings(scenes, folders(family)), tmp_path / "other")


class Killed(Exception):
    """Stands for SIGKILL: nothing behind it runs."""


@pytest.mark.parametrize("lora", [None, 2])
def test_an_interrupted_run_ends_as_the_uninterrupted_one(tmp_path, folders, scenes, monkeypatch, lora):
    chosen = settings(
        scenes,
        folders("paligemma"),
        steps=5,
        gradient_accumulation_steps=2,
        lora=lora,
        mixed_precision="bf16",
        samples=1,
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    summary = tune_captioner(chosen, whole)

    log, lines = RunFolder.log, []

    def log_and_die(self, row, name="log"):
        log(self, row, name)
        lines.append(name)
        if (
            lines.count("log") == 4 and name == "validation"
        ):  # after the look at step 4, before its checkpoint
            raise Killed

    monkeypatch.setattr(RunFolder, "log", log_and_die)
    with pytest.raises(Killed):
        tune_captioner(chosen, broken)
    monkeypatch.setattr(RunFolder, "log", log)
    assert RunFolder(broken / "training").steps() == [2]
    assert [row["step"] for row in RunFolder(broken / "training").rows("validation")] == [0, 2, 4]
    with pytest.raises(OptionError, match="holds a training run already; go on with it by --resume"):
        tune_captioner(chosen, broken)
    again = tune_captioner(replace(chosen, resume=True), broken)

    assert replace(again, out="", seconds=0.0) == replace(summary, out="", seconds=0.0)
    assert RunFolder(broken / "training").losses() == RunFolder(whole / "training").losses()
    assert equal(weights(whole), weights(broken))
    assert (whole / "samples.jsonl").read_text() == (broken / "samples.jsonl").read_text()
    best = f"best-{summary.best_step}.safetensors"
    assert [path.name for path in (broken / "training").glob("best-*")] == [best]
    with pytest.raises(OptionError, match="other settings"):
        tune_captioner(replace(chosen, lora=3, resume=True), broken)


def test_checkpoints_of_an_adapter_hold_the_adapter_alone_and_it_is_merged(tmp_path, folders, scenes):
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    base, out = folders("llava"), tmp_path / "out"
    summary = tune_captioner(settings(scenes, base, lora=4, lr=1e-2), out)
    state = load_file(out / "training" / "step-4" / "model.safetensors")
    assert state
    assert all("lora_" in name for name in state)
    assert sum(each.numel() for each in state.values()) == summary.trained_weights

    merged = AutoModelForImageTextToText.from_pretrained(out).eval()
    plain = AutoModelForImageTextToText.from_pretrained(base).eval()
    processor = AutoProcessor.from_pretrained(out)
    asked = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what"}]}
    text = processor.apply_chat_template([asked], add_generation_prompt=True)
    inputs = processor(images=Image.new("RGB", (50, 50), "red"), text=text, return_tensors="pt")
    with torch.no_grad():
        before, after = plain(**inputs).logits, merged(**inputs).logits
        apart = PeftModel.from_pretrained(plain, out / "adapter")(**inputs).logits
    assert torch.allclose(after, apart, atol=1e-4)
    assert not torch.allclose(after, before, atol=1e-2)
    config = json.loads((out / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "llava"


def test_the_best_weights_are_kept_and_the_run_ends_when_nothing_gets_better(tmp_path, folders, scenes):
    """A rate that first helps, then ruins: the loss on held-out captions rises, and the run ends before its last step."""
    from transformers import AutoModelForImageTextToText

    chosen = settings(
        scenes,
        folders("paligemma"),
        steps=60,
        validate_every=1,
        patience=3,
        lr=0.2,
        lr_scheduler="constant",
    )
    summary = tune_captioner(chosen, tmp_path / "out")
    rows = RunFolder(tmp_path / "out" / "training").rows("validation")
    losses = {row["step"]: row["loss"] for row in rows if row["step"]}
    assert summary.stopped_early
    assert summary.steps == summary.best_step + 3
    assert summary.loss == min(losses.values()) == losses[summary.best_step]
    kept = load_file(tmp_path / "out" / "training" / f"best-{summary.best_step}.safetensors")
    saved = AutoModelForImageTextToText.from_pretrained(tmp_path / "out").state_dict()
    assert kept
    assert equal(kept, {name: saved[name] for name in kept})
    assert tune_captioner(replace(chosen, resume=True), tmp_path / "out").steps == summary.steps


def test_samples_of_held_out_pictures_are_written_at_each_look(tmp_path, folders, scenes):
    tune_captioner(settings(scenes, folders("paligemma"), samples=2), tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0] * 4 + [2] * 4 + [4] * 4
    assert [row["style"] for row in rows[:4]] == ["short", "short", "long", "long"]
    keys = {row["key"] for row in rows}
    assert len(keys) == 2
    assert rows[0]["human"].endswith(".")


def test_what_writes_no_captions_is_not_recommended(tmp_path, folders, scenes):
    """Untrained weights, hardly moved: its samples are no captions."""
    chosen = settings(scenes, folders("paligemma"), samples=2, lr=1e-9)
    summary = tune_captioner(chosen, tmp_path / "out")
    assert (summary.samples, summary.degenerate, summary.learned) == (4, 4, False)
    assert "warning: 4 of 4 sample captions are no captions: " in summary.text()
    assert "next: recapdata recaption" not in summary.text()
    unseen = tune_captioner(replace(chosen, samples=0), tmp_path / "unseen")
    assert "next: recapdata recaption" in unseen.text(), "nothing was judged"


@pytest.mark.slow
def test_the_embedded_base_learns_by_its_defaults(tmp_path):
    folder = build_scenes(tmp_path / "ds", rows=80, shard_rows=80).path
    summary = tune_captioner(
        CaptionerSettings(dataset=str(folder), captions="long=long", base="embedded"), tmp_path / "out"
    )
    assert summary.learned
    assert summary.loss < 0.5 * summary.loss_before


def test_too_few_captions_are_all_learned_from(tmp_path, folders, scenes, capsys):
    summary = tune_captioner(settings(scenes, folders("paligemma"), examples=6, patience=2), tmp_path / "out")
    assert (summary.captions, summary.loss) == ({"short": 6, "long": 6}, None)
    assert (summary.steps, summary.best_step) == (4, 4)
    assert "6 captioned records are too few to hold some out" in capsys.readouterr().err
    assert "Nothing was held out" in (tmp_path / "out" / "README.md").read_text(encoding="utf8")


def test_each_style_from_the_base(tmp_path, folders, scenes):
    """DALL·E 3's way; together it is the same as two runs by themselves."""
    chosen = settings(scenes, folders("blip"), prompt=["long=a"], apart=True)
    summaries = tune_captioners(chosen, tmp_path / "out")
    assert {style: each.captions for style, each in summaries.items()} == {
        "short": {"short": 16},
        "long": {"long": 16},
    }
    alone = settings(scenes, folders("blip"), captions="long=long", prompt=["long=a"])
    tune_captioner(alone, tmp_path / "alone")
    assert equal(weights(tmp_path / "alone"), weights(tmp_path / "out" / "long"))
    assert not equal(weights(tmp_path / "alone"), weights(tmp_path / "out" / "short"))
    again = tune_captioners(replace(chosen, resume=True), tmp_path / "out")
    assert again["long"].loss == summaries["long"].loss


def test_from_a_revision_on_a_hub_to_a_pushed_captioner(tmp_path, folders, hub, repo_id):
    from huggingface_hub import HfApi, ModelCard

    from recapdata.publishing import plan_publication, publish

    captions = [human_short(draw_scene(5, row)) if row % 5 else None for row in range(25)]
    folder = build_scenes(tmp_path / "ds", rows=25, sets={"people": captions}).path
    commit = publish(plan_publication(folder, repo_id, version="1.0.0", license="cc0-1.0")).commit
    api, base_id, model_id = HfApi(), f"{repo_id}-base", f"{repo_id}-captioner"
    api.create_repo(base_id)
    base_commit = api.upload_folder(repo_id=base_id, folder_path=folders("paligemma")).oid
    chosen = settings(
        repo_id, base_id, captions="short=people", revision="v1.0.0", samples=1, push_to_hub=model_id
    )
    summary = tune_captioner(chosen, tmp_path / "out")
    assert summary.commit == commit
    assert summary.base_revision == base_commit
    assert (summary.records, summary.left_out) == (20, 5)

    files = api.list_repo_files(model_id)
    assert {"model.safetensors", "recapdata.json", "samples.jsonl", "processor_config.json"} <= set(files)
    assert not [name for name in files if name.startswith("training")]
    assert api.model_info(model_id).private
    card = ModelCard.load(model_id)
    assert (card.data.datasets, card.data.base_model) == ([repo_id], base_id)
    for said in (
        f"(commit `{commit}`): 16 short captions seen, from {base_id}.",
        f"| base revision | `{base_commit}` |",
        "| short | people | the web (alt text), column people | 16 | 4 |",
        "| records left out | 5 without a caption, 0 with a picture",
        f"after {summary.best_step} steps | {summary.loss:.4f} |",
        f"--captions short=people --base {base_id} --revision {commit} --base-revision {base_commit}",
    ):
        assert said in card.text
    _, (written,) = caption(model_id)
    assert written.caption or written.error


def test_a_folder_says_nothing_of_where_its_base_lay(tmp_path, folders, scenes):
    tune_captioner(settings(scenes, folders("paligemma"), lora=2, samples=1), tmp_path / "out")
    texts = [
        path.read_text(encoding="utf8")
        for path in (tmp_path / "out").rglob("*")
        if path.suffix in (".json", ".md", ".jsonl") and path.name not in ("tokenizer.json", "starts.json")
    ]
    assert len(texts) > 6
    assert not [text for text in texts if str(folders("paligemma").parent) in text or str(tmp_path) in text]


# --- the console ------------------------------------------------------------------------------------------------------


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_tunes_and_says_what_it_did(tmp_path, folders, scenes):
    words = ["--dataset", scenes, "--captions", BOTH, "--base", folders("paligemma"), "--steps", 2]
    done = invoke("captioner", *words, "--batch-size", 2, "--samples", 0, tmp_path / "out", "--json")
    assert done.exit_code == 0, done.exception
    summary = json.loads(done.stdout)
    assert (summary["steps"], summary["captions"]) == (2, {"short": 16, "long": 16})
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert "| learning rate | 0.001, cosine, 10 steps of warm-up |" in card, "the default of a small base"
    assert "| lr | 0.001 |" in card
    assert " --lr 0.001" in card
    assert "a local folder that had not been published: 16 short and 16 long captions seen" in card
    noted = json.loads((tmp_path / "out" / "training" / "settings.json").read_text(encoding="utf8"))
    depends = ("captions", "base", "prompts", "precision")
    assert {name: value for name, value in noted.items() if name not in depends} == {
        "dataset": "folder", "held out": 4, "lora": None, "freeze": [], "steps": 2, "batch_size": 2, "accumulate": 1,
        "learning_rate": 0.001, "course": "cosine", "warmup": 10, "weight_decay": 0.01, "max_norm": 1.0, "ema_decay": None,
        "seed": 0, "validate every": 10, "patience": 5, "samples": 0, "processes": 1,
    }, "as earlier versions wrote it"  # fmt: skip
    done = invoke(
        "captioner",
        *words,
        "--apart",
        "--batch-size",
        2,
        "--lora",
        1,
        "--samples",
        0,
        tmp_path / "two",
        "--json",
    )
    assert done.exit_code == 0, done.exception
    assert list(json.loads(done.stdout)) == ["short", "long"]
    assert (tmp_path / "two" / "long" / "adapter").is_dir()
    card = (tmp_path / "two" / "long" / "README.md").read_text(encoding="utf8")
    assert "| lr | 0.001 |" in card, "the default of a small base, with LoRA too"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"--captions": "short"}, OptionError, "write NAME=VALUE, for example --captions short=human_short"),
        ({"--captions": "short=alt,short=empty"}, OptionError, "--captions: short is given twice"),
        ({"--lr-scheduler": "polynomial"}, OptionError, "it must be one of constant, cosine, linear"),
        ({"--lr_course": "polynomial"}, OptionError, "--lr-scheduler polynomial: it must be one of"),
        ({"--mixed-precision": "fp8"}, OptionError, "it must be one of auto, no, fp16, bf16"),
        ({"--lr": "inf"}, OptionError, "--lr inf: it must be finite"),
        ({"--seed": "-1"}, OptionError, "--seed -1"),
        ({"--captions": "brief=short"}, OptionError, "STYLE is short or long"),
        (
            {"--captions": "short=nobody"},
            CaptionSetNotFound,
            "has no caption set or column 'nobody'; it has alt",
        ),
        ({"--captions": "short=empty"}, InputError, "none of its 3 records has a caption in empty"),
        ({"--revision": "v1.0.0"}, OptionError, "is a folder, which has no revisions"),
        ({"--steps": "0"}, OptionError, "--steps 0"),
        ({"--patience": "-1"}, OptionError, "--patience -1"),
        ({"--lora": "0"}, OptionError, "--lora 0"),
        ({"--examples": "0"}, OptionError, "--examples 0"),
        ({"--validation": "1"}, OptionError, "--validation 1: it must be at least 0 and below 1"),
        ({"--freeze": "ears"}, OptionError, "it must be one of vision"),
        ({"--prompt": "long=x"}, OptionError, "no captions are given for long"),
        ({"--base": "clip"}, ModelNotSupported, "writes no text about images"),
    ],
)
def test_mistakes_stop_before_anything_is_written(tmp_path, folders, change, error, message):
    from transformers import CLIPConfig

    sets = {"alt": ["a", "b", "c"], "empty": [None, "", None]}
    folder = build_dataset(
        tmp_path / "ds", rows=3, sets=sets, images=[encode_png(draw_scene(0, i)) for i in range(3)]
    )
    CLIPConfig().save_pretrained(tmp_path / "clip")
    options = {"--dataset": folder.path, "--captions": "short=alt", "--base": folders("paligemma"), **change}
    if options["--base"] == "clip":
        options["--base"] = tmp_path / "clip"
    words = [str(word) for pair in options.items() for word in pair]
    with pytest.raises(error, match=message) as raised:
        CliRunner().invoke(app, ["captioner", *words, str(tmp_path / "out")], catch_exceptions=False)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path, folders, scenes):
    """Each takes half of a turn, and their losses are weighed by tokens: the same run as one process with twice the batch."""
    chosen = settings(scenes, folders("paligemma"), steps=3, batch_size=4, samples=0)
    tune_captioner(chosen, tmp_path / "one")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = [
        "--dataset",
        scenes,
        "--captions",
        BOTH,
        "--base",
        folders("paligemma"),
        "--steps",
        3,
        "--lr",
        1e-3,
    ]
    words += ["--batch-size", 2, "--warmup", 0, "--validate-every", 2, "--patience", 0, "--samples", 0]
    command = [*launch, "-m", "recaptrain", "captioner", *words, "--mixed-precision", "no", tmp_path / "two"]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run([str(word) for word in command], check=True, env=env, capture_output=True, timeout=HANGS)
    one, two = RunFolder(tmp_path / "one" / "training"), RunFolder(tmp_path / "two" / "training")
    assert two.losses() == pytest.approx(one.losses(), rel=1e-4)
    assert [row["loss"] for row in two.rows("validation")] == pytest.approx(
        [row["loss"] for row in one.rows("validation")], rel=1e-4
    )
    assert "(2 × 1 accumulated × 2 processes)" in (tmp_path / "two" / "README.md").read_text(encoding="utf8")
