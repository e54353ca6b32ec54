"""What a Stable Diffusion pipeline may be made of: libraries and classes by component, checked before any of them is loaded.

diffusers takes any class of any module that a model's `model_index.json` names, as far as it is imported already, and code beside the weights
where it is told to. Here only what is listed is loaded.
"""

from typing import TYPE_CHECKING, Any

from recapdata.errors import ModelNotSupported
from recapdata.models.opening import check_sizes, opening, read_json
from recapdata.models.sources import ModelSource

if TYPE_CHECKING:
    from recaptrain.diffusion.conditioning import Pipeline

INDEX = "model_index.json"
PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
EXPECTED = (
    "expected a StableDiffusionPipeline or StableDiffusionXLPipeline in diffusers' format, such as "
    "stable-diffusion-v1-5/stable-diffusion-v1-5"
)
_TOKENIZERS = ("CLIPTokenizer", "CLIPTokenizerFast")
COMPONENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "unet": ("diffusers", ("UNet2DConditionModel",)),
    "vae": ("diffusers", ("AutoencoderKL",)),
    "text_encoder": ("transformers", ("CLIPTextModel",)),
    "text_encoder_2": ("transformers", ("CLIPTextModelWithProjection",)),
    "tokenizer": ("transformers", _TOKENIZERS),
    "tokenizer_2": ("transformers", _TOKENIZERS),
    "image_encoder": ("transformers", ("CLIPVisionModelWithProjection",)),
    "feature_extractor": ("transformers", ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor")),
    "safety_checker": ("stable_diffusion", ("StableDiffusionSafetyChecker",)),
}  # fmt: skip
"""Library and classes of each component but the scheduler, which may be any scheduler of diffusers."""
MOST_SIDE = 1024
"""Latents along a side that a UNet may be made for: pictures of 8,192 pixels."""


def pipeline_class(source: ModelSource) -> str:
    """The name of a model's pipeline class, one of `PIPELINES`, once all that it names may be loaded.

    Raises:
        ModelNotSupported: it is another kind of model, names anything else, or says that it has more layers than any model.
    """
    index = read_json(source, INDEX)
    if index is None:
        raise ModelNotSupported(f"{source.name} has no {INDEX}; {EXPECTED}")
    kind = index.get("_class_name")
    if kind not in PIPELINES:
        raise ModelNotSupported(f"{source.name} is a {kind}; {EXPECTED}")
    for name, value in index.items():
        if name.startswith("_") or isinstance(value, bool) or value == [None, None]:
            continue
        if not _may_be(name, value):
            raise ModelNotSupported(
                f"{source.name}: its {INDEX} says {name}: {value}, which is not loaded; {EXPECTED}"
            )
        if name == "scheduler":
            check_sizes(source, f"{name}/scheduler_config.json")
        else:
            check_sizes(source, f"{name}/config.json")
    return str(kind)


def _may_be(name: str, value: Any) -> bool:
    """Whether a component may be what the index says that it is: a library and a class."""
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(each, str) for each in value)):
        return False
    library, class_name = value
    if name == "scheduler":
        return library == "diffusers" and _is_scheduler(class_name)
    known = COMPONENTS.get(name)
    return known is not None and library == known[0] and class_name in known[1]


def _is_scheduler(name: str) -> bool:
    import diffusers

    if not name.isidentifier() or not name.endswith("Scheduler"):
        return False
    found = getattr(diffusers, name, None)
    return isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)


def load_scheduler(source: ModelSource) -> Any:
    """The scheduler in a model's folder `scheduler`, by its own configuration.

    Raises:
        ModelNotSupported: there is none, it names no scheduler of diffusers, or one that cannot be made so.
    """
    import diffusers

    name = "scheduler/scheduler_config.json"
    config = read_json(source, name)
    if config is None:
        raise ModelNotSupported(f"{source.name} has no {name}: it is not whole")
    check_sizes(source, name)
    kind = config.get("_class_name")
    if not isinstance(kind, str) or not _is_scheduler(kind):
        raise ModelNotSupported(
            f"{source.name}: its {name} says {kind!r}, which is no scheduler of diffusers"
        )
    with opening(source.name, f"{source.name} cannot be loaded by diffusers"):
        return getattr(diffusers, kind).from_config(config)


def check_fit(pipeline: "Pipeline", name: str) -> None:
    """Check that the components of a pipeline fit together, as far as their configurations say.

    Raises:
        ModelNotSupported: they do not.
    """
    unet, vae, encoder = pipeline.unet.config, pipeline.vae.config, pipeline.text_encoder.config
    second = getattr(pipeline, "text_encoder_2", None)
    wanted, given = unet.in_channels, vae.latent_channels
    if wanted != given:
        raise ModelNotSupported(
            f"{name}: its UNet takes {wanted} channels and its autoencoder gives {given} (an inpainting model?)"
        )
    width = encoder.hidden_size + (second.config.hidden_size if second is not None else 0)
    if unet.cross_attention_dim != width:
        raise ModelNotSupported(
            f"{name}: its UNet attends to {unet.cross_attention_dim} numbers a token and its text encoders give {width}"
        )
    sides = unet.sample_size if isinstance(unet.sample_size, list | tuple) else [unet.sample_size]
    if not all(isinstance(side, int) and 1 <= side <= MOST_SIDE for side in sides):
        raise ModelNotSupported(
            f"{name}: its UNet has sample_size {unet.sample_size!r}; 1 to {MOST_SIDE} are expected"
        )
    tokens, known = len(pipeline.tokenizer), encoder.vocab_size
    if tokens > known:
        raise ModelNotSupported(f"{name}: its tokenizer has {tokens:,} tokens, its text encoder {known:,}")
    pairs = [(pipeline.tokenizer, encoder)]
    if second is not None:
        pairs.append((pipeline.tokenizer_2, second.config))
    for tokenizer, config in pairs:
        # Every prompt is filled up to that length.
        length, positions = tokenizer.model_max_length, config.max_position_embeddings
        if not 2 < length <= positions:
            raise ModelNotSupported(
                f"{name}: its tokenizer brings prompts to {length} tokens, and its text encoder reads {positions}"
            )
