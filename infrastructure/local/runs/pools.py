"""Work in processes of its own, a few at a time, that ends early without leaving a process behind."""

import multiprocessing
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import TypeVar

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def as_done(work: Callable[[_Item], _Done], items: Sequence[_Item], jobs: int) -> Iterator[_Done]:
    """What `work` makes of each item, as it comes; only a few are begun at a time, and whoever stops asking, or is
    interrupted, ends the processes, whatever they are at.

    Raises BrokenProcessPool if one is killed from outside.
    """
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        left = iter(items)
        begun: set[Future[_Done]] = set()
        while True:
            while len(begun) < 2 * jobs and (item := next(left, None)) is not None:
                begun.add(pool.submit(work, item))
            if not begun:
                return
            finished, begun = wait(begun, return_when=FIRST_COMPLETED)
            for one in finished:
                yield one.result()
    finally:
        _end(pool)


def _begin() -> None:
    """A worker leaves Ctrl-C to the one who started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")


def _end(pool: ProcessPoolExecutor) -> None:
    """End the workers, whatever they are at."""
    workers = list((pool._processes or {}).values())  # noqa: SLF001 - terminate_workers comes with Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        if worker.is_alive():
            worker.kill()  # what started us may have had SIGTERM ignored
        worker.join()
