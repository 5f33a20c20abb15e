"""The terms that a run is judged by: the lender's policy and the packs of jurisdictions, read for the auditor."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

Hours = tuple[time, time]


@lru_cache(maxsize=1024)
def days_from_due(stage: str) -> int:
    """Read `T-3`, `T0` or `T+1` as days from the due date; raises ValueError for any other name."""
    digits = stage[2:]
    if stage == "T0":
        return 0
    if stage[:2] not in ("T-", "T+") or not (digits.isascii() and digits.isdigit()) or digits.startswith("0"):
        raise ValueError("no stage")
    return int(digits) if stage[1] == "+" else -int(digits)


@lru_cache(maxsize=1 << 14)
def _term_day(due_date: date, stage: str) -> date:
    return due_date + timedelta(days=days_from_due(stage))


def place_code(jurisdiction: str) -> str:
    """Write a jurisdiction as ISO 3166 does: in capitals, a hyphen where there are blanks, and nothing else."""
    parts = re.findall(r"[A-Z0-9]+", re.sub(r"[^A-Z0-9\s_-]", "", jurisdiction.upper()))
    return "-".join(parts)[:10]


class AuditKey(NamedTuple):
    """What is reminded at most once: one installment, at one due date, at one stage."""

    loan_id: str
    installment_no: int
    due_date: date
    stage: str

    def day(self) -> date:
        """The local day of the stage."""
        return _term_day(self.due_date, self.stage)


class StageTerm(NamedTuple):
    """A stage, and the channels that it may use; none named means any."""

    name: str
    channels: tuple[str, ...] = ()

    def takes(self, channel: str) -> bool:
        """Whether a reminder of this stage may go out on a channel."""
        return not self.channels or channel in self.channels


class CapTerm(NamedTuple):
    """At most `most` contacts in `days` rolling days, or on a local day if that is None; on one channel, if named."""

    most: int
    days: int | None
    channel: str = ""


class PackTerm(NamedTuple):
    """A jurisdiction's rules between two days, both included."""

    jurisdictions: tuple[str, ...]
    first: date
    last: date
    hours: Hours
    caps: tuple[CapTerm, ...] = ()
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """The values that a run is judged by, with the product's defaults; `hours` are half-open local times of day.

    `limited` tells that a day's volume is limited, so that reminders may be left behind. For the stages of `urgency`
    the caps keep room, the first being the most urgent.
    """

    hours: Hours = (time(9), time(20))
    default_time: time = time(10)
    stages: tuple[StageTerm, ...] = (StageTerm("T-7", ("email",)), *map(StageTerm, ("T-3", "T-1", "T0", "T+1")))
    caps: tuple[CapTerm, ...] = (CapTerm(1, None), CapTerm(4, 7), CapTerm(10, 30), CapTerm(3, 7, "sms"))
    packs: tuple[PackTerm, ...] = ()
    limited: bool = False
    urgency: tuple[str, ...] = ("T0", "T-1")
    _found: dict[tuple[str, date], PackTerm | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, policy: Mapping[str, Any], packs: Path | None = None) -> "Terms":
        """Read the keys of a policy.toml, absent ones being the defaults, and the packs in a folder."""
        terms = cls()
        return cls(
            _hours(policy.get("hours", {}), terms.hours),
            _time(policy.get("default_time", terms.default_time)),
            tuple(StageTerm(one["name"], tuple(one.get("channels") or ())) for one in policy["stages"])
            if "stages" in policy
            else terms.stages,
            _caps(policy["caps"]) if "caps" in policy else terms.caps,
            tuple(_pack(tomllib.loads(path.read_text("utf-8"))) for path in sorted(packs.glob("*.toml")))
            if packs
            else (),
            policy.get("max_reminders_per_day") is not None,
            tuple(policy.get("urgency", terms.urgency)),
        )

    def pack(self, jurisdiction: str, day: date) -> PackTerm | None:
        """The pack in force on a day: the jurisdiction's own, else its country's, else the default one."""
        key = jurisdiction, day
        if key not in self._found:
            in_force = [pack for pack in self.packs if pack.first <= day <= pack.last]
            code = place_code(jurisdiction)
            names = code, code.partition("-")[0], "default"
            own = (pack for name in names for pack in in_force if name in pack.jurisdictions)
            self._found[key] = next(own, None)
        return self._found[key]

    def every_cap(self, jurisdiction: str, day: date) -> tuple[CapTerm, ...]:
        """The caps of policy and pack; each must hold."""
        pack = self.pack(jurisdiction, day)
        return (*self.caps, *pack.caps) if pack and pack.caps else self.caps


def _time(value: Any) -> time:
    return value if isinstance(value, time) else time.fromisoformat(value)


def _date(value: Any, absent: date) -> date:
    if value is None:
        return absent
    return value if isinstance(value, date) else date.fromisoformat(value)


def _hours(given: Mapping[str, Any], usual: Hours) -> Hours:
    return _time(given.get("start", usual[0])), _time(given.get("end", usual[1]))


def _caps(given: Iterable[Mapping[str, Any]]) -> tuple[CapTerm, ...]:
    return tuple(
        CapTerm(cap["count"], None if cap["per"] == "day" else int(cap["per"].split()[0]), cap.get("channel") or "")
        for cap in given
    )


def _pack(given: Mapping[str, Any]) -> PackTerm:
    return PackTerm(
        tuple(given["jurisdictions"]),
        _date(given.get("effective_from"), date.min),
        _date(given.get("effective_to"), date.max),
        _hours(given.get("hours", {}), (time(0), time(23, 59))),
        _caps(given.get("caps", ())),
        tuple(given.get("zones", ())),
    )
