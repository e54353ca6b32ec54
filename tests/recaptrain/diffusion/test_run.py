"""Fine-tuning on small scenes: exact resume, card, revisions of a Hub, other kinds of bases, and what is refused."""

import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from recapdata.errors import CaptionSetNotFound, ModelNotSupported, OptionError
from recaptrain.diffusion.run import train_diffusion
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.training.run_folder import RunFolder
from tests.builders import write_audit, write_captions
from tests.recaptrain.pipelines import build_pipeline, build_scenes, build_xl_pipeline


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return build_pipeline(tmp_path_factory.mktemp("base") / "tiny")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return build_scenes(tmp_path_factory.mktemp("scenes") / "ds").path


def settings(scenes, base, **changes):
    options = {
        "mixture": "short=1,long=1;dropout=0.1",
        "train": "unet",
        "steps": 4,
        "batch_size": 2,
        "lr": 1e-3,
        "ema_decay": 0,
        "checkpoint_every": 2,
        **changes,
    }
    return DiffusionSettings(dataset=str(scenes), base=str(base), **options)


def losses(out):
    return RunFolder(out / "training").losses()


def weights(out, part="unet/diffusion_pytorch_model"):
    return load_file(out / f"{part}.safetensors")


def equal(ones, others):
    return ones.keys() == others.keys() and all(torch.equal(ones[name], others[name]) for name in ones)


def test_an_interrupted_run_ends_as_the_uninterrupted_one(tmp_path, scenes, base, monkeypatch):
    both = settings(scenes, base, train=("unet", "text_encoder"), gradient_accumulation_steps=2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train_diffusion(both, whole)

    log, lines = RunFolder.log, []

    def log_and_die(self, row, name="log"):
        log(self, row, name)
        lines.extend([row] if name == "log" else [])
        if len(lines) == 3:
            raise KeyboardInterrupt

    # The third row of the log is written, and the step's other logs are not.
    monkeypatch.setattr(RunFolder, "log", log_and_die)
    with pytest.raises(KeyboardInterrupt):
        train_diffusion(both, broken)
    monkeypatch.setattr(RunFolder, "log", log)
    assert RunFolder(broken / "training").steps() == [2]
    assert len(losses(broken)) == 3
    train_diffusion(replace(both, resume=True), broken)

    starts = json.loads((broken / "training" / "starts.json").read_text(encoding="utf8"))
    assert [start["after_step"] for start in starts] == [0, 2]
    assert starts[0]["arguments"]["gradient_accumulation_steps"] == 2
    assert starts[0]["base"]["revision"].startswith("sha256:")
    assert starts[0]["versions"]["torch"] == torch.__version__.split("+")[0]
    assert starts[0]["command"]
    assert losses(broken) == losses(whole)
    assert len(losses(whole)) == 4
    assert equal(weights(whole), weights(broken))
    assert equal(weights(whole, "text_encoder/model"), weights(broken, "text_encoder/model"))
    assert not equal(weights(whole), weights(base))


def test_the_seed_decides(tmp_path, scenes, base):
    made = {}
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        train_diffusion(settings(scenes, base, seed=seed), tmp_path / name)
        made[name] = losses(tmp_path / name)
    assert made["first"] == made["again"]
    assert made["first"] != made["other"]


def test_what_is_not_trained_stays_as_it_was(tmp_path, scenes, base):
    train_diffusion(settings(scenes, base, train=("unet",)), tmp_path / "out")
    assert equal(weights(tmp_path / "out", "text_encoder/model"), weights(base, "text_encoder/model"))
    before = weights(base, "vae/diffusion_pytorch_model")
    after = weights(tmp_path / "out", "vae/diffusion_pytorch_model")
    assert equal({name: weight.float() for name, weight in before.items()}, after)


def test_a_saved_pipeline_says_nothing_of_where_its_base_lay(tmp_path, scenes, base):
    train_diffusion(settings(scenes, base), tmp_path / "out")
    said = [
        path.read_text(encoding="utf8")
        for path in (tmp_path / "out").rglob("*.*")
        if path.suffix in (".json", ".md") and path.name != "starts.json"  # of the run, which is never pushed
    ]
    assert len(said) > 5
    assert not [text for text in said if str(base.parent) in text or str(scenes.parent) in text]


def test_a_base_like_stable_diffusion_1(tmp_path, scenes):
    """Predicts noise, and its scheduler is the one that Stable Diffusion 1 was published with."""
    from diffusers import StableDiffusionPipeline

    base = build_pipeline(tmp_path / "base", epsilon=True)
    summary = train_diffusion(
        settings(scenes, base, gradient_checkpointing=True),
        tmp_path / "out",
    )
    assert summary.last_loss == pytest.approx(losses(tmp_path / "out")[-1])
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path / "out")
    assert type(pipeline.scheduler).__name__ == "PNDMScheduler"
    assert pipeline("a red circle", num_inference_steps=2).images[0].size == (64, 64)
    assert "| objective | epsilon, Min-SNR" in (tmp_path / "out" / "README.md").read_text(encoding="utf8")


def test_a_base_like_stable_diffusion_xl(tmp_path, scenes):
    """Trained to predict v at zero terminal SNR; what is saved samples so, loads in stock diffusers and draws."""
    from diffusers import StableDiffusionXLPipeline

    base = build_xl_pipeline(tmp_path / "base")
    chosen = settings(
        scenes,
        base,
        train="unet,text_encoder",
        prediction_type="v_prediction",
        zero_terminal_snr=True,
        offset_noise=0.05,
        optimizer="adamw-fused",
    )
    train_diffusion(chosen, tmp_path / "out")
    pipeline = StableDiffusionXLPipeline.from_pretrained(tmp_path / "out")
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.scheduler.config.rescale_betas_zero_snr
    assert pipeline("a red circle", num_inference_steps=2).images[0].size == (64, 64)
    for part in ("unet/diffusion_pytorch_model", "text_encoder/model", "text_encoder_2/model"):
        before, after = weights(base, part), weights(tmp_path / "out", part)
        assert before.keys() == after.keys()
        assert not equal(before, after)
    last = "encoder.layers.1.mlp.fc1.weight"  # nothing reads the last layer's states of the first encoder
    named = {name: each for name, each in weights(base, "text_encoder/model").items() if name.endswith(last)}
    assert named
    after = weights(tmp_path / "out", "text_encoder/model")
    assert all(torch.equal(each, after[name]) for name, each in named.items())


def test_a_base_in_half_precision_is_cautioned_of(tmp_path, scenes, base, capsys):
    train_diffusion(settings(scenes, base, steps=1), tmp_path / "out")
    assert "stored in half precision (unet in f16)" in capsys.readouterr().err


def test_from_a_revision_on_a_hub_to_a_pushed_model(tmp_path, base, hub, repo_id):
    from diffusers import StableDiffusionPipeline
    from huggingface_hub import HfApi, ModelCard

    from recapdata.publishing import plan_publication, publish

    folder = build_scenes(tmp_path / "ds").path
    commit = publish(plan_publication(folder, repo_id, version="1.0.0", license="cc0-1.0")).commit
    model_id = f"{repo_id}-model"
    chosen = settings(repo_id, base, revision="v1.0.0", push_to_hub=model_id)
    summary = train_diffusion(chosen, tmp_path / "out")
    assert summary.commit == commit
    assert summary.examples == 8

    files = HfApi().list_repo_files(model_id)
    assert "model_index.json" in files
    assert not [name for name in files if name.startswith("training")]
    assert HfApi().model_info(model_id).private
    card = ModelCard.load(model_id)
    card.validate()  # by the Hub
    assert card.data.datasets == [repo_id]
    assert f"`{commit}`" in card.text
    assert "short=1,long=1;dropout=0.1" in card.text
    assert StableDiffusionPipeline.from_pretrained(model_id).unet.config.sample_size == 16


def test_the_card_says_what_was_trained_on_and_what_came_of_it(tmp_path, base):
    """Two audited sets, of which one has changed since; four steps, validated at the second and the last."""
    from huggingface_hub import ModelCard

    dataset = build_scenes(tmp_path / "ds")
    write_audit(dataset, ["short", "long"], figures={"object precision": (0.9, 0.85, 0.95)})
    for shard in (0, 1):
        keys = dataset.read_captions("long", shard).column("key").to_pylist()
        write_captions(dataset, "long", shard, keys, ["red"] * len(keys))
    (tmp_path / "prompts").write_text("a red circle\na blue star\n", encoding="utf8")
    (tmp_path / "keys").write_text(dataset.read_keys(0)[0], encoding="utf8")
    chosen = settings(
        dataset.path, base, validate_every=2, sample_prompts=tmp_path / "prompts", sample_steps=1,
        validation_keys=tmp_path / "keys", save="best",
    )  # fmt: skip
    recipe = {"name": "mine.yaml", "sha256": "0" * 64}
    summary = train_diffusion(chosen, tmp_path / "out", recipe=recipe)
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.pipeline_tag == "text-to-image"
    for name in ("short", "long"):
        assert f"| {name} | 50.0% | {summary.drawn[name]:.1%} |" in card.text
    assert "| object precision | 90.0 % (85.0–95.0), n = 8 | 90.0 % (85.0–95.0), n = 8 |" in card.text
    assert "n = 8 |\n\nThe audit of long is of captions that have changed since." in card.text
    assert (
        f"![Pictures of fixed prompts and seeds after {summary.saved_step} steps](validation.png)"
        in card.text
    )
    grid = tmp_path / "out" / "training" / "samples" / f"step-{summary.saved_step:06d}.png"
    assert (tmp_path / "out" / "validation.png").read_bytes() == grid.read_bytes()
    row = RunFolder(tmp_path / "out" / "training").rows()[3]
    validated = RunFolder(tmp_path / "out" / "training").rows("validation")[2]
    assert f"| 4–4 | {row['loss']:.5f} | {validated['loss']:.5f} |" in card.text
    assert f"{summary.validation_before:.5f} before training" in card.text
    assert (
        "recaptrain diffusion OUT --dataset ds --mixture 'short=1,long=1;dropout=0.1' --base tiny"
        in card.text
    )
    (start,) = RunFolder(tmp_path / "out" / "training").starts()
    assert start["recipe"] == recipe
    assert set(start["audits"]) == {"short", "long"}


def test_a_resumed_run_stays_at_the_commit_it_began_with(tmp_path, base, hub, repo_id):
    """Main moves to other captions after two of four steps; the run ends as one pinned to the first commit."""
    from recapdata.publishing import plan_publication, publish

    dataset = build_scenes(tmp_path / "ds")
    folder = dataset.path
    first = publish(plan_publication(folder, repo_id, version="1.0.0", license="cc0-1.0")).commit
    train_diffusion(settings(repo_id, base, revision="v1.0.0"), tmp_path / "whole")
    train_diffusion(settings(repo_id, base, steps=2), tmp_path / "out")
    for shard in (0, 1):
        keys = dataset.read_captions("long", shard).column("key").to_pylist()
        write_captions(dataset, "long", shard, keys, ["red"] * len(keys))
    second = publish(plan_publication(folder, repo_id, version="1.1.0", license="cc0-1.0")).commit
    assert first != second
    moved = train_diffusion(settings(repo_id, base, resume=True), tmp_path / "out")
    assert moved.commit == first
    assert losses(tmp_path / "out") == losses(tmp_path / "whole")
    with pytest.raises(OptionError, match=f"dataset: {first} there, {second} now"):
        train_diffusion(settings(repo_id, base, resume=True, revision="v1.1.0"), tmp_path / "out")
    train_diffusion(settings(repo_id, base, revision="v1.1.0"), tmp_path / "other")
    assert losses(tmp_path / "other") != losses(tmp_path / "whole")


def test_over_length_captions_are_counted_and_said(tmp_path, base):
    captions = ["red " * 80, "red", "red", "red"]  # 80 words and two special tokens are more than 77
    folder = build_scenes(tmp_path / "ds", rows=4, sets={"a": captions}).path
    summary = train_diffusion(settings(folder, base, mixture="a;over-length=drop"), tmp_path / "out")
    assert (summary.examples, summary.left_out, summary.over_length) == (3, 1, 0.25)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert "policy `drop`; 25.00% of the captions" in card
    assert "| a | 100.0% |" in card


def test_a_run_is_not_overwritten_nor_gone_on_with_by_another(tmp_path, scenes, base):
    train_diffusion(settings(scenes, base), tmp_path / "out")
    with pytest.raises(OptionError, match="holds a training run already"):
        train_diffusion(settings(scenes, base), tmp_path / "out")
    with pytest.raises(OptionError, match="seed: 0 there, 1 now"):
        train_diffusion(settings(scenes, base, seed=1, resume=True), tmp_path / "out")
    assert train_diffusion(settings(scenes, base, steps=5, resume=True), tmp_path / "out").steps == 5
    assert len(losses(tmp_path / "out")) == 5


def test_a_run_is_not_gone_on_with_under_other_weights(tmp_path, base):
    """Another expression is refused, and so is the same one over another audit, in which a caption has fewer words."""
    dataset = build_scenes(tmp_path / "ds")
    write_audit(dataset, ["short", "long"])
    chosen = settings(dataset.path, base, weigh="words * 1", steps=1, samples=0)
    out = tmp_path / "out"
    train_diffusion(chosen, out)
    with pytest.raises(OptionError, match=r"other settings \(weigh: .*words \* 1.* there, words \+ 1 now"):
        train_diffusion(replace(chosen, weigh="words + 1", resume=True), out)
    shard = next(iter(dataset.shards()))
    path = dataset.audit_shard("short", shard)
    table, footer = pq.read_table(path), dict(pq.read_metadata(path).metadata)
    footer.pop(b"ARROW:schema")
    place, field = table.schema.get_field_index("scores"), table.schema.field("scores")
    first, *others = table.column("scores").to_pylist()
    scores = pa.array([{**first, "words": 1}, *others], field.type)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table.set_column(place, field, scores))
        writer.add_key_value_metadata(footer)
    with pytest.raises(OptionError, match=r"other settings \(weights: "):
        train_diffusion(replace(chosen, resume=True), out)
    assert len(losses(out)) == 1


def test_what_cannot_be_trained_is_said(tmp_path, scenes, base):
    with pytest.raises(OptionError, match="--train vae"):
        train_diffusion(settings(scenes, base, train="vae"), tmp_path / "out")
    with pytest.raises(OptionError, match="multiple of 8"):
        train_diffusion(settings(scenes, base, resolution=60), tmp_path / "out")
    for name, values in {
        "steps": (0, -1),
        "ema_decay": (1, 2, -0.5, float("nan")),
        "snr_gamma": (-1, float("nan"), float("inf")),
        "lr": (0, float("nan"), float("inf")),
        "seed": (-1,),
    }.items():
        for value in values:
            with pytest.raises(OptionError, match=f"--{name.replace('_', '-')} .*it must be"):
                settings(scenes, base, **{name: value})
    with pytest.raises(OptionError, match="is a file"):
        train_diffusion(settings(scenes, base), base / "model_index.json")
    with pytest.raises(OptionError, match="lies in the dataset folder"):
        train_diffusion(settings(scenes, base), scenes / "model")
    with pytest.raises(CaptionSetNotFound, match="'recap-short'"):
        train_diffusion(settings(scenes, base, mixture="recap-mix"), tmp_path / "out")
    index = json.loads((base / "model_index.json").read_text(encoding="utf8"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "model_index.json").write_text(
        json.dumps({**index, "_class_name": "FluxPipeline"}), encoding="utf8"
    )
    with pytest.raises(ModelNotSupported, match="is a FluxPipeline"):
        train_diffusion(settings(scenes, other), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_caption_dropout_is_a_tenth_unless_said():
    def dropout(mixture, **options):
        return settings("ds", "base", mixture=mixture, **options).caption_mixture.dropout

    assert dropout("alt") == 0.1
    assert dropout("alt;dropout=0") == 0.0
    assert dropout("alt;dropout=0.3", caption_dropout=0.2) == 0.2
