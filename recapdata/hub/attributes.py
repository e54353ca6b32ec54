"""Which files are large objects and which are left out: the rules of .gitattributes and .gitignore, read by their libraries."""

import pathspec
import pygit2
from pygit2.enums import AttrCheck

REGULAR_MAX_BYTES = 10 * 2**20  # a larger file is always a large object, whatever .gitattributes says

# What the public Hub tracks in every new repository, and the images, sounds and films it adds for datasets.
_SUFFIXES = """
    7z arrow avro bin bin.* bz2 ckpt ftz gz h5 joblib lz4 mds mlmodel model msgpack npy npz onnx ot parquet pb pickle
    pkl pt pth rar safetensors tar tar.* tflite tgz wasm xz zip zst
    pcm sam raw aac flac mp3 ogg wav bmp gif png tiff jpg jpeg webp mp4 webm
"""
_PATTERNS = [f"*.{suffix}" for suffix in _SUFFIXES.split()] + ["*tfevents*", "saved_model/**/*"]
INITIAL_GITATTRIBUTES = "".join(f"{p} filter=lfs diff=lfs merge=lfs -text\n" for p in _PATTERNS).encode()


def is_large(repo: pygit2.Repository, commit: pygit2.Commit, path: str, size: int) -> bool:
    """Whether a file of `size` bytes goes to the store of large objects, by the .gitattributes of `commit`."""
    if size == 0:  # an empty file is never uploaded as a large object
        return False
    if size > REGULAR_MAX_BYTES:
        return True
    flags = AttrCheck.INDEX_ONLY | AttrCheck.INCLUDE_COMMIT | AttrCheck.NO_SYSTEM
    return repo.get_attr(path, "filter", flags, commit.id) == "lfs"


def ignore_rules(content: str) -> pathspec.GitIgnoreSpec:
    """The rules of a .gitignore."""
    return pathspec.GitIgnoreSpec.from_lines(content.splitlines())
