"""The rows of `borrowers.csv` and `installments.csv`, read by the models of events; README.md tells their form."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predue.errors import InvalidEvent
from predue.events.models import Event, Scheduled, Updated
from predue.inbound.deliveries import event_of
from predue.inbound.sources import Source

_TEXT_COLUMNS = ("borrower_id", "name", "phone", "email", "wechat_openid", "locale", "time_zone", "jurisdiction")
BORROWER_COLUMNS = (*_TEXT_COLUMNS, "channels", "consent", "preferred_time")
_SAID_COLUMNS = ("loan_id", "installment_no", "borrower_id", "due_date", "amount", "currency", "grace_days")
INSTALLMENT_COLUMNS = (*_SAID_COLUMNS, "status")
STATUSES = ("open", "paid", "cancelled")


class InstallmentRow(NamedTuple):
    """An installment of a file: its event, and what it is beside that, one of STATUSES."""

    event: Scheduled
    status: str


def borrower_row(row: Mapping[str, str], source: Source) -> Updated:
    """Read a row that has BORROWER_COLUMNS; raises InvalidEvent."""
    event = _named("borrower.updated", BORROWER_COLUMNS, row, source)
    assert isinstance(event, Updated)
    return event


def installment_row(row: Mapping[str, str], source: Source) -> InstallmentRow:
    """Read a row that has INSTALLMENT_COLUMNS; raises InvalidEvent."""
    event = _named("installment.scheduled", _SAID_COLUMNS, row, source)
    assert isinstance(event, Scheduled)
    if row["status"] not in STATUSES:
        raise InvalidEvent("status: it is one of " + ", ".join(STATUSES))
    return InstallmentRow(event, row["status"])


def _named(kind: str, columns: Sequence[str], row: Mapping[str, str], source: Source) -> Event:
    """A row's event under an id that follows from all that it says: the same row in another file is the same event. It
    is older than anything that events say.
    """
    body: dict[str, Any] = {"type": kind} | {name: row[name] for name in columns}
    said = json.dumps(body, sort_keys=True).encode()
    return event_of(body | {"event_id": f"row-{hashlib.sha256(said).hexdigest()[:32]}", "sequence": 0}, source)
