"""The training loop of a diffusion model, on one process or several, that ends the same however often it was interrupted.

Everything random is a function of (seed, step, micro-batch, process): the rows, their captions, the noise, the noise
levels, and what dropout layers draw. So a checkpoint holds weights, optimizer and average alone.
"""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from recapdata.errors import OptionError
from recaptrain.checkpoint import RunFolder
from recaptrain.data import Examples
from recaptrain.denoising import denoising_loss, min_snr_weights, signal_to_noise, target
from recaptrain.latents import Latents

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator
    from diffusers.pipelines.stable_diffusion import StableDiffusionPipeline
    from diffusers.training_utils import EMAModel

RateCourse = Literal["constant", "cosine"]
MixedPrecision = Literal["auto", "no", "fp16", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """How the weights are moved.

    Attributes:
        batch_size: examples of one forward pass on one process; a step uses batch_size × accumulate × processes.
        snr_gamma: γ of Min-SNR-γ weighting; None weighs all noise levels alike.
        ema_decay: of the average of weights that is saved; None saves the weights themselves.
    """

    steps: int
    batch_size: int
    accumulate: int = 1
    learning_rate: float
    course: RateCourse = "constant"
    warmup: int = 0
    weight_decay: float = 1e-2
    max_norm: float = 1.0
    snr_gamma: float | None = 5.0
    ema_decay: float | None = 0.9999
    seed: int = 0
    checkpoint_every: int = 500

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then constant or half a cosine down to 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        if self.course == "constant":
            return self.learning_rate
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * done))


def own_precision() -> str:
    """The mixed precision this machine is good at: bf16 where its processor computes in it, else fp16 on a GPU, else none."""
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if torch.backends.mps.is_available():
        return "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


@dataclass(slots=True, kw_only=True)
class Training:
    """A run under way: what is trained, on what, and the state that its steps move."""

    accelerator: "Accelerator"
    pipeline: "StableDiffusionPipeline"
    trained: "dict[str, torch.nn.Module]"
    optimizer: Any
    average: "EMAModel | None"
    examples: Examples
    latents: Latents
    optimization: Optimization

    @property
    def parameters(self) -> "list[torch.nn.Parameter]":
        """The trained parameters, in a fixed order."""
        return [each for module in self.trained.values() for each in module.parameters()]


def prepare(
    accelerator: "Accelerator",
    pipeline: "StableDiffusionPipeline",
    names: list[str],
    examples: Examples,
    latents: Latents,
    optimization: Optimization,
) -> Training:
    """Move the parts to their device, freeze what is not trained, and register what a checkpoint must hold."""
    import torch
    from diffusers.training_utils import EMAModel

    pipeline.vae.requires_grad_(False)
    for name in ("unet", "text_encoder"):
        module = getattr(pipeline, name)
        module.requires_grad_(name in names).train(name in names).to(accelerator.device)
    modules = [getattr(pipeline, name) for name in names]
    parameters = [each for module in modules for each in module.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=optimization.learning_rate, weight_decay=optimization.weight_decay
    )
    average = None
    if optimization.ema_decay is not None:
        average = EMAModel(parameters, decay=optimization.ema_decay, foreach=True)
        average.to(accelerator.device)
        accelerator.register_for_checkpointing(average)
    *modules, optimizer = accelerator.prepare(*modules, optimizer)
    return Training(
        accelerator=accelerator,
        pipeline=pipeline,
        trained=dict(zip(names, modules, strict=True)),
        optimizer=optimizer,
        average=average,
        examples=examples,
        latents=latents,
        optimization=optimization,
    )


def train(training: Training, folder: RunFolder) -> None:
    """Make the steps that are still to make, logging each, with a checkpoint now and then and at the end.

    Raises:
        OptionError: the loss is no longer a number.
    """
    settings, accelerator = training.optimization, training.accelerator
    first = folder.load(accelerator)
    if accelerator.is_main_process:
        folder.rewind_log(first)
    with _bar(first, settings.steps, shown=accelerator.is_main_process) as advance:
        for step in range(first, settings.steps):
            began = time.monotonic()
            loss = _step(training, step)
            if not math.isfinite(loss):
                raise OptionError(
                    f"the loss of step {step + 1} is {loss}; lower --lr (it is {settings.learning_rate:g}), then go on "
                    "from the last checkpoint in a new folder or start again"
                )
            if accelerator.is_main_process:
                seconds = round(time.monotonic() - began, 4)
                folder.log({"step": step + 1, "loss": loss, "lr": settings.rate_at(step), "seconds": seconds})
            advance(loss)
            if (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                folder.save(accelerator, step + 1)


def _step(training: Training, step: int) -> float:
    """One optimizer step over `accumulate` micro-batches; the mean loss over all of them and all processes."""
    import torch

    settings, accelerator = training.optimization, training.accelerator
    for group in training.optimizer.param_groups:
        group["lr"] = settings.rate_at(step)
    share = settings.batch_size * accelerator.num_processes
    epoch, rows = training.examples.batch(settings.seed, step, share * settings.accumulate)
    total = torch.zeros((), device=accelerator.device)
    for micro in range(settings.accumulate):
        start = micro * share + accelerator.process_index * settings.batch_size
        own = rows[start : start + settings.batch_size]
        draw = ((settings.seed * 1_000_003 + step) * 10_007 + start) % 2**63
        with accelerator.accumulate(*training.trained.values()):
            loss = _loss(training, own, epoch, draw)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(training.parameters, settings.max_norm)
            training.optimizer.step()
            training.optimizer.zero_grad()
        total += loss.detach() / settings.accumulate
    if training.average is not None:
        training.average.step(training.parameters)
    return float(accelerator.reduce(total, reduction="mean"))


def _loss(training: Training, rows: Any, epoch: int, draw: int) -> "torch.Tensor":
    """The loss of one micro-batch; noise is drawn on the CPU, so that every device sees the same."""
    import torch

    settings, pipeline, device = training.optimization, training.pipeline, training.accelerator.device
    torch.manual_seed(draw)  # for dropout layers, where a model has any
    generator = torch.Generator().manual_seed(draw)
    shape = (len(rows), *training.latents.shards[0].shape[2:])
    clean = training.latents.sample(rows, torch.randn(shape, generator=generator)).to(device)
    noise = torch.randn(shape, generator=generator).to(device)
    levels = pipeline.scheduler.config.num_train_timesteps
    times = torch.randint(0, levels, (len(rows),), generator=generator).to(device)
    captions = [
        drawn.caption or "" for drawn in training.examples.captions(rows, seed=settings.seed, epoch=epoch)
    ]
    unet = training.trained.get("unet", pipeline.unet)
    with training.accelerator.autocast():
        text = _encode(training, captions)
        answer = unet(pipeline.scheduler.add_noise(clean, noise, times), times, text).sample
    kind = str(pipeline.scheduler.config.get("prediction_type", "epsilon"))
    weights = min_snr_weights(signal_to_noise(pipeline.scheduler, times), kind, settings.snr_gamma)
    return denoising_loss(answer, target(pipeline.scheduler, clean, noise, times), weights)


def _encode(training: Training, captions: list[str]) -> "torch.Tensor":
    """Captions as the UNet reads them: the text encoder's last hidden states, exactly as the pipeline itself makes them."""
    encoder = training.trained.get("text_encoder", training.pipeline.text_encoder)
    tokens = training.pipeline.tokenizer(
        captions, padding="max_length", truncation=True, return_tensors="pt"
    ).to(training.accelerator.device)
    config = training.pipeline.text_encoder.config
    mask = tokens.attention_mask if getattr(config, "use_attention_mask", False) else None
    return encoder(tokens.input_ids, attention_mask=mask)[0]


@contextmanager
def _bar(first: int, total: int, *, shown: bool) -> Iterator[Any]:
    """A progress bar with loss and time to go on a terminal; yields `advance(loss)`."""
    from tqdm import tqdm

    with tqdm(
        initial=first,
        total=total,
        desc="training",
        unit="step",
        disable=not (shown and sys.stderr.isatty()),
    ) as bar:
        smooth: float | None = None

        def advance(loss: float) -> None:
            nonlocal smooth
            smooth = loss if smooth is None else 0.95 * smooth + 0.05 * loss
            bar.set_postfix_str(f"loss {smooth:.4f}", refresh=False)
            bar.update()

        yield advance
