"""Deliveries in the interleavings: jobs in their queues, the claims that appear, the calls that they cover."""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from predue.borrowers.ports import Accepted, NoAnswer, OutboundMessage, Refused
from predue.domain.job import Job
from predue.domain.ledger import Contact, Settled
from predue.domain.record import Record
from predue.errors import StillCalling
from predue.reminders import deliver
from predue.reminders.gate import LAST_CALL, PAUSED_WAIT
from tests.fakes import Answer
from tests.flow.chances import BORROWERS, CAPS, OTHER, WHO
from tests.flow.scene import KEYS, Scene, Work
from tests.flow.steps import Task, pause
from tests.flow.truth import Truth

LEASE = timedelta(seconds=120)


@dataclass
class Claim:
    """A claim as it was seen to appear in a ledger, with what could hold for it at that moment: the truths, and the
    contact points that were known as dead.
    """

    borrower_id: str
    contact: Contact
    truths: list[Truth]
    dead: frozenset[str]
    answers: list[Answer] = field(default_factory=list)
    given_back: bool = False


@dataclass(frozen=True)
class Message:
    """A job in a queue."""

    channel: str
    job: Job
    visible: datetime


@dataclass(frozen=True)
class Call:
    """A provider's call that reached the borrower, or may have."""

    reminder_id: str
    channel: str
    borrower_id: str
    address_ref: str


@dataclass
class Wire:
    """The provider as one delivery's services knows it."""

    room: "Deliveries"
    channel: str
    work: Work | None = None

    def send(self, outbound: OutboundMessage) -> Answer:
        pause("send")
        assert self.work is not None, "a call comes from work that has begun"
        return self.room.called(self.channel, outbound, self.work)


class Deliveries(Scene):
    """What the deliver functions do, and the promises about claims, calls and outcomes."""

    def set_up(self) -> None:
        super().set_up()
        self.messages: list[Message] = []
        self.claims: dict[str, Claim] = {}
        self.settled: list[Settled] = []
        self.known: dict[str, Record] = {}
        self.calls: list[Call] = []
        self.dead: set[str] = set()

    # Queues and functions

    def visible(self) -> list[Message]:
        return [message for message in self.messages if message.visible <= self.now]

    def open_jobs(self) -> list[Message]:
        """The queued jobs about which something is still to be decided."""
        return [
            message
            for message in self.visible()
            if any(not self.ledger(message.job.borrower_id).answered(key) for key in message.job.keys)
        ]

    def start_delivery(self, message: Message) -> Work:
        controls, wire = self.controls, Wire(self, message.channel)
        services = deliver.DeliveryServices(
            message.channel, self.store, self.store, self.queues, self.later, wire, controls.rulebook,
            controls.switches, lambda: self.now, lambda _ref: "https://example.com/stop", LEASE,
        )  # fmt: skip
        work = Work(Task(lambda: deliver.deliver(message.job, services)), controls, borrower_id=message.job.borrower_id)
        work.ended = lambda: self.delivered(work, message)
        work.notes["message"] = message
        wire.work = work
        return self.begin(work)

    def job_comes(self, pick: int) -> None:
        """One of the queued jobs is taken up, the newest more often."""
        if waiting := self.visible():
            self.start_delivery(waiting[-1 - pick % len(waiting)])

    def delivered(self, work: Work, message: Message) -> None:
        """A delivery is done: it has dealt with its job, or leaves the message in its queue."""
        if isinstance(work.task.error, StillCalling):
            self.reach("redelivered inside the lease")
            assert "reached" not in work.notes, "called beside a claim that still runs"
            if work.calls:
                self.reach("refused, and another delivery claimed the next channel")
        result = work.task.result
        if result is None:
            return
        if message in self.messages:
            self.messages.remove(message)
        self.reach(f"delivery: {result}")
        if work.lost:
            self.reach("claim lost and regained" if work.calls else "claim lost for good")
        self.dead |= work.notes.get("refused", set())
        if result == "deferred" and work.controls.stopped:
            self.reach("put off under the kill switch")
        ledger = self.ledger(message.job.borrower_id)
        left = [key for key in message.job.keys if self.is_planned(key) and not ledger.answered(key)]
        assert not left or result in ("deferred", "busy", "forwarded"), (
            f"promise 6: {left[0].text()} is lost ({result})"
        )

    def dies_in_delivery(self, work: Work) -> None:
        """Take note of where a delivery dies."""
        if "refused" in work.notes:
            self.reach("died after a refusal")
        elif work.calls:
            self.reach("died after the call")
        elif work.task.at == "send":
            self.reach("died between claim and call")
        elif work.task.at == "write_ledger":
            self.reach("died ahead of the claim")

    # The provider

    def called(self, channel: str, outbound: OutboundMessage, work: Work) -> Answer:
        """Every call must be covered by a claim, lie inside the hours of the stage's own day, and be allowed by the
        controls that its services read.
        """
        held = [claim for claim in self.claims.values() if claim.contact.reminder_id == outbound.reminder_id]
        claim = next(claim for claim in reversed(held) if not claim.given_back)
        keys = claim.contact.keys
        before = [old for old in self.claims.values() if set(old.contact.keys) & set(keys)]
        said = [(old.contact.channel, answer) for old in before for answer in old.answers]
        assert all(isinstance(answer, Refused) for _, answer in said), "promise 5: called again without a refusal"
        assert all(
            old != channel or (isinstance(answer, Refused) and answer.kind == "refused_busy") for old, answer in said
        ), "promise 5: a channel that refused is asked again"
        assert any(
            time(9) <= wall.time() < time(20) and {key.day() for key in keys} == {wall.date()}
            for wall in self.walls(claim.borrower_id, claim.truths)
        ), "promise 2: called outside the hours of the stage's day"
        assert channel == claim.contact.channel, "a message goes out on the channel that was claimed"
        assert not work.controls.stops(channel), "called on a channel that was stopped when the desk was made"
        assert not work.controls.shadow, "called in shadow mode"
        assert work.controls.reaches(outbound.to), "called outside the allow-list"
        ref = KEYS.address_ref(channel, outbound.to)
        assert ref not in claim.dead, "called at a contact point that had failed for good"
        if self.controls.stops(channel):
            self.reach("called by a desk that was made before the switch was turned")
        if said:
            self.reach("called again after a refusal" if said[-1][0] == channel else "called on the next channel")
        work.calls += 1
        answer = self.answer
        claim.answers.append(answer)
        if isinstance(answer, Accepted | NoAnswer):
            self.calls.append(Call(outbound.reminder_id, channel, claim.borrower_id, ref))
            work.notes["reached"] = True
        else:
            work.notes.setdefault("refused", set()).update({ref} if answer.kind == "refused_address" else ())
        return answer

    # What a step changed

    def look(self, work: Work | None) -> None:
        super().look(work)
        self.messages += [
            Message(channel, job, self.now + timedelta(seconds=wait)) for channel, job, wait in self.queues.sent
        ]
        self.messages += [Message(channel, job, at) for at, channel, job in self.later.planned]
        self.queues.sent.clear()
        self.later.planned.clear()
        for borrower_id in BORROWERS:
            self.look_at_claims(borrower_id, work)
        self.look_at_records(work)

    def look_at_claims(self, borrower_id: str, work: Work | None) -> None:
        ledger = self.ledger(borrower_id)
        contacts = {contact.token: contact for contact in ledger.contacts}
        for token, claim in self.claims.items():
            gone = token not in contacts or not contacts[token].counts
            if claim.borrower_id == borrower_id and gone and not claim.given_back:
                assert all(isinstance(answer, Refused) for answer in claim.answers), "a slot was given back unasked"
                claim.given_back = True
        for one in ledger.settled:
            if one not in self.settled:
                self.settled.append(one)
                self.check_settled(borrower_id, one, work)
        for token, contact in contacts.items():
            if token not in self.claims:
                self.claims[token] = Claim(borrower_id, contact, self.truths(), frozenset(self.dead))
                self.check_claim(self.claims[token], work)

    def held(self, borrower_id: str) -> list[Contact]:
        """The claims of a borrower that nobody gave back."""
        return [one.contact for one in self.claims.values() if one.borrower_id == borrower_id and not one.given_back]

    def check_settled(self, borrower_id: str, settled: Settled, work: Work | None) -> None:
        claimed = {key for contact in self.held(borrower_id) for key in contact.keys}
        assert not claimed & set(settled.keys), "promise 6: a stage is settled and claimed"
        self.check_cap(borrower_id, settled)
        if settled.reason == "paused":
            self.reach("expired under the kill switch")
            assert settled.outcome == "expired", "the operator kept it back, no rule did"
            assert work is not None, "news knows no kill switch"
            assert work.controls.stopped, "`paused` without the switch"
            soon = self.now + PAUSED_WAIT + LAST_CALL
            assert any(
                (soon.astimezone(wall.tzinfo).date(), soon.astimezone(wall.tzinfo).time()) >= (wall.date(), time(20))
                for wall in self.walls(borrower_id, self.truths())
            ), "given up although the switch could still be turned back"
        if settled.reason == "allow_list":
            self.reach("held back by the allow-list")
            assert work is not None, "news knows no allow-list"
            assert work.controls.listed is not None or not work.controls.production, "`allow_list` without one"
        if settled.reason == "shadow":
            self.reach("settled in shadow mode")
            assert work is not None, "news knows no shadow mode"
            assert work.controls.shadow, "`shadow` without the mode"
        if settled.reason == "gave_way":
            self.reach("gave way to a more urgent stage")
            assert not {"T0"} & {key.stage for key in settled.keys}, "the most urgent stage gave way"
        if settled.outcome == "failed":
            self.reach("failed after its last refusal")
        if settled.reason == "address_suppressed" and borrower_id == OTHER:
            self.reach("the other borrower's contact point was lost with the first one's")

    def check_cap(self, borrower_id: str, settled: Settled) -> None:
        """A stage may fail for a cap only while that cap is full of contacts that nobody gave back."""
        for cap in (cap for cap in CAPS if cap.name == settled.reason):
            self.reach("settled for a full cap")
            day, oldest = settled.keys[0].day(), settled.at - (cap.rolling or timedelta(0))
            full = [
                other
                for other in self.held(borrower_id)
                if (other.at > oldest if cap.rolling else other.day == day) and cap.channel in (None, other.channel)
            ]
            assert len(full) >= cap.count, f"promise 1: {cap.name} was not full"

    def check_claim(self, claim: Claim, work: Work | None) -> None:
        contact = claim.contact
        assert work is not None, "only a delivery claims"
        assert not work.controls.stops(contact.channel), "claimed on a channel that is stopped"
        over = {key for one in self.settled for key in one.keys}
        assert not over & set(contact.keys), "promise 6: a settled stage is claimed"
        for key in contact.keys:
            assert any(truth.open_at(key.loan_id, key.due_date) for truth in claim.truths), f"promise 3: {key.text()}"
            assert any(truth.allows(contact.channel, key.loan_id, key.due_date) for truth in claim.truths), (
                f"promise 4: {key.text()}"
            )
        held = self.held(claim.borrower_id)
        assert sum(other.day == contact.day for other in held) <= 1, "promise 1: a second contact on a day"
        for days, count, channels in ((3, 2, ("sms", "email")), (2, 1, ("sms",))):
            window = [
                other for other in held
                if other.channel in channels and contact.at - timedelta(days=days) < other.at <= contact.at
            ]  # fmt: skip
            assert len(window) <= count or contact.channel not in channels, f"promise 1: {days} days"
        assert not work.controls.shadow, "claimed in shadow mode"
        if claim.borrower_id == WHO and len(contact.keys) > 1:
            self.reach("claimed for several installments")

    def look_at_records(self, work: Work | None) -> None:
        answered = [key for record in self.store.records.values() for key in record.keys]
        assert len(answered) == len(set(answered)), "promise 6: a stage stands in two records"
        for name, record in self.store.records.items():
            old = self.known.get(name)
            if record is old:
                continue
            if old is not None and old.outcome != "unknown":
                assert (record.outcome, record.reason) == (old.outcome, old.reason), "promise 6: an outcome changed"
            if record.outcome == "unknown" and old is None:
                self.check_unknown(record, work)
            self.known[name] = record

    def check_unknown(self, record: Record, work: Work | None) -> None:
        if record.attempts[-1].answer.text != "no_answer:interrupted":
            self.reach("unknown: no answer")
        elif work is None:
            self.reach("unknown: found by news")
        elif work.notes.get("run"):
            self.reach("unknown: found by the closing run")
        else:
            self.reach("unknown: redelivered past the lease")
            assert self.now - record.at >= LEASE, "unknown while its call may still run"

    def check_attempts(self) -> None:
        """Every refusal that was given back stands in the record of its stages, in order."""
        for record in self.store.records.values():
            told = [(one.channel, one.answer.text) for one in record.attempts if one.answer.kind.startswith("refused")]
            for key in record.keys:
                refused = [
                    (claim.contact.channel, f"{answer.kind}:{answer.code}")
                    for claim in self.claims.values()
                    if key in claim.contact.keys and claim.given_back
                    for answer in claim.answers
                    if isinstance(answer, Refused)
                ]
                rest = iter(told)
                assert all(one in rest for one in refused), f"promise 9: {key.text()} was refused, and nobody told"
