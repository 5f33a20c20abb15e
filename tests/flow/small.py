"""Small portfolios and small stacks: a test writes a few rows, lets days pass, and reads what went out."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from infrastructure.local.aws.stack import Stack
from infrastructure.local.chaos.faults import Chaos
from infrastructure.local.runs import outputs, run
from infrastructure.local.runs.portfolio import BORROWER_COLUMNS, INSTALLMENT_COLUMNS, Portfolio, read_portfolio
from infrastructure.local.simulate.parts import simulate
from infrastructure.local.virtual.agenda import LOAN_EVENTS, SCHEDULE
from predue import wiring
from predue.aws import clients
from predue.domain.policy import Policy
from predue.events import applying
from predue.events.models import read_event

DUE = date(2026, 12, 10)
Line = dict[str, Any]


@dataclass
class Book:
    """The rows of a portfolio, each with values that serve unless a test says otherwise."""

    borrowers: list[dict[str, str]] = field(default_factory=list)
    installments: list[dict[str, str]] = field(default_factory=list)
    events: list[Line] = field(default_factory=list)

    def borrower(self, borrower_id: str = "b-1", **fields: str) -> "Book":
        number = len(self.borrowers)
        usual = {
            "name": "Ana López",
            "phone": f"+1212555{100 + number:04}",
            "email": f"person{number}@example.com",
            "locale": "en-US",
            "time_zone": "America/New_York",
            "jurisdiction": "US-NY",
            "channels": "sms|email",
            "consent": "sms|email",
        }
        row = dict.fromkeys(BORROWER_COLUMNS, "") | usual | fields
        self.borrowers.append(row | {"borrower_id": borrower_id})
        return self

    def installment(self, borrower_id: str = "b-1", due: date = DUE, **fields: str) -> "Book":
        usual = {
            "loan_id": f"loan-{len(self.installments) + 1}",
            "installment_no": "1",
            "amount": "120.00",
            "currency": "USD",
            "grace_days": "0",
            "status": "open",
        }
        self.installments.append(usual | {"borrower_id": borrower_id, "due_date": due.isoformat()} | fields)
        return self

    def event(self, at: datetime, kind: str, **fields: Any) -> "Book":
        number = len(self.events) + 1
        frame = {"event_id": f"e-{number}", "source": "core", "sequence": number}
        self.events.append({"at": at.isoformat(), "type": kind} | frame | fields)
        return self

    def paid(self, at: datetime, loan_id: str = "loan-1", amount: str = "120.00") -> "Book":
        return self.event(at, "installment.paid", loan_id=loan_id, installment_no=1, amount=amount)

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        paths = folder / "borrowers.csv", folder / "installments.csv", folder / "events.jsonl"
        _table(paths[0], BORROWER_COLUMNS, self.borrowers)
        _table(paths[1], INSTALLMENT_COLUMNS, self.installments)
        paths[2].write_text("".join(json.dumps(event) + "\n" for event in self.events), encoding="utf-8")
        return paths

    def read(self, folder: Path) -> Portfolio:
        return read_portfolio(*self.write(folder))


def _table(path: Path, columns: tuple[str, ...], rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


@dataclass(frozen=True)
class Played:
    """What a run left behind."""

    out: Path
    summary: dict[str, Any]

    @property
    def contacts(self) -> list[Line]:
        return read_lines(self.out / "contacts.jsonl")

    @property
    def wire(self) -> list[Line]:
        return read_lines(self.out / "wire.jsonl")

    @property
    def overdue(self) -> list[Line]:
        return read_lines(self.out / "overdue.jsonl")

    def told(self) -> set[tuple[str, str, str]]:
        return told(self.contacts)


def read_lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def told(contacts: list[Line]) -> set[tuple[str, str, str]]:
    """Each planned stage with what became of it and why."""
    return {(due["stage"], line["outcome"], line["reason"]) for line in contacts for due in line["dues"]}


def play(
    folder: Path,
    book: Book,
    first: date,
    last: date,
    *,
    policy: Policy | None = None,
    seed: int = 1,
    out: str = "out",
    through: Callable[[Portfolio, run.RunOptions], dict[str, Any]] = simulate,
) -> Played:
    """A whole simulation, which ends as a run `through` the handlers does; every promise must hold in it."""
    options = run.RunOptions(first, last, folder / out, seed, policy or Policy())
    played = Played(folder / out, through(book.read(folder), options))
    assert played.summary["promises"]["broken"] == []
    return played


class Standing:
    """A stack in which the test itself moves time."""

    def __init__(self, stack: Stack, log: io.StringIO, wire: io.StringIO) -> None:
        self.stack = stack
        self._log = log
        self._wire = wire

    def until(self, moment: datetime) -> None:
        self.stack.run_until(moment)

    def settle(self) -> None:
        """Let the carriers say all that they have to say."""
        self.stack.run_until(self.stack.clock() + timedelta(hours=5))

    def news(self, at: datetime, body: Line) -> None:
        self.stack.at(at, LOAN_EVENTS, lambda: self._apply(body))

    def _apply(self, body: Line, later: timedelta = timedelta(0)) -> None:
        with self.stack.feeding():
            applying.apply(read_event(body), self.stack.clock() + later, wiring.event_services())

    def while_queued(self, at: datetime, kind: str, **fields: Any) -> None:
        """Events that come when the planner has queued its jobs, before a function takes one up."""
        body = {"type": kind, "event_id": "late", "source": "core", "sequence": 99} | fields
        # What is put onto the agenda at its very instant comes after all that stood there before.
        # It arrives a moment after the slot: events of the slot's very instant would come before it.
        after = timedelta(milliseconds=1)
        self.stack.at(at, SCHEDULE, lambda: self.stack.at(at, SCHEDULE, lambda: self._apply(body, after)))

    def switch(self, at: datetime, *paused: str) -> None:
        """Turn the kill switch at an instant."""
        self.put(at, "SWITCH_PARAMETER", json.dumps({"paused": paused}))

    def put(self, at: datetime, variable: str, value: str) -> None:
        """Set a parameter at an instant."""

        def turn() -> None:
            clients.client("ssm").put_parameter(Name=self.environment[variable], Value=value, Overwrite=True)

        self.stack.at(at, LOAN_EVENTS, turn)

    @property
    def environment(self) -> Mapping[str, str]:
        return self.stack.functions_environment()

    @property
    def contacts(self) -> list[Line]:
        found = outputs.records(self.environment["TABLE_NAME"])
        return [outputs.contact_line(record) for record in found]

    @property
    def wire(self) -> list[Line]:
        return [json.loads(line) for line in self._wire.getvalue().splitlines()]

    @property
    def log(self) -> list[Line]:
        return [json.loads(line) for line in self._log.getvalue().splitlines()]


@contextmanager
def standing(
    folder: Path,
    book: Book,
    start: datetime,
    *,
    policy: Policy | None = None,
    known: datetime | None = None,
    chaos: Chaos | None = None,
    **parameters: Any,
) -> Iterator[Standing]:
    """A stack that holds a book's rows, known since `known` or its start, and hears of its events."""
    portfolio = book.read(folder)
    assert portfolio.rejected == []
    log, wire = io.StringIO(), io.StringIO()
    given = {"InitialPolicy": (policy or Policy()).model_dump_json()} | parameters
    with run.moto():
        stack = Stack(start, log=log, wire=wire, parameters=given, chaos=chaos)
        with stack.feeding():
            run.load(portfolio, known or start, lambda _share, _what: None)
        stand = Standing(stack, log, wire)
        for row in portfolio.events:
            stand.news(row.at, row.body)
        yield stand


def utc(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """An instant of December 2026."""
    return datetime(2026, 12, day, hour, minute, second, tzinfo=UTC)
