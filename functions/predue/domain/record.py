"""The reminder record: what became of a planned reminder, and why; the audit trail that explains every contact."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from predue.domain.stage import StageKey
from predue.lifecycle import Lifecycle

Outcome = Literal["sent", "suppressed", "expired", "failed", "unknown"]
RECORD: Lifecycle[Outcome] = Lifecycle(
    "record",
    {
        "unknown": {"sent": "a late acceptance, or any event of the provider about the message"},
        "sent": {},
        "suppressed": {},
        "expired": {},
        "failed": {},
    },
)
"""A record is written once with the outcome of its reminder; only an unknown one becomes another."""


class Answer(NamedTuple):
    """What a provider answered: `accepted`, `no_answer` or a kind of refusal, and the provider's own code."""

    kind: str
    code: str = ""

    @property
    def text(self) -> str:
        """As `kind:code`, the form in records and in contacts.jsonl."""
        return f"{self.kind}:{self.code}" if self.code else self.kind

    @classmethod
    def read(cls, text: str) -> "Answer":
        """The answer that a text holds."""
        kind, _, code = text.partition(":")
        return cls(kind, code)


class Attempt(NamedTuple):
    """One provider call: when it was claimed, on which channel, and what the provider answered."""

    at: datetime
    channel: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Record:
    """The final outcome of one reminder; `keys` are the planned stages that it answers for.

    `at` is the gate's `now` in the claim or of the decision, `local_time` the same with the borrower's offset.
    `inputs` holds what the gate saw (consent, basis, hours, counts), so that the decision can be explained from this
    record alone.
    """

    reminder_id: str
    borrower_id: str
    at: datetime
    local_time: str
    keys: tuple[StageKey, ...]
    outcome: Outcome
    reason: str
    channel: str = ""
    policy: str = ""
    pack: str = ""
    text: str = ""
    provider_message_id: str = ""
    receipt: str = ""
    attempts: tuple[Attempt, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)


def most_urgent(keys: Sequence[StageKey]) -> StageKey:
    """The key whose stage lies furthest along; the same for every order of `keys`."""
    return keys[0] if len(keys) == 1 else max(keys, key=lambda key: (key.offset(), key.text()))


@lru_cache(maxsize=4096)
def reminder_id(ref: str, keys: tuple[StageKey, ...]) -> str:
    """The id of the reminder that covers `keys`: deterministic, opaque, and led back to its borrower by `ref`.

    Any two reminders of a borrower cover disjoint keys, so the most urgent key makes the id unique. Letters and
    digits only: SES tags and SMS contexts take it as it is.
    """
    digest = hashlib.sha256(most_urgent(keys).text().encode()).digest()
    return ref + base64.b32encode(digest[:10]).decode().lower()


REF_LENGTH = 16


def ref_of(reminder: str) -> str:
    """The borrower's ref inside a reminder id."""
    return reminder[:REF_LENGTH]
