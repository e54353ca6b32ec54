"""Dual encoders of transformers as scorers: real small ones of three kinds, long texts, and what is refused."""

import json
from pathlib import Path

import pytest
import torch

from audits.clip.scorer import load_clip
from audits.clip.scores import Cosines, score
from recapdata.errors import ModelNotSupported
from recapdata.models.dual_encoders import find_clip
from tests.audits.clip.test_scorer import encoded
from tests.builders import png

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
WORDS = ["<pad>", "<s>", "</s>", "<unk>", "a", "dog", "cat", "red", "circle"]


def tokenizer(folder: Path, longest: int) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, "<unk>"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=longest, **special).save_pretrained(
        folder
    )


def save_dual_encoder(folder: Path, kind: str, *, positions: int = 77, longest: int = 77) -> Path:
    """A random CLIP or SigLIP in transformers' format; `longest` is what its tokenizer says, `positions` what its model has."""
    import transformers
    from transformers import CLIPImageProcessor, SiglipImageProcessor

    torch.manual_seed(0)
    text = {
        **SIZES,
        "vocab_size": len(WORDS),
        "max_position_embeddings": positions,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    picture = {**SIZES, "image_size": 32, "patch_size": 16}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=picture, projection_dim=16
    )
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    if kind == "CLIP":
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
            folder
        )
    else:
        SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    tokenizer(folder, longest)
    return folder


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
def test_scores_are_those_of_the_library(tmp_path: Path, kind: str) -> None:
    import io

    import transformers
    from PIL import Image

    folder = save_dual_encoder(tmp_path / "model", kind)
    clip = load_clip(find_clip(str(folder)))
    assert (clip.name, clip.context) == ("model", 77)
    images = encoded(clip, [png(1, (40, 32))])
    (one,) = score(Cosines(clip, images.images), ["a red circle"], images.rows)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    words = transformers.AutoTokenizer.from_pretrained(folder)
    seen = transformers.AutoImageProcessor.from_pretrained(folder)(
        Image.open(io.BytesIO(png(1, (40, 32)))), return_tensors="pt"
    )
    with torch.inference_mode():
        inputs = words(["a red circle"], padding="max_length", max_length=77, return_tensors="pt")
        text, image = model.get_text_features(**inputs), model.get_image_features(**seen)
    cosine = torch.cosine_similarity(text.pooler_output, image.pooler_output).item()
    assert one.clip_score == pytest.approx(100 * cosine, abs=1e-3)


def test_a_long_text_model_reads_as_far_as_it_has_positions(tmp_path: Path) -> None:
    # Long-CLIP's kind comes with CLIP's own tokenizer, which says 77.
    long = load_clip(find_clip(str(save_dual_encoder(tmp_path / "long", "CLIP", positions=248))))
    short = load_clip(find_clip(str(save_dual_encoder(tmp_path / "short", "CLIP"))))
    assert (long.context, short.context) == (248, 77)
    caption = " ".join(["dog"] * 100)
    assert (long.overflows(caption), short.overflows(caption)) == (False, True)
    assert long.overflows(" ".join(["dog"] * 246)) is False  # and two for start and end
    assert long.overflows(" ".join(["dog"] * 247)) is True
    assert torch.equal(short.encode_texts([f"{caption} cat"]), short.encode_texts([f"{caption} red"]))


def test_a_long_text_model_on_the_hub_by_name_and_revision(hub, repo_id: str, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id)
    folder = save_dual_encoder(tmp_path / "long", "CLIP", positions=248)
    first = api.upload_folder(repo_id=repo_id, folder_path=folder).oid
    api.create_tag(repo_id, tag="v1")
    (folder / "notes.txt").write_text("later")
    api.upload_folder(repo_id=repo_id, folder_path=folder)
    source = find_clip(f"{repo_id}@v1")
    assert (source.name, source.revision) == (repo_id, first)
    assert load_clip(source).context == 248


def test_what_is_no_dual_encoder_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelNotSupported, match="bert model"):
        find_clip(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelNotSupported):
        find_clip(str(tmp_path))
