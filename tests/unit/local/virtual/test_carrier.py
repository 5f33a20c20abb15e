import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders

from infrastructure.local.virtual.carrier import Odds
from infrastructure.local.virtual.provider_wire import ProviderWire

NOW = datetime(2026, 12, 10, 15, tzinfo=UTC)
CERTAIN, NEVER = 1.0, 0.0


class Office:
    """A carrier with what it said later, and its wire."""

    def __init__(self, seed: int = 1, **odds: float) -> None:
        self.later: list[tuple[timedelta, str, dict[str, Any]]] = []
        self.lines = io.StringIO()
        given = {"bad_number": NEVER, "stopped_number": NEVER} | odds
        self.carrier = ProviderWire(seed, lambda: NOW, self.lines, lambda *said: self.later.append(said), Odds(**given))

    def sms(self, reminder: str = "r-1", number: str = "+12125550100") -> tuple[int, dict[str, Any]]:
        body = {
            "Context": {"reminder_id": reminder},
            "DestinationPhoneNumber": number,
            "OriginationIdentity": "pool",
            "MessageBody": "Hello",
        }
        return read(self.carrier.send_text_message(request(body)))

    def email(self, reminder: str = "r-1", to: str = "ana@example.com") -> tuple[int, dict[str, Any]]:
        parts = {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}, "Html": {"Data": "h"}}}
        body = {
            "EmailTags": [{"Name": "reminder_id", "Value": reminder}],
            "Destination": {"ToAddresses": [to]},
            "FromEmailAddress": "lender@example.com",
            "ConfigurationSetName": "lender",
            "Content": {"Simple": parts},
        }
        return read(self.carrier.send_email(request(body)))

    @property
    def wire(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]

    def kinds(self) -> list[str]:
        return [str(event["eventType"]) for _, _, event in self.later]


def request(body: dict[str, Any]) -> AWSPreparedRequest:
    return AWSPreparedRequest(
        "POST", "https://carrier.test", HTTPHeaders(), json.dumps(body).encode(), stream_output=False
    )


def read(answer: Any) -> tuple[int, dict[str, Any]]:
    return answer.status_code, json.loads(answer.content)


def test_a_call_that_is_taken_writes_one_line_with_its_message_id() -> None:
    office = Office()
    status, body = office.sms()
    (line,) = office.wire
    assert status == 200
    assert line == {
        "at": "2026-12-10T15:00:00Z",
        "channel": "sms",
        "reminder_id": "r-1",
        "provider_message_id": body["MessageId"],
        "answer": "accepted",
    }


@pytest.mark.parametrize("seed", [1, 2, 99])
def test_the_same_calls_under_the_same_seed_meet_the_same_fates(seed: int) -> None:
    def all_of(office: Office) -> list[Any]:
        for number in range(60):
            office.sms(f"r-{number}", f"+1212555{number:04}")
            office.email(f"m-{number}", f"p{number}@example.com")
        return [office.wire, office.later]

    odds = {"bad_number": 0.1, "stopped_number": 0.1, "email_bounced": 0.2, "email_complained": 0.2}
    first = all_of(Office(seed, **odds))
    assert first == all_of(Office(seed, **odds))
    assert first != all_of(Office(seed + 1, **odds))


def test_two_calls_get_two_message_ids() -> None:
    office = Office()
    ids = [office.sms("r-1")[1]["MessageId"], office.email("r-1")[1]["MessageId"]]
    office.carrier.clock = lambda: NOW + timedelta(milliseconds=1)
    assert len({*ids, office.sms("r-1")[1]["MessageId"]}) == 3


def test_the_fate_of_a_call_does_not_follow_from_the_calls_before_it() -> None:
    alone, after = Office(), Office()
    alone.email("r-1")
    after.email("r-2")
    after.sms("r-3")
    told = after.later[:]
    after.email("r-1")
    assert after.later[len(told) :] == alone.later
    assert after.wire[-1] == alone.wire[-1]


def test_a_bad_number_is_refused_for_its_field_every_time_and_says_nothing_later() -> None:
    office = Office(bad_number=CERTAIN)
    for _ in range(2):
        status, body = office.sms()
        assert (status, body["__type"]) == (400, "ValidationException")
        assert [field["Name"] for field in body["Fields"]] == ["DestinationPhoneNumber"]
    assert [line["answer"] for line in office.wire] == ["refused:FIELD_VALIDATION_FAILED"] * 2
    assert office.later == []


def test_a_number_stopped_at_the_carrier_is_refused_for_that_reason() -> None:
    office = Office(stopped_number=CERTAIN)
    status, body = office.sms()
    assert (status, body["Reason"]) == (400, "DESTINATION_PHONE_NUMBER_OPTED_OUT")


def test_a_bounced_mailbox_bounces_for_good_and_is_not_delivered() -> None:
    office = Office(email_bounced=CERTAIN)
    office.email()
    assert office.kinds() == ["Send", "Bounce"]
    assert office.later[-1][2]["bounce"]["bounceType"] == "Permanent"


def test_a_complaint_comes_hours_after_its_delivery() -> None:
    office = Office(email_bounced=NEVER, email_complained=CERTAIN)
    office.email()
    assert office.kinds() == ["Send", "Delivery", "Complaint"]
    waits = [wait for wait, _, _ in office.later]
    assert waits[2] - waits[1] == timedelta(hours=3)


def test_events_carry_the_reminder_and_message_they_are_about() -> None:
    office = Office()
    _, sms = office.sms("r-7")
    _, mail = office.email("r-8")
    for _, channel, event in office.later:
        if channel == "sms":
            assert (event["context"]["reminder_id"], event["messageId"]) == ("r-7", sms["MessageId"])
        else:
            assert event["mail"]["tags"]["reminder_id"] == ["r-8"]
            assert event["mail"]["messageId"] == mail["MessageId"]


def test_what_is_kept_for_the_report_hides_most_of_the_address() -> None:
    office = Office()
    office.sms(number="+12125550147")
    office.email(to="zebra.finch@example.com")
    labels = [sample["to_label"] for sample in office.carrier.samples]
    assert not any("0147" in label or "zebra" in label or "finch" in label for label in labels)
