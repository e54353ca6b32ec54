"""What a new caption version costs a store with deduplication: hf_xet stores v1.0.0's files, then v1.1.0's.

    python tests/benchmarks/publish_dedup.py [--coco DIR] [--noise N]

Ingests photographs with their COCO captions, publishes v1.0.0 with one caption set and an audit-like file, v1.1.0 with one
set more, takes both versions' files from an embedded Hub as any client would, and lets hf_xet upload them into a `local://`
store, one after the other. The goal: beyond the new captions' and audits' own bytes, v1.1.0 stores at most 3 % of the
image bytes. `--noise N` uses N incompressible pictures of 300 kB instead, so that shards have several row groups.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

GOAL = 0.03

STORE = """
import sys, hf_xet
paths = sys.argv[2:]
with hf_xet.XetSession().new_upload_commit(endpoint=sys.argv[1]) as commit:
    handles = [commit.start_upload_file(path) for path in paths]
"""


def coco_folder() -> Path:
    """The photographs beside the repository, or where RECAPDATA_SHARED says."""
    shared = Path(os.environ.get("RECAPDATA_SHARED") or Path(__file__).parents[3] / "shared")
    return shared / "coco-mini"


def store(root: Path, files: list[Path]) -> int:
    """Let hf_xet upload files into the store at `root`; how many bytes it has grown by."""
    before = weigh(root)
    environment = {**os.environ, "HF_XET_CACHE": str(root.parent / "xet-cache"), "RUST_LOG": "error"}
    command = [sys.executable, "-c", STORE, f"local://{root}", *map(str, files)]
    subprocess.run(command, check=True, env=environment)
    return weigh(root) - before


def weigh(root: Path) -> int:
    """Bytes of all objects in a store (not of its database, which is allocated ahead)."""
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and path.suffix != ".mdb")


def publish_versions(work: Path, coco: Path | None, noise: int, repo_id: str) -> int:
    """Publish v1.0.0 and v1.1.0 of the photographs (or of noise); the bytes of their images."""
    from recapdata.dataset.folder import DatasetFolder
    from recapdata.publishing import plan_publication, publish
    from tests.builders import add_set, build_dataset, noise_jpeg, write_audit

    if noise:
        images = [noise_jpeg(index, (512, 512)) for index in range(noise)]
        folder = build_dataset(work / "dataset", images=images, shard_rows=noise, row_group_rows=100, sets=[])
        add_set(folder, "human", [f"noise number {row}, as nobody would say it" for row in range(noise)])
    else:
        from recapdata.caption_sets.importing import import_captions
        from recapdata.ingestion import ingest

        ingest(f"coco:{coco}", work / "dataset")
        folder = DatasetFolder.open(work / "dataset")
        import_captions(folder.path, "human", "captions[0]")
    rows = sum(folder.rows(shard) for shard in folder.shards())
    write_audit(folder, ["human"])
    publish(plan_publication(folder.path, repo_id, version="1.0.0", license="other"))
    add_set(
        folder,
        "recap-long",
        [f"A longer caption of row {row}. " + "It goes on for a while. " * 4 for row in range(rows)],
    )
    write_audit(folder, ["human", "recap-long"])
    publish(plan_publication(folder.path, repo_id, version="1.1.0"))
    return sum(
        batch.column("image").nbytes
        for shard in folder.shards()
        for batch in folder.read_images(shard, ["image"])
    )


def measure(coco: Path | None, noise: int) -> dict[str, float]:
    """Publish, fetch and store both versions; the figures in bytes."""
    from recapdata.hub.process import running_hub

    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        with running_hub(work / "hub") as hub:
            os.environ.update(hub.env)
            os.environ["HF_HOME"] = str(work / "cache")
            images = publish_versions(work, coco, noise, "bench/photos")
            from huggingface_hub import snapshot_download

            for version in ("1.0.0", "1.1.0"):
                snapshot_download(
                    "bench/photos", repo_type="dataset", revision=f"v{version}", local_dir=work / version
                )
        files = {
            version: sorted(path for path in (work / version).rglob("*.parquet"))
            for version in ("1.0.0", "1.1.0")
        }
        (work / "store").mkdir()
        first = store(work / "store", files["1.0.0"])
        second = store(work / "store", files["1.1.0"])
        old = {path.relative_to(work / "1.0.0"): path.stat().st_size for path in files["1.0.0"]}
        own = sum(
            path.stat().st_size
            for path in files["1.1.0"]
            if path.relative_to(work / "1.1.0") not in old and not path.match("data/*")
        )
    beyond = second - own
    return {
        "images": images,
        "stored by v1.0.0": first,
        "stored by v1.1.0": second,
        "of it captions and audits": own,
        "beyond, share of the images": beyond / images,
    }


def main() -> None:
    """Print the figures as JSON; exit with 1 where the goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coco", type=Path, default=coco_folder())
    parser.add_argument("--noise", type=int, default=0)
    options = parser.parse_args()
    if not options.noise and not options.coco.is_dir():
        print(f"skipped: {options.coco} is not there; name a COCO folder with --coco, or use --noise 400")
        return
    figures = measure(options.coco, options.noise)
    print(json.dumps(figures, indent=1))
    sys.exit(figures["beyond, share of the images"] > GOAL)


if __name__ == "__main__":
    main()
