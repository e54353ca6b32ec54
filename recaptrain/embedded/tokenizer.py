"""A CLIP tokenizer with a small vocabulary: byte-pair merges learned on the captions of the drawn world."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from recapdata.scenes import alt_text, draw_scene, human_long, human_short

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"


def texts(seed: int, count: int) -> Iterator[str]:
    """Every kind of caption of the first `count` scenes, so that later training meets no word in single letters."""
    for index in range(count):
        scene = draw_scene(seed, index)
        yield from (alt_text(scene), human_short(scene), human_long(scene))


def build_tokenizer(seed: int, *, vocabulary: int = 1024, scenes: int = 4000) -> "CLIPTokenizer":
    """The tokenizer in CLIP's own format; any text can be written in it, since every byte is a token.

    Args:
        vocabulary: number of tokens, the two special ones included; at least 514.
    """
    import json

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
    learner.train_from_iterator(texts(seed, scenes), trainer)
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    tokens = [*bytes_, *(f"{byte}</w>" for byte in bytes_), *("".join(merge) for merge in merges)]
    numbered = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    for special in (START, END):
        numbered[special] = len(numbered)
    return CLIPTokenizer(vocab=numbered, merges=merges, model_max_length=77)
