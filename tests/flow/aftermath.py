"""Receipts in the interleavings: what providers say afterwards, before, twice, and out of order."""

from predue.domain import instant
from predue.domain.ledger import Stated
from predue.domain.record import Record
from predue.errors import NotRecordedYet
from predue.reminders import receipts
from predue.reminders.receipts import Receipt
from tests.flow.chances import BORROWERS, RECEIPTS
from tests.flow.deliveries import Call, Deliveries
from tests.flow.scene import Work
from tests.flow.steps import Task


class Aftermath(Deliveries):
    """The providers' events; `mail` are those that were not taken in yet, or come once more."""

    def set_up(self) -> None:
        super().set_up()
        self.mail: list[tuple[Call, Receipt]] = []
        self.complained: set[str] = set()
        self.stops: set[tuple[str, str, Stated]] = set()

    def receipt_comes(self, pick: int, status: str) -> None:
        """One event comes: a new one about some call, or one that waits to come again."""
        if self.mail and pick % 3 == 0:
            self.take_in(*self.mail.pop(pick % len(self.mail)))
        elif self.calls:
            early = [call for call in self.calls if call.reminder_id not in self.store.records]
            some = early if early and pick % 2 else self.calls
            call = some[-1 - pick % len(some)]
            self.take_in(call, Receipt(call.reminder_id, "message", status, permanent=status == "bounced"))

    def take_in(self, call: Call, said: Receipt) -> Work:
        at = self.now

        def note() -> str:
            receipts.note(said, at, self.store, self.store, self.store)
            return "noted"

        work = Work(Task(note), self.controls, borrower_id=call.borrower_id, notes={"receipt": said})
        work.ended = lambda: self.taken_in(work, call, said)
        return self.begin(work)

    def taken_in(self, work: Work, call: Call, said: Receipt) -> None:
        """An event is acknowledged, or comes again."""
        if work.task.result is None:
            self.mail.append((call, said))
            if isinstance(work.task.error, NotRecordedYet):
                self.reach("receipt before its record")
            return
        record = self.store.records[call.reminder_id]
        self.reach(f"receipt: {said.status}")
        assert record.outcome == "sent", "promise 6: the provider had the message, and its record does not say so"
        assert RECEIPTS.index(record.receipt) >= RECEIPTS.index(said.status), "a receipt was lost"
        if RECEIPTS.index(record.receipt) > RECEIPTS.index(said.status):
            self.reach("receipt out of order")
        kept = record.inputs.get("address")
        assert kept in ("", call.address_ref), "the record names another contact point than was called"
        if not kept:
            self.reach("receipt of a contact point that was changed meanwhile")
        if said.permanent and kept:
            self.dead.add(call.address_ref)
        if said.status == "complained":
            stands = call.reminder_id in self.complained or self.stopped(call.borrower_id, call.channel)
            assert stands, "promise 4: a complaint is no stop"
            self.complained.add(call.reminder_id)

    def dies_in_receipt(self, work: Work) -> None:
        """The event of a function that dies comes again."""
        said = work.notes["receipt"]
        call = next(call for call in self.calls if call.reminder_id == said.reminder_id)
        self.mail.append((call, said))
        self.reach("receipt cut short and told again")

    def look(self, work: Work | None) -> None:
        known = dict(self.known)
        super().look(work)
        for name, record in self.store.records.items():
            old = known.get(name)
            if old is not None and old is not record:
                self.check_rise(old, record)
        stops = {
            (name, channel, said)
            for name in BORROWERS
            for (channel, source), said in self.ledger(name).opt_outs.items()
            if source == "provider"
        }
        said: Receipt | None = work.notes.get("receipt") if work else None
        if work is not None and said is not None and said.status == "complained":
            for borrower_id, channel, stop in stops - self.stops:
                # It counts from here: whatever loan systems said before, and until they say otherwise.
                self.complained.add(said.reminder_id)
                self.told.append(
                    {
                        "type": "borrower.opted_out",
                        "source": "provider",
                        "at": instant.from_ms(stop.at),
                        "borrower_id": borrower_id,
                        "channel": channel,
                    }
                )
        self.stops = stops

    def stopped(self, borrower_id: str, channel: str) -> bool:
        """Whether the very stop of a channel stands."""
        return "provider" in self.ledger(borrower_id).stops(channel)

    def check_rise(self, old: Record, record: Record) -> None:
        """A receipt only ever rises, and settles what was unknown."""
        ranks = ["", *RECEIPTS]
        assert ranks.index(record.receipt) >= ranks.index(old.receipt), "a receipt fell"
        if (old.outcome, record.outcome) == ("unknown", "sent"):
            self.reach("unknown settled as sent" if record.receipt else "unknown given way to its own record")
