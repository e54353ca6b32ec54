"""What is checked of a stranger's LoRA file before it is loaded: its metadata become arguments of peft's LoraConfig.

Among those are names of modules to import and regular expressions over layer names, which may take for ever; adapters as
`recaptrain diffusion` writes them need numbers and lists of layers alone.
"""

import json
from pathlib import Path
from typing import Any

from recapdata.errors import ModelNotSupported
from recapdata.models.sources import ModelSource

METADATA = "lora_adapter_metadata"
"""The key of the safetensors header under which diffusers keeps the configurations of adapters."""
_NUMBERS = ("r", "lora_alpha", "lora_dropout")
_FREE = ("peft_version", "init_lora_weights")
"""What decides nothing once weights are loaded."""


def check_adapter_file(source: ModelSource, path: Path) -> None:
    """Refuse a file whose metadata ask peft for more than low-rank layers beside layers that it lists.

    Raises:
        ModelNotSupported: they do, or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(METADATA)
        metadata = json.loads(text) if text else {}
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ModelNotSupported(f"{source.name}: its {path.name} cannot be read ({reason})") from error
    if not isinstance(metadata, dict):
        raise ModelNotSupported(f"{source.name}: the metadata of its {path.name} are no JSON object")
    usual = _defaults()
    for key, value in metadata.items():
        name = key.rpartition(".")[2]
        if not _is_plain(name, value, usual):
            raise ModelNotSupported(
                f"{source.name}: the metadata of its {path.name} say {key}: {str(value)[:80]}, which is not loaded; adapters may have "
                "a rank, an alpha, and a list of layers"
            )


def _defaults() -> dict[str, Any]:
    from peft import LoraConfig

    values: dict[str, Any] = json.loads(json.dumps(LoraConfig().to_dict(), default=str))
    return values


def _is_plain(name: str, value: Any, usual: dict[str, Any]) -> bool:
    """Whether a value of the configuration is one that this package writes, or none at all."""
    if name in _NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if name == "target_modules":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    if name == "peft_type":
        return value == "LORA"
    return name in _FREE or not value or value == usual.get(name)
