"""A borrower's own stop, which no loan system tells: by a link, a reply or a complaint."""

from datetime import datetime

from predue.borrowers.ports import Dues
from predue.borrowers.retrying import until_it_stands
from predue.domain.ledger import Mark


def stop(borrower_id: str, channel: str, event_id: str, source: str, at: datetime, dues: Dues) -> None:
    """A borrower's own stop, by link or reply: it counts now, whatever loan systems said before, until a later opt-in.

    It takes the highest sequence known of the borrower, so that no opt-in lifts it that is older than what is known,
    and the next new one may.
    """

    def note_once() -> None:
        ledger, profile = dues.ledger(borrower_id), dues.profile(borrower_id)
        marks = (*ledger.opt_outs.values(), *ledger.holds.values())
        stated = profile.sequences.values() if profile else ()
        sequence = max((0, ledger.holds_ended, *(mark.sequence for mark in marks), *stated))
        dues.write_consent(
            borrower_id,
            at,
            f"{source}#{event_id}",
            {"type": "borrower.opted_out", "channel": channel, "source": source, "sequence": sequence},
        )
        changed = ledger.with_opt_out(channel, Mark(sequence, on=True))
        if changed is not None:
            dues.write_ledger(changed)

    until_it_stands(note_once, "note a stop", tries=20)
