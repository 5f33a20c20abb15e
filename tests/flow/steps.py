"""Work that stops ahead of every call of a port, so that a test decides who goes on, who waits and who dies."""

from collections.abc import Callable

from greenlet import getcurrent, greenlet

BEGIN = "(not begun)"
"""Where a task stands before it has done anything; no call of a port can have this name."""


class Killed(BaseException):
    """The function dies at this point: nothing catches it."""


class _Place(greenlet):
    """Where a task's work stands. Handing over to a thread would take longer than all that is done between two
    calls.
    """

    def __init__(self, task: "Task", run: Callable[[], None]) -> None:
        super().__init__(run)
        self.task = task


class Task:
    """One run of `work`, which goes on only when the test says so; the order is the test's.

    `at` is the port's call ahead of which it stands, or None once it is done; then `result` or `error` tells how it
    ended.
    """

    def __init__(self, work: Callable[[], str]) -> None:
        self.at: str | None = BEGIN
        self.result: str | None = None
        self.error: Exception | None = None
        self._work = work
        self._killed = False
        self._place = _Place(self, self._run)

    def _run(self) -> None:
        try:
            self._go_on()
            self.result = self._work()
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001 - whatever ends the work is for the test to judge
            self.error = error
        finally:
            self.at = None

    def _go_on(self) -> None:
        if self._killed:
            raise Killed

    def wait(self, call: str) -> None:
        """Stand ahead of a call until the next step; the work itself says so."""
        self.at = call
        assert self._place.parent is not None, "whoever made the last step waits for this"
        self._place.parent.switch()
        self._go_on()

    def step(self) -> None:
        """Make the call ahead of which the task stands, and go on to the next one or to the end."""
        assert self.at is not None, "a task that is done makes no step"
        self._place.parent = getcurrent()
        self._place.switch()

    def finish(self) -> None:
        """Go on to the end."""
        while self.at is not None:
            self.step()

    def kill(self) -> None:
        """Die ahead of the call."""
        self._killed = True
        self.step()


def pause(call: str) -> None:
    """Wait ahead of a port's call, if a task makes it; the test itself passes."""
    place = getcurrent()
    if isinstance(place, _Place):
        place.task.wait(call)
