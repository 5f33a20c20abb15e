"""A borrower's own stop, which no loan system tells: by a link, a reply or a complaint."""

from datetime import datetime

from predue.borrowers.ports import Dues
from predue.borrowers.retrying import until_it_stands
from predue.domain import instant
from predue.domain.ledger import Stated


def stop(borrower_id: str, channel: str, event_id: str, source: str, at: datetime, dues: Dues) -> None:
    """A borrower's own stop, by link or reply: it counts now, whatever loan systems said before, until a later opt-in.

    It is said at `at`, which is its sequence, too: of what no loan system tells, a later one is a new one.
    """

    def note_once() -> None:
        sequence = instant.to_ms(at)
        dues.write_consent(
            borrower_id,
            at,
            f"{source}#{event_id}",
            {"type": "borrower.opted_out", "channel": channel, "source": source, "sequence": sequence},
        )
        changed = dues.ledger(borrower_id).with_opt_out(channel, source, Stated(sequence, sequence, sequence))
        if changed is not None:
            dues.write_ledger(changed)

    until_it_stands(note_once, "note a stop", tries=20)
