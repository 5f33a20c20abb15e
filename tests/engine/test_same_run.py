"""The same run over moto and over another engine: what predue does must not depend on who plays AWS."""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from infrastructure.local.aws import engine
from infrastructure.local.runs import demo, run
from infrastructure.local.runs.portfolio import read_portfolio
from predue.aws import clients
from tests.flow.small import Played, read_lines

pytestmark = pytest.mark.engine
FIRST, LAST = date(2026, 12, 1), date(2026, 12, 2)
BORROWERS = 60
Inventory = dict[str, list[str]]


def inventory(endpoint: str) -> Inventory:
    """All that stands on the engine, of the kinds that a run makes."""
    with engine.over(endpoint):
        return _inventory()


def _inventory() -> Inventory:
    return {
        "tables": clients.client("dynamodb").list_tables()["TableNames"],
        "queues": clients.client("sqs").list_queues().get("QueueUrls", []),
        "parameters": [one["Name"] for one in clients.client("ssm").describe_parameters()["Parameters"]],
        "secrets": [one["Name"] for one in clients.client("secretsmanager").list_secrets()["SecretList"]],
        "buses": [one["Name"] for one in clients.client("events").list_event_buses()["EventBuses"]],
        "groups": [one["Name"] for one in clients.client("scheduler").list_schedule_groups()["ScheduleGroups"]],
        "schedules": [one["Name"] for one in clients.client("scheduler").list_schedules()["Schedules"]],
    }


@dataclass(frozen=True)
class Runs:
    """The same run twice, and what stood on the engine before and after it."""

    moto: Played
    engine: Played
    before: Inventory
    after: Inventory


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, endpoint: str) -> Runs:
    """A part of the bundled portfolio, over moto and over the engine."""
    folder = tmp_path_factory.mktemp("runs")
    demo.write_demo(folder, borrowers=BORROWERS, first_day=FIRST, last_day=LAST)
    portfolio = read_portfolio(folder / "borrowers.csv", folder / "installments.csv", folder / "events.jsonl")

    def played(name: str, endpoint: str = "") -> Played:
        options = run.RunOptions(FIRST, LAST, folder / name, endpoint=endpoint)
        return Played(folder / name, run.run(portfolio, options))

    before = inventory(endpoint)
    return Runs(played("moto"), played("engine", endpoint), before, inventory(endpoint))


def without_provider_ids(path: Path) -> list[dict[str, Any]]:
    return [line | {"provider_message_id": ""} for line in read_lines(path)]


def test_every_line_of_the_outcomes_is_the_same_but_for_provider_ids(runs: Runs) -> None:
    moto, other = runs.moto, runs.engine
    assert len(moto.contacts) > 20
    for name in ("contacts.jsonl", "records.jsonl", "wire.jsonl", "overdue.jsonl"):
        assert without_provider_ids(moto.out / name) == without_provider_ids(other.out / name)


def test_the_summaries_are_the_same_but_for_time_and_the_length_of_names_in_logs(runs: Runs) -> None:
    moto, other = (
        json.loads((one.out / "summary.json").read_text(encoding="utf-8")) for one in (runs.moto, runs.engine)
    )
    assert moto["promises"]["broken"] == []
    for summary in (moto, other):
        del summary["seconds"], summary["cost_per_million_reminders"]
    assert moto == other


def test_a_run_takes_away_all_that_it_made_on_the_engine(runs: Runs) -> None:
    assert runs.after == runs.before
