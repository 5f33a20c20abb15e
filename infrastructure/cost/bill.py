"""The bill of a run: what its functions called and consumed, priced from prices.toml; fees of the providers apart."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from infrastructure.cost.meter import Meter

_MILLION = 1_000_000
_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_PROVIDERS = ("sesv2.SendEmail", "pinpoint-sms-voice-v2.SendTextMessage")


@cache
def prices() -> dict[str, Any]:
    """The price list."""
    return tomllib.loads((Path(__file__).parent / "prices.toml").read_text(encoding="utf-8"))


def bill(meter: Meter, log_bytes: int) -> dict[str, float]:
    """Dollars by cause for everything that a meter counted."""
    price = prices()
    writes = sum(
        units for name, units in meter.units.items() if name.startswith("dynamodb.") and name.endswith(_WRITES)
    )
    reads = sum(
        units for name, units in meter.units.items() if name.startswith("dynamodb.") and not name.endswith(_WRITES)
    )
    queue = sum(units for name, units in meter.units.items() if name.startswith("sqs."))
    provider_calls = sum(meter.calls[name] for name in _PROVIDERS)
    # The pollers' calls cost requests and no function's time.
    waited = (
        sum(count for name, count in meter.calls.items() if not name.endswith(("ReceiveMessage", "DeleteMessageBatch")))
        - provider_calls
    )
    invocations = sum(meter.invocations.values())
    function = price["lambda"]
    milliseconds = (
        waited * function["milliseconds_per_call"]
        + provider_calls * function["milliseconds_per_provider"]
        + invocations * function["milliseconds_per_invocation"]
    )
    return {
        "dynamodb writes": writes * price["dynamodb"]["million_write_units"] / _MILLION,
        "dynamodb reads": reads * price["dynamodb"]["million_read_units"] / _MILLION,
        "sqs": queue * price["sqs"]["million_requests"] / _MILLION,
        "lambda requests": invocations * function["million_requests"] / _MILLION,
        "lambda time": milliseconds / 1000 * function["memory_gb"] * function["gb_second"],
        "logs": log_bytes / 1e9 * price["logs"]["gb_ingested"],
        "one-off schedules": meter.calls["scheduler.CreateSchedule"]
        * price["scheduler"]["million_invocations"]
        / _MILLION,
        "events": meter.calls["events.PutEvents"] * price["events"]["million_events"] / _MILLION,
    }


def per_million(costs: dict[str, float], reminders: int) -> dict[str, Any]:
    """The same for a million reminders, in dollars; nothing where none went out."""
    if not reminders:
        return {}
    lines = {name: round(cost / reminders * _MILLION, 4) for name, cost in costs.items()}
    return {"total_usd": round(sum(lines.values()), 2), "lines": lines}
