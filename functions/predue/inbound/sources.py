"""Sources: the systems that may tell events, each with the proof that it is itself, its tenant and the form of what it
sends.
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from predue.connectors import FORMS
from predue.connectors.form import DEFAULT, Settings
from predue.errors import BadPolicy
from predue.events.models import TYPES
from predue.events.owners import Group, Owners

MOST_KEYS = 4
"""Of one source at a time: one in use, and others while keys are changed."""
CANNOT_SIGN = frozenset({"cloudevents", "mambu", "mapping"})
"""The forms whose senders may be systems that nobody can teach to sign; Fineract's messages come through a consumer of
the lender's own, and predue's own form from a program of the lender's."""
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a key (Standard Webhooks specification, "Signature scheme")."""


def _signing_key(value: str) -> str:
    """A key as Standard Webhooks writes it; some generators leave out base64's padding, which comes back here."""
    text = value.removeprefix(_PREFIX)
    text += "=" * (-len(text) % 4)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key is base64 after whsec_") from None
    if not value.startswith(_PREFIX) or not _SHORTEST <= len(raw) <= _LONGEST:
        raise ValueError(f"a key is whsec_ and then base64 of {_SHORTEST} to {_LONGEST} bytes")
    return _PREFIX + text


def _secret(value: str) -> str:
    """A secret that is shown, and no key that would be waited for in vain in the place of a signature."""
    if value.startswith(_PREFIX):
        raise ValueError("a key that signs stands among keys")
    return value


def _bytes_of(key: str) -> bytes:
    """What a key signs with, however it is written."""
    return base64.b64decode(key.removeprefix(_PREFIX))


def _bus_name(value: str) -> str:
    """A name that the rule of the bus lets through: what predue itself emits must never come back as events."""
    if value.startswith(("predue", "aws.")):
        raise ValueError("a source's name on the bus begins neither with predue nor with aws.")
    return value


def _event_type(value: str) -> str:
    if value not in TYPES:
        raise ValueError("not one of the types of events")
    return value


BusName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,256}$"), AfterValidator(_bus_name)]
Secret = Annotated[str, Field(pattern=r"^[!-~]{32,256}$"), AfterValidator(_secret)]
Key = Annotated[str, AfterValidator(_signing_key)]
Tenant = Annotated[str, Field(pattern=r"^[a-z0-9-]{0,32}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
EventType = Annotated[str, AfterValidator(_event_type)]


class _SourceSetting(BaseModel):
    """A source as the secret states it; read strictly, since a key that was misspelled away would lock the source
    out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keys: Annotated[list[Key], Field(max_length=MOST_KEYS)] = []
    secrets: Annotated[list[Secret], Field(max_length=MOST_KEYS)] = []
    bus: BusName | None = None
    tenant: Tenant = ""
    form: str = "predue"
    settings: Settings = DEFAULT
    owns: list[Group] = []
    may: list[EventType] | None = None

    @model_validator(mode="after")
    def _has_one_proof(self) -> Self:
        if self.keys and self.secrets:
            raise ValueError("a source signs, or shows a secret; both would be as weak as the weaker")
        if not (self.keys or self.secrets or self.bus):
            raise ValueError("a source has keys, secrets, or a name on the bus")
        if self.secrets and self.form not in CANNOT_SIGN:
            raise ValueError("a source of this form signs")
        if self.form == "mapping" and not self.settings.mapping:
            raise ValueError("a source of the form mapping has a mapping")
        return self


_T = TypeVar("_T")
_Read = TypeVar("_Read", bound=BaseModel)
_NAME = TypeAdapter(Name)


class Named(Mapping[str, _T]):
    """What a secret states under names. One that is wrong is not among the others, and is no reason to do without them;
    whoever asks for it by its name gets BadPolicy.
    """

    def __init__(self, good: Mapping[str, _T], wrong: Mapping[str, str]) -> None:
        self._good, self.wrong = good, wrong

    def __getitem__(self, name: str) -> _T:
        if name in self.wrong:
            raise BadPolicy(self.wrong[name])
        return self._good[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._good)

    def __len__(self) -> int:
        return len(self._good)


def read_named(text: str, what: str, setting: type[_Read]) -> Named[_Read]:
    """Read a secret that holds a setting for each name; raises BadPolicy for one that is no such thing.

    No error repeats anything of the secret but names of keys.
    """
    try:
        raw = json.loads(text)
    except ValueError:
        raise BadPolicy(f"the {what} secret is no JSON") from None
    if not isinstance(raw, dict):
        raise BadPolicy(f"the {what} secret holds no settings by name")
    good: dict[str, _Read] = {}
    wrong: dict[str, str] = {}
    for name, one in raw.items():
        try:
            good[_NAME.validate_python(name)] = setting.model_validate(one)
        except ValidationError as error:
            found = error.errors(include_input=False)
            places = sorted({".".join(map(str, each["loc"][:1])) or what.removesuffix("s") for each in found})
            wrong[name] = f"the {what} secret is wrong at: {', '.join(places)}"
    return Named(good, wrong)


@dataclass(frozen=True, slots=True)
class Source:
    """A system that may tell events.

    `keys` are the newest first, and each of them signs validly; so with `secrets`, which a source shows that cannot
    sign. `bus` is the `source` of its events on the application's bus, if it puts any there. `tenant` owns the
    borrowers and loans that the source tells of, where "" is the lender itself; `form` and `settings` say how its
    messages are to be understood. `owns` names the groups of aspects on which its word alone counts, and `may` the only
    types of events that it may send, None for all.
    """

    name: str
    keys: tuple[str, ...] = ()
    tenant: str = ""
    form: str = "predue"
    secrets: tuple[str, ...] = ()
    bus: str | None = None
    settings: Settings = DEFAULT
    owns: frozenset[Group] = frozenset()
    may: frozenset[str] | None = None


def owners_of(sources: Mapping[str, Source]) -> Owners:
    """Who owns what, as the sources' settings say; one that is wrong for now is a source all the same."""
    wrong = sources.wrong if isinstance(sources, Named) else {}
    named = {(one.tenant, group): one.name for one in sources.values() for group in one.owns}
    return Owners(several=len(sources) + len(wrong) > 1, named=named)


def read_sources(text: str, forms: Collection[str] = FORMS) -> Named[Source]:
    """Read the sources by name; raises BadPolicy for what names none, which repeats nothing of a secret text.

    A key in two sources and two owners of one group stop every source that they concern: a request would be good for
    both, and nobody could say whose word counts.
    """
    read = read_named(text, "sources", _SourceSetting)
    buses = Counter(one.bus for one in read.values())
    proofs = Counter(proof for one in read.values() for proof in {*map(_bytes_of, one.keys), *one.secrets})
    owned = Counter((one.tenant, group) for one in read.values() for group in one.owns)
    wrong = dict(read.wrong)
    for name, one in read.items():
        if one.form not in forms:
            wrong[name] = f"the sources secret names a form that is none of: {', '.join(sorted(forms))}"
        elif one.bus and buses[one.bus] > 1:
            wrong[name] = "the sources secret gives one name on the bus to two sources"
        elif any(proofs[proof] > 1 for proof in {*map(_bytes_of, one.keys), *one.secrets}):
            wrong[name] = "the sources secret gives one key to two sources; a request would be good for both"
        elif twice := sorted(group for group in one.owns if owned[one.tenant, group] > 1):
            wrong[name] = f"the sources secret gives two owners to: {', '.join(twice)}"
    good = {
        name: Source(
            name,
            tuple(one.keys),
            one.tenant,
            one.form,
            tuple(one.secrets),
            one.bus,
            one.settings,
            frozenset(one.owns),
            None if one.may is None else frozenset(one.may),
        )
        for name, one in read.items()
        if name not in wrong
    }
    return Named(good, wrong)
