"""The `recaptrain` command line: options in, one call, a summary out. Heavy modules are imported inside the commands."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from recapdata.console import Summary, application, command, finish, run, say
from recapdata.options import command_line
from recaptrain.captioner.settings import CaptionerSettings
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.evaluation.humans.settings import HumansSettings
from recaptrain.evaluation.judge.settings import JudgeSettings
from recaptrain.evaluation.settings import EvaluateSettings
from recaptrain.generation.settings import GenerateSettings
from recaptrain.generation.upsampling.settings import UpsampleSettings
from recaptrain.reproduction.settings import ReproduceSettings
from recaptrain.training.recipes import Recipes

app = application("Train on any revision of a dataset.")


DIFFUSION_RECIPES = Recipes("diffusion", DiffusionSettings)


def _read_recipe(context: typer.Context, recipe: str | None) -> str | None:
    """Let a recipe's options stand for those that the command line does not give."""
    if recipe is not None:
        context.default_map = {**(context.default_map or {}), **DIFFUSION_RECIPES.read(recipe)}
    return recipe


@dataclass(frozen=True, slots=True)
class RecipeList:
    """What recipes there are, and the text of the one asked for."""

    recipes: Mapping[str, str]
    shown: str | None = None

    def text(self) -> str:
        """A recipe a paragraph, or the one asked for."""
        if self.shown is not None:
            return self.shown
        lines = [f"{name}\n  {purpose}" for name, purpose in self.recipes.items()]
        return "\n".join(
            [*lines, "use one with recaptrain diffusion --recipe NAME; recaptrain recipes NAME shows it"]
        )


@command(app, "recaptrain recipes", "recaptrain recipes recap-sd14")
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The recipe to show; all are listed without it.")
    ] = None,
) -> RecipeList:
    """List the recipes of recaptrain diffusion, or show one: purpose, command, hardware, cost, options."""
    known = DIFFUSION_RECIPES
    shown = None if name is None else known.text(name)
    return RecipeList({each: known.purpose(each) for each in known.names()}, shown)


@command(
    app,
    "recaptrain captioner --dataset me/birds --revision v1.0.0\n"
    "--captions short=human_short,long=human_long\n--base google/paligemma2-3b-pt-224 --lora 16 tuned",
    "recaptrain captioner --dataset my-dataset --captions long=human\n--base embedded --steps 100 tuned",
)
def captioner(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the tuned captioner.")],
    settings: CaptionerSettings,
    json: bool,
) -> None:
    """Tune a captioner on the human captions of a dataset at one revision, short and long together (RECAP) or apart (DALL·E 3).

    What comes out is a captioner of `recapdata recaption`. The best weights
    by the held-out captions are kept; the model card names dataset commit,
    how many captions were seen, and the losses. On several GPUs write
    accelerate launch -m recaptrain captioner … instead.
    """
    from recaptrain.captioner.run import tune_captioners

    with _resumable("recaptrain captioner", out, settings):
        summaries = tune_captioners(settings, out)
    if summaries:  # of several processes, one speaks
        text = "\n\n".join(each.text() for each in summaries.values())
        finish(summaries if settings.apart else summaries["captioner"], text, as_json=json)


@command(
    app,
    "recaptrain diffusion --dataset me/birds --revision v1.1.0\n"
    "--mixture recap-long=1\n--base stable-diffusion-v1-5/stable-diffusion-v1-5 model",
    "recaptrain diffusion --dataset me/birds --revision v1.1.0 --mixture dalle3\n"
    "--base stabilityai/stable-diffusion-xl-base-1.0 --lora 16 adapters",
    "recaptrain diffusion --dataset my-dataset\n--mixture recap-short=0.5,recap-long=0.5 --base embedded --resume model",
    "recaptrain diffusion --recipe drawn-world --dataset my-dataset model",
)
def diffusion(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the trained pipeline or adapters.")],
    settings: DiffusionSettings,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Options from a recipe (recaptrain recipes lists them); those on the command line win.",
            is_eager=True,
            callback=_read_recipe,
        ),
    ] = None,
) -> Summary | None:
    """Fine-tune Stable Diffusion on a dataset at one revision, with a mixture of its captions.

    The model card names dataset commit, mixture and settings. On several
    GPUs write accelerate launch -m recaptrain diffusion … instead.
    """
    from recaptrain.diffusion.run import train_diffusion

    noted = None if recipe is None else DIFFUSION_RECIPES.identity(recipe)
    with _resumable("recaptrain diffusion", out, settings):
        return train_diffusion(settings, out, recipe=noted)  # of several processes, one has a summary


@command(
    app,
    "recaptrain generate model prompts.txt pictures",
    "recaptrain generate me/birds-sd prompts.jsonl pictures --revision main\n--steps 50 --seed 7",
    "recaptrain generate model drawbench.csv pictures --images-per-prompt 4",
    "recaptrain generate model me/birds@v1.1.0:recap-long pictures\n--limit 1000 --long-prompts chunks",
)
def generate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A pipeline or LoRA adapters: a folder, user/name on the Hub, or embedded."
        ),
    ],
    prompts: Annotated[
        str,
        typer.Argument(
            metavar="PROMPTS",
            help="A text file with a prompt per line, JSON lines (prompt, id, seed, original), a table or folder of a benchmark "
            r"(DrawBench, PartiPrompts, T2I-CompBench, GenEval, DPG-Bench), or a dataset's captions: user/name\[@rev]:SET.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for pictures and metadata.jsonl.")],
    settings: GenerateSettings,
) -> Summary | None:
    """Make pictures of prompts. The same command goes on where it was interrupted.

    On several GPUs write accelerate launch -m recaptrain generate … instead.
    """
    from recaptrain.generation.generate import generate as run_generate

    return run_generate(model, prompts, out, settings)


@command(
    app,
    "recaptrain upsample prompts.txt long.jsonl\n--model Qwen/Qwen2.5-7B-Instruct --examples me/birds@v1.1.0:recap-long",
    "recaptrain upsample drawbench.csv drawbench-long.jsonl\n--model http://127.0.0.1:8000/v1 --examples my-dataset:recap-long\n"
    "--example-prompts alt --shots 8 --clip ViT-B-32:openai",
)
def upsample(
    prompts: Annotated[
        str,
        typer.Argument(
            metavar="PROMPTS",
            help=r"What recaptrain generate takes: a text or JSON-lines file, a benchmark's table or folder, user/name\[@rev]:SET.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File of JSON lines, for recaptrain generate.")],
    settings: UpsampleSettings,
) -> Summary:
    """Let a language model rewrite prompts into captions of the kind that a model was trained on.

    The originals stand beside, for recaptrain evaluate and judge. What is
    rewritten is kept by prompt, model, revision and examples, and not asked
    for again; the same command goes on where it was interrupted.
    """
    from recaptrain.generation.upsampling.run import upsample as run_upsample

    return run_upsample(prompts, out, settings)


@command(
    app,
    "recaptrain evaluate v1=pictures-v1 v2=pictures-v2 real=my-dataset:human",
    "recaptrain evaluate v1@500=pictures-500 v1@1000=pictures-1000\n--report page.html",
    "recaptrain evaluate v1=v1-seed0 v1=v1-seed1 v2=v2-seed0 v2=v2-seed1",
    "recaptrain evaluate pictures --prompts read --clip ViT-B-32:openai",
)
def evaluate(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES…",
            help="A folder of recaptrain generate, or real images with a caption set, DATASET:SET; each may have a name for the table, "
            "NAME=FOLDER, and NAME@STEP=FOLDER where it is a checkpoint. Folders of one NAME are runs of one model by seed, taken together. "
            "The others are compared with the first, prompt by prompt.",
        ),
    ],
    settings: EvaluateSettings,
) -> Summary:
    """Measure pictures against their prompts and against real images, with intervals.

    What was measured is kept and not measured again; the same command gives
    the same figures.
    """
    from recaptrain.evaluation.run import evaluate as run_evaluate

    return run_evaluate(images, settings)


@command(
    app,
    "recaptrain judge pictures --model Qwen/Qwen2.5-VL-7B-Instruct",
    "recaptrain judge v1=pictures-v1 v2=pictures-v2 --shuffled 200\n--model http://127.0.0.1:8000/v1#Qwen/Qwen2.5-VL-72B-Instruct",
    "recaptrain judge pictures --protocol yes-no\n--model llava-hf/llava-1.5-7b-hf@main",
)
def judge(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES…",
            help="A folder of recaptrain generate, or real images with a caption set, DATASET:SET; each may have a name for the table, "
            "NAME=FOLDER. The others are compared with the first, prompt by prompt.",
        ),
    ],
    settings: JudgeSettings,
) -> Summary:
    """Let a vision-language model judge whether pictures show what a person asked for.

    Every answer is kept whole; one without a verdict counts nowhere. Beside
    the rates stands that of pictures under another's prompt, the judge's
    floor. The same command goes on where it was interrupted, and asks no more
    about what is judged.
    """
    from recaptrain.evaluation.judge.run import judge as run_judge

    return run_judge(images, settings)


@command(
    app,
    "recaptrain reproduce recap --arms base,alttext,mix --budget 40",
    "recaptrain reproduce lies --experiment lies --seeds 3 --steps 600",
    "recaptrain reproduce birds --datasets me/birds@v1.0.0 me/birds@v1.1.0\n"
    "--base stable-diffusion-v1-5/stable-diffusion-v1-5\n--clip ViT-B-32:openai --steps 2000",
    "recaptrain reproduce compared\n--datasets my-dataset:recap-short my-dataset:recap-long",
)
def reproduce(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for data, models, pictures and results.")
    ],
    settings: ReproduceSettings,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATASET…]", help="Further datasets of --datasets.", hidden=True),
    ] = None,
) -> Summary:
    """RECAP and DALL·E 3 in miniature: what captions change in the pictures of a model, and whether the audit foretold it.

    Every arm is trained from one base for as many steps, measured on the
    same unseen prompts, and compared with intervals over prompts and
    trainings. Of your own datasets or versions (--datasets) each is an arm.
    The same command goes on where it was interrupted.
    """
    from recaptrain.reproduction.run import reproduce as run_reproduce

    return run_reproduce(replace(settings, datasets=(*settings.datasets, *(more or ()))), out)


@command(
    app,
    "recaptrain caches",
    "recaptrain caches --clear orphans",
    "recaptrain caches --clear 4f1c09a2b7d3e865 --clear 90ab12cd34ef5678",
)
def caches(
    clear: Annotated[
        list[str] | None,
        typer.Option(
            help="Delete: a cache by its id, orphans (whose datasets are gone), or all.", metavar="ID"
        ),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where they lie. [default: RECAPDATA_CACHE, else ~/.cache/recapdata]")
    ] = None,
) -> Summary:
    """List what was computed once and kept for later runs, latents of pictures first of all; clear what is not needed.

    Everything in it can be made again, at the cost of the time it took.
    """
    from recaptrain.caches import tidy_caches

    return tidy_caches(root, clear or [])


@command(
    app,
    "recaptrain humans pictures-v1 pictures-v2",
    "recaptrain humans pictures-v1 pictures-v2 --protocol style --port 9000\n--out style",
    "recaptrain humans v1=pictures-v1 v2=pictures-v2 --protocol success",
    "recaptrain humans pictures-v1 pictures-v2 --results --json",
)
def humans(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER",
            help="Folders of recaptrain generate, each perhaps with a name for the results, NAME=FOLDER. Real images with a caption "
            "set, DATASET:SET, do as well.",
        ),
    ],
    settings: HumansSettings,
    json: bool,
) -> Summary | None:
    """Let people rate pictures in the browser: side by side, blinded, or each by itself.

    Serves a page for raters, as many at once as there are, until Ctrl-C, and
    a page of results: win rates, Elo, agreement. Every rating is kept in
    OUT/ratings.sqlite; the same command goes on.
    """
    from recaptrain.evaluation.humans.run import humans as run_humans

    return run_humans(folders, settings, as_json=json)


@contextmanager
def _resumable(program: str, out: Path, settings: Any) -> Iterator[None]:
    """Say on Ctrl-C by which command the run is continued; `accelerate launch` has words of its own in front."""
    try:
        yield
    except KeyboardInterrupt:
        line = command_line(program, [out], replace(settings, resume=True))
        say(
            "go on from the last checkpoint with: "
            + ("the same command and --resume" if "LOCAL_RANK" in os.environ else line)
        )
        raise


def main() -> None:
    """Entry point of the console command."""
    run(app)
