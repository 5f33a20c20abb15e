"""The lender's policy, a jurisdiction's pack, and the rules that follow from both: the stricter of the two wins."""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, time, timedelta
from functools import cached_property, lru_cache
from importlib import resources
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from predue.domain.channel import Channel
from predue.domain.slot import Hours
from predue.domain.stage import Stage
from predue.domain.zone import jurisdiction_code
from predue.errors import BadPolicy

LOCAL_DAY = "day"


def _time_of_day(value: object) -> object:
    """`HH:MM` as a time; other forms are left for pydantic to refuse."""
    return time.fromisoformat(value) if isinstance(value, str) else value


Wall = Annotated[time, BeforeValidator(_time_of_day)]
StageName = Annotated[str, Field(pattern=r"^T([+-][1-9]\d{0,2}|0)$")]


class _Model(BaseModel):
    """Settings are read strictly: a misspelled key stops the load, since it would silently weaken a rule."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, ignored_types=(cached_property,)
    )


class HoursSetting(_Model):
    """Allowed local hours, `start` included and `end` not."""

    start: Wall = time(9)
    end: Wall = time(20)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError("hours must start before they end")
        return self

    def hours(self) -> Hours:
        """The rule as the slots use it."""
        return Hours(self.start, self.end)


class Cap(_Model):
    """At most `count` contacts per local `day` or in any rolling `N days`; on one channel if `channel` names it."""

    count: Annotated[int, Field(ge=0, le=1000)]
    per: Annotated[str, Field(pattern=r"^(day|([1-9]|[12]\d|30) days)$")]
    channel: Channel | None = None

    @cached_property
    def name(self) -> str:
        """The reason that a refusal under this cap gives, such as `cap_day` or `cap_sms_7_days`."""
        return "_".join(part for part in ("cap", self.channel, self.per.replace(" ", "_")) if part)

    @cached_property
    def rolling(self) -> timedelta | None:
        """The length of the rolling window; None for a cap on the local day."""
        return None if self.per == LOCAL_DAY else timedelta(days=int(self.per.split()[0]))


class StageSetting(_Model):
    """A stage by name, and the channels that it may use; none named means any."""

    name: StageName
    channels: tuple[Channel, ...] = ()

    def stage(self) -> Stage:
        """The rule as planner and gate use it."""
        return Stage.named(self.name, self.channels)


class LenderSetting(_Model):
    """The lender as borrowers know it."""

    name: Annotated[str, Field(min_length=1, max_length=40)] = "Example Credit"
    phone: Annotated[str, Field(max_length=30)] = ""


class ImportsSetting(_Model):
    """What a file may do without somebody's confirmation.

    `most_due_soon`: the installments that it may make due within `due_soon_days` which were not before;
    `most_closed_percent`: of what is open, the part that a complete statement may close.
    """

    due_soon_days: Annotated[int, Field(ge=0, le=60)] = 7
    most_due_soon: Annotated[int, Field(ge=0)] = 10_000
    most_closed_percent: Annotated[int, Field(ge=0, le=100)] = 10


class Policy(_Model):
    """The lender's own settings; every key is optional, and the defaults are the product's (docs/policy.md lists them).

    `first_day` and `last_day` bound the local days on which anything is planned; `max_reminders_per_day` is the
    volume at which the planner stops (predue.reminders.volume). `allow_list` names the only contact
    points that may be reached (exact, or `*@domain`); outside production an absent list means nobody. `urgency` names
    the stages for which the caps keep room, the most urgent first.
    """

    version: Annotated[str, Field(pattern=r"^[\w.\-]{1,40}$")] = "default"
    lender: LenderSetting = LenderSetting()
    hours: HoursSetting = HoursSetting()
    default_time: Wall = time(10)
    stages: tuple[StageSetting, ...] = (
        StageSetting(name="T-7", channels=("email",)),
        StageSetting(name="T-3"),
        StageSetting(name="T-1"),
        StageSetting(name="T0"),
        StageSetting(name="T+1"),
    )
    caps: tuple[Cap, ...] = (
        Cap(count=1, per="day"),
        Cap(count=4, per="7 days"),
        Cap(count=10, per="30 days"),
        Cap(count=3, per="7 days", channel="sms"),
    )
    urgency: tuple[StageName, ...] = ("T0", "T-1")
    imports: ImportsSetting = ImportsSetting()
    legal_basis: Annotated[str, Field(max_length=80)] = "performance of the loan contract"
    allow_list: tuple[str, ...] | None = None
    shadow: bool = False
    first_day: date | None = None
    last_day: date | None = None
    max_reminders_per_day: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _distinct_stages(self) -> Self:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError("a stage is named twice")
        return self

    def rank(self, stage: str) -> int:
        """The place of a stage in `urgency`, 0 for the most urgent; all that it does not name come last."""
        return self.urgency.index(stage) if stage in self.urgency else len(self.urgency)

    @cached_property
    def label(self) -> str:
        """The version together with a hash of the content, so that a record names the very settings."""
        # How many others get a reminder that day says nothing of one.
        content = self.model_dump_json(exclude={"version", "max_reminders_per_day"})
        return f"{self.version}@{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    def allows(self, day: date) -> bool:
        """Whether anything may be planned for a local day."""
        return (self.first_day is None or day >= self.first_day) and (self.last_day is None or day <= self.last_day)


class Pack(_Model):
    """One jurisdiction's rules between two dates, with the source they come from; packs only ever make rules
    stricter.
    """

    id: str
    jurisdictions: tuple[str, ...]
    effective_from: date
    effective_to: date | None = None
    source: str
    hours: HoursSetting = HoursSetting(start=time(0), end=time(23, 59))
    caps: tuple[Cap, ...] = ()
    zones: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The id with the date from which this edition holds."""
        return f"{self.id}@{self.effective_from.isoformat()}"


@dataclass(frozen=True)
class Rules:
    """What holds for a borrower: the policy and the pack of the jurisdiction, the stricter of the two in everything."""

    policy: Policy
    pack: Pack

    @cached_property
    def hours(self) -> Hours:
        """The hours that both allow."""
        both = self.policy.hours.hours().narrowed(self.pack.hours.hours())
        if both.start >= both.end:
            raise BadPolicy(f"policy {self.policy.label} and pack {self.pack.label} share no allowed hour")
        return both

    @cached_property
    def caps(self) -> tuple[Cap, ...]:
        """Every cap of both; each must hold."""
        return (*self.policy.caps, *(cap for cap in self.pack.caps if cap not in self.policy.caps))

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """The stages by name."""
        return {setting.name: setting.stage() for setting in self.policy.stages}


def read_policy(text: str) -> Policy:
    """Read a policy from TOML (or JSON, if it opens with a brace); raises BadPolicy naming each wrong key."""
    try:
        raw: Any = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
        return Policy.model_validate(raw)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'policy'}: {e['msg']}" for e in error.errors())
        raise BadPolicy(f"the policy is wrong: {wrong}") from error
    except ValueError as error:
        raise BadPolicy(f"the policy is neither TOML nor JSON: {error}") from error


@lru_cache(maxsize=1)
def packs() -> tuple[Pack, ...]:
    """Every pack that ships, from `packs/*.toml`; raises BadPolicy if one cannot be read."""
    found = []
    for entry in sorted((resources.files("predue") / "packs").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            try:
                found.append(Pack.model_validate(tomllib.loads(entry.read_text(encoding="utf-8"))))
            except ValueError as error:
                raise BadPolicy(f"pack {entry.name} is wrong: {error}") from error
    return tuple(found)


def pack_for(jurisdiction: str, day: date, known: Iterable[Pack] | None = None) -> Pack:
    """The pack in force on a day: the jurisdiction's own, else its country's, else `default`; raises BadPolicy if none
    is.
    """
    in_force = [
        pack
        for pack in (packs() if known is None else known)
        if pack.effective_from <= day and (pack.effective_to is None or day <= pack.effective_to)
    ]
    code = jurisdiction_code(jurisdiction)
    for name in (code, code.partition("-")[0], "default"):
        for pack in in_force:
            if name in pack.jurisdictions:
                return pack
    raise BadPolicy(f"no pack is in force for {jurisdiction!r} on {day.isoformat()}, not even `default`")


@dataclass(frozen=True)
class Rulebook:
    """The policy, and the rules that it makes with each jurisdiction's pack."""

    policy: Policy

    @cached_property
    def _known(self) -> dict[str, Rules]:
        return {}

    @cached_property
    def _places(self) -> dict[tuple[str, date], Rules]:
        return {}

    @cached_property
    def followed(self) -> dict[tuple[str, date], Any]:
        """What others worked out from these rules alone, by its name and a day, so that it is worked out once."""
        return {}

    @cached_property
    def _labels(self) -> dict[date, str]:
        return {}

    def rules(self, jurisdiction: str, day: date) -> Rules:
        """The rules for a jurisdiction on a day."""
        if (jurisdiction, day) not in self._places:
            pack = pack_for(jurisdiction, day)
            self._places[jurisdiction, day] = self._known.setdefault(pack.label, Rules(self.policy, pack))
        return self._places[jurisdiction, day]

    def ahead(self, day: date) -> date:
        """The last due date of which a stage may lie inside the window of a cap that begins on a day."""
        windows = (cap.rolling for rules in self.every(day) for cap in rules.caps if cap.rolling)
        earliest = min((Stage.named(name).offset for name in self.policy.urgency), default=0)
        return day + max(windows, default=timedelta()) - timedelta(days=min(earliest, 0))

    def label(self, day: date) -> str:
        """What names the policy and the editions of all packs that hold on a day."""
        if day not in self._labels:
            packs_then = sorted(rules.pack.label for rules in self.every(day))
            self._labels[day] = "|".join((self.policy.label, *packs_then))
        return self._labels[day]

    def every(self, day: date) -> tuple[Rules, ...]:
        """The rules with each pack in force on a day, for what must hold whoever the borrower is."""
        names = {name for pack in packs() for name in pack.jurisdictions}
        return tuple({rules.pack.label: rules for name in sorted(names) if (rules := self.rules(name, day))}.values())
