"""Each test alters one thing in a run that keeps every promise, and sees exactly one promise broken."""

import copy
import time as clock
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infrastructure.local.audit.input_files import GivenBorrower, GivenEvent, GivenInstallment
from infrastructure.local.audit.promises import Audit, Inputs, Run, RunResults, Terms, audit
from infrastructure.local.audit.terms import CapTerm, PackTerm
from infrastructure.local.audit.values import instant, instant_text

FIRST, LAST = date(2026, 12, 1), date(2026, 12, 20)
NEW_YORK = "America/New_York"
ANN = GivenBorrower("b-1", NEW_YORK, "US-NY", ("sms", "email"), ("sms", "email"))
DUE = GivenInstallment("L-1", 1, "b-1", date(2026, 12, 10), 12050, "USD", 5, "open")
IDS = {"borrower_id": "b-1", "loan_id": "L-1", "installment_no": 1}
STAGES = {"T-7": "email", "T-3": "sms", "T-1": "sms", "T0": "sms", "T+1": "email"}
OFFSETS = {"T-7": -7, "T-3": -3, "T-1": -1, "T0": 0, "T+1": 1}

Json = dict[str, Any]


@dataclass
class World:
    """A run in the making: its input rows, its outcomes and the carrier's log."""

    people: list[GivenBorrower] = field(default_factory=lambda: [ANN])
    dues: list[GivenInstallment] = field(default_factory=lambda: [DUE])
    events: list[GivenEvent] = field(default_factory=list)
    contacts: list[Json] = field(default_factory=list)
    wire: list[Json] = field(default_factory=list)
    claims: list[Json] | None = None

    def tell(self, at: str, kind: str, sequence: int = 1, **body: Any) -> None:
        number = len(self.events) + 1
        frame = {"at": at, "type": kind, "event_id": f"e-{number}", "source": "core", "sequence": sequence}
        about = IDS if kind.startswith("installment") else {"borrower_id": "b-1"}
        self.events.append(GivenEvent(number, instant(at), {**frame, **about, **body}))

    def outcome(
        self, stage: str, outcome: str = "sent", *, reason: str = "", at: str = "", channel: str = "",
        due: GivenInstallment = DUE, due_date: date | None = None, zone: str = NEW_YORK,
    ) -> Json:  # fmt: skip
        """Add the outcome of one stage, at 10:00 of its day unless `at` says otherwise."""
        day = due_date or due.due_date
        usual = datetime.combine(day + timedelta(days=OFFSETS[stage]), time(10), ZoneInfo(zone))
        moment = instant(at) if at else usual.astimezone(UTC)
        channel = channel or STAGES[stage]
        reminder = f"r-{due.loan_id}-{due.installment_no}-{day}-{stage}"
        due_text = {"loan_id": due.loan_id, "installment_no": due.installment_no, "due_date": str(day), "stage": stage}
        line: Json = {
            "at": instant_text(moment), "local_time": moment.astimezone(ZoneInfo(zone)).isoformat(),
            "reminder_id": reminder, "borrower_id": due.borrower_id, "channel": channel,
            "dues": [due_text],
            "outcome": outcome, "reason": reason, "policy": "default", "pack": "US-2026", "text": "", "receipt": "",
            "provider_message_id": "", "attempts": [],
        }  # fmt: skip
        if outcome == "sent":
            line |= {"text": "en-US/1", "provider_message_id": f"m-{reminder}"}
            self.call(line, "accepted")
        self.contacts.append(line)
        return line

    def call(self, line: Json, answer: str, at: str = "", channel: str = "") -> Json:
        at, channel = at or line["at"], channel or line["channel"]
        message = "" if answer.startswith("refused") else f"m-{line['reminder_id']}"
        call = {"at": at, "channel": channel, "reminder_id": line["reminder_id"], "provider_message_id": message}
        self.wire.append({**call, "answer": answer})
        line["attempts"].append({"at": at, "channel": channel, "answer": answer})
        return self.wire[-1]

    def inputs(self) -> Inputs:
        return Inputs(self.people, self.dues, sorted(self.events, key=lambda event: event.at))

    def audit(self, terms: Terms | None = None, last: date = LAST, **left: Any) -> Audit:
        contacts = sorted(self.contacts, key=lambda line: (instant(line["at"]), line["reminder_id"]))
        return audit(
            self.inputs(), Run(FIRST, last), RunResults(contacts, self.wire, claims=self.claims, **left), terms
        )

    def watch(self) -> None:
        """Note each claim as the table took it: at the instant of its call."""
        self.claims = [{"at": instant(call["at"]), "reminder_id": call["reminder_id"]} for call in self.wire]

    def line(self, stage: str) -> Json:
        return next(line for line in self.contacts if line["dues"][0]["stage"] == stage)

    def wired(self, stage: str) -> Json:
        return next(call for call in self.wire if call["reminder_id"] == self.line(stage)["reminder_id"])

    def move(self, stage: str, at: str, zone: str = NEW_YORK) -> None:
        """Let a reminder go out at another instant."""
        line, moment = self.line(stage), instant(at)
        line |= {"at": at, "local_time": moment.astimezone(ZoneInfo(zone)).isoformat()}
        for called in (self.wired(stage), *line["attempts"]):
            called["at"] = at


@pytest.fixture
def world() -> World:
    """A borrower with one installment, reminded at each of its five stages."""
    made = World()
    for stage in STAGES:
        made.outcome(stage)
    return made


def test_a_run_that_keeps_every_promise_passes_with_every_promise_checked(world: World) -> None:
    result = world.audit()

    assert result.broken == ()
    assert {number for number, verdict in result.verdicts.items() if verdict.checked} == {1, 2, 3, 4, 5, 6, 7, 9}
    assert (result.coverage.planned, result.coverage.reminded, result.coverage.share) == (5, 5, 1.0)


def test_a_sentence_names_promise_borrower_loan_stage_and_instants(world: World) -> None:
    world.move("T-3", "2026-12-07T13:59:59Z")

    assert world.audit().broken[0] == (
        "promise 2: borrower b-1, loan L-1 number 1 due 2026-12-10, stage T-3, reminder r-L-1-1-2026-12-10-T-3 "
        "at 2026-12-07T13:59:59Z: it is 08:59:59 in America/New_York, outside 09:00 to 20:00"
    )


def with_other_loan(world: World, stage: str, due_date: date, **how: Any) -> None:
    """Add a second loan whose only outcome that was sent is the given one."""
    other = GivenInstallment("L-2", 1, "b-1", due_date, 500, "USD", 0, "open")
    world.dues.append(other)
    for name in ("T-7", "T-3", "T-1", "T0"):
        if name == stage:
            world.outcome(name, due=other, **how)
        else:
            world.outcome(name, "suppressed", reason="cap", due=other)


def capped(*caps: CapTerm) -> Terms:
    """The usual terms with other caps of those windows."""
    changed = {(cap.days, cap.channel): cap for cap in caps}
    return Terms(caps=tuple(changed.get((cap.days, cap.channel), cap) for cap in Terms().caps))


def test_two_contacts_on_a_local_day_break_the_first_promise(world: World) -> None:
    with_other_loan(world, "T0", date(2026, 12, 7), channel="email", at="2026-12-07T18:00:00Z")

    assert world.audit().broken_promises == {1}
    assert world.audit(capped(CapTerm(2, None), CapTerm(5, 7))).broken == ()


def test_five_contacts_in_a_rolling_week_break_the_first_promise(world: World) -> None:
    with_other_loan(world, "T0", date(2026, 12, 8), channel="email")

    assert world.audit().broken_promises == {1}
    assert world.audit(capped(CapTerm(5, 7))).broken == ()


def test_four_text_messages_in_a_rolling_week_break_the_first_promise(world: World) -> None:
    with_other_loan(world, "T0", date(2026, 12, 13), channel="sms")
    assert world.audit(capped(CapTerm(9, 7))).broken_promises == {1}

    world.wire[-1]["channel"] = world.contacts[-1]["channel"] = "email"
    assert world.audit(capped(CapTerm(9, 7))).broken == ()


def test_eleven_contacts_in_thirty_days_break_the_first_promise(world: World) -> None:
    assert world.audit(capped(CapTerm(4, 30))).broken_promises == {1}
    assert world.audit(capped(CapTerm(5, 30))).broken == ()


def test_a_contact_that_is_exactly_a_week_old_no_longer_counts(world: World) -> None:
    world.move("T+1", "2026-12-11T14:00:00Z")
    for at, kept in (("2026-12-04T14:00:00Z", True), ("2026-12-04T14:00:00.001Z", False)):
        altered = copy.deepcopy(world)
        with_other_loan(altered, "T0", date(2026, 12, 4), channel="email", at=at)
        with_other_loan_on_day_before(altered)

        assert altered.audit().broken_promises == (set() if kept else {1}), at


def with_other_loan_on_day_before(world: World) -> None:
    """Take the contact of `T-7` away, so that only the rolling week from the 4th to the 11th can overflow."""
    line = world.line("T-7")
    line |= {"outcome": "suppressed", "reason": "cap", "provider_message_id": "", "attempts": []}
    world.wire.remove(world.wired("T-7"))


def test_an_unknown_outcome_counts_as_a_contact(world: World) -> None:
    with_other_loan(world, "T0", date(2026, 12, 8), channel="email")
    world.contacts[-1] |= {"outcome": "unknown", "reason": "timeout"}
    world.wire[-1]["answer"] = "timeout"

    assert world.audit().broken_promises == {1}


@pytest.mark.parametrize("at", ["2026-12-07T13:59:59Z", "2026-12-08T01:00:00Z", "2026-12-08T15:00:00Z"])
def test_a_reminder_outside_the_hours_or_the_day_breaks_the_second_promise(world: World, at: str) -> None:
    world.move("T-3", at)

    assert world.audit().broken_promises == {2}


@pytest.mark.parametrize("at", ["2026-12-07T14:00:00Z", "2026-12-08T00:59:59.999Z"])
def test_the_hours_include_their_first_instant_and_not_their_last(world: World, at: str) -> None:
    world.move("T-3", at)

    assert world.audit().broken == ()


def test_a_call_outside_the_hours_breaks_the_second_promise_though_its_claim_was_inside(world: World) -> None:
    world.move("T-3", "2026-12-08T00:59:59Z")
    world.wired("T-3")["at"] = "2026-12-08T01:00:00Z"

    assert world.audit().broken_promises == {2}


def test_a_pack_narrows_the_hours(world: World) -> None:
    world.move("T-3", "2026-12-07T23:30:00Z")

    us = PackTerm(("US",), date(2026, 12, 1), date.max, (time(8), time(18)))
    new_york = PackTerm(("US-NY",), date(2026, 12, 1), date.max, (time(8), time(21)))
    assert world.audit(Terms(packs=(us,))).broken_promises == {2}
    assert world.audit(Terms(packs=(us, new_york))).broken == ()
    assert world.audit(Terms(packs=(us._replace(last=date(2026, 12, 6)),))).broken == (), "it had ended by then"


def moved_person(**fields: Any) -> GivenBorrower:
    return replace(ANN, **fields)


def test_a_borrower_without_zone_is_reminded_in_the_hours_that_all_zones_of_the_country_share(world: World) -> None:
    world.people[:] = [moved_person(time_zone="")]
    for stage in STAGES:
        # 10:00 in Honolulu is 15:00 in New York; Adak keeps the same time.
        world.move(stage, f"{date(2026, 12, 10) + timedelta(days=OFFSETS[stage])}T20:00:00Z")
    assert world.audit().broken == ()

    world.move("T-3", "2026-12-07T18:59:59Z")  # 08:59:59 in Honolulu
    assert world.audit().broken_promises == {2}


def test_without_a_common_hour_a_stage_must_be_suppressed_as_zone_unknown(world: World) -> None:
    world.people[:] = [moved_person(time_zone="Nowhere/At_All", jurisdiction="XX")]
    assert world.audit().broken_promises == {2}, "it was sent"

    world.contacts.clear()
    world.wire.clear()
    for stage in STAGES:
        world.outcome(stage, "suppressed", reason="zone_unknown")
    assert world.audit().broken == ()

    world.line("T0")["reason"] = "whim"
    assert world.audit().broken_promises == {2}
    world.line("T0").update({"outcome": "expired", "reason": "late"})
    assert world.audit().broken_promises == {2}


NEWS_THAT_CLOSES: list[tuple[str, Json]] = [
    ("installment.paid", {"amount": "120.50", "currency": "USD"}),
    ("installment.cancelled", {}),
    ("installment.disputed", {}),
]


@pytest.mark.parametrize(("kind", "body"), NEWS_THAT_CLOSES)
def test_a_call_after_the_installment_was_settled_breaks_the_third_promise(world: World, kind: str, body: Json) -> None:
    # Events of the very instant counts as before; later stages were then not planned, so their outcomes are taken away.
    world.contacts, world.wire = world.contacts[:3], world.wire[:3]
    world.tell("2026-12-09T15:00:00Z", kind, **body)
    if kind == "installment.disputed":
        for stage in ("T0", "T+1"):
            world.outcome(stage, "suppressed", reason="disputed")
    assert world.audit().broken_promises == {3}

    world.move("T-1", "2026-12-09T14:59:59.999Z")
    assert world.audit().broken == ()


def test_a_call_about_a_date_that_was_moved_breaks_the_third_promise(world: World) -> None:
    world.contacts, world.wire = world.contacts[:3], world.wire[:3]
    world.tell("2026-12-09T15:00:00Z", "installment.rescheduled", due_date="2027-01-10")

    assert world.audit().broken_promises == {3}


def test_events_between_a_claim_and_its_call_came_too_late(world: World) -> None:
    world.contacts, world.wire = world.contacts[:3], world.wire[:3]
    world.wired("T-1")["at"] = "2026-12-09T15:00:02Z"
    world.tell("2026-12-09T15:00:01Z", "installment.paid", amount="120.50")

    assert world.audit().broken == ()


def test_a_reminder_about_another_borrowers_installment_breaks_promises(world: World) -> None:
    world.people.append(moved_person(borrower_id="b-2"))
    world.line("T0")["borrower_id"] = "b-2"

    assert world.audit().broken_promises == {3, 6}


LATE = "2026-12-02T01:05:00Z"
"""Later than a stop of one o'clock, and as late as an opt-in that came then may say."""
NEWS_THAT_BARS: list[tuple[str, Json]] = [
    ("borrower.opted_out", {"channel": "sms"}),
    ("borrower.opted_out", {"channel": "all"}),
    ("borrower.hold_started", {"reason": "hardship"}),
    ("borrower.updated", {"consent": "email"}),
    ("borrower.updated", {"channels": "email|push"}),
]


@pytest.mark.parametrize(("kind", "body"), NEWS_THAT_BARS)
def test_a_call_after_an_opt_out_or_in_a_hold_breaks_the_fourth_promise(world: World, kind: str, body: Json) -> None:
    world.tell("2026-12-10T15:00:00Z", kind, **body)
    world.line("T+1").update({"outcome": "suppressed", "reason": "cap", "provider_message_id": ""})
    world.wire.remove(world.wired("T+1"))
    assert world.audit().broken_promises == {4}

    world.move("T0", "2026-12-10T14:59:59Z")
    assert world.audit().broken == ()


@pytest.mark.parametrize(
    ("first", "then", "lifted"),
    [
        (
            ("borrower.opted_out", {"channel": "sms"}),
            ("borrower.opted_in", {"channel": "sms", "occurred_at": LATE}),
            True,
        ),
        (
            ("borrower.opted_out", {"channel": "all"}),
            ("borrower.opted_in", {"channel": "sms", "occurred_at": LATE}),
            False,
        ),
        (
            ("borrower.opted_out", {"channel": "sms"}),
            ("borrower.opted_in", {"channel": "all", "occurred_at": LATE}),
            False,
        ),
        (("borrower.hold_started", {"reason": "hardship"}), ("borrower.hold_ended", {"reason": "hardship"}), True),
        (("borrower.hold_started", {"reason": "hardship"}), ("borrower.hold_ended", {"reason": "dispute"}), False),
        (("borrower.hold_started", {"reason": "hardship"}), ("borrower.hold_ended", {}), True),
        (("borrower.updated", {"consent": "email"}), ("borrower.updated", {"channels": "sms|email"}), False),
        (
            ("borrower.updated", {"consent": "email"}),
            ("borrower.opted_in", {"channel": "sms", "occurred_at": LATE}),
            False,
        ),
    ],
)
def test_only_the_events_that_answers_it_lifts_a_bar(
    world: World, first: tuple[str, Json], then: tuple[str, Json], *, lifted: bool
) -> None:
    """In either order of arrival, since the sequence tells which is newer."""
    late = copy.deepcopy(world)
    for made, ats in ((world, (1, 2)), (late, (2, 1))):
        for (kind, body), at, sequence in zip((first, then), ats, (1, 2), strict=True):
            made.tell(f"2026-12-02T0{at}:00:00Z", kind, sequence, **body)
        assert made.audit().broken_promises == (set() if lifted else {4})


def test_a_stage_for_email_only_on_another_channel_breaks_the_fourth_promise(world: World) -> None:
    world.line("T-7")["channel"] = world.wired("T-7")["channel"] = "sms"

    assert world.audit().broken_promises == {4}


@pytest.mark.parametrize("answer", ["accepted", "timeout", "timeout: no answer", "5xx"])
def test_a_second_call_breaks_the_fifth_promise_unless_the_first_was_refused(world: World, answer: str) -> None:
    line = world.line("T-3")
    world.call(line, answer, at="2026-12-07T15:00:30Z")
    world.wire[-1], world.wire[1] = world.wire[1], world.wire[-1]
    world.wire[1]["at"], world.wire[-1]["at"] = line["at"], "2026-12-07T15:00:30Z"
    assert world.audit().broken_promises == {5}

    world.wire[1]["answer"] = "refused: bad number"
    assert world.audit().broken == ()


def test_a_call_that_has_no_outcome_breaks_the_fifth_promise(world: World) -> None:
    world.wire.append({**world.wire[-1], "reminder_id": "r-nobody"})

    assert world.audit().broken_promises == {5}


def test_a_sent_reminder_that_the_carrier_never_saw_breaks_the_fifth_promise(world: World) -> None:
    missing = copy.deepcopy(world)
    missing.wire.pop()
    world.line("T0")["provider_message_id"] = "m-other"

    assert missing.audit().broken_promises == {5}
    assert world.audit().broken_promises == {5}


def test_an_accepted_message_whose_outcome_is_no_contact_breaks_the_fifth_promise(world: World) -> None:
    world.line("T0").update({"outcome": "failed", "reason": "refused"})

    assert world.audit().broken_promises == {5}


def test_a_refused_call_may_end_in_any_outcome_and_an_unknown_one_may_lack_its_call(world: World) -> None:
    world.line("T0").update({"outcome": "failed", "reason": "refused_everywhere"})
    world.wired("T0").update({"answer": "refused: bad number", "provider_message_id": ""})
    world.line("T+1").update({"outcome": "unknown", "reason": "lease_over"})
    world.wire.remove(world.wired("T+1"))

    result = world.audit()

    assert result.broken == ()
    assert (result.coverage.uncalled, result.coverage.reminded) == (1, 4)
    assert result.coverage.by_outcome == {"sent": 3, "unknown": 1, "failed: refused_everywhere": 1}


def suppressed_instead(world: World, stage: str) -> Json:
    line = world.line(stage)
    world.wire.remove(world.wired(stage))
    line |= {"outcome": "suppressed", "reason": "cap", "provider_message_id": "", "attempts": []}
    return line


def test_a_planned_stage_without_an_outcome_breaks_the_sixth_promise(world: World) -> None:
    world.contacts.remove(suppressed_instead(world, "T-1"))

    result = world.audit()

    assert result.broken_promises == {6}
    assert result.coverage.by_outcome == {"sent": 4, "missing": 1}


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_rows_of_the_files_are_known_when_the_first_day_begins_wherever_that_is(zone: str) -> None:
    world = World([replace(ANN, time_zone=zone)])

    planned = audit(world.inputs(), Run(date(2026, 12, 9), date(2026, 12, 9)), RunResults([], []))

    assert planned.coverage.by_outcome == {"missing": 1}


def test_a_planned_stage_with_two_outcomes_breaks_the_sixth_promise(world: World) -> None:
    world.contacts.append({**suppressed_instead(world, "T-1"), "reminder_id": "r-twin"})

    assert world.audit().broken_promises == {6}


@pytest.mark.parametrize(
    "altered", [{"outcome": "postponed"}, {"reason": ""}, {"dues": []}, {"reminder_id": "r-L-1-1-2026-12-10-T0"}]
)
def test_an_outcome_that_is_none_breaks_the_sixth_promise(world: World, altered: Json) -> None:
    suppressed_instead(world, "T0")
    line = suppressed_instead(world, "T-1")
    if "dues" in altered:
        world.contacts.append({**line, "reminder_id": "r-empty"})
    line |= altered

    assert world.audit().broken_promises == {6}


def test_an_unplanned_outcome_is_counted_and_broken_only_when_it_went_out_on_a_wrong_day(world: World) -> None:
    short = GivenInstallment("L-2", 1, "b-1", date(2026, 12, 14), 500, "USD", 0, "paid")
    world.dues.append(short)
    world.outcome("T0", "suppressed", reason="paid", due=short)
    result = world.audit()
    assert (result.broken, result.coverage.unplanned) == ((), 1)

    world.contacts.pop()
    world.outcome("T0", due=short, at="2026-12-15T15:00:00Z")
    assert world.audit().broken_promises == {2, 3, 6, 7}


def test_a_reminder_after_the_end_of_grace_breaks_the_seventh_promise(world: World) -> None:
    world.dues[:] = [GivenInstallment("L-1", 1, "b-1", date(2026, 12, 10), 12050, "USD", 0, "open")]

    assert world.audit().broken_promises == {7}


@pytest.mark.parametrize("lacking", ["policy", "pack", "text"])
def test_a_contact_that_does_not_name_its_rules_breaks_the_ninth_promise(world: World, lacking: str) -> None:
    world.line("T0")[lacking] = ""

    assert world.audit().broken_promises == {9}


@pytest.mark.parametrize("local", ["2026-12-10T10:00:01-05:00", "2026-12-10T09:00:00-06:00"])
def test_a_local_time_that_is_not_the_borrowers_breaks_the_ninth_promise(world: World, local: str) -> None:
    world.line("T0")["local_time"] = local

    assert world.audit().broken_promises == {9}


def test_outcomes_out_of_order_break_the_ninth_promise(world: World) -> None:
    inputs, run = world.inputs(), Run(FIRST, LAST)

    assert audit(inputs, run, RunResults(world.contacts, world.wire)).broken == ()
    assert audit(inputs, run, RunResults(reversed(world.contacts), world.wire)).broken_promises == {9}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda line: line.pop("attempts"),
        lambda line: line.update(local_time="2026-12-11T10:00:00"),
        lambda line: line["dues"][0].update(installment_no="1"),
        lambda line: line["dues"][0].update(stage="soon"),
    ],
)
def test_a_line_that_cannot_be_read_is_reported_and_stops_nothing(world: World, spoil: Callable[[Json], None]) -> None:
    spoil(world.contacts[-1])

    result = audit(world.inputs(), Run(FIRST, LAST), RunResults(world.contacts, world.wire))

    assert result.broken_promises == {5, 6, 9}, "its call and its stage have no outcome then"


def test_a_call_that_cannot_be_read_breaks_the_fifth_promise(world: World) -> None:
    world.wire.append({"at": "noon"})

    assert world.audit().broken_promises == {5}


def test_a_thousand_borrowers_are_audited_within_seconds() -> None:
    world = World([], [])
    for n in range(1000):
        borrower = f"b-{n}"
        zone = ("", "America/Chicago", NEW_YORK)[n % 3]
        world.people.append(moved_person(borrower_id=borrower, time_zone=zone))
        for number in (1, 2):
            due = GivenInstallment(f"L-{n}", number, borrower, date(2026, 12, 1 + n % 28), 100, "USD", 3, "open")
            world.dues.append(due)
            for stage, offset in OFFSETS.items():
                if FIRST <= due.due_date + timedelta(days=offset) <= date(2027, 1, 15):
                    world.outcome(stage, "suppressed", reason="cap", due=due)

    began = clock.process_time()
    result = world.audit(last=date(2027, 1, 15))

    assert result.broken == () or result.broken_promises <= {9}
    assert result.coverage.planned > 8000
    assert clock.process_time() - began < 10


def test_a_claim_that_the_table_took_after_events_breaks_promise_3_whatever_the_record_says(world: World) -> None:
    slot = instant(world.line("T0")["at"])
    world.watch()
    assert world.audit().broken == ()
    world.tell(instant_text(slot + timedelta(milliseconds=2)), "installment.disputed")
    world.contacts.remove(world.line("T+1"))
    world.outcome("T+1", "suppressed", reason="disputed")
    world.wire = [call for call in world.wire if "T+1" not in call["reminder_id"]]
    world.wired("T0")["at"] = instant_text(slot + timedelta(milliseconds=5))
    assert world.audit().broken == ()
    for claim in world.claims or ():
        claim["at"] += timedelta(milliseconds=4) if claim["at"] == slot else timedelta(0)
    assert world.audit().broken_promises == {3}


def test_a_borrower_who_moves_between_a_claim_and_its_call_moves_too_late_for_its_hours(world: World) -> None:
    world.watch()
    slot = instant(world.line("T+1")["at"])
    world.tell(instant_text(slot + timedelta(milliseconds=2)), "borrower.updated", time_zone="America/Los_Angeles")
    world.wired("T+1")["at"] = instant_text(slot + timedelta(milliseconds=5))
    assert world.audit().broken == ()
    for claim in world.claims or ():
        claim["at"] += timedelta(milliseconds=4) if claim["at"] == slot else timedelta(0)
    assert world.audit().broken_promises == {2}


def test_an_interrupted_outcome_may_have_the_local_time_of_where_its_borrower_moved(world: World) -> None:
    at = instant(world.line("T+1")["at"])
    world.line("T+1")["local_time"] = at.astimezone(ZoneInfo("America/Los_Angeles")).isoformat()
    assert world.audit().broken_promises == {9}
    world.tell(instant_text(at + timedelta(hours=1)), "borrower.updated", time_zone="America/Los_Angeles")
    assert world.audit().broken == ()


def test_a_call_without_a_claim_in_a_watched_table_breaks_promise_5(world: World) -> None:
    world.watch()
    assert world.audit().broken == ()
    world.claims = world.claims[1:] if world.claims else None
    assert world.audit().broken_promises == {5}


@pytest.mark.parametrize(
    ("disturbed", "rejected", "limited", "broken", "unserved"),
    [
        (False, 0, False, {6}, {6}),
        (True, 0, False, set(), set()),
        (False, 1, False, set(), {6}),
        (False, 0, True, set(), set()),
    ],
)
def test_what_is_lost_breaks_the_sixth_promise_only_where_nothing_stood_in_the_way(
    world: World, *, disturbed: bool, rejected: int, limited: bool, broken: set[int], unserved: set[int]
) -> None:
    """A rejected row may leave a trace in queues and logs; it costs no other row its reminder."""

    def found(**left: Any) -> Audit:
        run, inputs = Run(FIRST, LAST, disturbed=disturbed), replace(world.inputs(), rejected=rejected)
        return audit(inputs, run, RunResults(world.contacts, world.wire, **left), Terms(limited=limited))

    info, error = {"level": "INFO", "message": "planned"}, {"level": "ERROR", "message": "delivering"}
    assert found(log=[info]).broken == ()
    assert found(log=[info, error]).broken_promises == broken
    assert found(dead_letters=[{"queue": "predue-sms-dead-letters", "jobs": []}]).broken_promises == broken
    suppressed_instead(world, "T-1").update(outcome="expired", reason="hours_over")
    assert found().broken == (), "the hours ended before it could go out"
    world.line("T-1")["reason"] = "no_run"
    assert found().broken_promises == unserved


def test_a_good_row_that_was_rejected_breaks_the_sixth_promise_whatever_went_wrong_beside_it(world: World) -> None:
    inputs = replace(world.inputs(), rejected=1, wronged=["installments.csv line 2"])

    result = audit(inputs, Run(FIRST, LAST, disturbed=True), RunResults(world.contacts, world.wire))

    assert result.broken == ("promise 6: installments.csv line 2: it was rejected, and nothing is odd in it",)


def test_events_count_from_when_they_were_acknowledged_if_somebody_noted_it(world: World) -> None:
    world.tell("2026-12-09T14:00:00Z", "installment.disputed")
    for stage in ("T0", "T+1"):
        suppressed_instead(world, stage)
    assert world.audit().broken_promises == {3}
    assert world.audit(arrivals=[(1, instant("2026-12-09T15:00:00.001Z"))]).broken == ()


@pytest.mark.parametrize(
    ("cap", "kept"),
    [(CapTerm(1, 1), True), (CapTerm(1, 2), False), (CapTerm(2, 30, "email"), True), (CapTerm(1, 30, "email"), False)],
)
def test_a_cap_over_any_window_on_any_channel_is_judged_in_the_policy_and_in_a_pack(
    world: World, cap: CapTerm, *, kept: bool
) -> None:
    broken = set() if kept else {1}
    assert world.audit(Terms(caps=(cap,))).broken_promises == broken

    for place, expected in (("US", broken), ("CA", set())):
        pack = PackTerm((place,), date.min, date.max, (time(8), time(21)), (cap,))
        assert world.audit(Terms(packs=(pack,))).broken_promises == expected


@pytest.mark.parametrize(
    ("core", "other", "broken"),
    [
        (("borrower.opted_in", {"channel": "all", "occurred_at": LATE}), ("borrower.opted_out", {}), 4),
        (("borrower.hold_ended", {}), ("borrower.hold_started", {"reason": "bereavement"}), 4),
        (("borrower.hold_ended", {}), ("borrower.hold_started", {"reason": "plan", "until": "2026-12-31"}), 4),
        (("borrower.updated", {"consent": "sms|email"}), ("borrower.updated", {"consent": ""}), 4),
        (("installment.dispute_ended", {}), ("installment.disputed", {}), 3),
        (("installment.paid", {"amount": "1.00"}), ("installment.cancelled", {}), 3),
    ],
)
def test_a_call_against_what_a_second_source_said_breaks_a_promise_however_small_its_sequence(
    world: World, core: tuple[str, Json], other: tuple[str, Json], broken: int
) -> None:
    world.tell("2026-12-02T01:00:00Z", core[0], 10**12, **core[1])
    world.tell("2026-12-02T02:00:00Z", other[0], 1, source="crm", **other[1])
    assert broken in world.audit().broken_promises


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("borrower.updated", {"channels": "push"}),
        ("installment.rescheduled", {"due_date": "2027-01-10"}),
        ("borrower.hold_started", {"reason": "plan", "until": "2026-12-02"}),
    ],
)
def test_a_word_on_what_another_source_owns_and_a_hold_that_has_ended_by_itself_bar_nothing(
    world: World, kind: str, body: Json
) -> None:
    world.tell("2026-12-02T01:00:00Z", "borrower.updated", 1, locale="en-US")
    world.tell("2026-12-02T02:00:00Z", kind, 10**12, source="crm", **body)
    assert world.audit().broken == ()
