"""Every error of predue, drawn as a tree; each says whether trying again can help.

PredueError
|-- Retryable                  the same work may succeed later
|   |-- LedgerMoved            somebody else changed the borrower first: read again
|   |-- StillCalling           another delivery holds the claim: leave the job for later
|   |-- LoanBusy               another message about the loan is being applied
|   |-- OutOfTime              the function ends soon: leave the rest for the next call
|   |-- ImportMoved            another call goes on with the import: leave it to that one
|   |-- LeftOut                a run has left somebody to the next one
|   |-- NotRecordedYet         a receipt came before our own record of the reminder
|   `-- Unreachable            a service that we depend on did not answer
|-- Unusable                   trying again cannot help: a person must look
    |-- BadPolicy              the policy, a pack, the switches or the keys cannot be read
    |-- InvalidEvent                an event that cannot be applied as it stands
    |   `-- EventConflict      the id of another event
    |-- BadJob                 a queue message that is no job
    |-- Gone                   an object that an import needs is not there any more
    |-- Replaced               another file stands under the key of one that is being imported
    `-- TextMissing            a text or one of its values is missing
"""


class PredueError(Exception):
    """Anything that predue itself raises; `retry` tells whether the same work may succeed later."""

    retry = False


class Retryable(PredueError):
    """Trying again may help, since the cause passes by itself."""

    retry = True


class Unusable(PredueError):
    """Trying again cannot help, since the input or the set-up itself is wrong."""


class LedgerMoved(Retryable):
    """The item changed after it was read; a fresh read decides anew."""


class StillCalling(Retryable):
    """Another delivery claimed this contact and its lease still runs; after it the outcome is known or unknown."""


class LoanBusy(Retryable):
    """Another message about the loan is being applied, and this one depends on what that one leaves."""


class OutOfTime(Retryable):
    """Too little of the function's time is left to begin another message; the queue brings it again."""


class ImportMoved(Retryable):
    """What is known of an import was changed by another call after it was read; that one goes on with it."""


class LeftOut(Retryable):
    """A closing run came to its end, but for borrowers whom the next run must see to; nothing counts as covered."""


class NotRecordedYet(Retryable):
    """A provider's event came before the record it belongs to; the record follows within the lease."""


class Unreachable(Retryable):
    """A service did not answer or throttled us; nothing is known to have changed."""


class BadPolicy(Unusable):
    """The policy, a pack, the switches or the keys cannot be read; nothing is sent until they can."""


class InvalidEvent(Unusable):
    """An event from a loan system is malformed or contradicts what is known; its sender must mend it.

    Each of `wrong` is `field: what is wrong with it`, and repeats no value, since values may be personal.
    """

    def __init__(self, *wrong: str) -> None:
        super().__init__("; ".join(wrong))
        self.fields = tuple((field, words) for field, _, words in (one.partition(": ") for one in wrong))


class EventConflict(InvalidEvent):
    """Another body came under this event's id before; which of the two is meant, only the sender knows."""


class BadJob(Unusable):
    """A queue message is not a job that this version understands."""


class Gone(Unusable):
    """An object that an import needs is not there any more; the file must be put again."""


class Replaced(Unusable):
    """Another file stands under the key of one that is being imported; that one is imported for itself."""


class TextMissing(Unusable):
    """A text, or a value that it needs, is missing; sending a gap to a borrower would be worse than silence."""
