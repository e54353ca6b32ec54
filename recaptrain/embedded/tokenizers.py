"""The embedded models' tokenizers, byte-pair merges learned from the drawn world's own texts; every byte is a token.

The captioner's has capitals and digits one by one, so that a rendered word never seen before is spelled letter by letter;
CLIP and CoCa use it too. The diffusion model's is in CLIP's own format.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from recapdata.scenes import SIDE, alt_text, draw_scene, human_long, human_short
from recaptrain.embedded.tasks import STYLES, caption_task, pretraining_task

if TYPE_CHECKING:
    from transformers import CLIPTokenizer, PaliGemmaProcessor, PreTrainedTokenizerFast

MERGES = 520
TEXTS_FROM = 1500
PAD, EOS, BOS, IMAGE = "<pad>", "<eos>", "<bos>", "<image>"


def build_tokenizer(seed: int) -> "PreTrainedTokenizerFast":
    """The captioner's tokenizer, learned from the tasks and captions of the scenes of `seed`."""
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


START, END = "<|startoftext|>", "<|endoftext|>"


def _every_text(seed: int, count: int) -> Iterator[str]:
    """Every kind of caption of the first `count` scenes, so that later training meets no word in single letters."""
    for index in range(count):
        scene = draw_scene(seed, index)
        yield from (alt_text(scene), human_short(scene), human_long(scene))


def build_clip_tokenizer(seed: int, *, vocabulary: int = 1024, scenes: int = 4000) -> "CLIPTokenizer":
    """The tokenizer in CLIP's own format; any text can be written in it, since every byte is a token.

    Args:
        vocabulary: number of tokens, the two special ones included; at least 514.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPTokenizer

    pattern = CLIPTokenizer(vocab=None).backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    learner.normalizer, learner.pre_tokenizer = pattern.normalizer, pattern.pre_tokenizer
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - 2 - len(bytes_),
        end_of_word_suffix="</w>",
        initial_alphabet=bytes_,
        show_progress=False,
    )
    learner.train_from_iterator(_every_text(seed, scenes), trainer)
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    tokens = [*bytes_, *(f"{byte}</w>" for byte in bytes_), *("".join(merge) for merge in merges)]
    numbered = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    for special in (START, END):
        numbered[special] = len(numbered)
    return CLIPTokenizer(vocab=numbered, merges=merges, model_max_length=77)
