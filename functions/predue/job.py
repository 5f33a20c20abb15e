"""A job: what the planner queues, ids only; a suggestion that everything after the queue checks again."""

import json
from dataclasses import dataclass
from datetime import date, datetime

from predue import instant
from predue.errors import BadJob
from predue.stage import StageKey

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Job:
    """One borrower, one slot (an instant, on the local day `day`), and the installments and stages that meet there.

    `deferred` counts how often the job was put off, so that the copies have distinct schedule names.
    """

    borrower_id: str
    day: date
    slot: datetime
    keys: tuple[StageKey, ...]
    deferred: int = 0

    def to_json(self) -> str:
        """The queue message: compact, ids only, no personal data."""
        return json.dumps(
            {
                "v": _VERSION,
                "borrower": self.borrower_id,
                "day": self.day.isoformat(),
                "slot": instant.to_text(self.slot),
                "keys": [key.text() for key in self.keys],
                "deferred": self.deferred,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Read a queue message; raises BadJob for anything that is not one."""
        try:
            body = json.loads(text)
            if body["v"] != _VERSION:
                raise BadJob(f"job of version {body['v']!r}; this code reads version {_VERSION}")
            day = date.fromisoformat(body["day"])
            keys = tuple(StageKey.read(key) for key in body["keys"])
            if not keys or any(key.day() != day for key in keys):
                raise BadJob("a job's stages do not all fall on its day")
            return cls(str(body["borrower"]), day, instant.from_text(body["slot"]), keys, int(body["deferred"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadJob(f"a queue message is no job: {type(error).__name__}") from error
