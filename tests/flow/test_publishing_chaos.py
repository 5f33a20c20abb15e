"""Whole runs under chaos with publishing on: what was told, held against what happened, by the files that are left."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from infrastructure.local.chaos import chaos_runs
from infrastructure.local.chaos.faults import Chaos, Rates, no_waiting
from infrastructure.local.runs import run
from infrastructure.local.runs.portfolio import Portfolio, read_portfolio
from tests.flow.small import Book, Line, read_lines, standing, utc

SEED = 4
NAMES = ("borrowers.csv", "installments.csv", "events.jsonl")


class Told:
    """A run's portfolio, and what it left."""

    def __init__(self, portfolio: Portfolio, out: Path, faults: dict[str, int]) -> None:
        self.portfolio = portfolio
        self.faults = faults
        self.published = read_lines(out / "published.jsonl")
        self.contacts = {line["reminder_id"]: line for line in read_lines(out / "contacts.jsonl")}
        self.overdue = read_lines(out / "overdue.jsonl")

    def details(self, *kinds: str) -> list[Line]:
        """What was told of some kinds, each as often as it was."""
        return [one["detail"] for one in self.published if one["detail-type"] in kinds]

    @property
    def reminders(self) -> list[Line]:
        return [one["detail"] for one in self.published if one["detail-type"].startswith("Reminder")]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("run")
    case = chaos_runs.generated(SEED, folder / "in")
    portfolio = read_portfolio(*(case.folder / name for name in NAMES))
    options = run.RunOptions(
        case.first_day, case.last_day, folder / "out", case.seed, chaos=True, moving_events=True, publish=True
    )
    summary = run.run(portfolio, options)
    assert summary["promises"]["broken"] == []
    return Told(portfolio, folder / "out", summary["faults"])


def test_every_final_outcome_is_told_and_nothing_that_has_no_record(told: Told) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for detail in told.reminders:
        found[detail["reminder_id"]].add(detail["outcome"])
    assert told.contacts
    assert found.keys() == told.contacts.keys()
    for reminder_id, outcomes in found.items():
        final = told.contacts[reminder_id]["outcome"]
        assert final in outcomes
        assert outcomes <= {final, "unknown"}
    assert {line["outcome"] for line in told.contacts.values()} >= {"sent", "suppressed"}


def test_what_is_told_last_of_a_reminder_is_what_its_record_says(told: Told) -> None:
    for detail in told.reminders:
        line = told.contacts[detail["reminder_id"]]
        if detail["outcome"] == line["outcome"]:
            fields = (detail.keys() & line.keys()) - {"receipt"}
            assert {name: detail[name] for name in fields} == {name: line[name] for name in fields}


def test_an_event_that_is_told_again_has_its_id_and_another_has_another(told: Told) -> None:
    bodies: dict[str, set[str]] = defaultdict(set)
    for one in told.published:
        said = dict(one["detail"])
        if one["detail-type"] == "InstallmentOverdue":
            # The closing run tells it itself: one that was cut short and goes on tells it again, at its own instant.
            del said["at"]
        bodies[said["event_id"]].add(json.dumps([one["detail-type"], said], sort_keys=True))
    assert {len(same) for same in bodies.values()} == {1}
    meanings: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in told.reminders:
        meanings[one["reminder_id"], one["outcome"]].add(one["event_id"])
    assert {len(ids) for ids in meanings.values()} == {1}
    assert told.faults["killed"] > 0


def test_what_the_bus_took_without_an_answer_is_told_again_with_the_same_id(tmp_path: Path) -> None:
    chaos = Chaos(1, Rates(**dict.fromkeys(Rates.__slots__, 0.0) | {"lost_answer": 0.3}))
    made = Book()
    for number in range(12):
        # Each at a quarter hour of its own, so that there are as many calls.
        made.borrower(f"b-{number}", preferred_time=f"{10 + number // 4}:{15 * (number % 4):02}").installment(
            f"b-{number}"
        )
    with no_waiting(), standing(tmp_path, made, utc(10, 14), chaos=chaos, Publish="bus") as stand:
        stand.until(utc(10, 23))
        details = [one["detail"] for one in stand.stack.bus.emitted]
    ids = [detail["event_id"] for detail in details]
    assert len(set(ids)) == len({json.dumps(detail, sort_keys=True) for detail in details}) == 12
    assert len(ids) > 12


def test_every_stop_of_the_loan_system_is_told_once_whatever_went_wrong(told: Told) -> None:
    known = {row.borrower_id for row in told.portfolio.borrowers}
    applied = {_stop(one.body) for one in told.portfolio.events if one.body["type"] == "borrower.opted_out"}
    expected = {stop for stop in applied if stop[0] in known}
    stops = {_stop(detail) for detail in told.details("BorrowerOptedOut")}
    assert expected
    assert expected <= stops
    # What else was told came from borrowers themselves: by a complaint, which the carriers drew.
    assert {source for _, _, source, _ in stops - expected} <= {"provider"}


def test_what_is_handed_over_is_told_as_it_is_in_the_file_for_collections(told: Told) -> None:
    ids = {detail["event_id"] for detail in told.details("InstallmentOverdue")}
    assert ids == {line["event_id"] for line in told.overdue}


def _stop(said: Line) -> tuple[str, str, str, int]:
    return said["borrower_id"], said["channel"], said["source"], said["sequence"]
