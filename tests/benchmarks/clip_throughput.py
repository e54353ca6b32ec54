"""How much of the model's own speed CLIP scoring keeps: captions/s of the audit's scoring over those of bare batched encoding.

The bare arm encodes ready pixels and tokens in the same batches and does nothing else; the audit's arm reads Parquet, decodes,
preprocesses, tokenizes, encodes, scores and writes audit shards. Both use one model in one process, on one core, and take turns,
so that the ratio holds on a busy machine. The model is a random ViT-B-32 unless told otherwise; pictures are JPEGs of 640×480, or
drawn scenes with --scenes.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.clip_throughput --images 512
"""

import argparse
import io
import shutil
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

import torch
from PIL import Image

from audits.clip.scorer import Clip, load_clip
from audits.runner.plan import ShardPlan, Wanted, plan_shard, read_set
from audits.runner.run import run
from audits.runner.shard import IMAGE_BATCH, TEXT_BATCH, Loaded, audit_shard
from audits.runner.text_part import Readings
from recapdata.dataset.audit_files import read_identity
from recapdata.dataset.target import Target, open_dataset
from recapdata.models.dual_encoders import find_clip
from recapdata.scenes import draw_scene, encode_png, human_short
from tests.benchmarks.recaption_throughput import photo
from tests.builders import build_dataset


def bare(clip: Clip, images: list[bytes], captions: list[str]) -> float:
    """Captions per second of the two encoders alone, pixels and tokens made beforehand."""
    pixels = [clip.pixels(Image.open(io.BytesIO(image))) for image in images]
    starts = range(0, len(images), IMAGE_BATCH)
    ready = [
        (
            torch.stack(pixels[start : start + IMAGE_BATCH]),
            clip.tokenize(captions[start : start + IMAGE_BATCH]),
        )
        for start in starts
    ]
    began = time.perf_counter()
    with torch.inference_mode():
        for batch, tokens in ready:
            one = clip.model.encode_image(batch.to(clip.device), normalize=True)
            other = clip.model.encode_text(tokens.to(clip.device), normalize=True)
            (one * other).sum(-1).tolist()
    return len(images) / (time.perf_counter() - began)


def audited(clip: Clip, target: Target, out: Path, plans: list[ShardPlan]) -> float:
    """Captions per second of the audit's scoring, from Parquet to Parquet; the claims are there already."""
    for plan in plans:
        shutil.copy(plan.path.with_suffix(".unscored"), plan.path)
    began = time.perf_counter()
    with closing(Readings(target, [], None, processes=1, batch_rows=TEXT_BATCH)) as readings:
        loaded = Loaded(readings=readings, clip=clip, evidence=(), decoders=2)
        for plan in plans:
            audit_shard(target, [plan], loaded, lambda *_: None)
    return sum(target.rows(plan.shard) for plan in plans) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", help="a CLIP model by name; a random ViT-B-32 if not given")
    parser.add_argument("--scenes", action="store_true", help="drawn scenes in place of JPEGs of 640×480")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        scenes = [draw_scene(0, index) for index in range(options.images)]
        images = [encode_png(scene) if options.scenes else photo(scene.index) for scene in scenes]
        captions = [human_short(scene) for scene in scenes]
        build_dataset(
            home / "ds",
            rows=len(images),
            shard_rows=len(images),
            row_group_rows=256,
            images=images,
            sets={"alt": captions},
        )
        target, out = open_dataset(home / "ds"), home / "ds" / "audits"
        run(target)
        clip = load_clip(find_clip(options.model or _random(home)), parts=["caption"])
        for path in out.glob("*/train-*.parquet"):
            shutil.copy(path, path.with_suffix(".unscored"))
        identity = read_identity(out / "alt" / "train-00000.parquet")
        assert identity is not None
        wanted = Wanted(claims=identity.claims, clip=clip.identity)
        hashes = read_set(target, "alt").hashes
        plans = [plan_shard(out, "alt", shard, hashes[shard], wanted) for shard in target.shards()]
        assert all(plan.stale == {"clip"} for plan in plans)
        pairs = []
        for _ in range(options.rounds):
            pairs.append((bare(clip, images, captions), audited(clip, target, out, plans)))
            print(
                f"bare {pairs[-1][0]:8.1f}/s   audit {pairs[-1][1]:8.1f}/s   ratio {pairs[-1][1] / pairs[-1][0]:.3f}"
            )
        ratio = statistics.median(done / alone for alone, done in pairs)
        print(f"{clip.name}, {len(images)} images, median ratio {ratio:.3f} (wanted: 0.9)")


def _random(home: Path) -> str:
    import open_clip

    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), home / "random.pt")
    return f"ViT-B-32:{home / 'random.pt'}"


if __name__ == "__main__":
    main()
