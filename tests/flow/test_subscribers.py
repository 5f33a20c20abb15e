"""From the bus to a lender's system that fails for longer than a day: signed, patient, and in the end the same to the
receiver as if nothing had failed.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.flow.published import counted
from tests.flow.receiver import Receiver, receiving, subscribe, subscriber
from tests.flow.small import Book, Standing, standing, utc
from tests.signing import FOREIGN, OLD, OURS

DEAD = "predue-webhooks-dead-letters"


@contextmanager
def connected(folder: Path, *receivers: Receiver, borrowers: int = 3, **more: Any) -> Iterator[Standing]:
    """A stack whose borrowers have a reminder due today, before its slot, with subscribers s-0, s-1, ..."""
    made = Book()
    for number in range(borrowers):
        made.borrower(f"b-{number}").installment(f"b-{number}", loan_id=f"loan-{number}")
    parameters: dict[str, Any] = {"Publish": "webhooks", "WebhookAddresses": "any"}
    with standing(folder, made, utc(10, 14, 30), **parameters) as stand:
        for one in receivers:
            one.clock = stand.stack.clock
        subscribe(stand, **{f"s-{number}": subscriber(one, **more) for number, one in enumerate(receivers)})
        yield stand


def kinds(receiver: Receiver) -> Counter[str]:
    return Counter(call.body["type"] for call in receiver.taken)


def test_a_subscriber_gets_each_event_once_signed_and_with_its_own_id(tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver) as stand:
        stand.until(utc(10, 16))
        assert kinds(receiver) == {"ReminderSent": 3}
        details = [one["detail"] for one in stand.stack.bus.emitted]
        assert [call.body["data"] for call in receiver.calls] == details
        for call in receiver.calls:
            assert call.signed
            assert call.event_id == call.body["data"]["event_id"]
            assert call.body["timestamp"] == call.body["data"]["at"]


def test_a_receiver_that_fails_for_more_than_a_day_has_every_event_in_the_end_and_knows_repeats(tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver) as stand:
        receiver.status = 503
        stand.until(utc(11, 16))
        first = {call.event_id for call in receiver.calls}
        assert len(first) == 6  # three reminders, and at the day's end three hand-overs
        assert receiver.taken == []
        tries = Counter(call.event_id for call in receiver.calls)
        assert all(10 <= number <= 20 for number in tries.values())
        receiver.status = 200
        stand.until(utc(12, 16))
        assert sorted(call.event_id for call in receiver.taken) == sorted(
            {one["detail"]["event_id"] for one in stand.stack.bus.emitted}
        )
        assert all(call.signed for call in receiver.calls)
        assert stand.stack.dead_letters() == {}


def test_who_never_answers_is_called_for_more_than_a_day_and_then_the_event_is_kept(tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver, borrowers=1, events=["ReminderSent"]) as stand:
        receiver.status = 500
        stand.until(utc(14))
        at = [call.at for call in receiver.calls]
        assert timedelta(hours=24) < at[-1] - at[0] < timedelta(hours=60)
        waits = [later - earlier for earlier, later in pairwise(at)]
        assert all(second >= first for first, second in pairwise(waits[:9]))
        assert max(waits) <= timedelta(hours=5)
        assert stand.stack.dead_letters() == {DEAD: 1}
        receiver.status = 200
        assert stand.stack.redrive() == 1
        stand.settle()
        assert kinds(receiver) == {"ReminderSent": 1}


def test_of_two_subscribers_one_that_fails_does_not_trouble_the_other(tmp_path: Path) -> None:
    with receiving() as fine, receiving() as failing, connected(tmp_path, fine, failing) as stand:
        failing.status = 404
        stand.until(utc(10, 22))
        assert kinds(fine) == {"ReminderSent": 3}
        assert len(fine.calls) == 3
        assert len(failing.calls) > 12
        failing.status = 200
        stand.until(utc(11, 2))
        assert {call.event_id for call in failing.taken} >= {call.event_id for call in fine.calls[:3]}


def test_a_subscriber_hears_what_it_asked_for_and_of_its_own_tenant_only(tmp_path: Path) -> None:
    with receiving() as lenders, receiving() as another, connected(tmp_path) as stand:
        lenders.clock = another.clock = stand.stack.clock
        subscribe(
            stand,
            lender=subscriber(lenders, "BorrowerOptedOut"),
            acme=subscriber(another, "ReminderSent", tenant="acme"),
        )
        stop = {"type": "borrower.opted_out", "event_id": "o", "source": "core", "sequence": 1, "channel": "all"}
        stand.news(utc(10, 14, 40), stop | {"borrower_id": "b-1"})
        stand.until(utc(10, 16))
        assert kinds(lenders) == {"BorrowerOptedOut": 1}
        assert another.calls == []


def test_a_tenants_system_hears_its_own_ids(tmp_path: Path) -> None:
    made = Book().borrower().installment(loan_id="l-1")
    frame = {"event_id": "e-1", "source": "acme", "sequence": 1}
    said = [
        {"type": "borrower.updated", **made.borrowers[0]},
        {"type": "installment.scheduled", **{k: v for k, v in made.installments[0].items() if k != "status"}},
    ]
    parameters: dict[str, Any] = {"Publish": "webhooks", "WebhookAddresses": "any"}
    with receiving() as receiver, standing(tmp_path, Book(), utc(10, 14, 30), **parameters) as stand:
        receiver.clock = stand.stack.clock
        for number, body in enumerate(said):
            own = {name: f"acme~{body[name]}" for name in ("borrower_id", "loan_id") if name in body}
            stand.news(utc(10, 14, 31), frame | body | own | {"event_id": f"e-{number}"})
        subscribe(stand, acme=subscriber(receiver, tenant="acme"))
        stand.until(utc(11, 3))
        sent, overdue = (call.body["data"] for call in receiver.taken)
        assert (sent["tenant"], sent["borrower_id"], sent["dues"][0]["loan_id"]) == ("acme", "b-1", "l-1")
        assert (overdue["tenant"], overdue["borrower_id"], overdue["loan_id"]) == ("acme", "b-1", "l-1")


def test_who_says_that_it_is_gone_is_not_called_again_about_the_event(tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver, events=["ReminderSent"]) as stand:
        receiver.status = 410
        stand.until(utc(11))
        assert len(receiver.calls) == 3
        assert stand.stack.dead_letters() == {}
        assert counted(stand, "WebhookGone") == 3


def test_a_redirect_is_not_followed_and_counts_as_a_failure(tmp_path: Path) -> None:
    with receiving() as other, receiving() as receiver, connected(tmp_path, receiver) as stand:
        receiver.status, receiver.headers = 307, {"location": other.url}
        stand.until(utc(10, 16))
        assert len(receiver.calls) > 3
        assert other.calls == []


def test_a_receiver_may_ask_for_a_longer_wait(tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver, borrowers=1) as stand:
        receiver.status, receiver.headers = 429, {"retry-after": "3600"}
        stand.until(utc(10, 15, 50))
        assert len(receiver.calls) == 1
        stand.until(utc(10, 16, 10))
        assert len(receiver.calls) == 2


@pytest.mark.parametrize("known", [OLD, OURS])
def test_while_a_key_is_changed_both_keys_sign(known: str, tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver, keys=[OURS, OLD]) as stand:
        receiver.keys = [known]
        stand.until(utc(10, 16))
        assert [call.signed for call in receiver.calls] == [True] * 3
        receiver.keys = [FOREIGN]
        stand.until(utc(11, 1, 30))
        assert [call.signed for call in receiver.calls[3:]] == [False] * 3


def test_while_the_subscribers_cannot_be_read_nobody_is_called_and_nothing_is_lost(tmp_path: Path) -> None:
    with receiving() as receiver, connected(tmp_path, receiver) as stand:
        subscribe(stand, core={"url": receiver.url, "keys": ["whsec_short"]})
        stand.until(utc(10, 16))
        assert receiver.calls == []
        assert counted(stand, "FailedClosed") > 0
        subscribe(stand, core=subscriber(receiver))
        stand.until(utc(10, 18))
        assert kinds(receiver) == {"ReminderSent": 3}


def test_a_subscriber_that_is_stated_wrongly_waits_alone(tmp_path: Path) -> None:
    with receiving() as well, receiving() as wrong, connected(tmp_path, well, wrong) as stand:
        subscribe(stand, **{"s-0": subscriber(well), "s-1": {"url": wrong.url, "keys": ["whsec_short"]}})
        stand.until(utc(10, 16))
        assert (kinds(well), wrong.calls) == ({"ReminderSent": 3}, [])
        assert counted(stand, "FailedClosed") > 0
        subscribe(stand, **{"s-0": subscriber(well), "s-1": subscriber(wrong)})
        stand.until(utc(10, 18))
        assert kinds(well) == kinds(wrong) == {"ReminderSent": 3}


def test_in_production_no_webhook_reaches_this_very_machine(tmp_path: Path) -> None:
    made = Book().borrower().installment()
    with receiving() as receiver, standing(tmp_path, made, utc(10, 14, 30), Publish="webhooks") as stand:
        url = f"https://localhost:{receiver.port}/hooks"
        subscribe(stand, core={"url": url, "keys": [OURS]})
        stand.until(utc(10, 16))
        assert receiver.calls == []
        assert counted(stand, "WebhookFailed") > 0
        assert any("NotPublic" in str(line.get("reason")) for line in stand.log)
