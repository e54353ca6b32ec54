"""Preprocessing of pictures on threads, so that a model waits for its slowest picture only, and not for the sum of them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from PIL import Image

THREADS = min(8, os.cpu_count() or 1)

Result = TypeVar("Result")


def preprocessed(images: Sequence[Image.Image], prepare: Callable[[Image.Image], Result]) -> list[Result]:
    """What `prepare` makes of each image, in their order; it is called on several threads at once."""
    return list(_pool().map(prepare, images))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="preprocess")
