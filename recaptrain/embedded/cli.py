"""The command line of the embedded models' recipes; for those who change the drawn world, nobody else needs it."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

import recapdata
from recapdata.console import Json, application, finish, run, say
from recapdata.errors import OptionError
from recaptrain.embedded.recipe import RECIPES, read_recipe

WEIGHTS = Path(recapdata.__file__).parent / "weights"
Kind = TypeVar("Kind")

app = application("Make the small models of the drawn world from their recipes, and measure them.")

Out = Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the finished model.")]
Recipe = Annotated[Path | None, typer.Option(help="The settings. [default: the one in recaptrain/recipes]")]
Seed = Annotated[int | None, typer.Option(help="Other random numbers and other scenes than the recipe's.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda.")]
Tower = Annotated[Path, typer.Option(help="The captioner whose vision tower it starts from.")]
Work = Annotated[
    Path | None,
    typer.Option(
        help="Folder for checkpoints and logs; the same command continues there. [default: OUT.work]"
    ),
]


@app.command()
def captioner(
    out: Out,
    recipe: Recipe = None,
    work: Work = None,
    seed: Seed = None,
    captions: Annotated[
        int | None,
        typer.Option(help="Tune on the human captions of this many scenes. [default: a new one each]"),
    ] = None,
    device: Device = None,
) -> None:
    """Train the captioner: see, pretrain, tune."""
    from recaptrain.embedded.captioner import CaptionerRecipe, train_captioner

    settings = _read("captioner", recipe, CaptionerRecipe, seed=seed, captions=captions, device=device)
    train_captioner(settings, _work(work, out), out)
    say(f"captioner written to {out}")


@app.command()
def clip(
    out: Out,
    captioner: Tower = WEIGHTS / "captioner",
    recipe: Recipe = None,
    work: Work = None,
    seed: Seed = None,
    device: Device = None,
) -> None:
    """Train the CLIP model: which text belongs to which picture."""
    from recaptrain.embedded.clip import ClipRecipe, train_clip

    settings = _read("clip", recipe, ClipRecipe, seed=seed, device=device)
    train_clip(settings, captioner, _work(work, out), out)
    say(f"CLIP model written to {out}")


@app.command()
def coca(
    out: Out,
    captioner: Tower = WEIGHTS / "captioner",
    recipe: Recipe = None,
    work: Work = None,
    seed: Seed = None,
    device: Device = None,
) -> None:
    """Train a CoCa, DALL·E 3's kind of captioner: which text belongs to which picture, and what to write of one."""
    from recaptrain.embedded.coca import CocaRecipe, train_coca

    settings = _read("coca", recipe, CocaRecipe, seed=seed, device=device)
    train_coca(settings, captioner, _work(work, out), out)
    say(f"CoCa written to {out}; caption with it by --captioner coca:{out}")


@app.command()
def diffusion(
    out: Out,
    recipe: Recipe = None,
    work: Work = None,
    seed: Seed = None,
    device: Device = None,
    vae: Annotated[
        Path | None, typer.Option(help="Folder of an autoencoder to take. [default: train the recipe's]")
    ] = None,
) -> None:
    """Train the diffusion model: autoencoder, text encoder, denoiser."""
    from recaptrain.embedded.diffusion import DiffusionRecipe, train_embedded_diffusion

    settings = _read("diffusion", recipe, DiffusionRecipe, seed=seed, device=device)
    train_embedded_diffusion(settings, _work(work, out), out, vae)
    say(f"diffusion model written to {out}")


@app.command()
def evaluate(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="Folder of a captioner, a CoCa, a CLIP or a diffusion model."),
    ],
    count: Annotated[
        int | None, typer.Option(help="New scenes. [default: 2000; CLIP 500, diffusion 200]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Their world.")] = 777,
    style: Annotated[str, typer.Option(help="Of the captions: short or long.")] = "long",
    json: Json = False,
) -> None:
    """Compare captions of new scenes, a CLIP model's choice of them, or pictures drawn from a prompt, with the truth."""
    if (model / "model_index.json").exists():
        from recaptrain.embedded.following import evaluate_diffusion

        following = evaluate_diffusion(model, count=count or 200, seed=seed)
        finish(following, following.table(), as_json=json)
        return
    if _is_clip(model):
        from recaptrain.embedded.clip import evaluate_clip

        retrieval = evaluate_clip(model, count=count or 500, seed=seed)
        finish(retrieval, retrieval.table(), as_json=json)
        return
    from recaptrain.embedded.accuracy import evaluate_captioner

    accuracy, captions = evaluate_captioner(model, count=count or 2000, seed=seed, style=style)
    for caption in captions[:5]:
        say(caption)
    finish(accuracy, accuracy.table(), as_json=json)


@app.command()
def curve(
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT.json", help="Takes the figures; the same command goes on from there."),
    ],
    captions: Annotated[str, typer.Option(help="How many captioned scenes to tune on, a run each.")] = (
        "30,100,300,1000,3000"
    ),
    base: Annotated[str, typer.Option(help="What is tuned: embedded, or a captioner's folder.")] = "embedded",
    test: Annotated[int, typer.Option(help="New scenes to measure on.")] = 2000,
    seed: Annotated[int, typer.Option(help="Their world.")] = 777,
    work: Work = None,
    json: Json = False,
) -> None:
    """Measure how right a captioner becomes by how many human captions: tune on each number, compare with the truth."""
    from recaptrain.embedded.curve import CurveSettings, learning_curve, table

    if not all(part.strip().isdecimal() for part in captions.split(",")):
        raise OptionError(f"--captions {captions}: numbers separated by commas, such as 30,100,300")
    numbers = tuple(int(part) for part in captions.split(","))
    settings = CurveSettings(base=base, captions=numbers, test=test, seed=seed)
    measured = learning_curve(settings, out, _work(work, out))
    finish(measured, table(measured), as_json=json)


def _read(name: str, path: Path | None, kind: type[Kind], **changes: Any) -> Kind:
    return read_recipe(path or RECIPES / f"embedded-{name}.yaml", kind, **changes)


def _work(work: Path | None, out: Path) -> Path:
    return work or out.with_name(f"{out.name}.work")


def _is_clip(model: Path) -> bool:
    """Whether a folder holds a model of open_clip that writes nothing; a CoCa does."""
    from recapdata.models.open_clip import CONFIG, in_folder

    return (model / CONFIG).exists() and "multimodal_cfg" not in in_folder(model, model.name).model_config()


def main() -> None:
    """Entry point of `python -m recaptrain.embedded`."""
    run(app)
