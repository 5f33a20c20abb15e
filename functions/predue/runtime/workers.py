"""Several pieces of work at a time: what a function waits for is the network, and it pays for the waiting."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import TypeVar

from predue.runtime.settings import env

_T = TypeVar("_T")
_R = TypeVar("_R")


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    """Kept while the function is warm; it is idle between invocations, since each waits for all that it began."""
    return ThreadPoolExecutor(workers, thread_name_prefix="worker")


def each_of(work: Callable[[_T], _R], items: Sequence[_T]) -> list[_R]:
    """What `work` makes of each item, in their order, WORKERS of them at a time; one is done in this very thread."""
    workers = int(env("WORKERS"))
    if workers == 1 or len(items) == 1:
        return [work(item) for item in items]
    begun = [_pool(workers).submit(copy_context().run, work, item) for item in items]
    return [one.result() for one in begun]
