"""Items of the table and the values they hold; see docs/architecture.md for the keys."""

from collections.abc import Sequence
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from pydantic_core import from_json, to_json

from predue.aws import table_keys
from predue.domain import instant
from predue.domain.due import Change, Due
from predue.domain.ledger import CONTACT, BySource, Contact, ContactState, Ledger, Mark, Settled, Stated
from predue.domain.profile import Profile, Refusal
from predue.domain.record import Answer, Attempt, Record, ref_of, reminder_id
from predue.domain.stage import StageKey

_SERIALIZER = TypeSerializer()
_DESERIALIZER = TypeDeserializer()

Item = dict[str, Any]


def wire(item: Item) -> dict[str, Any]:
    """A plain item in DynamoDB's typed form; empty strings and absent values are left out."""
    # Nearly all are texts and whole numbers; the serializer's way through to them costs more than all else here.
    return {
        name: {"S": value} if type(value) is str else _typed(value)
        for name, value in item.items()
        if value or value == 0
    }


def _typed(value: Any) -> dict[str, Any]:
    if type(value) is str:
        return {"S": value}
    if type(value) is int:
        return {"N": str(value)}
    if type(value) is list:
        return {"L": [_typed(one) for one in value]}
    return dict(_SERIALIZER.serialize(value))


def plain(item: dict[str, Any]) -> Item:
    """A typed item as plain values; all our numbers are whole."""
    # As in `wire`: the deserializer is for the few that are neither texts nor numbers.
    return {
        name: value["S"] if "S" in value else int(value["N"]) if "N" in value else _DESERIALIZER.deserialize(value)
        for name, value in item.items()
    }


def key_item(key: table_keys.Key) -> Item:
    """A key as the attributes of an item."""
    return dict(zip(("pk", "sk"), key, strict=True))


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else instant.to_ms(moment)


def _string(value: Any) -> str | None:
    """A nested value as one JSON text, or None for an empty one: what nobody queries by is read and written as one
    piece, since each nested value would cost the SDK's time on its way and bytes in the bill.
    """
    return to_json(value).decode() if value else None


def _read_text(item: Item, name: str, empty: Any) -> Any:
    return from_json(item[name]) if name in item else empty


@lru_cache(maxsize=1024)
def _names(text: str) -> tuple[str, ...]:
    """A list of names, of which many borrowers have the same."""
    return tuple(from_json(text))


def _attempts(attempts: tuple[Attempt, ...]) -> list[list[Any]]:
    return [[_ms(attempt.at), attempt.channel, attempt.answer.text] for attempt in attempts]


def _read_attempts(raw: list[list[Any]]) -> tuple[Attempt, ...]:
    return tuple(Attempt(instant.from_ms(at), channel, Answer.read(answer)) for at, channel, answer in raw)


def _keys(keys: tuple[StageKey, ...]) -> list[str]:
    return [key.text() for key in keys]


def _read_keys(raw: list[str]) -> tuple[StageKey, ...]:
    return tuple(StageKey.read(text) for text in raw)


# Profile


def profile_item(profile: Profile) -> Item:
    """The item of a profile."""
    return {
        **key_item(table_keys.profile(profile.borrower_id)),
        "ref": profile.ref,
        "name": profile.name,
        "locale": profile.locale,
        "time_zone": profile.time_zone,
        "jurisdiction": profile.jurisdiction,
        "channels": _string(list(profile.channels)),
        "consent": _string(list(profile.consent)),
        "preferred_time": "" if profile.preferred_time is None else f"{profile.preferred_time:%H:%M}",
        "addresses": _string(dict(profile.addresses)),
        "address_refs": _string(dict(profile.address_refs)),
        "bad_addresses": _string(list(profile.bad_addresses)),
        "sequences": _string(dict(profile.sequences)),
        "arrivals": _string(dict(profile.arrivals)),
        "source": profile.source,
        "stated": _string(list(profile.stated)),
        "refusals": _string({source: [*said[:2], list(said.channels)] for source, said in profile.refusals.items()}),
        "version": profile.version,
    }


def read_profile(item: Item) -> Profile:
    """The profile that an item holds."""
    send_time = item.get("preferred_time")
    return Profile(
        borrower_id=table_keys.name_in(item["pk"]),
        ref=item["ref"],
        name=item.get("name", ""),
        locale=item.get("locale", ""),
        time_zone=item.get("time_zone", ""),
        jurisdiction=item.get("jurisdiction", ""),
        channels=_names(item.get("channels", "[]")),
        consent=_names(item.get("consent", "[]")),
        preferred_time=time.fromisoformat(send_time) if send_time else None,
        addresses=_read_text(item, "addresses", {}),
        address_refs=_read_text(item, "address_refs", {}),
        bad_addresses=tuple(_read_text(item, "bad_addresses", ())),
        sequences=_read_text(item, "sequences", {}),
        arrivals=_read_text(item, "arrivals", {}),
        source=item.get("source", ""),
        stated=tuple(_read_text(item, "stated", ())),
        refusals={
            source: Refusal(sequence, at, tuple(channels))
            for source, (sequence, at, channels) in _read_text(item, "refusals", {}).items()
        },
        version=int(item["version"]),
    )


ROUTE = (
    *("pk", "ref", "time_zone", "jurisdiction", "channels"),
    *("consent", "preferred_time", "addresses", "version"),
)
"""The attributes of a profile that tell when and where a borrower may be reached; the rest says with what words."""


# Ledger: names are short, since the claim writes the whole of it and DynamoDB bills by the kilobyte


_STATES: tuple[ContactState, ...] = tuple(CONTACT.steps)


def ledger_item(ledger: Ledger) -> Item:
    """The item of a ledger; `whose` opens the ids of its reminders, whose rest follows from their keys, and `points`
    are the contact points that its contacts name by number.
    """
    ref = ref_of(ledger.contacts[0].reminder_id) if ledger.contacts else ""
    points = sorted({contact.address for contact in ledger.contacts if contact.address})
    return {
        **key_item(table_keys.ledger(ledger.borrower_id)),
        "version": ledger.version,
        "whose": ref,
        "points": _string(points),
        "contacts": _string([_short_contact(contact, ref, points) for contact in ledger.contacts]),
        "settled": _string(
            [
                {"t": _ms(one.at), "k": _keys(one.keys), "o": one.outcome, "r": one.reason}
                | ({"a": _attempts(one.tries)} if one.tries else {})
                for one in ledger.settled
            ]
        ),
        "opt_outs": _string([[*about, *said] for about, said in ledger.opt_outs.items()]),
        "opt_ins": _string([[*about, *said] for about, said in ledger.opt_ins.items()]),
        "holds": _string([[*about, *_mark(mark)] for about, mark in ledger.holds.items()]),
        "holds_ended": _string({source: _mark(mark) for source, mark in ledger.holds_ended.items()}),
        "suppressed": _string({channel: list(refs) for channel, refs in ledger.suppressed.items()}),
    }


def _short_contact(contact: Contact, ref: str, points: list[str]) -> dict[str, Any]:
    """A contact in short: its day is that of its keys, and its reminder's id follows from them."""
    short: dict[str, Any] = {
        "t": _ms(contact.at),
        "c": contact.channel,
        "k": _keys(contact.keys),
        "n": contact.token,
    }
    if contact.reminder_id != reminder_id(ref, contact.keys):
        short["i"] = contact.reminder_id
    if contact.text:
        short["v"] = contact.text
    if contact.address:
        short["h"] = points.index(contact.address)
    if contact.tries:
        short["a"] = _attempts(contact.tries)
    if contact.state != "calling":
        short["x"] = _STATES.index(contact.state)
    return short


def _read_contact(short: dict[str, Any], ref: str, points: list[str]) -> Contact:
    keys = _read_keys(short["k"])
    return Contact(
        at=instant.from_ms(short["t"]),
        day=keys[0].day(),
        channel=short["c"],
        keys=keys,
        token=short["n"],
        reminder_id=short.get("i") or reminder_id(ref, keys),
        text=short.get("v", ""),
        address=points[short["h"]] if "h" in short else "",
        state=_STATES[short.get("x", 0)],
        tries=_read_attempts(short.get("a", [])),
    )


def _said(item: Item, name: str) -> dict[BySource, Stated]:
    return {(about, source): Stated(*said) for about, source, *said in _read_text(item, name, ())}


def _mark(mark: Mark) -> list[Any]:
    """A mark in short: without its end where it has none."""
    return [*mark[:3], mark.until.isoformat()] if mark.until else list(mark[:3])


def _read_mark(raw: Sequence[Any]) -> Mark:
    sequence, on, at, *until = raw
    return Mark(sequence, on, at, date.fromisoformat(until[0]) if until else None)


def _marks(item: Item, name: str) -> dict[str, Mark]:
    return {source: _read_mark(raw) for source, raw in _read_text(item, name, {}).items()}


def read_ledger(item: Item) -> Ledger:
    """The ledger that an item holds."""
    ref, points = item.get("whose", ""), _read_text(item, "points", [])
    return Ledger(
        borrower_id=table_keys.name_in(item["pk"]),
        version=int(item["version"]),
        contacts=tuple(_read_contact(short, ref, points) for short in _read_text(item, "contacts", ())),
        settled=tuple(
            Settled(
                instant.from_ms(short["t"]),
                _read_keys(short["k"]),
                short["o"],
                short["r"],
                _read_attempts(short.get("a", [])),
            )
            for short in _read_text(item, "settled", ())
        ),
        opt_outs=_said(item, "opt_outs"),
        opt_ins=_said(item, "opt_ins"),
        holds={(about, source): _read_mark(raw) for about, source, *raw in _read_text(item, "holds", ())},
        holds_ended=_marks(item, "holds_ended"),
        suppressed={channel: tuple(refs) for channel, refs in _read_text(item, "suppressed", {}).items()},
    )


# Due


def due_item(due: Due) -> Item:
    """The item of a due, without its index keys."""
    return {
        **key_item(table_keys.due(due.borrower_id, due.due_date, due.loan_id, due.installment_no)),
        "loan_id": due.loan_id,
        "installment_no": due.installment_no,
        "due_date": due.due_date.isoformat(),
        "amount": due.amount,
        "currency": due.currency,
        "grace_days": due.grace_days,
        "changes": _string([[_ms(change.at), change.open] for change in due.changes]),
        "payments": _string(dict(due.payments)),
        "sequences": _string(dict(due.sequences)),
        "arrivals": _string(dict(due.arrivals)),
        "cancelled": due.cancelled or None,
        "cancels": _string({source: _mark(mark) for source, mark in due.cancels.items()}),
        "disputes": _string({source: _mark(mark) for source, mark in due.disputes.items()}),
        "moved_to": due.moved_to and due.moved_to.isoformat(),
        "handed_over_at": _ms(due.handed_over_at),
        "source": due.source,
        "stated_at": _ms(due.stated_at),
        "version": due.version,
    }


def read_due(item: Item) -> Due:
    """The due that an item holds."""
    return Due(
        borrower_id=table_keys.name_in(item["pk"]),
        loan_id=item["loan_id"],
        installment_no=int(item["installment_no"]),
        due_date=date.fromisoformat(item["due_date"]),
        amount=int(item["amount"]),
        currency=item["currency"],
        grace_days=int(item["grace_days"]),
        changes=tuple(Change(instant.from_ms(at), is_open) for at, is_open in _read_text(item, "changes", ())),
        payments=_read_text(item, "payments", {}),
        sequences=_read_text(item, "sequences", {}),
        arrivals=_read_text(item, "arrivals", {}),
        cancelled=item.get("cancelled", False),
        cancels=_marks(item, "cancels"),
        disputes=_marks(item, "disputes"),
        moved_to=date.fromisoformat(item["moved_to"]) if "moved_to" in item else None,
        handed_over_at=instant.from_ms(int(item["handed_over_at"])) if "handed_over_at" in item else None,
        source=item.get("source", ""),
        stated_at=instant.from_ms(int(item["stated_at"])) if "stated_at" in item else None,
        version=int(item["version"]),
    )


# Record


def record_item(record: Record) -> Item:
    """The item of a record; one whose outcome is unknown carries the keys of the sparse index for such."""
    unknown = record.outcome == "unknown"
    return {
        **key_item(table_keys.record(record.reminder_id)),
        "borrower_id": record.borrower_id,
        "at": _ms(record.at),
        "local_time": record.local_time,
        "keys": _keys(record.keys),
        "outcome": record.outcome,
        "reason": record.reason,
        "channel": record.channel,
        "policy": record.policy,
        "pack": record.pack,
        "text": record.text,
        "provider_message_id": record.provider_message_id,
        "receipt": record.receipt,
        "attempts": _string(_attempts(record.attempts)),
        "inputs": _string(dict(record.inputs)),
        "unresolved": "unknown" if unknown else None,
        "unresolved_at": instant.to_text(record.at) if unknown else None,
    }


def read_record(item: Item) -> Record:
    """The record that an item holds."""
    return Record(
        reminder_id=table_keys.name_in(item["sk"]),
        borrower_id=item["borrower_id"],
        at=instant.from_ms(int(item["at"])),
        local_time=item["local_time"],
        keys=_read_keys(item["keys"]),
        outcome=item["outcome"],
        reason=item.get("reason", ""),
        channel=item.get("channel", ""),
        policy=item.get("policy", ""),
        pack=item.get("pack", ""),
        text=item.get("text", ""),
        provider_message_id=item.get("provider_message_id", ""),
        receipt=item.get("receipt", ""),
        attempts=_read_attempts(_read_text(item, "attempts", [])),
        inputs=_read_text(item, "inputs", {}),
    )
