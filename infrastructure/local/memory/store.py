"""The table in memory: the ports Borrowers, Dues, Addresses and Plans under the same conditions as the table's own
adapters; tests/contract.py holds both to the same answers.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from infrastructure.local.memory.index import DueIndex, DueKey
from predue.borrowers.ports import Checkpoint, EventState, IndexEntry, InUse, State
from predue.domain.case import About, Case
from predue.domain.due import Due
from predue.domain.ledger import Ledger
from predue.domain.profile import Profile
from predue.domain.record import Record
from predue.errors import EventConflict, LedgerMoved


class MemoryStore:
    """See the module; it has one shard.

    `answers_lost` makes every ledger write arrive twice, as when the SDK repeats one whose answer was lost.
    """

    def __init__(self) -> None:
        self.answers_lost = False
        self.profiles: dict[str, Profile] = {}
        self.ledgers: dict[str, tuple[Ledger, object]] = {}
        self.dues: dict[str, dict[DueKey, Due]] = {}
        self.index = DueIndex()
        self.records: dict[str, Record] = {}
        self.pointers: dict[tuple[str, int], tuple[str, date]] = {}
        self.events: dict[str, tuple[str, str]] = {}
        self.came: dict[str, datetime] = {}
        self.awaited: set[tuple[str, str]] = set()
        self.aside: dict[str, dict[str, str]] = {}
        self.consents: dict[tuple[str, int, str], dict[str, Any]] = {}
        self.cases: dict[tuple[str, str], Case] = {}
        self.names: dict[str, str] = {}
        self.bad: dict[str, str] = {}
        self.links: dict[str, set[str]] = {}
        self.zone_keys: set[tuple[str, str]] = set()
        self.graces: set[int] = set()
        self.checkpoints: dict[tuple[str, int], Checkpoint] = {}
        self._in_use = InUse(frozenset(), frozenset())

    def _step(self, call: str) -> None:
        """Hear the name of each call before it takes effect."""

    # Borrowers

    def _ledger(self, borrower_id: str) -> Ledger:
        return self.ledgers.get(borrower_id, (Ledger(borrower_id), None))[0]

    def _dues(self, borrower_id: str) -> list[tuple[DueKey, Due]]:
        return sorted(self.dues.get(borrower_id, {}).items(), key=lambda item: item[0])

    def load(self, borrower_id: str, until: date) -> State:
        self._step("load")
        dues = tuple(due for key, due in self._dues(borrower_id) if key.due_date <= until)
        return State(self.profiles.get(borrower_id), self._ledger(borrower_id), dues)

    def ledger(self, borrower_id: str) -> Ledger:
        self._step("ledger")
        return self._ledger(borrower_id)

    def write_ledger(self, ledger: Ledger) -> Ledger:
        self._step("write_ledger")
        written, token = ledger._replace(version=ledger.version + 1), object()
        for _ in range(2 if self.answers_lost else 1):
            stored, stored_token = self.ledgers.get(ledger.borrower_id, (None, None))
            if (stored.version if stored else 0) == ledger.version:
                self.ledgers[ledger.borrower_id] = (written, token)
            elif stored_token is not token:
                raise LedgerMoved("ledger")
        return written

    def bump(self, borrower_id: str) -> None:
        self._step("bump")
        stored, token = self.ledgers.get(borrower_id, (Ledger(borrower_id), None))
        self.ledgers[borrower_id] = (stored._replace(version=stored.version + 1), token)

    def record(self, reminder_id: str) -> Record | None:
        self._step("record")
        return self.records.get(reminder_id)

    def write_record(self, record: Record) -> bool:
        self._step("write_record")
        stored = self.records.get(record.reminder_id)
        if stored is not None and stored.outcome != "unknown":
            return False
        self.records[record.reminder_id] = record
        return True

    def raise_receipt(self, reminder_id: str, status: str, provider_message_id: str, lower: Sequence[str]) -> bool:
        self._step("raise_receipt")
        stored = self.records.get(reminder_id)
        if stored is None or stored.outcome == "unknown" or stored.receipt not in ("", *lower):
            return False
        message_id = stored.provider_message_id or provider_message_id
        self.records[reminder_id] = replace(stored, receipt=status, provider_message_id=message_id)
        return True

    def settle_record(self, record: Record, before: Record) -> None:
        self._step("settle_record")
        stored = self.records.get(record.reminder_id)
        if stored is None or stored.outcome != before.outcome or stored.receipt not in ("", before.receipt):
            raise LedgerMoved("record")
        self.records[record.reminder_id] = record

    # Dues

    def profile(self, borrower_id: str) -> Profile | None:
        self._step("profile")
        return self.profiles.get(borrower_id)

    def write_profile(self, profile: Profile) -> None:
        self._step("write_profile")
        stored = self.profiles.get(profile.borrower_id)
        if (stored.version if stored else 0) != profile.version:
            raise LedgerMoved("profile")
        self.profiles[profile.borrower_id] = replace(profile, version=profile.version + 1)

    def name_borrower(self, ref: str, borrower_id: str) -> None:
        self._step("name_borrower")
        self.names[ref] = borrower_id

    def pointer(self, loan_id: str, installment_no: int) -> tuple[str, date] | None:
        self._step("pointer")
        return self.pointers.get((loan_id, installment_no))

    def point(self, loan_id: str, installment_no: int, borrower_id: str, due_date: date, before: date | None) -> None:
        self._step("point")
        stored = self.pointers.get((loan_id, installment_no))
        expected = None if before is None else (borrower_id, before)
        if stored not in ((borrower_id, due_date), expected):
            raise LedgerMoved("pointer")
        self.pointers[loan_id, installment_no] = (borrower_id, due_date)

    def installments(self, loan_id: str) -> dict[int, tuple[date, Due | None]]:
        self._step("installments")
        return {
            number: (due_date, self.dues.get(borrower_id, {}).get(DueKey(due_date, loan, number)))
            for (loan, number), (borrower_id, due_date) in self.pointers.items()
            if loan == loan_id
        }

    def due(self, borrower_id: str, due_date: date, loan_id: str, installment_no: int) -> Due | None:
        self._step("due")
        return self.dues.get(borrower_id, {}).get(DueKey(due_date, loan_id, installment_no))

    def all_dues(self, borrower_id: str) -> tuple[Due, ...]:
        self._step("all_dues")
        return tuple(due for _, due in self._dues(borrower_id))

    def write_due(
        self, due: Due, zone_key: str, send_time: str, at: datetime, *, indexed: bool, overdue: bool = False
    ) -> None:
        self._step("write_due")
        key = DueKey(due.due_date, due.loan_id, due.installment_no)
        stored = self.dues.get(due.borrower_id, {}).get(key)
        if (stored.version if stored else 0) != due.version:
            raise LedgerMoved("due")
        self.dues.setdefault(due.borrower_id, {})[key] = replace(due, version=due.version + 1)
        self.index.pop((due.borrower_id, key), None)
        if indexed:
            day = due.due_date.isoformat()
            slot_key = f"{zone_key}#{send_time}#{due.borrower_id}#{due.loan_id}#{due.installment_no}#{day}"
            entry = IndexEntry(due.borrower_id, due.loan_id, due.installment_no, due.due_date, send_time, at)
            self.index[due.borrower_id, key] = ("late" if overdue else day, slot_key, entry)

    def use(self, zone_key: str, send_time: str, grace_days: int) -> None:
        self._step("use")
        self.zone_keys.add((zone_key, send_time))
        self.graces.add(grace_days)
        self._in_use = InUse(frozenset(self.zone_keys), frozenset(self.graces))

    def begin(self, event: str, body_hash: str, at: datetime) -> EventState:
        self._step("begin")
        assert at.tzinfo is not None
        holder, progress = self.events.get(event, ("", "new"))
        if progress in ("new", "released") or (progress == "begun" and holder == body_hash):
            if progress != "begun":
                self.came[event] = at
            self.events[event] = (body_hash, "begun")
            return "begun" if holder == body_hash else "new"
        if holder != body_hash:
            raise EventConflict("event_id: another body")
        return "applied"

    def first_came(self, event: str) -> datetime:
        """See Dues."""
        self._step("first_came")
        return self.came[event]

    def mark_applied(self, event: str, body_hash: str, at: datetime) -> None:
        self._step("mark_applied")
        assert at.tzinfo is not None
        if self.events[event][0] != body_hash:
            raise EventConflict("event_id: another body")
        self.events[event] = (body_hash, "")

    def release(self, event: str, body_hash: str, at: datetime) -> None:
        self._step("release")
        assert at.tzinfo is not None
        if self.events.get(event) == (body_hash, "begun"):
            self.events[event] = (body_hash, "released")

    def park(self, about: str, event: str, body: dict[str, Any], at: datetime, *, awaited: bool) -> None:
        self._step("park")
        assert at.tzinfo is not None
        self.aside.setdefault(about, {})[event] = json.dumps(body, default=str)
        if awaited:
            self.awaited.add((about, event))

    def parked(self, about: str) -> list[dict[str, Any]]:
        self._step("parked")
        bodies: list[dict[str, Any]] = [json.loads(text) for _, text in sorted(self.aside.get(about, {}).items())]
        return sorted(bodies, key=lambda body: int(body["sequence"]))

    def drop_parked(self, about: str, event: str) -> None:
        self._step("drop_aside")
        self.aside.get(about, {}).pop(event, None)
        self.awaited.discard((about, event))

    def write_consent(self, borrower_id: str, at: datetime, event: str, body: dict[str, Any]) -> None:
        self._step("write_consent")
        self.consents.setdefault((borrower_id, int(body.get("sequence", 0)), event), {**body, "at": at})

    def write_case(self, case: Case) -> bool:
        self._step("write_case")
        key = case.borrower_id, case.case_id
        stored = self.cases.get(key)
        if stored is None:
            self.cases[key] = case
        else:
            self.cases[key] = replace(stored, signals={**case.signals, **stored.signals})
        return stored is None

    def is_open(self, case: Case) -> bool:
        """Whether there is still something to do about a case."""
        return case.state(self._due_of(case), self._ledger(case.borrower_id)) == "open"

    def _due_of(self, case: Case) -> Due | None:
        if not isinstance(case.about, About):
            return None
        loan_id, number, due_date, _ = case.about
        return self.dues.get(case.borrower_id, {}).get(DueKey(due_date, loan_id, number))

    # Addresses

    def suppress(self, address_ref: str, reason: str, at: datetime) -> None:
        self._step("suppress")
        assert at.tzinfo is not None
        self.bad[address_ref] = reason

    def suppressed(self, address_ref: str) -> bool:
        self._step("suppressed")
        return address_ref in self.bad

    def link(self, address_ref: str, borrower_id: str) -> None:
        self._step("link")
        self.links.setdefault(address_ref, set()).add(borrower_id)

    def linked(self, address_ref: str) -> list[str]:
        self._step("linked")
        return sorted(self.links.get(address_ref, ()))

    # Plans

    def start(self, run: str, shard: int) -> tuple[InUse, Checkpoint | None]:
        self._step("start")
        return self._in_use, self.checkpoints.get((run, shard))

    def entries(
        self, due_date: date, shard: int, zone_key: str, send_time: str, after: str = ""
    ) -> Iterator[IndexEntry]:
        self._step("entries")
        assert shard == 0, "the store has one shard"
        prefix = f"{zone_key}#{send_time}" if send_time else zone_key
        first = f"{zone_key}#{after}$" if after else f"{prefix}#"
        return iter(self.index.between(due_date.isoformat(), first, f"{prefix}$"))

    def overdue(self, shard: int) -> Iterator[IndexEntry]:
        self._step("overdue")
        assert shard == 0, "the store has one shard"
        return iter(self.index.between("late", " ", "~"))

    def profiles_of(self, borrower_ids: Sequence[str]) -> dict[str, Profile]:
        self._step("profiles_of")
        return {name: self.profiles[name] for name in borrower_ids if name in self.profiles}

    def ledgers_of(self, borrower_ids: Sequence[str]) -> dict[str, Ledger]:
        self._step("ledgers_of")
        return {name: self.ledgers[name][0] for name in borrower_ids if name in self.ledgers}

    def recorded(self, reminder_ids: Sequence[str]) -> set[str]:
        self._step("recorded")
        return {reminder for reminder in reminder_ids if reminder in self.records}

    def save_checkpoint(self, run: str, shard: int, checkpoint: Checkpoint) -> None:
        self._step("save_checkpoint")
        stored = self.checkpoints.get((run, shard))
        if stored is None or stored.covered <= checkpoint.covered:
            self.checkpoints[run, shard] = checkpoint
