"""The rows of `borrowers.csv` and `installments.csv`, read by the models of events; README.md tells their form.

A cell is read as an event's field is. Beyond that a row is refused for what a spreadsheet may have made of it, since a
guess would be a wrong figure or another's loan.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predue.domain import contact_point
from predue.domain.money import exponent
from predue.errors import InvalidEvent
from predue.events.event_fields import is_id
from predue.events.models import Event, Scheduled, Updated
from predue.imports.csv_rows import BadRow
from predue.inbound.deliveries import event_of
from predue.inbound.sources import Source

_TEXT_COLUMNS = ("borrower_id", "name", "phone", "email", "wechat_openid", "locale", "time_zone", "jurisdiction")
BORROWER_COLUMNS = (*_TEXT_COLUMNS, "channels", "consent", "preferred_time")
_SAID_COLUMNS = ("loan_id", "installment_no", "borrower_id", "due_date", "amount", "currency", "grace_days")
INSTALLMENT_COLUMNS = (*_SAID_COLUMNS, "status")
STATUSES = ("open", "paid", "cancelled")
_GROUPED = re.compile(r"[0-9]{1,3}\.[0-9]{3}")
"""An amount with a point that may part thousands as well: `120.000`."""
_THOUSANDTHS = 3
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2,}")
"""What Excel makes of a long number. An id like `1E5` has no plus."""


class InstallmentRow(NamedTuple):
    """An installment of a file: its event, and what it is beside that, one of STATUSES."""

    event: Scheduled
    status: str


def borrower_row(row: Mapping[str, str], source: Source) -> Updated:
    """Read a row that has BORROWER_COLUMNS; raises InvalidEvent."""
    # A number means the same however it was written, and however much of the row is said later on.
    event = _named("borrower.updated", BORROWER_COLUMNS, contact_point.canonical(row), source)
    assert isinstance(event, Updated)
    return event


def installment_row(row: Mapping[str, str], source: Source) -> InstallmentRow:
    """Read a row that has INSTALLMENT_COLUMNS; raises InvalidEvent."""
    event = _named("installment.scheduled", _SAID_COLUMNS, row, source)
    assert isinstance(event, Scheduled)
    if _GROUPED.fullmatch(row["amount"]) and exponent(event.currency) != _THOUSANDTHS:
        raise InvalidEvent("amount: its point may part thousands or decimals; write it like 125.50")
    if row["status"] not in STATUSES:
        raise InvalidEvent("status: it is one of " + ", ".join(STATUSES))
    return InstallmentRow(event, row["status"])


def row_id(columns: Sequence[str], row: Mapping[str, str] | BadRow) -> str:
    """Whose a row is: its loan's id, else its borrower's; empty if that is not known or no id."""
    name = "loan_id" if "loan_id" in columns else "borrower_id"
    value = row.get(name, "") if not isinstance(row, BadRow) else row.first if columns[0] == name else ""
    return value if is_id(value) else ""


def _named(kind: str, columns: Sequence[str], row: Mapping[str, str], source: Source) -> Event:
    """A row's event under an id that follows from all that it says: the same row in another file is the same event. It
    is older than anything that events say.
    """
    if lost := [name for name in ("loan_id", "borrower_id") if name in columns and _SCIENTIFIC.fullmatch(row[name])]:
        told = "was turned into scientific notation by a spreadsheet, which lost its digits; format it as text, anew"
        raise InvalidEvent(*(f"{name}: {told}" for name in lost))
    body: dict[str, Any] = {"type": kind} | {name: row[name] for name in columns}
    said = json.dumps(body, sort_keys=True).encode()
    return event_of(body | {"event_id": f"row-{hashlib.sha256(said).hexdigest()[:32]}", "sequence": 0}, source)
