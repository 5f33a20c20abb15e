"""The lines of contacts.jsonl and wire.jsonl, read for the auditor."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from predue.domain.instant import from_text
from predue.domain.stage import Stage, StageKey

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
    keys: tuple[StageKey, ...]
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
        from_text(raw["at"]),
        local,
        raw["reminder_id"],
        raw["borrower_id"],
        raw["channel"] or "",
        tuple(_key(due) for due in raw["dues"]),
        raw["outcome"],
        raw["reason"] or "",
        raw["policy"] or "",
        raw["pack"] or "",
        raw["text"] or "",
        raw["provider_message_id"] or "",
        tuple(Tried(from_text(tried["at"]), tried["channel"], tried["answer"]) for tried in raw["attempts"]),
    )


def read_call(number: int, raw: Mapping[str, Any]) -> ProviderCall:
    """Read a line of wire.jsonl; raises KeyError, TypeError or ValueError when a field is missing or bad."""
    at = from_text(raw["at"])
    return ProviderCall(
        number, at, raw["channel"], raw["reminder_id"], raw["provider_message_id"] or "", str(raw["answer"])
    )


def _key(due: Mapping[str, Any]) -> StageKey:
    """Read one of a line's dues."""
    number = due["installment_no"]
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError("installment_no is no integer")
    return StageKey(due["loan_id"], number, date.fromisoformat(due["due_date"]), Stage.named(due["stage"]).name)
