"""The carrier simulator: answers SES and End User Messaging at the SDK's wire, and sends their events afterwards.

It makes the providers' message ids, writes one line per call into wire.jsonl, refuses what real carriers refuse, and
draws receipts, bounces and delays from its seed and the reminder's id, so that the same call always meets the same
fate.
"""

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TextIO

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from infrastructure.local.aws.wire_answers import answer, json_body
from predue.domain import instant

_SAMPLES = 500


@dataclass(frozen=True, slots=True)
class Odds:
    """How often, out of one, things go as they do at real carriers."""

    bad_number: float = 0.01
    stopped_number: float = 0.003
    sms_undelivered: float = 0.03
    email_bounced: float = 0.008
    email_complained: float = 0.001


@dataclass
class Carrier:
    """Plays both providers; `later` takes a delay and an event (channel, body) to be published then."""

    seed: int
    clock: Callable[[], datetime]
    wire: TextIO
    later: Callable[[timedelta, str, dict[str, Any]], None]
    odds: Odds = field(default_factory=Odds)
    samples: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0

    def send_text_message(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer `SendTextMessage` (JSON protocol of pinpoint-sms-voice-v2)."""
        body = json_body(request)
        reminder, number = body["Context"]["reminder_id"], body["DestinationPhoneNumber"]
        fate = self._draw("number", number)
        if fate < self.odds.bad_number:
            fields = [{"Name": "DestinationPhoneNumber", "Message": "not a reachable number"}]
            return self._refuse(
                request, "sms", reminder, "ValidationException", "FIELD_VALIDATION_FAILED", {"Fields": fields}
            )
        if fate < self.odds.bad_number + self.odds.stopped_number:
            return self._refuse(request, "sms", reminder, "ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", {})
        message_id = self._accept("sms", reminder)
        self._sample("sms", reminder, number, body["OriginationIdentity"].rpartition("/")[2], body["MessageBody"])
        event = {"context": body["Context"], "messageId": message_id, "destinationPhoneNumber": number}
        self._text_events(reminder, event)
        return answer(request, 200, {"MessageId": message_id})

    def _text_events(self, reminder: str, event: dict[str, Any]) -> None:
        rng = self._rng("sms", reminder)
        self.later(timedelta(seconds=rng.randint(1, 5)), "sms", event | {"eventType": "TEXT_SENT", "isFinal": False})
        arrived = rng.random() >= self.odds.sms_undelivered
        final = (
            "TEXT_DELIVERED"
            if arrived
            else rng.choice(["TEXT_UNREACHABLE", "TEXT_CARRIER_UNREACHABLE", "TEXT_UNKNOWN"])
        )
        self.later(timedelta(seconds=rng.randint(6, 900)), "sms", event | {"eventType": final, "isFinal": True})

    def send_email(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer `SendEmail` (REST JSON protocol of sesv2)."""
        body = json_body(request)
        reminder = next(tag["Value"] for tag in body["EmailTags"] if tag["Name"] == "reminder_id")
        to = body["Destination"]["ToAddresses"][0]
        content = body["Content"]["Simple"]
        message_id = self._accept("email", reminder)
        parts = content["Body"]
        self._sample(
            "email",
            reminder,
            to,
            body["FromEmailAddress"],
            parts["Text"]["Data"],
            content["Subject"]["Data"],
            parts["Html"]["Data"],
        )
        tags = {"reminder_id": [reminder], "ses:configuration-set": [body["ConfigurationSetName"]]}
        self._email_events(reminder, {"messageId": message_id, "destination": [to], "tags": tags})
        return answer(request, 200, {"MessageId": message_id})

    def _email_events(self, reminder: str, mailed: dict[str, Any]) -> None:
        rng = self._rng("email", reminder)
        mail = {"mail": mailed}
        self.later(timedelta(seconds=rng.randint(1, 3)), "email", mail | {"eventType": "Send", "send": {}})
        wait = timedelta(seconds=rng.randint(4, 120))
        if self._draw("mailbox", mailed["destination"][0]) < self.odds.email_bounced:
            self.later(
                wait,
                "email",
                mail | {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "NoEmail"}},
            )
            return
        self.later(wait, "email", mail | {"eventType": "Delivery", "delivery": {}})
        if rng.random() < self.odds.email_complained:
            self.later(wait + timedelta(hours=3), "email", mail | {"eventType": "Complaint", "complaint": {}})

    def _draw(self, *what: str) -> float:
        """A number from 0 to 1 that depends on the seed and on what it is drawn for, and on nothing else."""
        digest = hashlib.sha256("#".join((str(self.seed), *what)).encode()).digest()
        return int.from_bytes(digest[:6]) / 2**48

    def _rng(self, *what: str) -> random.Random:
        return random.Random(f"{self.seed}#{'#'.join(what)}#{self.calls}")

    def _accept(self, channel: str, reminder: str) -> str:
        self.calls += 1
        message_id = hashlib.sha256(f"{self.seed}#{channel}#{reminder}#{self.calls}".encode()).hexdigest()[:32]
        self._write(channel, reminder, message_id, "accepted")
        return message_id

    def _refuse(
        self, request: AWSPreparedRequest, channel: str, reminder: str, code: str, reason: str, more: dict[str, Any]
    ) -> AWSResponse:
        self.calls += 1
        self._write(channel, reminder, "", f"refused:{reason}")
        body = {"__type": code, "Message": reason, "Reason": reason} | more
        return answer(request, 400, body, {"x-amzn-ErrorType": code})

    def _write(self, channel: str, reminder: str, message_id: str, said: str) -> None:
        line = {
            "at": instant.to_text(self.clock()),
            "channel": channel,
            "reminder_id": reminder,
            "provider_message_id": message_id,
            "answer": said,
        }
        self.wire.write(json.dumps(line) + "\n")

    def _sample(
        self, channel: str, reminder: str, to: str, sender: str, body: str, subject: str = "", html: str = ""
    ) -> None:
        """Keep some of the messages as their borrowers see them, for the report."""
        if len(self.samples) < _SAMPLES:
            label = f"{to[:-4]}••••" if channel == "sms" else f"{to[:2]}•••@{to.rpartition('@')[2]}"
            sample = {
                "reminder_id": reminder,
                "channel": channel,
                "to_label": label,
                "from": sender,
                "subject": subject,
                "body": body,
            }
            self.samples.append(sample | {"html": html, "at": instant.to_text(self.clock())})
