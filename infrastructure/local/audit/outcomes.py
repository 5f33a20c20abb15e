"""The lines of contacts.jsonl and wire.jsonl, read for the auditor."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Any

from infrastructure.local.audit.terms import AuditKey, days_from_due
from infrastructure.local.audit.values import instant, local_date

OUTCOMES = ("sent", "suppressed", "expired", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt as the record has it: the instant of the claim, the channel, and the provider's answer."""

    at: datetime
    channel: str
    answer: str


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """One final outcome; `local` is `local_time` with the offset that was written."""

    number: int
    at: datetime
    local: datetime
    reminder_id: str
    borrower_id: str
    channel: str
    keys: tuple[AuditKey, ...]
    outcome: str
    reason: str
    policy: str
    pack: str
    text: str
    provider_message_id: str
    attempts: tuple[Tried, ...]

    @property
    def contact(self) -> bool:
        """Whether the borrower was contacted, or may have been."""
        return self.outcome in ("sent", "unknown")


@dataclass(frozen=True, slots=True)
class ProviderCall:
    """One provider call that reached the carrier."""

    number: int
    at: datetime
    channel: str
    reminder_id: str
    provider_message_id: str
    answer: str

    @property
    def refused(self) -> bool:
        """Whether the provider definitely refused; every other answer may have reached the borrower."""
        return self.answer.startswith("refused")


def read_line(number: int, raw: Mapping[str, Any]) -> OutcomeLine:
    """Read a line of contacts.jsonl; raises KeyError, TypeError or ValueError when a field is missing or bad."""
    local = datetime.fromisoformat(raw["local_time"])
    if local.tzinfo is None:
        raise ValueError("local_time has no offset")
    return OutcomeLine(
        number,
        instant(raw["at"]),
        local,
        intern(raw["reminder_id"]),
        intern(raw["borrower_id"]),
        intern(raw["channel"] or ""),
        tuple(_audit_key(due) for due in raw["dues"]),
        intern(raw["outcome"]),
        intern(raw["reason"] or ""),
        intern(raw["policy"] or ""),
        intern(raw["pack"] or ""),
        intern(raw["text"] or ""),
        intern(raw["provider_message_id"] or ""),
        tuple(
            Tried(instant(tried["at"]), intern(tried["channel"]), intern(tried["answer"])) for tried in raw["attempts"]
        ),
    )


def read_call(number: int, raw: Mapping[str, Any]) -> ProviderCall:
    """Read a line of wire.jsonl; raises KeyError, TypeError or ValueError when a field is missing or bad."""
    at = instant(raw["at"])
    ids = intern(raw["reminder_id"]), intern(raw["provider_message_id"] or "")
    return ProviderCall(number, at, intern(raw["channel"]), *ids, intern(str(raw["answer"])))


def _tried(raw: Mapping[str, Any]) -> Tried:
    return Tried(instant(raw["at"]), intern(raw["channel"]), intern(raw["answer"]))


def _audit_key(due: Mapping[str, Any]) -> AuditKey:
    """Read one of a line's dues."""
    number = due["installment_no"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError("installment_no is no integer")
    days_from_due(due["stage"])
    return AuditKey(intern(due["loan_id"]), number, local_date(due["due_date"]), intern(due["stage"]))
