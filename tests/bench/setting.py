"""What the benchmarks measure with: one borrower in the middle of a month, the functions' environment, the endpoint."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from predue import wiring
from predue.aws import clients, items
from predue.domain import instant
from predue.domain.due import Change, Due
from predue.domain.job import Job
from predue.domain.ledger import Contact, Ledger
from predue.domain.profile import Profile
from predue.domain.record import reminder_id
from predue.domain.stage import StageKey
from predue.runtime import clock

DUE = date(2026, 12, 20)
NOW = datetime(2026, 12, 20, 15, tzinfo=UTC)
"""Ten o'clock in New York on the due date: the slot of T0."""
REF = "q" * 16
LOAN = "loan-00000000"
PLACE = "America/New_York"


def key(stage: str, number: int = 2, due: date = DUE) -> StageKey:
    """The key of a stage of the borrower's loan."""
    return StageKey(LOAN, number, due, stage)


def profile(*channels: str) -> Profile:
    """The borrower, who prefers the channels in their order."""
    return Profile(
        borrower_id="b-0",
        ref=REF,
        name="Ana López",
        locale="en-US",
        time_zone=PLACE,
        jurisdiction="US-NY",
        channels=channels,
        consent=("sms", "email"),
        addresses={"sms": "+12025550100", "voice": "+12025550100", "email": "ana@example.com"},
        address_refs={"sms": "s" * 32, "voice": "v" * 32, "email": "e" * 32},
        sequences=dict.fromkeys(("name", "phone", "email", "locale", "time_zone", "jurisdiction"), 0),
        version=1,
    )


def ledger(borrower_id: str = "b-0", loan: str = LOAN) -> Ledger:
    """A ledger of four contacts: the last of the month before, and three of this month."""
    keys = [StageKey(loan, 1, date(2026, 11, 20), "T+1"), *(StageKey(loan, 2, DUE, s) for s in ("T-7", "T-3", "T-1"))]
    return Ledger(borrower_id, 8, tuple(_contact(one) for one in keys))


def _contact(one: StageKey) -> Contact:
    at = datetime.combine(one.day(), time(15), UTC)
    text = f"en-US/email/{one.stage}@d2298adc"
    return Contact(at, one.day(), "email", (one,), "8b50fd2baf65", reminder_id(REF, (one,)), text)


def dues() -> list[Due]:
    """The installment of last month, and the one that is due today."""
    known = (Change(datetime(2026, 11, 1, tzinfo=UTC), open=True),)
    return [
        Due("b-0", LOAN, number, day, 12_000, "USD", 5, known, sequences={"due_date": 0, "amount": 0}, version=1)
        for number, day in ((1, date(2026, 11, 20)), (2, DUE))
    ]


def answers(channel: str, dues_in_index: int = 0) -> dict[str, Any]:
    """What the endpoint answers with, for a borrower whom a channel reaches."""
    other = "email" if channel == "sms" else "sms"
    who = items.wire(items.profile_item(profile(channel, other)))
    state = [items.wire(items.ledger_item(ledger())), who, *(items.wire(items.due_item(due)) for due in dues())]
    index = {
        "pk": "B#b-{n}",
        "sk": f"D#{DUE}#{LOAN}#2",
        "due_key": f"{DUE}#0",
        "slot_key": f"{PLACE}#--:--#b-{{n}}#{LOAN}#2#{DUE}",
        "written_at": instant.to_ms(NOW - timedelta(days=60)),
    }
    in_use = {"pk": "U#in_use", "sk": "U", "pairs": {f"{PLACE}#--:--"}, "graces": {5}}
    covered = {"pk": "P#plan", "sk": "P#0", "covered": instant.to_ms(NOW - timedelta(minutes=10))}
    return {
        "state": state,
        "profile": who,
        "due": items.wire(index),
        "dues": dues_in_index,
        "single": [items.wire(in_use), items.wire(covered)],
        "parameters": [{"Name": "policy", "Value": "{}"}, {"Name": "switch", "Value": '{"paused": []}'}],
        "secret": {"SecretString": json.dumps({"root": "k" * 32})},
    }


def environment(port: int, workers: int) -> dict[str, str]:
    """The environment of all functions, with the endpoint in AWS's place."""
    here = f"http://127.0.0.1:{port}"
    arns = {name: f"arn:aws:x:us-east-1:123456789012:{name}" for name in ("sms", "email", "defer", "role", "identity")}
    return {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": here,
        "ENVIRONMENT": "production",
        "POLICY_PARAMETER": "policy",
        "SWITCH_PARAMETER": "switch",
        "KEYS_SECRET": "keys",
        "TABLE_NAME": "table",
        "DUE_INDEX": "due_index",
        "SHARDS": "1",
        "SMS_QUEUE_URL": f"{here}/sms",
        "EMAIL_QUEUE_URL": f"{here}/email",
        "SMS_QUEUE_ARN": arns["sms"],
        "EMAIL_QUEUE_ARN": arns["email"],
        "DEFER_GROUP": "defer",
        "DEFER_ROLE_ARN": arns["role"],
        "DEFER_DLQ_ARN": arns["defer"],
        "EMAIL_FROM": "reminders@lender.example",
        "EMAIL_CONFIGURATION_SET": "emails",
        "SMS_ORIGINATION_IDENTITY": arns["identity"],
        "SMS_CONFIGURATION_SET": "texts",
        "PUBLIC_URL": "https://remind.lender.example",
        "LEASE_SECONDS": "120",
        "WORKERS": str(workers),
        "POWERTOOLS_SERVICE_NAME": "bench",
    }


def job(number: int) -> Job:
    """A job of today's slot."""
    return Job(f"b-{number:012d}", DUE, NOW, (key("T0"),))


@contextmanager
def endpoint(given: dict[str, Any], workers: int = 1) -> Iterator[None]:
    """Within this, SDK clients speak to a fast endpoint that answers with `given`, and the time is that of the slot."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(given, file)
        file.flush()
        command = [sys.executable, "-m", "tests.bench.endpoint", file.name]
        root = Path(__file__).parents[2]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)  # noqa: S603 - our own module
        before, token = dict(os.environ), clock.source.set(lambda: NOW)
        try:
            assert server.stdout is not None
            os.environ.update(environment(int(server.stdout.readline()), workers))
            clients.forget()
            wiring.forget()
            yield
        finally:
            clock.source.reset(token)
            os.environ.clear()
            os.environ.update(before)
            clients.forget()
            server.kill()
            server.communicate()
