"""LoRA adapters on UNet and text encoders (Hu et al. 2021): added, saved as diffusers and kohya-style tools load them, and loaded.

A folder of adapters holds `pytorch_lora_weights.safetensors` (diffusers), `kohya_lora_weights.safetensors` (ComfyUI, A1111,
sd-scripts), `scheduler/` and `adapter.json`: the base that they belong to, at its commit or content hash.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recapdata.errors import CaptionerNotFound, HubError, ModelNotSupported
from recapdata.models.opening import opening, read_json
from recapdata.models.sources import EMBEDDED, ModelSource, pinned_file, resolve_model, resolve_on_hub
from recapdata.weights import RUN
from recaptrain.diffusion.adapter_files import check_adapter_file
from recaptrain.diffusion.base import load_pipeline
from recaptrain.diffusion.components import INDEX, load_scheduler
from recaptrain.diffusion.settings import LoraTargets
from recaptrain.training.card import base_name
from recaptrain.training.run_folder import RunFolder

if TYPE_CHECKING:
    import torch

    from recaptrain.diffusion.conditioning import Pipeline

RECORD = "adapter.json"
WEIGHTS = "pytorch_lora_weights.safetensors"
KOHYA = "kohya_lora_weights.safetensors"

UNET = ("to_q", "to_k", "to_v", "to_out.0")
TEXT = ("q_proj", "k_proj", "v_proj", "out_proj")
TARGETS: dict[LoraTargets, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "attention": (UNET, TEXT),
    "transformer": (
        (*UNET, "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
        (*TEXT, "fc1", "fc2"),
    ),
}
"""Ends of the names of the layers with adapters, in UNet and in text encoders: what diffusers' scripts and what sd-scripts train."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """What a folder of adapters belongs to.

    Attributes:
        base: repository or folder name of the base; `commit` of a repository, `revision` its commit or content hash.
        pipeline: the base's class in diffusers.
    """

    base: str
    revision: str
    commit: str | None
    pipeline: str
    rank: int
    alpha: float
    targets: LoraTargets
    parts: list[str]


def add_adapters(
    modules: "Mapping[str, torch.nn.Module]",
    *,
    rank: int,
    alpha: float | None,
    targets: LoraTargets,
    seed: int,
) -> None:
    """Put adapters beside the layers of modules of a pipeline, by their names there; everything else is frozen.

    What a module has frozen already gets none: the last layer of SDXL's first text encoder, whose states are not read.

    Args:
        alpha: the adapters count alpha / rank times; the rank where None.
        seed: of their first weights.
    """
    import torch
    from peft import LoraConfig

    torch.manual_seed(seed)
    for part, module in modules.items():
        wanted = TARGETS[targets][part != "unet"]
        chosen = [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
            and any(name == end or name.endswith(f".{end}") for end in wanted)
            and all(weight.requires_grad for weight in layer.parameters())
        ]
        module.requires_grad_(False)
        scale: Any = alpha or rank  # peft says int and takes any number
        config = LoraConfig(r=rank, lora_alpha=scale, target_modules=chosen, init_lora_weights="gaussian")
        module.add_adapter(config)  # type: ignore[operator]
        for weight in module.parameters():
            if weight.requires_grad:
                weight.data = weight.data.float()


def shrink_weights(module: "torch.nn.Module", dtype: "torch.dtype") -> None:
    """Bring the weights of a module's linear, convolution and embedding layers, nearly all there are, into a type of half precision.

    Norms stay: they are few, and not every device multiplies their weights with inputs of another type.
    """
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.Embedding):
            layer.to(dtype=dtype)


def save_adapters(
    pipeline: "Pipeline",
    modules: "Mapping[str, torch.nn.Module]",
    source: ModelSource,
    folder: Path,
    *,
    rank: int,
    alpha: float | None,
    targets: LoraTargets,
) -> None:
    """Write the adapters of modules, by their names in the pipeline, in both forms, with the scheduler and their base's name."""
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import save_file

    given: dict[str, Any] = {}
    kohya: dict[str, torch.Tensor] = {}
    scale = float(alpha or rank)
    for name, module in modules.items():
        weights = {key: value.contiguous().cpu() for key, value in get_peft_model_state_dict(module).items()}
        given[f"{name}_lora_layers"] = _with_text_model(name, weights)
        config: Any = module.peft_config["default"]  # type: ignore[index]
        given[f"{name}_lora_adapter_metadata"] = {
            **config.to_dict(),
            "base_model_name_or_path": None,
            "target_modules": sorted(config.target_modules),
        }
        kohya |= kohya_names(name, weights, alpha=scale, two="text_encoder_2" in pipeline.components)
    pipeline.save_lora_weights(folder, **given, weight_name=WEIGHTS)
    about = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(scale),
        "ss_sd_model_name": base_name(source),
    }
    save_file(kohya, folder / KOHYA, metadata={"format": "pt", **about})
    pipeline.scheduler.save_pretrained(folder / "scheduler")
    record = Adapter(
        base=base_name(source),
        revision=source.revision,
        commit=source.commit,
        pipeline=type(pipeline).__name__,
        rank=rank,
        alpha=scale,
        targets=targets,
        parts=list(modules),
    )
    (folder / RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf8")


def _with_text_model(part: str, weights: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """The names that text encoders' layers have in files: under `text_model.`, which transformers 5 left out of its modules."""
    if part == "unet":
        return dict(weights)
    own = "text_model."
    return {name if name.startswith(own) else own + name: value for name, value in weights.items()}


def kohya_names(
    part: str, weights: "Mapping[str, torch.Tensor]", *, alpha: float, two: bool
) -> "dict[str, torch.Tensor]":
    """The adapters of a part under the names of kohya's sd-scripts.

    `down_blocks.0.attentions.0….to_q.lora_A.weight` is `lora_unet_down_blocks_0_attentions_0_…_to_q.lora_down.weight`, B is
    `lora_up`, and each layer has its `alpha`.

    Args:
        two: whether the pipeline has two text encoders: `lora_te1_`, `lora_te2_` instead of `lora_te_`.
    """
    import torch

    first = "lora_te1" if two else "lora_te"
    prefix = {"unet": "lora_unet", "text_encoder": first, "text_encoder_2": "lora_te2"}[part]
    named: dict[str, torch.Tensor] = {}
    for key, value in _with_text_model(part, weights).items():
        layer, side, _ = key.rsplit(".", 2)
        name = f"{prefix}_{layer.replace('.', '_')}"
        named[f"{name}.{'lora_down' if side == 'lora_A' else 'lora_up'}.weight"] = value
        named[f"{name}.alpha"] = torch.tensor(alpha)
    return named


def read_adapter(source: ModelSource) -> Adapter | None:
    """What the adapters at a resolved model belong to; None where it is no folder of adapters.

    Raises:
        ModelNotSupported: its record is damaged.
    """
    record = read_json(source, RECORD)
    if record is None:
        return None
    try:
        adapter = Adapter(**record)
    except TypeError as error:
        raise ModelNotSupported(f"{source.name}: its {RECORD} is damaged ({error})") from error
    texts = (adapter.base, adapter.revision, "" if adapter.commit is None else adapter.commit)
    if not all(isinstance(each, str) for each in texts):
        raise ModelNotSupported(
            f"{source.name}: its {RECORD} is damaged (base, revision and commit are no texts)"
        )
    return adapter


def open_pipeline(source: ModelSource) -> "Pipeline":
    """Load a resolved pipeline, or the base of resolved adapters, at its recorded commit, with the adapters in it.

    Raises:
        ModelNotSupported: it is neither, or the adapters' base is not what they were trained on.
    """
    adapter = read_adapter(source)
    if adapter is None:
        return load_pipeline(source)
    weights = pinned_file(source, WEIGHTS)
    if weights is None:
        raise ModelNotSupported(f"{source.name} has an {RECORD} and no {WEIGHTS}: it is not whole")
    check_adapter_file(source, weights)
    scheduler = load_scheduler(source)
    pipeline = load_pipeline(_base_of(adapter, source))
    pipeline.scheduler = scheduler
    with opening(source.name, f"{source.name} cannot be loaded by diffusers"):
        pipeline.load_lora_weights(weights.parent, weight_name=WEIGHTS, use_safetensors=True)
    return pipeline


def _base_of(adapter: Adapter, source: ModelSource) -> ModelSource:
    """The base that adapters were trained on, at the revision that they record."""
    try:
        if adapter.commit is not None:  # no folder, whatever there is of that name
            base = resolve_on_hub(adapter.base, adapter.commit)
        else:
            name = adapter.base if adapter.base == EMBEDDED else _base_folder(source, adapter.base)
            base = resolve_model(name, kind="diffusion")
    except (CaptionerNotFound, HubError) as error:
        raise ModelNotSupported(f"{source.name} is adapters of {adapter.base}: {error}") from error
    if base.revision != adapter.revision:
        raise ModelNotSupported(
            f"{source.name} was trained on {adapter.base} at {adapter.revision[:19]}…, and what is there now is "
            f"{base.revision[:19]}…; put the base back as it was"
        )
    return replace(base, name=adapter.base)


def _base_folder(source: ModelSource, name: str) -> str:
    """Where the base, a folder, lay when the adapters were trained: the run beside them knows, which is never pushed."""
    run = RunFolder(Path(source.location) / RUN)
    if source.commit is None and (starts := run.starts()):
        folder = str(starts[-1]["base"]["name"])
        if (Path(folder) / INDEX).is_file():
            return folder
        raise ModelNotSupported(
            f"{source.name} is adapters of {folder}, and there is no pipeline there now; put it back"
        )
    raise ModelNotSupported(
        f"{source.name} is adapters of {name}, which was a folder where they were trained; load them with diffusers: "
        "StableDiffusionPipeline.from_pretrained(BASE).load_lora_weights(FOLDER)"
    )
