"""Publishes like the command, with a pause before every request that changes the Hub, to be killed in between."""

import sys
import time

from huggingface_hub import HfApi

from recapdata.publishing import plan_publication, publish


def slowly(name: str) -> None:
    """Make a method of the client wait a little first."""
    method = getattr(HfApi, name)

    def wait(self: HfApi, *args: object, **options: object) -> object:
        time.sleep(0.05)
        return method(self, *args, **options)

    setattr(HfApi, name, wait)


for each in ("preupload_lfs_files", "create_commit", "create_tag"):
    slowly(each)
plan = plan_publication(sys.argv[1], sys.argv[2], version=sys.argv[3])
print("sending", flush=True)  # noqa: T201
publish(plan)
