"""The bill of a run: what its functions called and consumed, priced from prices.toml; fees of the providers apart."""

import tomllib
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from infrastructure.cost.meter import Meter

_MILLION = 1_000_000
_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")
_WITH_WORKERS = ("deliver", "deliver-sms", "deliver-email", "receipts")
"""How the names end of functions that take batches of messages with WORKERS (template.yaml), in other designs, too."""
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
    invocations = sum(meter.invocations.values())
    function = price["lambda"]
    seconds = (
        sum(
            _milliseconds(meter.work[name], count, function["workers"] if name.endswith(_WITH_WORKERS) else 1)
            for name, count in meter.invocations.items()
        )
        / 1000
    )
    return {
        "dynamodb writes": writes * price["dynamodb"]["million_write_units"] / _MILLION,
        "dynamodb reads": reads * price["dynamodb"]["million_read_units"] / _MILLION,
        "sqs": queue * price["sqs"]["million_requests"] / _MILLION,
        "sns": meter.calls["sns.Publish"] * price["sns"]["million_publishes"] / _MILLION,
        "lambda requests": invocations * function["million_requests"] / _MILLION,
        "lambda time": seconds * function["memory_gb"] * function["gb_second"],
        "logs": (log_bytes + invocations * price["logs"]["bytes_of_an_invocation"])
        / 1e9
        * price["logs"]["gb_ingested"],
        "one-off schedules": meter.calls["scheduler.CreateSchedule"]
        * price["scheduler"]["million_invocations"]
        / _MILLION,
        "events": meter.calls["events.PutEvents"] * price["events"]["million_events"] / _MILLION,
    }


def _milliseconds(calls: Counter[str], invocations: int, workers: int) -> float:
    """The time of one function: its processor's, which a small memory stretches, and what it waits for.

    A function with workers waits for some while its processor is at others, so whichever of the two takes longer is its
    time: the bound of a closed system with so many customers (Denning and Buzen, "The Operational Analysis of Queueing
    Network Models", 1978).
    """
    function = prices()["lambda"]
    providers = sum(calls[name] for name in _PROVIDERS)
    cpu = calls.total() * function["milliseconds_cpu_per_call"] + invocations * function["milliseconds_cpu_per_start"]
    waits = (calls.total() - providers) * function["milliseconds_per_call"]
    waits += providers * function["milliseconds_per_provider"]
    share = function["memory_gb"] / function["memory_gb_of_a_processor"]
    if workers == 1:
        return float(cpu / share + waits)
    return float(max(cpu / share, (cpu / share + waits) / workers))


def per_million(costs: dict[str, float], reminders: int) -> dict[str, Any]:
    """The same for a million reminders, in dollars; nothing where none went out."""
    if not reminders:
        return {}
    lines = {name: round(cost / reminders * _MILLION, 4) for name, cost in costs.items()}
    return {"total_usd": round(sum(lines.values()), 2), "lines": lines}
