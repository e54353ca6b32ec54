"""Publishes like the command, in a process that dies by SIGKILL just before one kind of request that changes the Hub.

python -m tests.recapdata.publishing.publish_and_die REQUEST DIR REPOSITORY VERSION        REQUEST: a method of `HfApi`
"""

import os
import signal
import sys
from typing import NoReturn

from huggingface_hub import HfApi

from recapdata.publishing import plan_publication, publish


def die(*_: object, **options: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


request, directory, repository, version = sys.argv[1:]
plan = plan_publication(directory, repository, version=version)
assert callable(getattr(HfApi, request))
setattr(HfApi, request, die)
publish(plan)
