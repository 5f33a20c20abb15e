"""Work that stops ahead of every call of a port, so that a test decides who goes on, who waits and who dies."""

import threading
from collections.abc import Callable

_PATIENCE = 20.0
"""Seconds after which a task that does not come to its next call fails the test, instead of hanging it."""

BEGIN = "(not begun)"
"""Where a task stands before it has done anything; no call of a port can have this name."""

_here = threading.local()


class Killed(BaseException):
    """The function dies at this point: nothing catches it."""


class Task:
    """One run of `work` in a thread of its own; only one thread of a test runs at a time, so the order is the test's.

    `at` is the port's call ahead of which it stands, or None once it is done; then `result` or `error` tells how it
    ended.
    """

    def __init__(self, work: Callable[[], str]) -> None:
        self.at: str | None = BEGIN
        self.result: str | None = None
        self.error: Exception | None = None
        self._killed = False
        self._go, self._stopped = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], str]) -> None:
        _here.task = self
        try:
            self._wait(BEGIN)
            self.result = work()
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - whatever ends the work is for the test to judge
            self.error = error
        finally:
            self.at = None
            self._stopped.release()

    def _wait(self, call: str) -> None:
        if call != BEGIN:
            self.at = call
            self._stopped.release()
        if not self._go.acquire(timeout=_PATIENCE) or self._killed:
            raise Killed

    def step(self) -> None:
        """Make the call ahead of which the task stands, and go on to the next one or to the end."""
        assert self.at is not None, "a task that is done makes no step"
        self._go.release()
        assert self._stopped.acquire(timeout=_PATIENCE), "a task did not come to its next call"
        if self.at is None:
            self._thread.join(_PATIENCE)

    def finish(self) -> None:
        """Go on to the end."""
        while self.at is not None:
            self.step()

    def kill(self) -> None:
        """Die ahead of the call."""
        self._killed = True
        self.step()


def pause(call: str) -> None:
    """Wait ahead of a port's call, if a task makes it; the test's own thread passes."""
    task: Task | None = getattr(_here, "task", None)
    if task is not None:
        task._wait(call)
