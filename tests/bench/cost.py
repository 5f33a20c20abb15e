"""The bill of a million delivered reminders, by cause: predue's, and those of two other designs over the same wire.

predue: the deployed handlers over the stack on one machine, for one day on which every borrower has an installment due
and a month of contacts behind, for each channel and for both as `make demo` mixes them; what a day without any due
costs is taken off, and stated as the fixed part. Run as
`python -m tests.bench.cost BORROWERS`, it prints the bills as JSON.
"""

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from infrastructure.cost.bill import bill, prices
from infrastructure.cost.meter import Meter
from infrastructure.local.aws.stack import Stack
from infrastructure.local.runs.portfolio import apply_rows
from infrastructure.local.runs.run import moto
from predue import wiring
from predue.borrowers.ports import Checkpoint
from predue.domain.ledger import Ledger
from predue.domain.record import reminder_id
from tests.bench import designs, setting

SHARES = {"email": 0.71, "sms": 0.29}
"""Of what goes out in `make demo`: 340 emails and 139 text messages."""
Later = Callable[[timedelta, str, dict[str, Any]], None]
_START = datetime(2026, 12, 20, 5, tzinfo=UTC)
"""Midnight in New York, as the day of the due date begins."""
_FAR = date(2027, 6, 20)
_A_MONTH = 30
_SHARDS = 16
"""template.yaml, Shards; the stack runs one, and the others of an idle quarter hour cost the same."""


_TOGETHER = timedelta(minutes=1)
"""A million reminders bring hundreds of receipts each second, so that every poll finds ten; here a minute's come at
once, and polls find as many.
"""


def _feed(borrowers: int, due_date: date, channel: str) -> None:
    """Borrowers with one loan each, whom the channel reaches: an installment of last month, paid, and one that is due.

    Both runs have covered all before this day, as they have in a stack that stands for long.
    """
    services = wiring.event_services()
    for run, rules in (("plan", ""), ("close", services.rulebook.label(_START.date()))):
        wiring.plans().save_checkpoint(run, 0, Checkpoint(_START, rules=rules))
    for number in range(borrowers):
        name, loan = f"b-{number:08d}", f"loan-{number:08d}"
        order = f"{channel}|{'email' if channel == 'sms' else 'sms'}"
        phone = f"+1{202 + number // 10000:03d}555{number % 10000:04d}"
        fields = {"borrower_id": name, "name": "Ana López", "phone": phone, "email": f"ana{number}@example.com"}
        fields |= {"locale": "en-US", "time_zone": setting.PLACE, "jurisdiction": "US-NY"}
        fields |= {"channels": order, "consent": order}
        due = {"loan_id": loan, "borrower_id": name, "amount": "120.00", "currency": "USD", "grace_days": "5"}
        rows = [
            due | {"installment_no": "1", "due_date": "2026-11-20", "status": "paid"},
            due | {"installment_no": "2", "due_date": due_date.isoformat(), "status": "open"},
        ]
        apply_rows(fields, rows, _START - timedelta(days=60), services)
        profile = services.dues.profile(name)
        assert profile is not None
        _remember(name, loan, profile.ref, wiring.table())


def _remember(name: str, loan: str, ref: str, table: Any) -> None:
    """A month of contacts in the ledger, as deliveries would have written them."""
    past = setting.ledger(name, loan).contacts
    contacts = tuple(one._replace(reminder_id=reminder_id(ref, one.keys)) for one in past)
    table.write_ledger(Ledger(name, table.ledger(name).version, contacts))


def _dense(later: Later) -> Later:
    def together(wait: timedelta, channel: str, event: dict[str, Any]) -> None:
        later(-(-wait // _TOGETHER) * _TOGETHER, channel, event)

    return together


def _day(borrowers: int, due_date: date, channel: str = "email") -> tuple[Meter, int, int]:
    """What one day and the receipts after it count, the bytes logged, and the reminders accepted."""
    log, wire = io.StringIO(), io.StringIO()
    with moto():
        stack = Stack(_START, log=log, wire=wire)
        stack.carrier.later = _dense(stack.carrier.later)
        with stack.feeding():
            _feed(borrowers, due_date, channel)
        stack.run_until(_START + timedelta(hours=24))
        assert not stack.dead_letters(), "every job was done"
    accepted = sum('"accepted"' in line for line in wire.getvalue().splitlines())
    return stack.meter, len(log.getvalue().encode()), accepted


def measure(borrowers: int) -> dict[str, Any]:
    """Dollars by cause for a million delivered reminders of each channel, and for a month in which nothing is due."""
    idle_meter, idle_bytes, none = _day(1, _FAR)
    assert none == 0, "on an idle day nothing goes out"
    idle = bill(idle_meter, idle_bytes)
    found: dict[str, Any] = {"borrowers": borrowers, "per_reminder": {}}
    for channel in SHARES:
        meter, log_bytes, accepted = _day(borrowers, setting.DUE, channel)
        busy = bill(meter, log_bytes)
        found[channel] = {cause: (busy[cause] - idle[cause]) / accepted * 1e6 for cause in busy}
        found["per_reminder"][channel] = {
            "write_units": _writes(meter) / accepted,
            "calls": sum(meter.calls.values()) / accepted,
        }
    found["predue"] = {cause: sum(share * found[channel][cause] for channel, share in SHARES.items()) for cause in idle}
    found["fixed_a_month"] = {cause: idle[cause] * _A_MONTH * _SHARDS for cause in idle}
    found["fixed_a_month"]["sqs idle polls"] = _idle_polls()
    return found | {name: designs.measure(design) for name, design in designs.DESIGNS.items()}


def _writes(meter: Meter) -> float:
    return sum(units for name, units in meter.units.items() if name.endswith(("PutItem", "UpdateItem", "DeleteItem")))


def _idle_polls() -> float:
    """Lambda's pollers ask their queues even when these are empty: so many long polls of 20 seconds a queue."""
    sqs = prices()["sqs"]
    polls = sqs["queues_polled"] * sqs["pollers_of_a_queue"] * 3 * 60 * 24 * _A_MONTH
    return float(polls / 1e6 * sqs["million_requests"])


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))  # noqa: T201 - the parent reads it
