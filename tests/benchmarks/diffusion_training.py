"""`recaptrain diffusion` against a plain loop as people write it, and against the UNet's step alone: step rate and peak memory.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.diffusion_training [--base MODEL|blocks] [--steps N] [--batch-size N] [--rounds N]

Four arms on the same pipeline, pictures, captions and batch, in float32 on the CPU, UNet trained by AdamW, gradients clipped:

    plain   what diffusers' text_to_image example does: decode, autoencoder, text encoder and UNet at every step
    cold    recaptrain with empty caches: every picture is seen once, so what it encodes beforehand counts into its steps
    warm    recaptrain with what it encoded before
    bare    UNet, loss and optimizer on tensors that are ready

Wanted: cold ≥ 1.0 × plain, warm ≥ 0.95 × bare, peak memory of cold and warm ≤ 1.05 × plain.

Each arm is a fork of a process with the libraries loaded, so that its peak is its own; rounds alternate, and a figure is the median of
the rounds' ratios. Seconds are those of the processor, of all threads: by the clock a busy machine would be measured.
`--base blocks` is of random weights with the widths of Stable Diffusion 1.5's first two blocks (320 and 640 channels, text of 768).
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from accelerate import Accelerator
from PIL import Image

from recaptrain.diffusion import encoding as encoding_data
from recaptrain.diffusion import run as diffusion
from recaptrain.diffusion.settings import DiffusionSettings
from recaptrain.training.run_folder import RunFolder
from tests.recaptrain.pipelines import build_scenes

WARM_UP = 3
"""Steps that are not counted."""
RATE = 1e-5


def build_blocks(path: Path) -> Path:
    """A pipeline of random weights whose blocks are as wide as the first two of Stable Diffusion 1.5."""
    from diffusers import DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from recaptrain.embedded.autoencoder import Autoencoder, build
    from tests.recaptrain.pipelines import _tokenizer

    tokenizer = _tokenizer()
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        max_position_embeddings=77, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=16, layers_per_block=1, block_out_channels=(320, 640), cross_attention_dim=768, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    StableDiffusionPipeline(
        vae=build(Autoencoder(channels=(64, 128, 256)), 0), text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet,
        scheduler=DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(path)  # fmt: skip
    return path


class Clock:
    """The processor's seconds at the end of each step."""

    def __init__(self) -> None:
        self.began = time.process_time()
        self.ends: list[float] = []

    def step(self) -> None:
        self.ends.append(time.process_time())

    def per_step(self) -> float:
        """The mean of the steps after the warm-up."""
        return (self.ends[-1] - self.ends[WARM_UP - 1]) / (len(self.ends) - WARM_UP)


class Pictures(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Encoded pictures and their captions, prepared as the example does."""

    def __init__(self, dataset: Path, pipeline: Any) -> None:
        from recapdata.dataset.target import open_dataset

        target = open_dataset(dataset)
        rows = [
            row
            for shard in target.shards()
            for batch in target.read(shard, ["image", "short"])
            for row in batch.to_pylist()
        ]
        self.images = [row["image"]["bytes"] for row in rows]
        self.captions = [row["short"] for row in rows]
        self.tokenizer = pipeline.tokenizer

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        import io

        image = Image.open(io.BytesIO(self.images[index])).convert("RGB")
        image = image.resize((64, 64), Image.Resampling.LANCZOS)
        pixels = torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1) / 127.5 - 1.0)
        ids = self.tokenizer(self.captions[index], padding="max_length", truncation=True, return_tensors="pt")
        return {"pixels": pixels, "ids": ids.input_ids[0]}


def open_parts(base: Path) -> tuple[Any, Any, Any]:
    """Pipeline, scheduler of the noise, and an AdamW over the UNet, in training mode."""
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    scheduler = diffusers.DDPMScheduler.from_config(pipeline.scheduler.config)
    pipeline.vae.requires_grad_(False)
    pipeline.text_encoder.requires_grad_(False)
    pipeline.unet.train()
    return pipeline, scheduler, torch.optim.AdamW(pipeline.unet.parameters(), lr=RATE)


def wanted(scheduler: Any, latents: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    if scheduler.config.prediction_type == "epsilon":
        return noise
    velocity: torch.Tensor = scheduler.get_velocity(latents, noise, times)
    return velocity


def plain(base: Path, dataset: Path, args: argparse.Namespace, folder: Path) -> float:
    accelerator = Accelerator(cpu=True)
    pipeline, scheduler, optimizer = open_parts(base)
    unet, vae, text_encoder = pipeline.unet, pipeline.vae, pipeline.text_encoder
    loader = torch.utils.data.DataLoader(Pictures(dataset, pipeline), args.batch_size, shuffle=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    unet, optimizer, loader, rates = accelerator.prepare(unet, optimizer, loader, rates)
    clock = Clock()
    for batch in loader:
        with accelerator.accumulate(unet):
            latents = vae.encode(batch["pixels"]).latent_dist.sample() * vae.config.scaling_factor
            noise = torch.randn_like(latents)
            times = torch.randint(0, scheduler.config.num_train_timesteps, (len(latents),)).long()
            noised = scheduler.add_noise(latents, noise, times)
            states = text_encoder(batch["ids"], return_dict=False)[0]
            answer = unet(noised, times, states, return_dict=False)[0]
            loss = F.mse_loss(
                answer.float(), wanted(scheduler, latents, noise, times).float(), reduction="mean"
            )
            accelerator.gather(loss.repeat(args.batch_size)).mean().item()
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(unet.parameters(), 1.0)
            optimizer.step()
            rates.step()
            optimizer.zero_grad()
        clock.step()
    return clock.per_step()


def bare(base: Path, dataset: Path, args: argparse.Namespace, folder: Path) -> float:
    pipeline, scheduler, optimizer = open_parts(base)
    unet = pipeline.unet
    latents = torch.randn(args.batch_size, 4, 16, 16)
    noise, states = (
        torch.randn_like(latents),
        torch.randn(args.batch_size, 77, pipeline.text_encoder.config.hidden_size),
    )
    times = torch.randint(0, 1000, (args.batch_size,))
    noised, target = scheduler.add_noise(latents, noise, times), wanted(scheduler, latents, noise, times)
    clock = Clock()
    for _ in range(args.steps):
        answer = unet(noised, times, states, return_dict=False)[0]
        loss = F.mse_loss(answer, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        clock.step()
    return clock.per_step()


def ours(base: Path, dataset: Path, args: argparse.Namespace, folder: Path, *, cold: bool) -> float:
    clock, log = Clock(), RunFolder.log
    begun: list[float] = []

    def timed(self: RunFolder, row: Any, name: str = "log") -> None:
        log(self, row, name)
        if name == "log":
            clock.step()

    def encoding(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before = time.process_time()
            made = function(*arguments, **options)
            begun.append(time.process_time() - before)
            return made

        return call

    RunFolder.log = timed  # type: ignore[method-assign]
    encoding_data.encode_dataset = encoding(encoding_data.encode_dataset)  # type: ignore[assignment]
    encoding_data.encode_captions = encoding(encoding_data.encode_captions)  # type: ignore[assignment]
    settings = DiffusionSettings(
        dataset=str(dataset), base=str(base), mixture="short;dropout=0", train=("unet",), steps=args.steps, lr=RATE,
        batch_size=args.batch_size, ema_decay=None, snr_gamma=None, samples=0, checkpoint_every=10**6, log_captions_every=None,
        mixed_precision="no", latent_cache=folder / "cache", text_cache=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder) as out:
        diffusion.train_diffusion(settings, Path(out) / "model")
    return clock.per_step() + (sum(begun) / args.steps if cold else 0.0)


def cold(base: Path, dataset: Path, args: argparse.Namespace, folder: Path) -> float:
    import shutil

    shutil.rmtree(folder / "cache", ignore_errors=True)
    return ours(base, dataset, args, folder, cold=True)


def warm(base: Path, dataset: Path, args: argparse.Namespace, folder: Path) -> float:
    return ours(base, dataset, args, folder, cold=False)


ARMS: dict[str, Callable[..., float]] = {"plain": plain, "cold": cold, "warm": warm, "bare": bare}


def forked(name: str, *arguments: Any) -> tuple[float, int]:
    """Seconds a step and peak bytes of an arm, in a process of its own."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        code = 1
        try:
            os.close(reading)
            if name in ("cold", "warm"):
                sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - its lines are not what is measured
            seconds = ARMS[name](*arguments)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            os.write(writing, json.dumps([seconds, peak]).encode())
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
            import traceback

            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{name} failed")
    seconds, peak = json.loads(answer)
    return seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", default="embedded", help="embedded, a folder, or blocks")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = forked_build(
            lambda: build_scenes(folder / "ds", rows=args.steps * args.batch_size, shard_rows=512),
            folder / "ds",
        )
        base = base_of(args.base, folder)
        rounds = [{arm: forked(arm, base, dataset, args, folder) for arm in ARMS} for _ in range(args.rounds)]
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def ratio(above: str, below: str, place: int) -> float:
        return statistics.median(each[above][place] / each[below][place] for each in rounds)

    print(
        f"{args.base}: {args.steps} steps of {args.batch_size}, {args.rounds} rounds; {torch.get_num_threads()} thread(s)"
    )
    for arm in ARMS:
        seconds = statistics.median(each[arm][0] for each in rounds)
        peak = statistics.median(each[arm][1] for each in rounds)
        print(f"{arm:6} {seconds * 1e3:9.1f} ms of processor a step   peak {peak / 2**20:7.0f} MiB")
    print(f"libraries alone: {baseline / 2**20:.0f} MiB")
    print(f"step rate, cold caches, over plain: {ratio('plain', 'cold', 0):.3f} (wanted: 1.0 or more)")
    print(f"step rate, warm caches, over plain: {ratio('plain', 'warm', 0):.3f}")
    print(f"step rate, warm caches, over bare:  {ratio('bare', 'warm', 0):.3f} (wanted: 0.95 or more)")
    print(f"peak memory, cold over plain: {ratio('cold', 'plain', 1):.3f} (wanted: 1.05 or less)")
    print(f"peak memory, warm over plain: {ratio('warm', 'plain', 1):.3f} (wanted: 1.05 or less)")


def forked_build(build: Callable[[], Any], path: Path) -> Path:
    """Make something on disk in a process of its own, whose memory ends with it."""
    if (child := os.fork()) == 0:
        build()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{path} cannot be made")
    return path


def base_of(name: str, folder: Path) -> Path:
    if name == "blocks":
        return forked_build(lambda: build_blocks(folder / "blocks"), folder / "blocks")
    if name == "embedded":
        from recapdata.weights import embedded_path

        return embedded_path("diffusion")
    return Path(name)


if __name__ == "__main__":
    main()
