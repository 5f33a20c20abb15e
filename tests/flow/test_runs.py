"""Whole simulations over small portfolios, and a run; the audit of the promises is part of each."""

import json
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from infrastructure.local.runs.run import run
from predue.domain.policy import Policy
from tests.flow.small import DUE, Book, Line, Played, play, told, utc

US_ZONES = ("America/New_York", "America/Los_Angeles", "America/Anchorage", "Pacific/Honolulu", "America/Adak")


PLACES = {
    "kathmandu": ("Asia/Kathmandu", "NP"),
    "adelaide": ("Australia/Adelaide", "AU-SA"),
    "unknown": ("", "US-NY"),
    "misspelled": ("America/Newyork", "US-NY"),
    "nowhere": ("", ""),
}
PREFIXES = ("b", "b 1", "b!1", 'b"1', "b$1", "b-1", "b}", "bé")
NEXT = date(2026, 12, 11)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One day of a portfolio in which every borrower is a case of its own."""
    book = Book()
    for name, (zone, jurisdiction) in PLACES.items():
        book.borrower(name, time_zone=zone, jurisdiction=jurisdiction, channels="email").installment(name)
    for name in PREFIXES:
        book.borrower(name, channels="email").installment(name).installment(name, NEXT)
    for name in ("unpaid", "paid", "part", "graced", "digest", "last day"):
        book.borrower(name, channels="email" if name != "digest" else "sms|email")
    book.installment("unpaid", loan_id="l-unpaid").installment("paid", loan_id="l-paid")
    book.installment("part", loan_id="l-part").installment("graced", loan_id="l-graced", grace_days="1")
    book.installment("last day", date(2026, 12, 9), loan_id="l-last", grace_days="1")
    for due in (DUE, NEXT, date(2026, 12, 13), date(2026, 12, 17)):
        book.installment("digest", due)
    book.paid(utc(11, 0, 30), "l-paid").paid(utc(10, 20), "l-part", "20.00")
    return play(tmp_path_factory.mktemp("day"), book, DUE, DUE)


def of(day: Played, borrower: str) -> list[Line]:
    return [line for line in day.contacts if line["borrower_id"] == borrower]


def test_every_borrower_is_reminded_at_a_decent_hour_of_their_own_wherever_they_are(day: Played) -> None:
    lines = {name: of(day, name)[0] for name in PLACES}
    assert lines["kathmandu"]["at"] == "2026-12-10T04:15:00Z"
    assert lines["kathmandu"]["local_time"] == "2026-12-10T10:00:00+05:45"
    assert lines["adelaide"]["local_time"] == "2026-12-10T10:00:00+10:30"
    for name in ("unknown", "misspelled"):
        at = datetime.fromisoformat(lines[name]["at"])
        assert lines[name]["outcome"] == "sent"
        assert all(9 <= at.astimezone(ZoneInfo(zone)).hour < 20 for zone in US_ZONES)
    assert (lines["nowhere"]["outcome"], lines["nowhere"]["reason"]) == ("suppressed", "zone_unknown")


def test_what_left_its_grace_unpaid_is_handed_over_once_and_nothing_else_is(day: Played) -> None:
    mine = [line for line in day.overdue if line["loan_id"].startswith("l-")]
    loans = {line["loan_id"]: line for line in mine}
    assert set(loans) == {"l-unpaid", "l-part", "l-last"}
    assert len(mine) == 3
    assert loans["l-part"]["outstanding"] == "100.00"
    assert loans["l-unpaid"]["at"] >= "2026-12-11T01:00:00Z"
    assert day.summary["handed_over"] == len(day.overdue)


def test_grace_is_used_for_one_more_reminder_and_ends_in_silence(day: Played) -> None:
    assert told(of(day, "last day")) == {("T+1", "sent", "")}


def test_installments_that_meet_in_a_slot_share_one_message(day: Played) -> None:
    lines = of(day, "digest")
    sent = {("T0", "sent", ""), ("T-1", "sent", ""), ("T-3", "sent", "")}
    assert told(lines) == sent | {("T-7", "suppressed", "stage_channel")}
    reminders = {line["reminder_id"] for line in lines}
    answers = [line["answer"] for line in day.wire if line["reminder_id"] in reminders]
    assert answers.count("accepted") == 1


def test_ids_of_which_one_begins_with_the_other_lose_no_stage(day: Played) -> None:
    stages = {name: {due["stage"] for line in of(day, name) for due in line["dues"]} for name in PREFIXES}
    assert stages == {name: {"T0", "T-1"} for name in PREFIXES}


def test_a_change_of_clocks_moves_the_instant_and_not_the_hour(tmp_path: Path) -> None:
    book = Book()
    for name, zone in (("york", "America/New_York"), ("havana", "America/Havana")):
        book.borrower(name, time_zone=zone, jurisdiction="", channels="email", preferred_time="09:10")
        book.installment(name, date(2027, 3, 14))
    played = play(tmp_path, book, date(2027, 3, 14), date(2027, 3, 14))
    times = {line["borrower_id"]: (line["at"], line["local_time"]) for line in played.contacts}
    after = ("2027-03-14T13:15:00Z", "2027-03-14T09:15:00-04:00")
    assert times == {"york": after, "havana": after}


def test_a_run_in_which_nothing_went_out_still_ends_with_its_report(tmp_path: Path) -> None:
    played = play(tmp_path, Book().borrower(consent="").installment(), DUE, DUE)
    assert played.told() == {("T0", "suppressed", "no_consent")}
    assert (played.out / "report.html").stat().st_size > 0


def test_the_same_run_twice_tells_the_same_to_the_byte(tmp_path: Path) -> None:
    def book() -> Book:
        made = Book()
        for number in range(8):
            made.borrower(f"b-{number}", channels="sms|email" if number % 2 else "email")
            made.installment(f"b-{number}").installment(f"b-{number}", date(2026, 12, 11), grace_days="2")
        return made.paid(utc(10, 12)).event(utc(10, 13), "borrower.opted_out", borrower_id="b-3", channel="sms")

    first = play(tmp_path, book(), DUE, DUE, seed=7)
    second = play(tmp_path, book(), DUE, DUE, seed=7, out="again")
    for name in ("contacts.jsonl", "wire.jsonl", "records.jsonl", "overdue.jsonl", "rejected.csv"):
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes(), name
    summaries = [json.loads((one.out / "summary.json").read_text()) for one in (first, second)]
    for one in summaries:
        del one["seconds"]
    assert summaries[0] == summaries[1]
    assert first.contacts


def test_a_policy_of_the_lender_rules_the_run_and_is_named_in_every_record(tmp_path: Path) -> None:
    rules = {"version": "strict", "stages": [{"name": "T-1"}], "default_time": "17:05", "last_day": "2026-12-10"}
    book = Book().borrower().installment().installment(due=NEXT).installment(due=date(2026, 12, 12))
    played = play(tmp_path, book, DUE, NEXT, policy=Policy.model_validate(rules), through=run)
    (line,) = played.contacts
    assert [due["stage"] for due in line["dues"]] == ["T-1"]
    assert line["local_time"] == "2026-12-10T17:15:00-05:00"
    assert line["policy"].startswith("strict@")
    assert line["pack"] == "default@2021-11-30"
