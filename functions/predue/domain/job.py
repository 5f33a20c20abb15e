"""A job: what the planner queues, ids only; a suggestion that everything after the queue checks again."""

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from predue.domain import instant
from predue.domain.stage import StageKey
from predue.errors import BadJob

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Job:
    """One borrower, one slot (an instant, on the local day `day`), and the installments and stages that meet there.

    `deferred` counts how often the job was deferred, so that the copies have distinct schedule names; before
    `not_before` nothing is done with it.
    """

    borrower_id: str
    day: date
    slot: datetime
    keys: tuple[StageKey, ...]
    deferred: int = 0
    not_before: datetime | None = None

    def body(self) -> dict[str, Any]:
        """The job as plain JSON: compact, ids only, no personal data."""
        return {
            "v": _VERSION,
            "borrower": self.borrower_id,
            "day": self.day.isoformat(),
            "slot": instant.to_text(self.slot),
            "keys": [key.text() for key in self.keys],
            "deferred": self.deferred,
            **({"not_before": instant.to_text(self.not_before)} if self.not_before else {}),
        }

    @classmethod
    def read(cls, body: Any) -> "Job":
        """The job that a body holds; raises BadJob for anything that is not one."""
        try:
            if body["v"] != _VERSION:
                raise BadJob(f"job of version {body['v']!r}; this code reads version {_VERSION}")
            day = date.fromisoformat(body["day"])
            keys = tuple(StageKey.read(key) for key in body["keys"])
            if not keys or any(key.day() != day for key in keys):
                raise BadJob("a job's stages do not all fall on its day")
            slot, later = instant.from_text(body["slot"]), body.get("not_before")
            not_before = instant.from_text(later) if later else None
            return cls(str(body["borrower"]), day, slot, keys, int(body["deferred"]), not_before)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadJob(f"a queue message holds no job: {type(error).__name__}") from error


def text(body: Any) -> str:
    """JSON without spaces."""
    return json.dumps(body, separators=(",", ":"))


def parts(message: str) -> list[Any]:
    """The bodies of the jobs in a queue message: one job stands for itself, several as a list.

    Raises BadJob for a message that holds none.
    """
    try:
        found = json.loads(message)
    except ValueError as error:
        raise BadJob("a queue message is no JSON") from error
    if found == []:
        raise BadJob("a queue message holds no job")
    return found if isinstance(found, list) else [found]
