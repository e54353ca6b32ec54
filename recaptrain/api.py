"""The functions of `import recaptrain`: what the commands do, for a notebook or a program."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recapdata.extras import naming_extras
from recapdata.options import accepting_aliases, gather

if TYPE_CHECKING:
    from recapdata.caption_sets.mixture import Mixture
    from recaptrain.captioner.settings import CaptionerSettings, CaptionerSummary
    from recaptrain.diffusion.settings import DiffusionSettings, DiffusionSummary
    from recaptrain.evaluation.evaluations import EvaluateSummary
    from recaptrain.evaluation.humans.results import HumansResults
    from recaptrain.evaluation.humans.run import HumansSummary
    from recaptrain.evaluation.judge.summary import JudgeSummary
    from recaptrain.generation.generate import GenerateSummary
    from recaptrain.generation.settings import LongPrompts
    from recaptrain.generation.upsampling.run import UpsampleSummary
    from recaptrain.reproduction.results import Reproduction


def _captioner_settings() -> "type[CaptionerSettings]":
    from recaptrain.captioner.settings import CaptionerSettings

    return CaptionerSettings


def _diffusion_settings() -> "type[DiffusionSettings]":
    from recaptrain.diffusion.settings import DiffusionSettings

    return DiffusionSettings


@naming_extras()
@accepting_aliases(_captioner_settings)
def train_captioner(
    out: str | Path,
    *,
    dataset: str | Path,
    captions: str | Mapping[str, str],
    base: str,
    revision: str | None = None,
    base_revision: str | None = None,
    apart: bool = False,
    prompt: Mapping[str, str] | None = None,
    examples: int | None = None,
    validation: float = 0.1,
    lora: int | None = None,
    freeze: str | Sequence[str] = (),
    steps: int = 300,
    batch_size: int = 8,
    gradient_accumulation_steps: int = 1,
    lr: float | None = None,
    lr_scheduler: Literal["constant", "cosine", "linear"] = "cosine",
    lr_warmup_steps: int = 10,
    validate_every: int | None = None,
    patience: int | None = 5,
    samples: int = 3,
    seed: int = 0,
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto",
    gradient_checkpointing: bool = False,
    checkpoint_every: int | None = None,
    keep: int = 1,
    resume: bool = False,
    push_to_hub: str | None = None,
    public: bool = False,
) -> "dict[str, CaptionerSummary]":
    """Tune a captioner on human captions, short and long together (RECAP) or apart (DALL·E 3).

    Args:
        out: folder for the tuned captioner, which `recapdata.recaption` takes.
        dataset: a dataset folder, or `user/name` on the Hub.
        captions: caption set or text column by style: `{"short": "human_short", "long": "human_long"}`.
        base: image-text-to-text model: `user/name`, a folder, or `embedded`.
        revision: tag, branch or commit of the dataset; main where None.
        base_revision: tag, branch or commit of the base; main where None.
        apart: tune each style from the base, into `out/short` and `out/long`.
        prompt: prompt by style; that of `recapdata.recaption` for such a base where None.
        examples: only the first so many records with a caption; all where None.
        validation: share of the records held out, by a hash of their keys; none below 20 records.
        lora: rank of adapters on the language model, merged at the end; all weights are tuned where None.
        freeze: what is not tuned: `vision`.
        steps: most optimizer steps.
        batch_size: captions at once on one device.
        gradient_accumulation_steps: batches of one step.
        lr: learning rate; 4e-5 where None, with `lora` 2e-4.
        lr_scheduler: of the learning rate after the warm-up.
        lr_warmup_steps: steps over which the learning rate rises.
        validate_every: steps between validations; a fifteenth of the steps, at least 10, where None.
        patience: validations without a better loss after which the run ends; 0 or None for never.
        samples: held-out pictures whose captions are written at each validation.
        seed: of everything random.
        mixed_precision: `auto` takes what this machine is good at.
        gradient_checkpointing: less memory, about a quarter slower.
        checkpoint_every: steps between checkpoints; at each validation where None.
        keep: checkpoints to keep, the latest ones.
        resume: continue the run in `out` from its last checkpoint.
        push_to_hub: `user/model` to upload the model and its card to.
        public: a new repository is public.

    Returns:
        A summary by style where tuned `apart`, else under `captioner`.

    Raises:
        OptionError: a value that cannot be used, or `out` holds a run that other settings began.
        CaptionSetNotFound, InputError: the dataset has not what is to be learned.
        CaptionerNotFound, ModelNotSupported: no such base, or one of a kind that cannot be tuned.

    Example:
        >>> import recaptrain
        >>> summaries = recaptrain.train_captioner(
        ...     "tuned", dataset="drawn", captions={"long": "human"}, base="embedded", steps=1, samples=0
        ... )
        >>> summaries["captioner"].steps, summaries["captioner"].captions.keys()
        (1, dict_keys(['long']))
    """
    given = {**locals(), "dataset": str(dataset), "prompt": prompt or {}}
    from recaptrain.captioner.run import tune_captioners

    return tune_captioners(gather(_captioner_settings(), given), Path(out))


@naming_extras()
@accepting_aliases(_diffusion_settings)
def train_diffusion(
    out: str | Path,
    *,
    dataset: str | Path,
    mixture: "str | Mapping[str, float] | Mixture",
    base: str,
    revision: str | None = None,
    base_revision: str | None = None,
    train: str | Sequence[str] = ("unet", "text_encoder"),
    lora: int | None = None,
    lora_alpha: float | None = None,
    lora_targets: Literal["attention", "transformer"] = "attention",
    steps: int = 1000,
    batch_size: int = 16,
    gradient_accumulation_steps: int = 1,
    lr: float | None = None,
    lr_scheduler: Literal["constant", "cosine", "linear"] = "constant",
    lr_warmup_steps: int = 0,
    optimizer: Literal["adamw", "adamw-fused", "adamw-8bit"] = "adamw",
    weight_decay: float = 1e-2,
    max_grad_norm: float = 1.0,
    prediction_type: Literal["epsilon", "v_prediction", "sample"] | None = None,
    zero_terminal_snr: bool = False,
    offset_noise: float | None = None,
    snr_gamma: float | None = 5.0,
    ema_decay: float | None = 0.9999,
    caption_dropout: float | None = None,
    caption_length: Literal["full", "random"] | None = None,
    over_length: Literal["truncate", "sentences", "chunks", "drop"] | None = None,
    weigh: str | None = None,
    seed: int = 0,
    resolution: int | None = None,
    fit: Literal["crop", "stretch", "pad"] = "crop",
    crop: Literal["center", "random"] = "center",
    crops: int = 4,
    buckets: bool = False,
    bucket_step: int | None = None,
    flip: bool = False,
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto",
    gradient_checkpointing: bool = False,
    latent_cache: str | Path | None = None,
    text_cache: bool = False,
    validation: float = 0.0,
    validation_keys: str | Path | None = None,
    validate_every: int = 500,
    validate_metrics: str | Sequence[str] = (),
    validate_with: Mapping[str, str] | None = None,
    best_by: str = "loss",
    patience: int | None = None,
    save: Literal["last", "best"] | None = None,
    samples: int = 4,
    sample_prompts: str | Path | None = None,
    sample_steps: int = 25,
    log_with: str | Sequence[str] = (),
    log_captions_every: int | None = 100,
    checkpoint_every: int = 500,
    keep: int = 2,
    resume: bool = False,
    push_to_hub: str | None = None,
    public: bool = False,
) -> "DiffusionSummary | None":
    """Fine-tune Stable Diffusion on a dataset at one revision, with a mixture of its captions.

    Args:
        out: folder for the trained pipeline, or its adapters.
        dataset: a dataset folder, or `user/name` on the Hub.
        mixture: weights over caption sets, `recap-short=0.5,recap-long=0.5` or such a dict; one set's name; or
            `recap-mix`, `dalle3`.
        base: Stable Diffusion pipeline (1, 2 or XL): `user/name`, a folder, or `embedded`.
        revision: tag, branch or commit of the dataset; main where None.
        base_revision: tag, branch or commit of the base; main where None.
        train: what is trained: `unet`, `text_encoder` (of SDXL both).
        lora: rank of LoRA adapters; all weights are trained where None or 0.
        lora_alpha: the adapters count α / rank times; the rank where None.
        lora_targets: layers with adapters: those of attention, or of feed-forward, too (`transformer`).
        steps: optimizer steps.
        batch_size: examples at once on one device.
        gradient_accumulation_steps: batches of one step.
        lr: learning rate; 1e-5 where None, with `lora` 1e-4.
        lr_scheduler: of the learning rate after the warm-up.
        lr_warmup_steps: steps over which the learning rate rises.
        optimizer: AdamW, fused, or with its state in 8 bits (bitsandbytes, on a GPU).
        weight_decay: of AdamW.
        max_grad_norm: gradients are scaled down to this norm.
        prediction_type: what the UNet learns to predict; as the base does where None.
        zero_terminal_snr: let the last noise level be pure noise; the saved scheduler has it, too.
        offset_noise: strength of noise that is constant over a picture; None or 0 for none.
        snr_gamma: γ of Min-SNR weighting; None or 0 for none.
        ema_decay: decay of the average of weights; None or 0 for none.
        caption_dropout: share of empty captions; what the mixture says, else 0.1, where None.
        caption_length: `random` keeps the first n sentences; `full` where None.
        over_length: what becomes of captions longer than the text encoder reads; `truncate` where None, `chunks` reads up to 225
            tokens in windows.
        weigh: weight of a caption in the loss, from its audit, in the language of `recapdata.recaption`'s `where`.
        seed: of everything random.
        resolution: side of the pictures in pixels; the base's where None.
        fit: how a picture comes to its size.
        crop: where `fit="crop"` cuts: in the middle, or at random.
        crops: cuttings of each picture with `crop="random"`.
        buckets: train each picture at the size nearest in shape, of the square's area.
        bucket_step: the sides of buckets are multiples of so many pixels.
        flip: mirror half of the pictures, but none under a caption that speaks of left or right or quotes a text.
        mixed_precision: `auto` takes what this machine is good at.
        gradient_checkpointing: less memory, about a quarter slower.
        latent_cache: folder of the caches of encoded pictures and captions, which runs share; `RECAPDATA_CACHE`, else
            `~/.cache/recapdata`, where None.
        text_cache: keep the text encoders' states of all captions, too, where only the UNet is trained.
        validation: share of the records held out, by a hash of their keys.
        validation_keys: file with the keys of the records held out, in the place of a share.
        validate_every: steps between validations.
        validate_metrics: metrics of `evaluate`, measured at each validation on the pictures that `samples` draws.
        validate_with: options of `evaluate` for them, by name: `{"clip": "ViT-B-32:openai"}`.
        best_by: what best weights and `patience` go by: `loss`, on the records held out, or a figure of those metrics.
        patience: validations without a better one after which the run ends; None or 0 for never.
        save: which weights are saved, `last` or `best` by `best_by`; where None, the best with `patience`, else the last.
        samples: pictures drawn at each validation.
        sample_prompts: file with their prompts; captions held out where None.
        sample_steps: denoising steps of these pictures.
        log_with: experiment trackers: `tensorboard`, `wandb` and what else Accelerate knows.
        log_captions_every: steps between two of which the captions trained on are logged; None or 0 for never.
        checkpoint_every: steps between checkpoints.
        keep: checkpoints to keep, the latest ones.
        resume: continue the run in `out` from its last checkpoint.
        push_to_hub: `user/model` to upload the pipeline and its card to.
        public: a new repository is public.

    Returns:
        What was trained; None on the processes of `accelerate launch` that are not the main one.

    Raises:
        OptionError: a value that cannot be used, or `out` holds a run that other settings began.
        CaptionSetNotFound, InputError: the dataset has not what the mixture draws from.
        ModelNotSupported: the base is no Stable Diffusion pipeline.

    Example:
        >>> import recaptrain
        >>> summary = recaptrain.train_diffusion(
        ...     "model", dataset="drawn", mixture="alt=0.5,human=0.5", base="embedded", steps=1, batch_size=2
        ... )
        >>> summary.examples, summary.mixture
        (24, 'alt=0.5,human=0.5;dropout=0.1')
    """
    given = {**locals(), "dataset": str(dataset), "validate_with": validate_with or {}}
    from recapdata.caption_sets.mixture import Mixture
    from recaptrain.diffusion.run import train_diffusion as run

    given["mixture"] = str(Mixture.of(mixture))
    return run(gather(_diffusion_settings(), given), Path(out))


@naming_extras()
def generate(
    model: str | Path,
    prompts: str | Path,
    out: str | Path,
    *,
    revision: str | None = None,
    images_per_prompt: int = 1,
    limit: int | None = None,
    seed: int = 0,
    steps: int = 30,
    guidance: float = 7.5,
    long_prompts: "LongPrompts" = "truncate",
    batch_size: int = 8,
) -> "GenerateSummary | None":
    """Make pictures of prompts; the same call goes on where it was interrupted.

    Args:
        model: a pipeline, or LoRA adapters that recapdata trained: a folder, `user/name` on the Hub, or `embedded`.
        prompts: a text file with a prompt per line, JSON lines (prompt, id, seed, original), a table or folder of a benchmark
            (DrawBench, PartiPrompts, T2I-CompBench, GenEval, DPG-Bench), or a dataset's captions, `user/name[@revision]:SET`.
        out: folder for pictures and `metadata.jsonl`.
        revision: tag, branch or commit of the model; main where None.
        images_per_prompt: pictures of each prompt; more of them leave the first as it was.
        limit: so many of the prompts, drawn by their names; all where None.
        seed: each picture's seed is made of it and the picture's name.
        steps: denoising steps.
        guidance: scale of classifier-free guidance; 1 for none.
        long_prompts: what becomes of a prompt that the text encoder cannot read whole: `truncate`, `sentences` (those that fit),
            `chunks` (windows encoded apart and joined) or `drop`.
        batch_size: pictures at once; it moves a picture by rounding at most.

    Raises:
        InputError: the prompts cannot be read.
        OptionError: `out` holds pictures of another model or other settings.
        CaptionerNotFound, ModelNotSupported: no such model, or not a Stable Diffusion pipeline.

    Example:
        >>> import recaptrain
        >>> from pathlib import Path
        >>> _ = Path("prompts.txt").write_text("a red star")
        >>> recaptrain.generate("embedded", "prompts.txt", "pictures", steps=1).made
        1
        >>> recaptrain.generate("embedded", "prompts.txt", "pictures", steps=1).kept
        1
    """
    given = locals()
    from recaptrain.generation.generate import generate as run
    from recaptrain.generation.settings import GenerateSettings

    return run(str(model), str(prompts), Path(out), gather(GenerateSettings, given))


@naming_extras()
def upsample(
    prompts: str | Path,
    out: str | Path,
    *,
    model: str,
    revision: str | None = None,
    examples: str | None = None,
    example_prompts: str | None = None,
    shots: int = 5,
    temperature: float = 0.7,
    seed: int = 0,
    max_tokens: int | None = None,
    limit: int | None = None,
    clip: str | None = None,
    cache: str | Path | None = None,
) -> "UpsampleSummary":
    """Let a language model rewrite prompts into captions of the kind that a model was trained on; what is cached is not asked for again.

    Args:
        prompts: as `generate` takes them.
        out: file of JSON lines, which `generate` reads; the originals stand beside, for `evaluate` and `judge`.
        model: `user/name` or a folder of transformers, the address of an OpenAI-compatible server, or a dotted path to a function
            that opens a `recaptrain.chat.ChatModel`.
        revision: tag, branch or commit of the model; of a server's, what you know of it.
        examples: captions of the kind that is wanted, `user/name[@revision]:SET` or `DIR:SET`.
        example_prompts: caption set or text column of that dataset that stands for what people type.
        shots: examples that are shown.
        temperature: of the sampling; 0 does not sample.
        seed: of the sampling and of the choice of examples.
        max_tokens: of a rewritten prompt; 256 where None.
        limit: so many of the prompts, drawn by their names; all where None.
        clip: CLIP model by which the distance from the captions is measured, before and after; `embedded`, where the examples are of
            drawn scenes, where None.
        cache: folder of the caches; `RECAPDATA_CACHE`, else `~/.cache/recapdata`, where None.

    Returns:
        A summary with the train–inference skew `before` and `after`.

    Raises:
        InputError: the prompts or the examples cannot be read.
        OptionError: `out` holds something else; no such model.
        ServerUnreachable: the server has gone; the same call goes on.

    Example:
        A model that says two things of every prompt:

        >>> import recaptrain
        >>> from pathlib import Path
        >>> _ = Path("wordy.py").write_text('''
        ... from types import SimpleNamespace
        ... from recaptrain.chat import Reply
        ...
        ... def open_model(opening):
        ...     reply = Reply(text="A red star on blue. Below it is a small green ring.")
        ...     return SimpleNamespace(
        ...         identity={"model": "wordy", "revision": "1"},
        ...         replies=lambda requests: ((request, reply) for request in requests),
        ...     )
        ... ''')
        >>> _ = Path("short.txt").write_text("a red star")
        >>> done = recaptrain.upsample("short.txt", "long.jsonl", model="wordy:open_model", examples="drawn:human")
        >>> done.rewritten, done.words_before, done.words_after
        (1, 3.0, 12.0)
        >>> recaptrain.generate("embedded", "long.jsonl", "rewritten", steps=1).made
        1
    """
    given = {**locals(), "cache": None if cache is None else str(cache)}
    from recaptrain.generation.upsampling.run import upsample as run
    from recaptrain.generation.upsampling.settings import UpsampleSettings

    return run(str(prompts), Path(out), gather(UpsampleSettings, given))


@naming_extras()
def evaluate(
    images: "str | Path | Sequence[str | Path]",
    *,
    metrics: str | Sequence[str] = ("clipscore",),
    reference: str | Path | None = None,
    detector: str | None = None,
    reader: str | None = None,
    clip: str = "embedded",
    features: str | None = None,
    preference: str | None = None,
    vlm: str | None = None,
    prompts: Literal["original", "read"] = "original",
    shuffle: bool = False,
    report: str | Path | None = None,
    seed: int = 0,
    batch_size: int = 32,
    out: str | Path = "evaluation",
) -> "EvaluateSummary":
    """Measure pictures against their prompts and against real images; what `out` holds is not measured again.

    Args:
        images: folders of `generate`, or real images with a caption set, `DATASET:SET`; each may have a name, `NAME=FOLDER`, and
            `NAME@STEP=FOLDER` where it is a checkpoint. Folders of one NAME are runs of one model by seed: their figures' mean is taken, and
            the interval is over seeds, too. The others are compared with the first, paired by prompt.
        metrics: names of metrics, or dotted paths.
        reference: real images for FID and its kind: a dataset folder, `user/name[@revision]`, or a folder of images.
        detector: detector of objects, as `audits run` takes it.
        reader: what reads words in pictures; `ocr` where None, and none for the metric `claims`.
        clip: CLIP model.
        features: what makes features of images, for FID and KID: `inception[:FILE]`, `inception-clean[:FILE]`, `dinov2[:MODEL]`, `clip:MODEL`,
            `embedded`, or a dotted path; `inception` where None.
        preference: CLIP model tuned on people's choices, for the metric `preference`, such as PickScore.
        vlm: vision-language model that answers questions.
        prompts: what pictures are measured against: `original`, what a person asked for, or `read`, what the model was given.
        shuffle: give each picture the prompt of another, as a control.
        report: path of an HTML page: table, curves over checkpoints, and the same prompts side by side; none where None.
        seed: of the bootstrap and of whatever a metric draws.
        batch_size: pictures at once.
        out: folder for rows and figures.

    Returns:
        A summary, whose `table` has a row per run and figure.

    Raises:
        InputError: no pictures.
        OptionError: no such metric, an option that it needs is missing, or `report` is a folder.

    Example:
        >>> import recaptrain
        >>> found = recaptrain.evaluate("real=drawn:human")
        >>> found.table[["images", "figure", "n"]].iloc[0].to_dict()
        {'images': 'real', 'figure': 'clipscore', 'n': 24}
    """
    given = {**locals(), "out": str(out)}
    given |= {name: given[name] and str(given[name]) for name in ("reference", "report")}
    from recaptrain.evaluation.run import evaluate as run
    from recaptrain.evaluation.settings import EvaluateSettings

    several = [images] if isinstance(images, str | Path) else images
    return run([str(each) for each in several], gather(EvaluateSettings, given))


@naming_extras()
def judge(
    images: "str | Path | Sequence[str | Path]",
    *,
    model: str,
    revision: str | None = None,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int | None = None,
    protocol: str = "drawbench",
    shuffled: int = 100,
    out: str | Path = "verdicts",
) -> "JudgeSummary":
    """Let a vision-language model judge whether pictures show what a person asked for; what `out` holds is not asked about again.

    Args:
        images: folders of `generate`, or real images with a caption set, `DATASET:SET`; each may have a name, `NAME=FOLDER`. The
            others are compared with the first, paired by prompt.
        model: `user/name` or a folder of transformers, the address of an OpenAI-compatible server, or a dotted path to a function
            that opens a `recaptrain.chat.ChatModel`.
        revision: tag, branch or commit of the model; of a server's, what you know of it.
        temperature: of the sampling; 0 does not sample.
        seed: of the sampling, the shuffling and the bootstrap.
        max_tokens: of an answer; the protocol's where None.
        protocol: `drawbench` (reasons first, then Correct or Incorrect), `yes-no`, `rating` (1 to 5), or a dotted path.
        shuffled: so many pictures are judged against the prompt of another as well; 0 for none.
        out: folder for answers and verdicts.

    Returns:
        A summary, whose `table` has a row per run and category.

    Raises:
        InputError: no pictures.
        OptionError: no such protocol or model.
        ModelNotSupported: the model sees no pictures.
        ServerUnreachable: the server has gone; the same call goes on.

    Example:
        A judge who agrees to anything is given away by its floor:

        >>> import recaptrain
        >>> from pathlib import Path
        >>> _ = Path("agreeable.py").write_text('''
        ... from types import SimpleNamespace
        ... from recaptrain.chat import Reply
        ...
        ... def open_model(opening):
        ...     reply = Reply(text="All of it is there. Correct")
        ...     return SimpleNamespace(
        ...         identity={"model": "agreeable", "revision": "1"},
        ...         replies=lambda requests: ((request, reply) for request in requests),
        ...     )
        ... ''')
        >>> found = recaptrain.judge("real=drawn:human", model="agreeable:open_model", shuffled=5)
        >>> found.table[["category", "value", "n"]].values.tolist()
        [['all', 100.0, 24], ['shuffled', 100.0, 5]]
    """
    given = {**locals(), "out": str(out)}
    from recaptrain.evaluation.judge.run import judge as run
    from recaptrain.evaluation.judge.settings import JudgeSettings

    several = [images] if isinstance(images, str | Path) else images
    return run([str(each) for each in several], gather(JudgeSettings, given))


@naming_extras()
def humans(
    folders: "Sequence[str | Path]",
    *,
    protocol: Literal["prompt-following", "style", "coherence", "success"] = "prompt-following",
    prompts: Literal["original", "read"] = "original",
    images_per_prompt: int | None = None,
    ratings: int = 3,
    out: str | Path = "ratings",
    results: bool = False,
    export: str | Path | None = None,
    import_: str | Path | None = None,
    seed: int = 0,
    host: str = "127.0.0.1",
    port: int = 8760,
) -> "HumansResults | HumansSummary | None":
    """Let people rate pictures in the browser, until Ctrl-C; or give out what they answered, or take it in.

    Args:
        folders: of `generate`, or real images with a caption set, `DATASET:SET`; each may have a name, `NAME=FOLDER`.
        protocol: what raters are asked: which picture follows the caption better, which they prefer or find more coherent without the
            caption, or of each picture by itself whether it shows what the caption says.
        prompts: the caption that is shown: `original`, what a person asked for, or `read`, what the model was given.
        images_per_prompt: only the first so many pictures of each prompt; all where None.
        ratings: of each question, by different raters.
        out: folder for the votes; the same call goes on with them.
        results: return the results instead of serving.
        export: file to write the votes to as JSON lines, instead of serving.
        import_: file of votes that `export` wrote, taken in each once, instead of serving.
        seed: of the order of questions, and of the bootstrap.
        host: address to listen on; this machine only unless told.
        port: to listen on; 0 takes any free one.

    Returns:
        With `results` the win rates or success rates, strengths and agreement, whose `table` has a row per model; how far the study is
        after an export or import; None after serving.

    Raises:
        OptionError: too few folders, the ratings are those of another study, none are there, or the port is taken.
        InputError: folders that cannot be compared, a file that cannot be imported.

    Example:
        A vote as `export` writes it, taken in, and the results:

        >>> import json, recapdata, recaptrain
        >>> from pathlib import Path
        >>> vote = {"protocol": "prompt-following", "caption": "original", "prompt": recapdata.load("drawn")[0]["human"], "image": 0}
        >>> vote |= {"a": "v1", "b": "v2", "left": "v1", "winner": "v2", "rater": "ann", "seconds": 4.2, "at": 0}
        >>> _ = Path("votes.jsonl").write_text(json.dumps(vote))
        >>> study = ["v1=drawn:human", "v2=drawn:human"]
        >>> recaptrain.humans(study, import_="votes.jsonl").ratings
        1
        >>> found = recaptrain.humans(study, results=True)
        >>> found.table[["model", "ratings", "rate"]].values.tolist()
        [['v1', 1, 0.0], ['v2', 1, 1.0]]
    """
    given = {**locals(), "out": str(out)}
    given |= {name: given[name] and str(given[name]) for name in ("export", "import_")}
    from recaptrain.evaluation.humans.run import humans as run
    from recaptrain.evaluation.humans.settings import HumansSettings

    return run([str(each) for each in folders], gather(HumansSettings, given))


@naming_extras()
def reproduce(
    out: str | Path,
    *,
    experiment: Literal["recap", "blends", "lies"] = "recap",
    datasets: str | Sequence[str] = (),
    arms: str | Sequence[str] = (),
    budget: float | None = None,
    seeds: int | None = None,
    steps: int | None = None,
    prompts: int | None = None,
    checkpoints: int = 2,
    scenes: int = 1500,
    base: str = "embedded",
    base_revision: str | None = None,
    mixture: str | None = None,
    prompts_from: str | None = None,
    clip: str = "embedded",
    features: str = "embedded",
    detector: str | None = None,
    batch_size: int = 16,
    lr: float = 2e-4,
    seed: int = 0,
    workers: int | None = None,
) -> "Reproduction":
    """Train models of one base on several datasets or caption mixtures, and measure what the captions changed.

    Args:
        out: folder for data, models, pictures and results; the same call goes on with what is there.
        experiment: `recap`, `blends` or `lies`, on the drawn world with the embedded models.
        datasets: in the experiment's place two or more of your own, `user/name[@revision]` or a folder, each with `:SET` or `:MIXTURE`
            behind it where `mixture` is not meant.
        arms: some of the experiment's arms; the main ones where empty, each for `all`.
        budget: minutes that it may take; chooses seeds, steps and prompts that are not given.
        seeds: trainings of each arm.
        steps: optimizer steps of each training.
        prompts: unseen prompts of each kind.
        checkpoints: how often a training is measured.
        scenes: drawn pictures to train on.
        base: Stable Diffusion pipeline.
        base_revision: tag, branch or commit of the base.
        mixture: of captions, with `datasets`; `recap-mix` where None.
        prompts_from: prompts as `generate` takes them, with `datasets`; captions of records held out of all where None.
        clip: CLIP model of the figures.
        features: what makes features of images, for FID.
        detector: detector of the figures.
        batch_size: examples of a step.
        lr: learning rate.
        seed: of pictures, prompts and, one upwards, trainings.
        workers: trainings at a time; one a GPU, else one a core, where None.

    Returns:
        Tables, findings and relations; `results.html` in `out` shows them.

    Raises:
        OptionError: `out` holds another experiment, an arm or set does not exist, or the budget is too small.
        CommandFailed: a command failed; what is finished stays.

    Example:
        >>> import recaptrain
        >>> recaptrain.reproduce("compared", datasets=["drawn:alt", "drawn:humans"])  # half an hour with the set's right name
        Traceback (most recent call last):
        recapdata.errors.OptionError: --datasets drawn:humans: drawn has no caption set humans; it has alt, human: ...
    """
    given = locals()
    from recaptrain.reproduction.run import reproduce as run
    from recaptrain.reproduction.settings import ReproduceSettings

    return run(gather(ReproduceSettings, given), Path(out))
