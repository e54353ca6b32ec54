"""The embedded Hub: the Hugging Face Hub's HTTP protocol, served by one process from a folder.

The stock clients (huggingface_hub 2.x, datasets, transformers, diffusers) speak to it once three variables are exported,
which `recapdata hub` prints: HF_ENDPOINT, HF_TOKEN, HF_HUB_DISABLE_XET=1. History lies in bare git repositories (pygit2),
large files once each in a folder by their SHA-256, HTTP is Starlette on uvicorn.

    request ── app.py (table of addresses) ── endpoints/ ─┬─ history.py       read: revisions, trees, commits
                                                          ├─ commits.py       write: operations → tree → commit → branch
                                                          ├─ objects.py       large objects
                                                          └─ repositories.py  create, rename, delete, visibility
    folder.py   the folder itself: one process at a time, tidied at start
    process.py  a Hub as a child process, for tests and the demo

There is one user and one token. The token may read and write every namespace; without it, public repositories can be read.
There are models and datasets, no Spaces, pull requests, gates or Xet.
"""

from recapdata.hub.server import serve

__all__ = ["serve"]
