"""The captioner's tokenizer: byte-level BPE learned from the world's own texts, with capitals one by one.

Rendered words are spelled letter by letter, so that a word never seen before can be read. Bytes make every other text
possible; PaliGemma's location and segmentation tokens are added by its processor.
"""

from typing import TYPE_CHECKING, Any

from recapdata.scenes import SIDE, draw_scene
from recaptrain.embedded.tasks import STYLES, caption_task, pretraining_task

if TYPE_CHECKING:
    from transformers import PaliGemmaProcessor, PreTrainedTokenizerFast

MERGES = 520
TEXTS_FROM = 1500
PAD, EOS, BOS, IMAGE = "<pad>", "<eos>", "<bos>", "<image>"


def build_tokenizer(seed: int) -> "PreTrainedTokenizerFast":
    """Train the tokenizer on the tasks and captions of the scenes of `seed`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("[A-Z0-9]|\n"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    special = [PAD, EOS, BOS, IMAGE]
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + len(alphabet) + MERGES,
        special_tokens=special,
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    core.train_from_iterator(_texts(seed), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=EOS,
        bos_token=BOS,
        extra_special_tokens={"image_token": IMAGE},
        padding_side="left",
        model_max_length=512,
    )


def build_processor(seed: int, patch: int) -> "PaliGemmaProcessor":
    """A `PaliGemmaProcessor` for pictures of any size, resized to the world's."""
    from transformers import PaliGemmaProcessor, SiglipImageProcessor

    images: Any = SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = (SIDE // patch) ** 2
    return PaliGemmaProcessor(images, build_tokenizer(seed))


def _texts(seed: int) -> list[str]:
    texts: list[str] = []
    for index in range(TEXTS_FROM):
        scene = draw_scene(seed, index)
        tasks = [pretraining_task(scene), *(caption_task(scene, style) for style in STYLES)]
        texts.extend(text for task in tasks for text in task)
    return texts
