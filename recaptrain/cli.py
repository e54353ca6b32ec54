"""The `recaptrain` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

from pathlib import Path
from typing import Annotated

import typer

from recapdata.console import Debug, Json, application, examples, finish, run, say

app = application("Train on any revision of a dataset.")


@app.callback()
def recaptrain() -> None:
    """Train on any revision of a dataset."""


@app.command(
    epilog=examples(
        "recaptrain captioner --dataset me/birds --revision v1.0.0\n"
        "--captions short=human_short,long=human_long\n--base google/paligemma2-3b-pt-224 --lora 16 tuned",
        "recaptrain captioner --dataset my-dataset --captions long=human\n--base embedded --steps 100 tuned",
    )
)
def captioner(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the tuned captioner.")],
    dataset: Annotated[str, typer.Option(help="user/name on the Hub, or a dataset folder.")],
    captions: Annotated[
        str,
        typer.Option(
            help="Human captions to learn: short=SET,long=SET, or one of them; SET is a caption set or a text column."
        ),
    ],
    base: Annotated[
        str,
        typer.Option(
            help="Image-text-to-text model: user/name on the Hub, a folder, or embedded (the drawn world's, which "
            "has seen no descriptive caption)."
        ),
    ],
    revision: Annotated[
        str | None, typer.Option(help="Tag, branch or commit of the dataset.", show_default="main")
    ] = None,
    base_revision: Annotated[
        str | None, typer.Option(help="Tag, branch or commit of the base.", show_default="main")
    ] = None,
    apart: Annotated[
        bool,
        typer.Option(
            "--apart", help="Tune each style from the base, into OUT/short and OUT/long (DALL·E 3)."
        ),
    ] = False,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STYLE=TEXT",
            help="Prompt of a style.",
            show_default="what recapdata recaption --style asks such a base",
        ),
    ] = None,
    examples: Annotated[
        int | None, typer.Option(help="Only the first so many records with a caption.", show_default="all")
    ] = None,
    validation: Annotated[
        float, typer.Option(help="Share of the records held out, by a hash of their keys; none below 20.")
    ] = 0.1,
    lora: Annotated[
        int | None,
        typer.Option(
            metavar="RANK",
            help="Tune adapters of this rank on the language model, merged at the end.",
            show_default="all weights",
        ),
    ] = None,
    freeze: Annotated[
        str | None, typer.Option(help="What stays as it is: vision (the tower that sees).")
    ] = None,
    steps: Annotated[int, typer.Option(help="Most optimizer steps.")] = 300,
    batch_size: Annotated[int, typer.Option(help="Captions at once on one device.")] = 8,
    accumulate: Annotated[int, typer.Option(help="Batches that make one step.")] = 1,
    lr: Annotated[
        float | None, typer.Option(help="Learning rate.", show_default="4e-5, with --lora 2e-4")
    ] = None,
    lr_course: Annotated[str, typer.Option(help="constant or cosine, after the warm-up.")] = "cosine",
    warmup: Annotated[int, typer.Option(help="Steps over which the learning rate rises.")] = 10,
    validate_every: Annotated[
        int | None,
        typer.Option(
            help="Steps between looks at the held-out captions.",
            show_default="a fifteenth of the steps, at least 10",
        ),
    ] = None,
    patience: Annotated[
        int, typer.Option(help="End after so many looks without a better loss; 0: never.")
    ] = 5,
    samples: Annotated[
        int, typer.Option(help="Held-out pictures whose captions go into OUT/samples.jsonl at each look.")
    ] = 3,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    mixed_precision: Annotated[
        str, typer.Option(help="auto, no, fp16 or bf16; auto takes what this machine is good at.")
    ] = "auto",
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, about a quarter slower.")
    ] = False,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints.", show_default="at each look")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in OUT from its last checkpoint.")
    ] = False,
    push: Annotated[
        str | None,
        typer.Option(
            metavar="USER/MODEL", help="Upload model and card there (with --apart: …-short, …-long)."
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="A new repository is public.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Tune a captioner on the human captions of a dataset at one revision, short and long together (RECAP) or apart (DALL·E 3).

    What comes out is a captioner of `recapdata recaption`. The best weights
    by the held-out captions are kept; the model card names dataset commit,
    how many captions were seen, and the losses. On several GPUs write
    accelerate launch -m recaptrain captioner … instead.
    """
    from recaptrain.captioner.run import tune_captioners
    from recaptrain.captioner.settings import captioner_settings

    settings = captioner_settings(
        captions,
        prompt or [],
        dataset=dataset,
        revision=revision,
        base=base,
        base_revision=base_revision,
        examples=examples,
        validation=validation,
        lora=lora,
        freeze=freeze,
        validate_every=validate_every,
        patience=patience,
        samples=samples,
        mixed_precision=mixed_precision,
        gradient_checkpointing=gradient_checkpointing,
        steps=steps,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=lr,
        course=lr_course,
        warmup=warmup,
        seed=seed,
        checkpoint_every=checkpoint_every,
    )
    try:
        summaries = tune_captioners(settings, out, apart=apart, resume=resume, push=push, public=public)
    except KeyboardInterrupt:
        say("go on from the last checkpoint with: the same command and --resume")
        raise
    if summaries:  # of several processes, one speaks
        text = "\n\n".join(each.text() for each in summaries.values())
        finish(summaries if apart else next(iter(summaries.values())), text, as_json=json)


@app.command(
    epilog=examples(
        "recaptrain diffusion --dataset me/birds --revision v1.1.0\n"
        "--mixture recap-long=1\n--base stable-diffusion-v1-5/stable-diffusion-v1-5 model",
        "recaptrain diffusion --dataset me/birds --revision v1.1.0\n"
        "--mixture recap-mix --base embedded --steps 200 model",
        "recaptrain diffusion --dataset my-dataset\n--mixture recap-short=0.5,recap-long=0.5 --base embedded --resume model",
    )
)
def diffusion(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the trained pipeline.")],
    dataset: Annotated[str, typer.Option(help="user/name on the Hub, or a dataset folder.")],
    mixture: Annotated[
        str,
        typer.Option(help="SET=WEIGHT,SET=WEIGHT…, one set's name, or a blend: recap-mix, dalle3."),
    ],
    base: Annotated[
        str, typer.Option(help="Stable Diffusion pipeline: user/name on the Hub, a folder, or embedded.")
    ],
    revision: Annotated[
        str | None, typer.Option(help="Tag, branch or commit of the dataset.", show_default="main")
    ] = None,
    base_revision: Annotated[
        str | None, typer.Option(help="Tag, branch or commit of the base.", show_default="main")
    ] = None,
    train: Annotated[
        str, typer.Option(help="What is trained, separated by commas: unet, text_encoder.")
    ] = "unet,text_encoder",
    steps: Annotated[int, typer.Option(help="Optimizer steps.")] = 1000,
    batch_size: Annotated[int, typer.Option(help="Examples at once on one device.")] = 16,
    accumulate: Annotated[int, typer.Option(help="Batches that make one step.")] = 1,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-5,
    lr_course: Annotated[str, typer.Option(help="constant or cosine, after the warm-up.")] = "constant",
    warmup: Annotated[int, typer.Option(help="Steps over which the learning rate rises.")] = 0,
    snr_gamma: Annotated[float, typer.Option(help="γ of Min-SNR weighting; 0: none.")] = 5.0,
    ema_decay: Annotated[float, typer.Option(help="Decay of the average of weights; 0: none.")] = 0.9999,
    caption_dropout: Annotated[
        float | None,
        typer.Option(help="Share of empty captions.", show_default="what the mixture says, else 0.1"),
    ] = None,
    caption_length: Annotated[
        str | None, typer.Option(help="full, or random: the first n sentences.", show_default="full")
    ] = None,
    over_length: Annotated[
        str | None,
        typer.Option(
            help="Captions that the text encoder cannot read whole: truncate, sentences or drop.",
            show_default="truncate",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    resolution: Annotated[
        int | None, typer.Option(help="Side of the pictures in pixels.", show_default="the base's")
    ] = None,
    fit: Annotated[
        str, typer.Option(help="How a picture is made square: crop (the middle), stretch or pad.")
    ] = "crop",
    mixed_precision: Annotated[
        str, typer.Option(help="auto, no, fp16 or bf16; auto takes what this machine is good at.")
    ] = "auto",
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, about a quarter slower.")
    ] = False,
    latent_cache: Annotated[
        Path | None,
        typer.Option(help="Folder of encoded pictures, to share between runs.", show_default="inside OUT"),
    ] = None,
    checkpoint_every: Annotated[int, typer.Option(help="Steps between checkpoints.")] = 500,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in OUT from its last checkpoint.")
    ] = False,
    push: Annotated[
        str | None, typer.Option(metavar="USER/MODEL", help="Upload pipeline and card there.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="A new repository is public.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Fine-tune Stable Diffusion on a dataset at one revision, with a mixture of its captions.

    The model card names dataset commit, mixture and settings. On several
    GPUs write accelerate launch -m recaptrain diffusion … instead.
    """
    from recaptrain.diffusion.run import train_diffusion
    from recaptrain.diffusion.settings import DiffusionSettings, parse_mixture
    from recaptrain.training.settings import Optimization

    settings = DiffusionSettings(
        dataset=dataset,
        revision=revision,
        mixture=parse_mixture(
            mixture, dropout=caption_dropout, length=caption_length, over_length=over_length
        ),
        base=base,
        base_revision=base_revision,
        parts=tuple(part.strip() for part in train.split(",") if part.strip()),
        optimization=Optimization(
            steps=steps,
            batch_size=batch_size,
            accumulate=accumulate,
            learning_rate=lr,
            course=lr_course,  # type: ignore[arg-type]
            warmup=warmup,
            ema_decay=ema_decay or None,
            seed=seed,
            checkpoint_every=checkpoint_every,
        ),
        snr_gamma=snr_gamma or None,
        resolution=resolution,
        fit=fit,  # type: ignore[arg-type]
        mixed_precision=mixed_precision,  # type: ignore[arg-type]
        gradient_checkpointing=gradient_checkpointing,
        latent_cache=latent_cache,
    )
    try:
        summary = train_diffusion(settings, out, resume=resume, push=push, public=public)
    except KeyboardInterrupt:
        say("go on from the last checkpoint with: the same command and --resume")
        raise
    if summary is not None:  # of several processes, one speaks
        finish(summary, summary.text(), as_json=json)


@app.command(
    epilog=examples(
        "recaptrain generate model prompts.txt pictures",
        "recaptrain generate me/birds-sd prompts.jsonl pictures --revision main\n--steps 50 --seed 7",
    )
)
def generate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A pipeline: a folder, user/name on the Hub, or embedded.")
    ],
    prompts: Annotated[
        Path,
        typer.Argument(
            metavar="PROMPTS", help="A text file with a prompt per line, or JSON lines (prompt, id, seed)."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for pictures and metadata.jsonl.")],
    revision: Annotated[
        str | None, typer.Option(help="Tag, branch or commit of the model.", show_default="main")
    ] = None,
    seed: Annotated[int, typer.Option(help="Each picture's seed is made of it and the prompt's id.")] = 0,
    steps: Annotated[int, typer.Option(help="Denoising steps.")] = 30,
    guidance: Annotated[float, typer.Option(help="Classifier-free guidance; 1: none.")] = 7.5,
    batch_size: Annotated[
        int, typer.Option(help="Pictures at once; for speed, it moves a picture by rounding at most.")
    ] = 8,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a picture of every prompt. The same command goes on where it was interrupted."""
    from recaptrain.generation.generate import Generation
    from recaptrain.generation.generate import generate as run_generate

    summary = run_generate(
        model,
        prompts,
        out,
        generation=Generation(steps=steps, guidance=guidance, seed=seed),
        revision=revision,
        batch_size=batch_size,
    )
    finish(summary, summary.text(), as_json=json)


def main() -> None:
    """Entry point of the console command."""
    run(app)
