from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta

import pytest

from predue.borrowers.ports import Accepted, NoAnswer, OutboundMessage, Refused
from predue.domain.channel import Switches
from predue.domain.ledger import Contact
from predue.domain.policy import Policy
from predue.domain.record import Answer, Attempt
from predue.errors import LedgerMoved, StillCalling, TextMissing, Unusable
from predue.messages.render import RenderedMessage
from predue.reminders import deliver as delivery
from tests.fakes import Answer as FakeAnswer
from tests.unit.world import DUE_DATE, EMAIL, PHONE, SLOT, World, key, ready, utc

LEASE = timedelta(seconds=120)


class Crash(BaseException):
    """The function dies at this point: nothing catches it."""


def crash_at(call: str, number: int = 1) -> Callable[[str], None]:
    """A hook that crashes ahead of the n-th call of a port by that name."""
    left = [number]

    def before(name: str) -> None:
        left[0] -= name == call
        if name == call and left[0] == 0:
            raise Crash

    return before


def crashed(world: World, call: str, number: int = 1, channel: str = "sms") -> None:
    """Let a delivery die ahead of a call, and the next one run undisturbed."""
    world.hook(crash_at(call, number))
    with pytest.raises(Crash):
        world.deliver(channel=channel)
    world.hook(lambda _call: None)


def test_a_reminder_is_claimed_called_once_and_recorded() -> None:
    world = ready()
    assert world.deliver() == "sent"
    (outbound,) = world.provider.calls
    (contact,) = world.ledger().contacts
    record = world.record()
    assert outbound.to == PHONE
    assert outbound.reminder_id == record.reminder_id == contact.reminder_id
    assert (record.outcome, record.channel, record.keys) == ("sent", "sms", (key(),))
    assert record.provider_message_id == "message-1"
    assert record.attempts == (Attempt(SLOT, "sms", Answer.read("accepted")),)


def test_a_reminder_costs_one_read_and_two_writes() -> None:
    world = ready()
    world.store.calls.clear()
    world.deliver()
    assert world.store.calls == ["load", "write_ledger", "write_record"]


def test_the_message_lives_no_longer_than_the_allowed_hours() -> None:
    world = ready()
    world.deliver()
    assert world.provider.calls[0].seconds_to_live == 10 * 3600


def test_the_record_names_the_exact_policy_pack_and_text() -> None:
    world = ready()
    world.deliver()
    record = world.record()
    assert record.policy == world.policy.label
    assert record.pack == world.view().rules.pack.label
    assert record.text == world.provider.calls[0].message.text_version
    assert record.local_time == "2026-06-12T10:00:00-04:00"
    assert record.inputs["basis"] == "performance of the loan contract"
    assert record.inputs["address"] == world.profile().address_refs["sms"]


def test_the_text_tells_what_is_still_owed() -> None:
    world = ready()
    world.tell("installment.paid", amount="40.00")
    world.deliver()
    assert "$60.00" in world.provider.calls[0].message.body


def test_a_second_copy_of_a_job_calls_nobody() -> None:
    world = ready()
    assert world.deliver() == "sent"
    assert world.deliver() == "nothing"
    assert len(world.provider.calls) == 1


def test_a_job_for_another_channel_is_forwarded() -> None:
    world = ready(channels="email|sms")
    assert world.deliver(channel="sms") == "forwarded"
    assert [(sent.channel, sent.job) for sent in world.queues.sent] == [("email", world.job())]
    assert world.deliver(channel="email") == "sent"
    assert world.provider.calls[0].to == EMAIL
    assert world.provider.calls[0].unsubscribe_url.startswith("https://")


def test_a_job_of_an_unknown_borrower_is_unusable() -> None:
    world = ready()
    with pytest.raises(Unusable):
        world.deliver(replace(world.job(), borrower_id="b-9"))


@pytest.mark.parametrize("call", ["load", "write_ledger"])
def test_a_crash_before_the_claim_loses_nothing(call: str) -> None:
    world = ready()
    crashed(world, call)
    assert world.deliver() == "sent"
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize(("call", "called"), [("send", 0), ("write_record", 1)])
def test_a_crash_after_the_claim_leaves_the_job_alone_inside_the_lease(call: str, called: int) -> None:
    world = ready()
    crashed(world, call)
    world.now += LEASE - timedelta(seconds=1)
    with pytest.raises(StillCalling):
        world.deliver()
    assert len(world.provider.calls) == called
    assert world.records() == []


@pytest.mark.parametrize(("call", "called"), [("send", 0), ("write_record", 1)])
def test_a_crash_after_the_claim_is_unknown_past_the_lease_and_never_called_again(call: str, called: int) -> None:
    world = ready()
    crashed(world, call)
    world.now += LEASE
    world.deliver()
    assert world.outcomes() == {"L-1 T-3": ("unknown", "no_answer")}
    world.deliver()
    world.now += timedelta(hours=1)
    world.deliver()
    assert len(world.provider.calls) == called
    assert [contact.counts for contact in world.ledger().contacts] == [True]


def test_the_record_of_an_interrupted_call_tells_address_and_text_too() -> None:
    world = ready()
    crashed(world, "write_record")
    world.now += LEASE
    world.deliver()
    record = world.record()
    assert record.inputs["address"] == world.profile().address_refs["sms"]
    assert record.text == world.provider.calls[0].message.text_version
    assert [attempt.answer.text for attempt in record.attempts] == ["no_answer:interrupted"]


def test_no_answer_is_unknown_and_keeps_its_slot() -> None:
    world = ready()
    world.provider.answers = [NoAnswer("timeout")]
    assert world.deliver() == "unknown"
    assert world.outcomes() == {"L-1 T-3": ("unknown", "no_answer")}
    assert world.record().attempts[0].answer.text == "no_answer:timeout"
    assert world.deliver() == "nothing"
    assert len(world.provider.calls) == 1


def test_a_lost_race_looks_again() -> None:
    world = ready()
    raced: list[str] = []

    def before(call: str) -> None:
        if call == "write_ledger" and not raced:
            raced.append(call)
            world.store.bump("b-1")

    world.hook(before)
    assert world.deliver() == "sent"
    assert world.store.calls.count("load") >= 2
    assert len(world.provider.calls) == 1


def test_a_payment_that_wins_the_race_for_the_ledger_leaves_nothing_to_send() -> None:
    world = ready()
    paid: list[str] = []

    def before(call: str) -> None:
        if call == "write_ledger" and not paid:
            paid.append(call)
            world.hook(lambda _call: None)
            world.tell("installment.paid", amount="100.00")

    world.now += timedelta(minutes=1)
    world.hook(before)
    world.deliver()
    assert world.provider.calls == []
    assert world.outcomes()["L-1 T-3"] == ("suppressed", "paid")


def test_a_ledger_that_never_stands_still_leaves_the_job_for_later() -> None:
    world = ready()

    def before(call: str) -> None:
        if call == "write_ledger":
            world.store.ledgers["b-1"] = (world.ledger()._replace(version=world.ledger().version + 1), object())

    world.hook(before)
    with pytest.raises(LedgerMoved):
        world.deliver()
    assert world.provider.calls == []


def test_a_claim_whose_answer_was_lost_is_known_as_our_own() -> None:
    world = ready()
    world.store.answers_lost = True
    assert world.deliver() == "sent"
    assert len(world.provider.calls) == 1


def test_a_refused_address_moves_to_the_next_channel_and_is_used_no_more() -> None:
    world = ready()
    world.provider.answers = [Refused("refused_address", "INVALID")]
    assert world.deliver() == "forwarded"
    ref = world.profile().address_refs["sms"]
    assert world.store.bad == {ref: "INVALID"}
    assert world.ledger().suppressed == {"sms": (ref,)}
    assert world.deliver(channel="email") == "sent"
    assert [outbound.to for outbound in world.provider.calls] == [PHONE, EMAIL]
    assert [(one.channel, one.answer.text) for one in world.record().attempts] == [
        ("sms", "refused_address:INVALID"),
        ("email", "accepted"),
    ]


def test_a_refused_address_is_lost_to_every_borrower_who_has_it() -> None:
    world = ready()
    world.borrower("b-2")
    world.provider.answers = [Refused("refused_address", "INVALID")]
    world.deliver()
    assert world.ledger("b-2").suppressed == {"sms": (world.profile().address_refs["sms"],)}
    world.borrower("b-3")
    assert world.ledger("b-3").suppressed == {"sms": (world.profile().address_refs["sms"],)}


def test_a_refusal_gives_the_cap_slot_back_once() -> None:
    world = ready(channels="sms")
    world.provider.answers = [Refused("refused_channel", "OPTED_OUT")]
    assert world.deliver() == "settled"
    assert world.outcomes() == {"L-1 T-3": ("failed", "refused_channel")}
    assert not any(contact.counts for contact in world.ledger().contacts)
    assert world.deliver() == "nothing"
    assert len(world.provider.calls) == 1


@pytest.mark.parametrize("kind", ["refused_address", "refused_channel"])
def test_when_every_channel_refuses_the_reminder_has_failed_and_no_channel_is_asked_twice(kind: str) -> None:
    world = ready()
    refused: FakeAnswer = (
        Refused("refused_address", "A") if kind == "refused_address" else Refused("refused_channel", "C")
    )
    world.provider.answers = [refused] * 9
    done = [world.deliver(channel=channel) for channel in ("sms", "email", "sms", "email")]
    assert done[:2] == ["forwarded", "settled"]
    assert [outbound.to for outbound in world.provider.calls] == [PHONE, EMAIL]
    assert world.outcomes() == {"L-1 T-3": ("failed", kind)}


def test_a_busy_answer_after_a_refusal_waits_for_its_own_channel() -> None:
    world = ready()
    world.provider.answers = [Refused("refused_channel", "C"), Refused("refused_busy", "B")]
    assert world.deliver() == "forwarded"
    assert world.deliver(channel="email") == "busy"
    world.now += timedelta(minutes=1)
    assert world.deliver(world.queues.sent[-1].job, channel="email") == "sent"
    assert [outbound.to for outbound in world.provider.calls] == [PHONE, EMAIL, EMAIL]


def test_a_busy_provider_is_waited_for_longer_each_time() -> None:
    world = ready(channels="sms")
    world.provider.answers = [Refused("refused_busy", "THROTTLED")] * 7
    job = world.job()
    waits = []
    for _ in range(7):
        assert world.deliver(job) == "busy"
        waits.append(world.queues.sent[-1].delay_seconds)
        job = world.queues.sent[-1].job
    assert waits == [60, 120, 240, 480, 900, 900, 900]
    assert world.deliver(job) == "sent"
    assert len(world.record().attempts) == 8


def test_a_short_wait_is_spent_in_the_queue() -> None:
    world = ready()
    world.switches = Switches(frozenset({"all"}))
    assert world.deliver() == "deferred"
    (sent,) = world.queues.sent
    assert (sent.channel, sent.delay_seconds, sent.job.deferred) == ("sms", 900, 1)
    assert world.later.planned == {}


def test_a_wait_is_rounded_up_to_whole_seconds() -> None:
    world = ready()
    world.now = SLOT - timedelta(seconds=30, milliseconds=1)
    assert world.deliver() == "deferred"
    assert world.queues.sent[0].delay_seconds == 31


def test_a_long_wait_is_spent_in_a_one_off_schedule() -> None:
    world = ready()
    world.now = SLOT - timedelta(seconds=901)
    job = world.job()
    assert world.deliver(job) == "deferred"
    assert list(world.later.planned) == [(SLOT, "sms", replace(job, deferred=1))]
    assert world.queues.sent == []


def test_a_text_that_cannot_be_rendered_fails_the_reminder_without_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ready()

    def missing(*_: object, **__: object) -> RenderedMessage:
        raise TextMissing("texts/en-US/sms.toml: T-3.one is missing")

    monkeypatch.setattr(delivery, "render", missing)
    assert world.deliver() == "failed"
    assert world.outcomes() == {"L-1 T-3": ("failed", "text_missing")}
    assert world.provider.calls == []
    assert world.ledger().contacts == ()


def test_a_crash_between_a_failure_and_its_record_is_mended_by_the_next_delivery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = ready(channels="")
    crashed(world, "write_record")
    assert world.records() == []
    assert world.deliver() == "nothing"
    assert world.outcomes() == {"L-1 T-3": ("suppressed", "no_channel")}
    monkeypatch.undo()


def test_shadow_mode_does_everything_but_the_call_and_fills_no_cap() -> None:
    world = ready()
    world.rulebook = replace(world.rulebook, policy=Policy(shadow=True))
    assert world.deliver() == "shadowed"
    assert world.provider.calls == []
    assert world.outcomes() == {"L-1 T-3": ("suppressed", "shadow")}
    assert world.ledger().contacts == ()
    assert (world.record().channel, world.record().text[:5]) == ("sms", "en-US")
    world.rulebook = replace(world.rulebook, policy=Policy())
    assert world.deliver() == "nothing"
    world.installment("L-2")
    assert world.deliver(world.job(key(loan_id="L-2"))) == "sent"


def test_a_shadowed_reminder_whose_record_a_crash_kept_back_gets_it_from_a_repeat() -> None:
    world = ready()
    world.rulebook = replace(world.rulebook, policy=Policy(shadow=True))
    crashed(world, "write_record")
    assert world.records() == []
    assert world.deliver() == "nothing"
    assert world.outcomes() == {"L-1 T-3": ("suppressed", "shadow")}


def test_a_stage_left_behind_is_recorded_with_the_reminder() -> None:
    world = ready()
    world.installment("L-2", date(2026, 6, 19))
    assert world.deliver(world.job(key(), key("T-7", "L-2", date(2026, 6, 19)))) == "sent"
    assert world.outcomes() == {"L-1 T-3": ("sent", ""), "L-2 T-7": ("suppressed", "stage_channel")}


def test_a_read_gone_stale_while_rendering_is_not_claimed_with() -> None:
    world = ready()
    ticks = iter([SLOT, SLOT + timedelta(seconds=6)] + [SLOT + timedelta(seconds=10)] * 9)
    services = replace(world.services(), clock=lambda: next(ticks))
    assert delivery.deliver(world.job(), services) == "sent"
    assert world.ledger().contacts[0].at == SLOT + timedelta(seconds=10)


def test_a_claim_that_took_until_the_hours_end_is_given_back_without_a_call() -> None:
    world = ready()
    end = utc("06-13 00:00")
    ticks = iter([end - timedelta(seconds=11)] * 2 + [end - timedelta(seconds=2)] * 9)
    services = replace(world.services(), clock=lambda: next(ticks))
    assert delivery.deliver(world.job(), services) == "busy"
    assert world.provider.calls == []
    assert not any(contact.counts for contact in world.ledger().contacts)
    world.now = end + timedelta(minutes=1)
    world.deliver()
    assert world.outcomes() == {"L-1 T-3": ("expired", "hours_over")}


def test_a_message_reaches_the_provider_with_the_answer_it_gave() -> None:
    world = ready()
    world.provider.answers = [Accepted("from-the-provider")]
    world.deliver()
    assert world.record().provider_message_id == "from-the-provider"
    assert isinstance(world.provider.calls[0], OutboundMessage)


def test_a_moved_installment_is_reminded_anew_at_its_new_due_date() -> None:
    world = ready()
    assert world.deliver() == "sent"
    world.tell("installment.rescheduled", due_date="2026-06-25")
    world.now = utc("06-22 14:00")
    assert world.deliver(world.job(key(due_date=date(2026, 6, 25)))) == "sent"
    assert len(world.provider.calls) == [one.outcome for one in world.records()].count("sent") == 2
    assert len({outbound.reminder_id for outbound in world.provider.calls}) == 2


def test_a_claim_forgets_no_contact_that_a_cap_still_counts() -> None:
    world = ready()
    longest = max(cap.rolling for cap in world.policy.caps if cap.rolling)
    ages = (longest, longest - timedelta(milliseconds=1))
    old = [Contact(SLOT - age, (SLOT - age).date(), "sms", (key("T0", f"old-{age}"),), f"{age}", "r") for age in ages]
    world.store.write_ledger(world.ledger()._replace(contacts=tuple(old)))
    assert world.deliver() == "sent"
    assert set(old[1:]) <= set(world.ledger().contacts)


@pytest.mark.parametrize("answer", [Refused("refused_busy", "THROTTLED"), Refused("refused_channel", "BLOCKED")])
def test_a_refusal_that_comes_after_events_gave_the_claim_up_leaves_each_stage_in_one_record(answer: Refused) -> None:
    world = ready()
    world.installment("L-2", due_date=DUE_DATE - timedelta(days=2))
    told: list[str] = []

    def cancels_in_the_call(call: str) -> None:
        if call == "send" and not told:
            told.append(call)
            world.tell("installment.cancelled", loan_id="L-2")

    job = world.job(key("T-3"), key("T-1", "L-2", DUE_DATE - timedelta(days=2)))
    world.provider.answers = [answer]
    world.hook(cancels_in_the_call)
    # Within the lease of the claim the job only comes again.
    with suppress(StillCalling):
        world.deliver(job)
    world.now += timedelta(minutes=15)
    world.deliver(job)
    world.now += timedelta(hours=12)
    world.close()
    unknown = ("unknown", "no_answer")
    assert {"L-1 T-3": unknown, "L-2 T-1": unknown}.items() <= world.outcomes().items()
    assert len(world.provider.calls) == 1
