"""The console of `predue serve`: one page that shows what the stack does now, read from the table and the queues."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from infrastructure.local.aws.http_api import HttpAnswer
from infrastructure.local.aws.stack import Stack
from infrastructure.local.report import words
from infrastructure.local.report.report import filled, pages
from infrastructure.local.runs import case_lines, outputs
from infrastructure.local.serve.book_routes import BookRoutes, Shown
from predue import wiring
from predue.aws import items
from predue.borrowers.view import View
from predue.domain.due import Due
from predue.domain.ledger import Ledger
from predue.domain.policy import Rulebook
from predue.domain.profile import Profile
from predue.domain.record import Record

REFRESH_SECONDS = 10
_SHOWN, _SHOWN_SLOTS, _SHOWN_MESSAGES = 12, 8, 6
_AHEAD, _FRESH = timedelta(days=1), timedelta(minutes=1)
_TONES = {"sent": "", "unknown": " plain", "suppressed": " plain", "expired": " bad", "failed": " bad"}
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
)


class Seen(NamedTuple):
    """A request that the API answered: when, on which route, how, and in how many milliseconds."""

    at: datetime
    route: str
    status: int
    took: int


class ComingSlot(NamedTuple):
    """A quarter hour to come, and how many borrowers' reminders stand at it."""

    at: datetime
    borrowers: int


class Console:
    """See the module; all of it runs in the stack's own thread."""

    def __init__(self, stack: Stack, address: str, books: BookRoutes, *, bundled: bool) -> None:
        self._stack = stack
        self._books = books
        self._address = address
        self._bundled = bundled
        self._page = pages().get_template("console.html.j2")
        self._began = stack.clock()
        self._table = stack.functions_environment()["TABLE_NAME"]
        self._ran, self._records, self._cases = -1, list[Record](), list[case_lines.Line]()
        self._stale, self._slots = self._began, list[ComingSlot]()
        self._files = list[tuple[str, str]]()
        self.requests: deque[Seen] = deque()

    def page(self) -> HttpAnswer:
        """The page as it stands now."""
        now = self._stack.clock()
        files = self._books.shown()
        self._look_anew(files)
        records, slots = self.records(), self._coming()
        opened = [one for one in self.cases() if one["open"]]
        by_id = {record.reminder_id: record for record in records}
        outcomes: Counter[str] = Counter(record.outcome for record in records)
        html = self._page.render(
            refresh=REFRESH_SECONDS,
            now=now,
            began=self._began,
            address=self._address,
            bundled=self._bundled,
            tiles=[*self._tiles(outcomes), ("Cases", len(opened), "for a person to look at")],
            cases=[case_lines.stated(one) for one in opened[: -_SHOWN_SLOTS - 1 : -1]],
            reasons=_reasons(records),
            slots=[_slot(slot, now, slots) for slot in slots[:_SHOWN_SLOTS]],
            contacts=[_shown_contact(record) for record in records[: -_SHOWN - 1 : -1]],
            schedules=sorted(self._stack.schedules.items(), key=lambda one: one[1]),
            queues=self._queues(),
            requests=list(self.requests),
            files=files,
            messages=[
                filled(outputs.stated(sample, by_id[sample["reminder_id"]])) | {"link": self._link(sample)}
                for sample in reversed(self._stack.carrier.samples)
                if sample["reminder_id"] in by_id
            ][:_SHOWN_MESSAGES],
        )
        return HttpAnswer(200, _HEADERS, html.encode())

    def next_slots(self) -> str:
        """The next quarter hours with reminders, in words."""
        stated = [f"{slot.at:%H:%M} UTC ({slot.borrowers})" for slot in self._coming()[:4]]
        return f"reminders at {', '.join(stated)}" if stated else "no reminder in the next 24 hours"

    def records(self) -> list[Record]:
        """Every record, read again once a function ran."""
        self._read()
        return self._records

    def cases(self) -> list[case_lines.Line]:
        """Every case, read again once a function ran."""
        self._read()
        return self._cases

    def _read(self) -> None:
        ran = sum(self._stack.meter.invocations.values())
        if ran != self._ran:
            self._ran, self._records = ran, outputs.records(self._table)
            with self._stack.feeding():
                self._cases = case_lines.read(self._table)

    def _look_anew(self, files: list[Shown]) -> None:
        """What comes is read again at once when an import has gone on to its next part, or is over."""
        stand = [(one.name, one.status) for one in files]
        if stand != self._files:
            self._files, self._stale = stand, self._began

    def _coming(self) -> list[ComingSlot]:
        """The slots to come, read again once a minute: it takes every due of the table."""
        now = self._stack.clock()
        if now >= self._stale:
            with self._stack.feeding():
                self._slots = coming(self._table, wiring.controls().rulebook, now)
            self._stale = now + _FRESH
        return [slot for slot in self._slots if slot.at > now]

    def _tiles(self, outcomes: Counter[str]) -> list[tuple[str, int, str]]:
        held = sum(outcomes[name] for name in ("suppressed", "expired", "failed"))
        waiting = sum(poller.waiting for poller in self._stack.pollers.values())
        handed = len({event["event_id"] for event in self._stack.handed_over})
        return [
            ("Sent", outcomes["sent"], "accepted by the provider"),
            ("Did not go out", held, "each with its reason below"),
            ("Receipt awaited", outcomes["unknown"], "perhaps sent; never sent again by itself"),
            ("Handed over", handed, "left their grace unpaid"),
            ("Waiting in queues", waiting, "put off, or to be tried again"),
        ]

    def _queues(self) -> list[dict[str, Any]]:
        dead = self._stack.dead_letters()
        stated = [
            {"name": url.rpartition("/")[2], "feeds": poller.source.function.name, "waiting": poller.waiting, "dead": 0}
            for url, poller in self._stack.pollers.items()
        ]
        for row in stated:
            row["dead"] = dead.pop(f"{row['name']}-dead-letters", 0)
        return stated + [{"name": name, "feeds": "", "waiting": 0, "dead": count} for name, count in dead.items()]

    def _link(self, sample: dict[str, Any]) -> str:
        found = re.search(re.escape(self._address) + r"/unsubscribe/[A-Za-z0-9._~=-]+", sample["body"])
        return found[0] if found else ""


def coming(table_name: str, rulebook: Rulebook, now: datetime) -> list[ComingSlot]:
    """The slots of the next day at which stages of open installments stand, with the borrowers whom they concern.

    Whether something goes out, the gate decides then.
    """
    profiles = {one.borrower_id: one for one in map(items.read_profile, outputs.scan(table_name, "A#profile"))}
    found: defaultdict[datetime, set[str]] = defaultdict(set)
    for due in map(items.read_due, outputs.scan(table_name, "D#")):
        if due.closed_by is None and due.handed_over_at is None and due.borrower_id in profiles:
            for slot in _slots(due, profiles[due.borrower_id], rulebook, now):
                found[slot].add(due.borrower_id)
    return [ComingSlot(at, len(borrowers)) for at, borrowers in sorted(found.items())]


def _slots(due: Due, profile: Profile, rulebook: Rulebook, now: datetime) -> Iterable[datetime]:
    view = View(profile, Ledger(profile.borrower_id), {}, rulebook.rules(profile.jurisdiction, now.date()))
    for stage in view.rules.stages.values():
        day = stage.day(due.due_date)
        # A slot lies within a day of its local date, wherever that is; the others need no look.
        near = abs(day - now.date()) <= _AHEAD * 2
        if (
            near
            and due.has_stage(stage)
            and view.rules.policy.allows(day)
            and now < (at := view.slot(day)) <= now + _AHEAD
        ):
            yield at


def _slot(slot: ComingSlot, now: datetime, slots: Sequence[ComingSlot]) -> dict[str, Any]:
    minutes = int((slot.at - now).total_seconds() // 60) + 1
    wait = f"in {minutes} min" if minutes < 60 else f"in {minutes // 60} h {minutes % 60:02} min"  # noqa: PLR2004 - minutes of an hour
    most = max(one.borrowers for one in slots)
    return {"at": slot.at, "wait": wait, "borrowers": slot.borrowers, "width": 100 * slot.borrowers / most}


def _reasons(records: Iterable[Record]) -> list[tuple[str, int]]:
    """Why reminders did not go out, the most frequent first."""
    counts = Counter(words.reason(one.reason, one.outcome).label for one in records if one.outcome != "sent")
    return counts.most_common(_SHOWN_SLOTS)


def _shown_contact(record: Record) -> dict[str, Any]:
    reason = words.reason(record.reason, record.outcome)
    return {
        "at": record.at,
        "local": record.local_time[11:16],
        "borrower": record.borrower_id,
        "channel": record.channel,
        "stages": sorted({key.stage for key in record.keys}, key=words.stage_offset),
        "outcome": words.outcome(record.outcome),
        "tone": _TONES[record.outcome],
        "because": "" if record.outcome == "sent" else reason.because,
        "receipt": record.receipt.replace("_", " "),
    }
