"""The keys of the table's items and of its index, made and read here only; docs/architecture.md lists them."""

from datetime import date

from predue.domain.record import ref_of

Key = tuple[str, str]
"""Partition and sort key."""

IN_USE: Key = ("U#in_use", "U")
"""What is in use; see ports.InUse."""
LEDGER, PROFILE = "A#ledger", "A#profile"
"""The sort keys of a borrower's state. They come before the dues, and the ledger before all: a read that is torn sees
an older ledger than what follows it, and the claim by that ledger's version is lost.
"""
STATE, DUES, INSTALLMENTS, EVENTS, BORROWERS = "A#", "D#", "I#", "W#", "B#"
"""How the sort keys of several items of a partition begin."""
RECORD, CONSENT, CASE = "R#", "S#", "K#"
LATE = "late"
"""Stands for the due date, in the index, of what was past its window when it became known."""


def end_of(prefix: str) -> str:
    """A sort key after all that begin with a prefix: `$` sorts right after `#`."""
    return f"{prefix.removesuffix('#')}$"


def name_in(key: str) -> str:
    """The name in a key that holds one."""
    return key[2:]


def kind_in(key: str) -> str:
    """How a key begins, which says what kind of item it is."""
    return key[:2]


def borrower(borrower_id: str) -> str:
    """The partition of a borrower."""
    return f"B#{borrower_id}"


def ledger(borrower_id: str) -> Key:
    """The key of a borrower's ledger."""
    return borrower(borrower_id), LEDGER


def profile(borrower_id: str) -> Key:
    """The key of a borrower's profile."""
    return borrower(borrower_id), PROFILE


def due(borrower_id: str, due_date: date, loan_id: str, installment_no: int) -> Key:
    """The key of a due; the dues of a borrower stand in the order of their dates."""
    return borrower(borrower_id), f"D#{due_date.isoformat()}#{loan_id}#{installment_no}"


def dues_until(day: date) -> str:
    """A sort key after all dues up to a day."""
    return f"D#{day.isoformat()}$"


def case(borrower_id: str, case_id: str) -> Key:
    """The key of a case."""
    return borrower(borrower_id), f"K#{case_id}"


def consent(borrower_id: str, sequence: int, event: str) -> Key:
    """The key of a consent event; those of a borrower stand in the order of their sequences."""
    return borrower(borrower_id), f"S#{sequence:016d}#{event}"


def record(reminder: str) -> Key:
    """The key of a record. It follows from the reminder id alone, which is all that a provider's event brings, and puts
    the records of a borrower together.
    """
    return f"R#{ref_of(reminder)}", f"R#{reminder}"


def loan(loan_id: str) -> str:
    """The partition of a loan."""
    return f"L#{loan_id}"


def pointer(loan_id: str, installment_no: int) -> Key:
    """The key of what says whose an installment is, and its current due date."""
    return loan(loan_id), f"I#{installment_no}"


def loan_lock(loan_id: str) -> Key:
    """The key of who alone may allot payments on a loan."""
    return loan(loan_id), "T"


def event_id(event: str) -> Key:
    """The key of an event's id."""
    return f"E#{event}", "E"


def parked(about: str, event: str = "") -> Key:
    """The key of an event that waits for something."""
    return f"W#{about}", f"W#{event}"


def borrower_ref(ref: str) -> Key:
    """The key of what says whose an opaque name is."""
    return f"O#{ref}", "O"


def contact_point(address_ref: str) -> Key:
    """The key of what is known of a contact point."""
    return f"C#{address_ref}", "A#address"


def contact_point_of(address_ref: str, borrower_id: str) -> Key:
    """The key of what says that a contact point is a borrower's."""
    return f"C#{address_ref}", borrower(borrower_id)


def checkpoint(run: str, shard: int) -> Key:
    """The key of how far a run came on a shard."""
    return f"P#{run}", f"P#{shard}"


def due_key(day: str, shard: int) -> str:
    """The index's partition of a due date, or of what was late when it became known."""
    return f"{day}#{shard}"


def slot_key(zone_key: str, send_time: str, borrower_id: str, loan_id: str, installment_no: int, due_date: date) -> str:
    """The index's sort key: by place and time, then by borrower."""
    return f"{zone_key}#{send_time}#{borrower_id}#{loan_id}#{installment_no}#{due_date.isoformat()}"
