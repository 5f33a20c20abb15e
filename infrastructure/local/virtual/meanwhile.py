"""What comes in the middle of a function under chaos: a delivery of the same or another message, the planner, the
closing run.

Each is a function of the same stack in an environment of its own, and may be interrupted in turn.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from infrastructure.local.aws.lambdas import Function
from infrastructure.local.virtual.chances import Chances, Killed
from infrastructure.local.virtual.pollers import QueueMessage
from predue.domain.job import Job, parts
from predue.errors import BadJob

_REMEMBERED = 30


class Meanwhile:
    """The interruptions of one platform, which calls its functions by `invoke`, and by `deliver` with messages."""

    def __init__(
        self,
        chaos: Chances,
        functions: Mapping[str, Function],
        invoke: Callable[[Function, Any], Any],
        deliver: Callable[[Function, Sequence[QueueMessage]], set[str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._chaos = chaos
        self._functions = functions
        self._invoke = invoke
        self._deliver = deliver
        self._clock = clock
        self._delivered: deque[tuple[Function, Any]] = deque(maxlen=_REMEMBERED)
        chaos.happenings |= {
            "delivered_between": lambda _about: self._deliver_again(),
            "planned_between": lambda _about: self._run("plan_reminders"),
            "closed_between": lambda _about: self._run("close_day"),
        }

    def note(self, function: Function, bodies: Sequence[Any]) -> None:
        """Remember what is delivered, so that it can be delivered again."""
        self._delivered += [(function, body) for body in bodies]

    def _deliver_again(self) -> bool:
        """Deliver one of the last messages again, often the very last, as a second environment would."""
        if not self._delivered:
            return False
        back = self._chaos.pick(2) and self._chaos.pick(len(self._delivered))
        function, body = self._delivered[-1 - back]
        with suppress(Exception, Killed):
            self._deliver(function, [QueueMessage(self._clock(), 0, body, "interleaved", "", 1)])
        return True

    def _run(self, module: str) -> bool:
        """Call a scheduled function, as a schedule that fires late or a shard of its own would."""
        function = next(one for name, one in self._functions.items() if name.replace("-", "_").endswith(module))
        with suppress(Exception, Killed):
            self._invoke(function, {})
        return True


def concerned(bodies: Sequence[Any]) -> frozenset[str]:
    """The borrowers and loans that some messages are about, be they jobs or texts of jobs; providers' events name
    none.
    """
    names = set()
    for body in bodies:
        with suppress(BadJob):
            jobs = [Job.read(part) for part in parts(body)] if isinstance(body, str) else body
            jobs = jobs if isinstance(jobs, list | tuple) else ()
            names |= {job.borrower_id for job in jobs} | {key.loan_id for job in jobs for key in job.keys}
    return frozenset(names)
