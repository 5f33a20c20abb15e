"""What every implementation of the store's ports answers alike: a script of calls drawn from a seed, of which many meet
what others left, out of order, stale and twice.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from predue.borrowers.ports import Checkpoint
from predue.domain.case import SIGNALS, Hold, at_risk
from predue.domain.case import Case as OneCase
from predue.domain.due import Change, Due
from predue.domain.ledger import Contact, Mark, Settled, Stated
from predue.domain.profile import Profile
from predue.domain.record import Answer, Attempt, Record, reminder_id
from predue.domain.stage import StageKey
from predue.errors import PredueError

NOW = datetime(2026, 12, 2, 15, tzinfo=UTC)
DAYS = [date(2026, 12, 10) + timedelta(days=offset) for offset in (0, 0, 1, 3)]
WHO = ("b-1", "b 1", "b!1", "bé", "b-10", "b~")
LOANS = ("l-1", "l-10", "L!")
PLACES = ("America/New_York", "*US-TX", "UTC")
SOURCES = ("core", "crm")
SEND_TIMES = ("--:--", "09:00", "18:15")
REF = "q" * 16
Step = Callable[["Script"], Any]


class Script:
    """One run of the script over a store that implements Borrowers, Dues and Addresses, and one that implements Plans;
    `answers` are what each call gave or raised.
    """

    def __init__(self, store: Any, plans: Any, seed: int) -> None:
        self.store, self.plans, self.rng = store, plans, random.Random(seed)  # noqa: S311 - drawn for a test
        self.answers: list[tuple[str, Any]] = []

    def play(self, length: int) -> list[tuple[str, Any]]:
        for _ in range(length):
            step = self.rng.choice(STEPS)
            # All that is drawn is drawn ahead of the call, so that both sides draw alike, whatever it raises.
            try:
                answer = step(self)
            except PredueError as error:
                answer = type(error).__name__
            self.answers.append((step.__name__, answer))
        return self.answers

    def who(self) -> str:
        return self.rng.choice(WHO)

    def now(self) -> datetime:
        return NOW + timedelta(milliseconds=self.rng.randrange(10**8))

    def stale(self, version: int) -> int:
        """The version that was read, or now and then another."""
        return version if self.rng.random() < 0.8 else max(0, version - 1 + 2 * self.rng.randrange(2))

    def key(self) -> StageKey:
        return StageKey(
            self.rng.choice(LOANS), self.rng.randint(1, 2), self.rng.choice(DAYS), self.rng.choice(("T-1", "T0"))
        )

    def keys(self) -> tuple[StageKey, ...]:
        first = self.key()
        other = first._replace(loan_id=self.rng.choice(LOANS))
        return tuple(sorted({first, other}))

    def due_of(self) -> tuple[str, date, str, int]:
        return self.who(), self.rng.choice(DAYS), self.rng.choice(LOANS), self.rng.randint(1, 2)


def write_ledger(script: Script) -> Any:
    rng, who, at, keys = script.rng, script.who(), script.now(), script.keys()
    channel, address = rng.choice(("sms", "email")), rng.choice(("", "e1e1e1e1"))
    tries = (Attempt(at, channel, Answer.read("refused_busy:x")),) * rng.randrange(2)
    ident = rng.choice((reminder_id(REF, keys), f"{REF}another"))
    contact = Contact(at, keys[0].day(), channel, keys, f"t{rng.random()}", ident, "en/sms/T0@1", address, tries=tries)
    mark = Mark(rng.randrange(9), rng.random() < 0.5)
    what = rng.randrange(5)
    ledger = script.store.ledger(who)
    ledger = ledger._replace(version=script.stale(ledger.version))
    changed = [
        lambda: ledger.with_contact(contact),
        lambda: ledger.with_settled([Settled(at, keys, "suppressed", "hold", tries)]),
        lambda: ledger.with_hold("hardship", rng.choice(SOURCES), mark) or ledger,
        lambda: (
            ledger.with_opt_out("all", rng.choice(SOURCES), Stated(mark.sequence, 5, rng.choice((None, 4)))) or ledger
        ),
        lambda: ledger.with_suppressed(channel, "e1" * 16) or ledger.with_holds_ended("core", mark) or ledger,
    ][what]()
    return script.store.write_ledger(changed)


def ledger(script: Script) -> Any:
    return script.store.ledger(script.who())


def bump(script: Script) -> Any:
    return script.store.bump(script.who())


def write_profile(script: Script) -> Any:
    rng, who = script.rng, script.who()
    fields = {
        "name": rng.choice(("", "Zoë")),
        "time_zone": rng.choice(("", "America/New_York")),
        "channels": rng.choice(((), ("sms", "email"))),
        "consent": rng.choice(((), ("email",))),
        "preferred_time": rng.choice((None, time(18, 15))),
        "addresses": rng.choice(({}, {"email": "zoe@example.com"})),
        "address_refs": rng.choice(({}, {"email": "e1" * 16})),
        "bad_addresses": rng.choice(((), ("phone",))),
        "sequences": rng.choice(({}, {"name": 3})),
    }
    known = script.store.profile(who) or Profile(who, REF)
    return script.store.write_profile(replace(known, **fields, version=script.stale(known.version)))


def profile(script: Script) -> Any:
    return script.store.profile(script.who())


def load(script: Script) -> Any:
    return script.store.load(script.who(), script.rng.choice(DAYS))


def write_due(script: Script) -> Any:
    rng, (who, day, loan, number), at = script.rng, script.due_of(), script.now()
    fields = {
        "amount": rng.randrange(1, 10**6),
        "changes": (Change(at, open=rng.random() < 0.5),),
        "payments": rng.choice(({}, {"core#1": -5, "book": 7})),
        "sequences": rng.choice(({}, {"due_date": 3})),
        "cancelled": rng.random() < 0.2,
        "disputes": rng.choice(({}, {"core": Mark(rng.randrange(9), rng.random() < 0.5)})),
        "moved_to": rng.choice((None, DAYS[3])),
        "handed_over_at": rng.choice((None, at)),
        "source": rng.choice(("", "core")),
        "stated_at": rng.choice((None, at)),
    }
    place, send_time, indexed, overdue = (
        rng.choice(PLACES),
        rng.choice(SEND_TIMES),
        rng.random() < 0.7,
        rng.random() < 0.2,
    )
    known = script.store.due(who, day, loan, number) or Due(who, loan, number, day, 1, "USD", rng.randrange(3), ())
    stated = replace(known, **fields, version=script.stale(known.version))
    return script.store.write_due(stated, place, send_time, at, indexed=indexed, overdue=overdue)


def due(script: Script) -> Any:
    return script.store.due(*script.due_of())


def all_dues(script: Script) -> Any:
    return script.store.all_dues(script.who())


def point(script: Script) -> Any:
    who, day, loan, number = script.due_of()
    return script.store.point(loan, number, who, day, script.rng.choice((None, *DAYS)))


def pointer(script: Script) -> Any:
    return script.store.pointer(script.rng.choice(LOANS), script.rng.randint(1, 2))


def installments(script: Script) -> Any:
    return sorted(script.store.installments(script.rng.choice(LOANS)).items())


def use(script: Script) -> Any:
    return script.store.use(script.rng.choice(PLACES), script.rng.choice(SEND_TIMES), script.rng.randrange(3))


def begin(script: Script) -> Any:
    return script.store.begin(f"core#{script.rng.randrange(4)}", script.rng.choice("ab"), script.now())


def mark_applied(script: Script) -> Any:
    event, digest, at = f"core#{script.rng.randrange(4)}", script.rng.choice("ab"), script.now()
    # Nobody marks what was not begun.
    return script.store.begin(event, digest, at) and script.store.mark_applied(event, digest, at)


def release(script: Script) -> Any:
    return script.store.release(f"core#{script.rng.randrange(4)}", script.rng.choice("ab"), script.now())


def park(script: Script) -> Any:
    rng, event = script.rng, script.rng.randrange(5)
    body = {"event_id": str(event), "sequence": rng.randrange(3), "amount": "1.00"}
    return script.store.park(rng.choice(LOANS), f"core#{event}", body, script.now(), awaited=rng.random() < 0.5)


def parked(script: Script) -> Any:
    return script.store.parked(script.rng.choice(LOANS))


def drop_parked(script: Script) -> Any:
    return script.store.drop_parked(script.rng.choice(LOANS), f"core#{script.rng.randrange(5)}")


def write_consent(script: Script) -> Any:
    body = {"type": "borrower.opted_out", "channel": "sms", "sequence": script.rng.randrange(3)}
    return script.store.write_consent(script.who(), script.now(), f"core#{script.rng.randrange(5)}", body)


def write_case(script: Script) -> Any:
    who, day, loan, number = script.due_of()
    at, signal = script.now(), script.rng.choice(SIGNALS)
    hold = OneCase(who, "f" * 32, at, Hold("hardship", 3, "core"))
    risk = at_risk(Due(who, loan, number, day, 1, "USD", 2, ()), signal, at)
    return script.store.write_case(script.rng.choice((hold, risk)))


def _record(script: Script, outcome: str) -> Record:
    keys, at = script.keys(), script.now()
    inputs = {"channels": {"sms": "able"}, "contacts_7_days": 1, "consent": ["sms"]}
    tries = (Attempt(at, "sms", Answer.read("accepted")),)
    more = {"channel": "sms", "policy": "p", "pack": "k", "text": "en/sms/T0@1", "attempts": tries, "inputs": inputs}
    local = "2026-12-02T10:00:00-05:00"
    return Record(reminder_id(REF, keys), script.who(), at, local, keys, outcome, "", **more)  # type: ignore[arg-type]  # drawn


def write_record(script: Script) -> Any:
    return script.store.write_record(_record(script, script.rng.choice(("sent", "unknown", "suppressed"))))


def record(script: Script) -> Any:
    return script.store.record(reminder_id(REF, script.keys()))


def raise_receipt(script: Script) -> Any:
    status = script.rng.choice(("accepted", "delivered"))
    lower = [] if status == "accepted" else ["accepted"]
    return script.store.raise_receipt(reminder_id(REF, script.keys()), status, "m-1", lower)


def settle_record(script: Script) -> Any:
    before = script.store.record(reminder_id(REF, script.keys())) or _record(script, "unknown")
    seen = replace(before, receipt=script.rng.choice((before.receipt, "delivered")))
    return script.store.settle_record(replace(before, outcome="sent", receipt="complained"), seen)


def suppress(script: Script) -> Any:
    return script.store.suppress(script.rng.choice("xyz"), "bounced", script.now())


def suppressed(script: Script) -> Any:
    return script.store.suppressed(script.rng.choice("xyz"))


def link(script: Script) -> Any:
    return script.store.link(script.rng.choice("xyz"), script.who())


def linked(script: Script) -> Any:
    return sorted(script.store.linked(script.rng.choice("xyz")))


def start(script: Script) -> Any:
    return script.plans.start(script.rng.choice(("plan", "close")), 0)


def save_checkpoint(script: Script) -> Any:
    rng, at = script.rng, script.now()
    checkpoint = Checkpoint(at, rng.choice((None, at)), rng.choice(("", "x")), rng.choice((None, at)), rng.randrange(3))
    return script.plans.save_checkpoint(rng.choice(("plan", "close")), 0, checkpoint._replace(held=rng.random() < 0.5))


def entries(script: Script) -> Any:
    rng, send_time = script.rng, script.rng.choice(("", *SEND_TIMES))
    after = rng.choice(("", f"{send_time or '09:00'}#{script.who()}"))
    return list(script.plans.entries(rng.choice(DAYS), 0, rng.choice(PLACES), send_time, after))


def overdue(script: Script) -> Any:
    return list(script.plans.overdue(0))


def profiles_of(script: Script) -> Any:
    """Only what tells when and where somebody may be reached is promised."""
    wanted = ("ref", "time_zone", "jurisdiction", "channels", "consent", "preferred_time", "addresses", "version")
    found = script.plans.profiles_of(sorted(script.rng.sample(WHO, 4)))
    return {name: [getattr(one, field) for field in wanted] for name, one in sorted(found.items())}


def ledgers_of(script: Script) -> Any:
    return dict(sorted(script.plans.ledgers_of(sorted(script.rng.sample(WHO, 4))).items()))


def recorded(script: Script) -> Any:
    return script.plans.recorded([reminder_id(REF, script.keys()) for _ in range(3)])


STEPS: tuple[Step, ...] = (
    *(write_ledger, write_ledger, ledger, bump, write_profile, profile, load, write_due, write_due, write_due, due),
    *(all_dues, point, pointer, installments, use, begin, mark_applied, release, park, parked, drop_parked),
    *(write_consent, write_case, write_record, write_record, record, raise_receipt, settle_record, suppress),
    *(suppressed, link, linked, start, save_checkpoint, entries, entries, overdue, profiles_of, ledgers_of, recorded),
)
