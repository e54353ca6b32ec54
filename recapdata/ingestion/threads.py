"""A map in threads whose results come in order, with few of them in memory at once."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Value], Result], values: Iterable[Value], *, threads: int, ahead: int
) -> Generator[Result, None, None]:
    """The function's results in the order of the values; `ahead` values at most are taken before their result is."""
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=function.__name__)
    try:
        for value in values:
            waiting.append(pool.submit(function, value))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
