"""What a request is answered with: results, and problem documents (RFC 9457).

A problem tells an honest sender what to mend. It names fields and never repeats a value, and until a request is known
to be signed it says nothing about what exists here.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from predue.errors import EventConflict, InvalidEvent, Unusable


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class WrongField(_Answer):
    """A field that is wrong, and in which way."""

    field: str
    detail: str


class Problem(_Answer):
    """A problem document; `errors` names the wrong fields of an event."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[WrongField, ...] | None = None


TakenAs = Literal["applied", "no_change", "not_owner", "duplicate", "parked", "ignored"]


class Taken(_Answer):
    """One event was taken: applied now, or before, or kept until the loan or borrower that it is about is known; or it
    means nothing to predue, and is done with, too.

    `no_change` says nothing new, and `not_owner` is kept and not used: `against` names each aspect, and whose word
    stood against it.
    """

    status: TakenAs
    against: tuple[str, ...] | None = None


class Result(_Answer):
    """What became of one event of an array.

    `refused` is for good: the same event will be refused again. `try_again` passes by itself.
    """

    index: int
    event_id: str | None = None
    status: TakenAs | Literal["rejected", "try_again"]
    against: tuple[str, ...] | None = None
    problem: Problem | None = None


class Results(_Answer):
    """What became of each event of an array, in its order."""

    results: tuple[Result, ...]


class ResultsProblem(Problem):
    """Some events of an array may be taken when the same request is repeated; those that were taken repeat
    harmlessly.
    """

    results: tuple[Result, ...]


class RequestRejected(Unusable):
    """A request that is not taken as it stands; `problem` is its answer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.title)
        self.problem = problem


def _problem(name: str, status: int, title: str, detail: str) -> Problem:
    return Problem(type=f"urn:predue:problem:{name}", title=title, status=status, detail=detail)


TOO_LARGE = _problem("too-large", 413, "The request is too large", "A body has at most 1 MiB; send fewer events.")
CONTENT_TYPE = _problem(
    "content-type",
    415,
    "The body is no JSON",
    "Send application/json in UTF-8, not compressed, and say so; to a source of the form fineract also avro/binary.",
)
NOT_UTF8 = _problem("encoding", 400, "The body cannot be read", "The body is not UTF-8, or no valid base64 of it.")
UNSIGNED = _problem(
    "signature",
    401,
    "The request is not signed by a known source",
    "Sign as Standard Webhooks say: webhook-id, webhook-timestamp in seconds, and webhook-signature over "
    "id.timestamp.body with one of the keys of the source that the address names. The body must go out byte for byte "
    "as it was signed. A source that was set up with a secret instead shows it in Authorization.",
)
LATE = _problem(
    "timestamp",
    401,
    "The request's time is not now",
    "The signature is right, and webhook-timestamp is more than five minutes from the time here. Sign anew with the "
    "present time, also when you repeat a request.",
)
NOT_JSON = _problem(
    "json",
    400,
    "The body is no JSON that can be taken",
    "JSON by RFC 8259: no name twice in an object, no NaN or Infinity, no number beyond what a double holds, at most "
    "32 levels deep.",
)
COUNT = _problem("count", 422, "The array has a wrong length", "An array holds 1 to 500 events.")
TRY_AGAIN = _problem(
    "try-again",
    503,
    "Not taken yet",
    "Nothing is wrong with it. Repeat the same request later; what was taken already repeats harmlessly.",
)


def of_invalid(error: InvalidEvent) -> Problem:
    """The problem of an event that is refused for good."""
    errors = tuple(WrongField(field=field, detail=words) for field, words in error.fields)
    if isinstance(error, EventConflict):
        title = "Another body came under this event_id"
        detail = "A repeat carries the same body, at apart. Give another event an event_id of its own."
        return _problem("event-conflict", 409, title, detail).model_copy(update={"errors": errors})
    detail = "Mend the fields that errors names, then send it again; until it was taken its event_id is free."
    return _problem("event", 422, "The event is not taken as it stands", detail).model_copy(update={"errors": errors})
