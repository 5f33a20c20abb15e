"""The adapters of AWS, made from a function's environment and passed to the services; the handlers call this.

What only some functions need is imported where it is made: the functions that send start without the event models.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from predue.aws.bus import EventBus
from predue.aws.clients import client, translated
from predue.aws.parameters import parameters, secret
from predue.aws.plans import TablePlans
from predue.aws.queues import OneOffSchedules, SqsQueues
from predue.aws.table import Table
from predue.domain.channel import DELIVERED
from predue.domain.keys import Keys
from predue.errors import InvalidEvent
from predue.runtime.settings import Controls, Kept, env, read_controls, read_keys

if TYPE_CHECKING:
    from predue.borrowers.ports import Provider
    from predue.domain.case import Case
    from predue.events.event_services import EventServices
    from predue.imports.import_messages import ImportAdapters
    from predue.inbound.bus_messages import BusAdapters
    from predue.inbound.event_processor import ProcessorAdapters
    from predue.inbound.sources import Named, Source
    from predue.outbound.subscriber import Subscriber
    from predue.outbound.webhook_dispatcher import DispatchAdapters
    from predue.reminders.closing import ClosingServices
    from predue.reminders.delivery_batch import DeliveryAdapters
    from predue.reminders.planner import PlannerServices

_T = TypeVar("_T")
_FRESH = timedelta(seconds=15)
"""How long a read policy or switch may serve: the longest that a turned switch takes to reach a warm function."""
_KEYS_FRESH = timedelta(minutes=5)
_SOURCES_FRESH = timedelta(minutes=1)
"""So long may a key that was taken back still sign, and a new one not yet."""


# What the operator may change while the functions run


def _read_controls() -> Controls:
    policy, switch = parameters([env("POLICY_PARAMETER"), env("SWITCH_PARAMETER")])
    return read_controls(policy, switch, production=env("ENVIRONMENT") == "production")


def _read_keys() -> Keys:
    return read_keys(secret(env("KEYS_SECRET"), "keys"))


def _read_sources() -> "Named[Source]":
    from predue.inbound.sources import read_sources  # noqa: PLC0415 - see the module

    return _ringing(read_sources(secret(env("SOURCES_SECRET"), "sources")))


def _read_subscribers() -> "Named[Subscriber]":
    from predue.outbound.subscriber import read_subscribers  # noqa: PLC0415 - see the module

    return _ringing(read_subscribers(secret(env("WEBHOOKS_SECRET"), "subscribers"), public=_public()))


def _ringing(read: "Named[_T]") -> "Named[_T]":
    """What was read, after what of it is wrong has rung: whoever it concerns may be silent for long."""
    # Not at the top: telemetry reads a function's environment when it is imported.
    from predue.runtime.telemetry import count, logger  # noqa: PLC0415

    for reason in read.wrong.values():
        count("FailedClosed")
        logger.error("a setting cannot be used", reason=reason)
    return read


_controls = Kept(_read_controls, _FRESH)
_keys = Kept(_read_keys, _KEYS_FRESH)
_sources = Kept(_read_sources, _SOURCES_FRESH)
_subscribers = Kept(_read_subscribers, _SOURCES_FRESH)


def controls() -> Controls:
    """The rules and switches as they stand; raises BadPolicy or Unreachable if they cannot be read."""
    return _controls.get()


def keys() -> Keys:
    """The keys as they stand; raises BadPolicy or Unreachable if they cannot be read."""
    return _keys.get()


def sources() -> "Named[Source]":
    """The sources of events by name; raises BadPolicy or Unreachable if they cannot be read."""
    return _sources.get()


def subscribers() -> "Named[Subscriber]":
    """Whom to call with events, by name; raises BadPolicy or Unreachable if they cannot be read."""
    return _subscribers.get()


def forget() -> None:
    """Drop what this process remembers of a stack, before another starts in it."""
    _used.cache_clear()
    for kept in (_controls, _keys, _sources, _subscribers):
        kept.forget()


# Adapters


def table() -> Table:
    """The table."""
    return Table(env("TABLE_NAME"), lambda: int(env("SHARDS")))


def plans() -> TablePlans:
    """The table as planner and closing run read it."""
    return TablePlans(env("TABLE_NAME"), env("DUE_INDEX"))


def queue_urls() -> dict[str, str]:
    """The queues of the channels."""
    return {channel: env(f"{channel.upper()}_QUEUE_URL") for channel in DELIVERED}


def bus() -> EventBus:
    """The application's bus."""
    return EventBus(env("BUS_NAME"))


def _public() -> bool:
    """Whether subscribers must have addresses of the public internet."""
    return env("WEBHOOK_ADDRESSES") == "public"


@lru_cache(maxsize=1)
def _used() -> set[tuple[str, str, int]]:
    """What this process has noted as in use, zone keys and send times; the item only grows, so remembering is safe."""
    return set()


# Services


def planning(time_left: Callable[[], float]) -> "PlannerServices":
    """What the planner works with."""
    from predue.reminders.planner import PlannerServices  # noqa: PLC0415 - see the module

    now = controls()
    queues, shards = SqsQueues(queue_urls()), int(env("SHARDS"))
    return PlannerServices(plans(), table(), queues, now.rulebook, now.switches, time_left, shards)


def event_services() -> "EventServices":
    """What applying events works with; where no source is heard, nobody asks who owns what."""
    from predue.events.event_services import EventServices  # noqa: PLC0415 - see the module
    from predue.events.owners import CREATORS  # noqa: PLC0415 - see the module

    store, owners = table(), CREATORS
    if "SOURCES_SECRET" in os.environ:
        from predue.inbound.sources import owners_of  # noqa: PLC0415 - see the module

        owners = owners_of(sources())
    return EventServices(store, store, store, controls().rulebook, keys, _used(), _dropped, _opened, owners)


def _dropped(error: InvalidEvent) -> None:
    """Say that an event which was acknowledged as parked turned out wrong; of it only the wrong fields' names."""
    # Not at the top: telemetry reads a function's environment when it is imported.
    from predue.runtime.telemetry import count, logger  # noqa: PLC0415

    count("ParkedDropped")
    logger.warning("a parked event is rejected", fields=[field for field, _ in error.fields])


def _opened(_case: "Case") -> None:
    """Count one more case."""
    from predue.runtime.telemetry import count  # noqa: PLC0415 - as above

    count("CasesOpened")


def closing(time_left: Callable[[], float]) -> "ClosingServices":
    """What the closing run works with."""
    from predue.reminders.closing import ClosingServices  # noqa: PLC0415 - see the module

    return ClosingServices(plans(), event_services(), bus(), time_left, _left_out)


def _left_out(error: Exception) -> None:
    """Log and count what one borrower met in a closing run that goes on with the others."""
    from predue.runtime.telemetry import failures  # noqa: PLC0415 - as above

    with suppress(type(error)), failures("a borrower is left to the next closing run"):
        raise error


def delivery(channel: str, make_provider: "Callable[[], Provider]") -> "DeliveryAdapters":
    """What the deliver function of a channel works with."""
    from predue.reminders.delivery_batch import DeliveryAdapters  # noqa: PLC0415 - see the module

    arns: dict[str, str] = {channel: env(f"{channel.upper()}_QUEUE_ARN") for channel in DELIVERED}
    later = OneOffSchedules(arns, env("DEFER_GROUP"), env("DEFER_ROLE_ARN"), env("DEFER_DLQ_ARN"))
    lease = timedelta(seconds=int(env("LEASE_SECONDS")))
    link = unsubscribe_url if channel == "email" else _no_link
    return DeliveryAdapters(channel, table(), SqsQueues(queue_urls()), later, make_provider(), controls, link, lease)


def unsubscribe_url(ref: str) -> str:
    """The one-click link that stops email for the borrower behind an opaque name."""
    return f"{env('PUBLIC_URL')}/unsubscribe/{keys().stop_token(ref, 'email')}"


def _no_link(_ref: str) -> str:
    return ""


def processor() -> "ProcessorAdapters":
    """What the event processor works with."""
    from predue.inbound.event_processor import ProcessorAdapters  # noqa: PLC0415 - see the module

    return ProcessorAdapters(event_services, table)


def bus_messages() -> "BusAdapters":
    """What taking events from the bus works with."""
    from predue.inbound.bus_messages import BusAdapters  # noqa: PLC0415 - see the module

    return BusAdapters(processor(), sources, _to_dead_letters)


def _to_dead_letters(text: str, reason: str) -> None:
    """Put a refused event into the dead letters, with the reason as an attribute."""
    attribute = {"DataType": "String", "StringValue": reason}
    with translated("dead letters"):
        client("sqs").send_message(
            QueueUrl=env("EVENTS_DEAD_LETTERS_URL"), MessageBody=text, MessageAttributes={"reason": attribute}
        )


def imports() -> "ImportAdapters":
    """What an import works with."""
    from predue.aws.bucket_files import BucketFiles  # noqa: PLC0415 - see the module
    from predue.aws.open_dues import TableOpenDues  # noqa: PLC0415
    from predue.imports.import_messages import ImportAdapters  # noqa: PLC0415

    open_dues = TableOpenDues(env("TABLE_NAME"), env("DUE_INDEX"))
    return ImportAdapters(BucketFiles(env("BOOKS_BUCKET")), open_dues, event_services, sources, controls, _go_on)


def _go_on(import_id: str) -> None:
    """Queue that an import is to go on."""
    with translated("queue"):
        client("sqs").send_message(QueueUrl=env("IMPORTS_QUEUE_URL"), MessageBody=json.dumps({"import": import_id}))


def webhook_dispatcher() -> "DispatchAdapters":
    """What calling subscribers works with."""
    from predue.outbound.webhook_dispatcher import DispatchAdapters  # noqa: PLC0415 - see the module

    return DispatchAdapters(subscribers, lambda: SqsQueues({"webhooks": env("WEBHOOKS_QUEUE_URL")}), _hide, _public)


def _hide(receipt_handle: str, until: timedelta) -> None:
    """Keep a message of the webhooks queue hidden until its next try."""
    with translated("queue"):
        client("sqs").change_message_visibility(
            QueueUrl=env("WEBHOOKS_QUEUE_URL"),
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=int(until.total_seconds()),
        )
