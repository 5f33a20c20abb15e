"""The desks of the rules, set up with the adapters of AWS.

What only some functions need is imported by the desk that needs it: the functions that send start without news.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from predue.aws import settings
from predue.aws.bus import EventBus
from predue.aws.plans import TablePlans
from predue.aws.queues import SqsQueues
from predue.aws.settings import env
from predue.aws.table import Table
from predue.errors import BadNews
from predue.gate import DELIVERED

if TYPE_CHECKING:
    from predue.case import Case
    from predue.close import CloseDesk
    from predue.news import NewsDesk
    from predue.plan import PlanDesk


def table() -> Table:
    """The table."""
    return Table(env("TABLE_NAME"), lambda: int(env("SHARDS")))


def plans() -> TablePlans:
    """The table as planner and closing run read it."""
    return TablePlans(env("TABLE_NAME"), env("DUE_INDEX"))


def queue_urls() -> dict[str, str]:
    """The queues of the channels."""
    return {channel: env(f"{channel.upper()}_QUEUE_URL") for channel in DELIVERED}


def planning(time_left: Callable[[], float]) -> "PlanDesk":
    """The planner's desk."""
    from predue.plan import PlanDesk  # noqa: PLC0415 - see the module

    controls = settings.controls()
    queues, shards = SqsQueues(queue_urls()), int(env("SHARDS"))
    return PlanDesk(plans(), table(), queues, controls.rulebook, controls.switches, time_left, shards)


@lru_cache(maxsize=1)
def _used() -> set[tuple[str, str, int]]:
    """The places and times that this process has noted as in use; the item only grows, so remembering is safe."""
    return set()


def news() -> "NewsDesk":
    """The desk of news."""
    from predue.news import NewsDesk  # noqa: PLC0415 - see the module

    store = table()
    return NewsDesk(store, store, store, settings.controls().rulebook, settings.keys, _used(), _dropped, _opened)


def _dropped(error: BadNews) -> None:
    """Tell that news which was acknowledged as kept aside turned out wrong; of it only the wrong fields' names."""
    # Not at the top: telemetry reads a function's environment when it is imported.
    from predue.aws.telemetry import count, logger  # noqa: PLC0415

    count("KeptAsideDropped")
    logger.warning("news that was kept aside is refused", fields=[field for field, _ in error.fields])


def _opened(_case: "Case") -> None:
    """Tell that there is a case more."""
    from predue.aws.telemetry import count  # noqa: PLC0415 - as above

    count("CasesOpened")


def closing(time_left: Callable[[], float]) -> "CloseDesk":
    """The closing run's desk."""
    from predue.close import CloseDesk  # noqa: PLC0415 - see the module

    return CloseDesk(plans(), news(), EventBus(env("BUS_NAME")), time_left, _left_out)


def _left_out(error: Exception) -> None:
    """Log and count what one borrower met in a closing run that goes on with the others."""
    from predue.aws.telemetry import failures  # noqa: PLC0415 - as above

    with suppress(type(error)), failures("a borrower is left to the next closing run"):
        raise error


def forget() -> None:
    """Drop what this process remembers of a stack, before another starts in it."""
    _used.cache_clear()
    settings.forget()
