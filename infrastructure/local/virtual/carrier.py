"""The carrier simulator: takes or refuses messages as real carriers do, and sends their events afterwards.

It makes the providers' message ids, writes one line per call into wire.jsonl, and draws refusals, receipts, bounces and
delays from its seed, the reminder and the instant, so that the same call always meets the same fate, whoever calls
before it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TextIO

from predue.domain import instant

_SAMPLES = 500
_UNDELIVERED = ("TEXT_UNREACHABLE", "TEXT_CARRIER_UNREACHABLE", "TEXT_UNKNOWN")


@dataclass(frozen=True, slots=True)
class Odds:
    """How often, out of one, things go as they do at real carriers."""

    bad_number: float = 0.01
    stopped_number: float = 0.003
    sms_undelivered: float = 0.03
    email_bounced: float = 0.008
    email_complained: float = 0.001


class Letter(NamedTuple):
    """One message as its carrier gets it; a text message has neither subject nor HTML."""

    reminder_id: str
    to: str
    sender: str
    body: str
    subject: str = ""
    html: str = ""
    segments: int = 0


class CarrierAnswer(NamedTuple):
    """What a carrier answers: the id of a message that it took, or the reason why it refuses one."""

    message_id: str = ""
    refused: str = ""


BAD_NUMBER, STOPPED_NUMBER = "FIELD_VALIDATION_FAILED", "DESTINATION_PHONE_NUMBER_OPTED_OUT"


@dataclass
class Carrier:
    """Plays both providers; `later` takes a delay and an event (channel, body) to be published then."""

    seed: int
    clock: Callable[[], datetime]
    wire: TextIO
    later: Callable[[timedelta, str, dict[str, Any]], None]
    odds: Odds = field(default_factory=Odds)
    samples: list[dict[str, Any]] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    """The messages that were taken, by channel, and the `sms_segments` in them."""

    def text(self, letter: Letter) -> CarrierAnswer:
        """Take a text message, or refuse its number."""
        fate = next(self._draws("number", letter.to))
        if fate < self.odds.bad_number:
            return self._refuse("sms", letter, BAD_NUMBER)
        if fate < self.odds.bad_number + self.odds.stopped_number:
            return self._refuse("sms", letter, STOPPED_NUMBER)
        message_id = self._accept("sms", letter)
        self.sent["sms_segments"] += letter.segments
        context = {"reminder_id": letter.reminder_id}
        self._text_events(letter, {"context": context, "messageId": message_id, "destinationPhoneNumber": letter.to})
        return CarrierAnswer(message_id)

    def _text_events(self, letter: Letter, event: dict[str, Any]) -> None:
        soon, arrives, reason, late = self._fate("sms", letter)
        self.later(timedelta(seconds=1 + int(5 * soon)), "sms", event | {"eventType": "TEXT_SENT", "isFinal": False})
        arrived = arrives >= self.odds.sms_undelivered
        final = "TEXT_DELIVERED" if arrived else _UNDELIVERED[int(len(_UNDELIVERED) * reason)]
        self.later(timedelta(seconds=6 + int(895 * late)), "sms", event | {"eventType": final, "isFinal": True})

    def email(self, letter: Letter, tags: dict[str, list[str]]) -> CarrierAnswer:
        """Take an email; what it is worth shows later. `tags` come back with its events."""
        message_id = self._accept("email", letter)
        mail = {"mail": {"messageId": message_id, "destination": [letter.to], "tags": tags}}
        soon, late, complains, _ = self._fate("email", letter)
        self.later(timedelta(seconds=1 + int(3 * soon)), "email", mail | {"eventType": "Send", "send": {}})
        wait = timedelta(seconds=4 + int(117 * late))
        if next(self._draws("mailbox", letter.to)) < self.odds.email_bounced:
            bounce = {"bounceType": "Permanent", "bounceSubType": "NoEmail"}
            self.later(wait, "email", mail | {"eventType": "Bounce", "bounce": bounce})
        else:
            self.later(wait, "email", mail | {"eventType": "Delivery", "delivery": {}})
            if complains < self.odds.email_complained:
                complaint = mail | {"eventType": "Complaint", "complaint": {}}
                self.later(wait + timedelta(hours=3), "email", complaint)
        return CarrierAnswer(message_id)

    def _draws(self, *what: str) -> Iterator[float]:
        """Five numbers from 0 to 1 that depend on the seed and on what they are drawn for, and on nothing else."""
        digest = hashlib.sha256("#".join((str(self.seed), *what)).encode()).digest()
        return (int.from_bytes(digest[start : start + 6]) / 2**48 for start in range(0, 30, 6))

    def _fate(self, channel: str, letter: Letter) -> tuple[float, ...]:
        drawn = self._draws(channel, letter.reminder_id, instant.to_text(self.clock()))
        return next(drawn), next(drawn), next(drawn), next(drawn)

    def _accept(self, channel: str, letter: Letter) -> str:
        at = instant.to_text(self.clock())
        named = f"{self.seed}#{channel}#{letter.reminder_id}#{at}"
        message_id = hashlib.sha256(named.encode()).hexdigest()[:32]
        self.sent[channel] += 1
        self._write(at, channel, letter.reminder_id, message_id, "accepted")
        if len(self.samples) < _SAMPLES:
            self._sample(channel, letter, at)
        return message_id

    def _refuse(self, channel: str, letter: Letter, reason: str) -> CarrierAnswer:
        self._write(instant.to_text(self.clock()), channel, letter.reminder_id, "", f"refused:{reason}")
        return CarrierAnswer(refused=reason)

    def _write(self, at: str, channel: str, reminder: str, message_id: str, said: str) -> None:
        line = {
            "at": at,
            "channel": channel,
            "reminder_id": reminder,
            "provider_message_id": message_id,
            "answer": said,
        }
        self.wire.write(json.dumps(line) + "\n")

    def _sample(self, channel: str, letter: Letter, at: str) -> None:
        """Keep a message as its borrower sees it, for the report."""
        to = letter.to
        self.samples.append(
            {
                "reminder_id": letter.reminder_id,
                "channel": channel,
                "to_label": f"{to[:-4]}••••" if channel == "sms" else f"{to[:2]}•••@{to.rpartition('@')[2]}",
                "from": letter.sender,
                "subject": letter.subject,
                "body": letter.body,
                "html": letter.html,
                "at": at,
            }
        )
