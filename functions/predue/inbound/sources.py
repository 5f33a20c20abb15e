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

MOST_KEYS = 4
"""Of one source at a time: one in use, and others while keys are changed."""
CANNOT_SIGN = frozenset({"cloudevents", "mambu", "mapping"})
"""The forms whose senders may be systems that nobody can teach to sign; Fineract's messages come through a consumer of
the lender's own, and predue's own form from a program of the lender's."""
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a key (Standard Webhooks specification, "Signature scheme")."""


def _key(value: str) -> str:
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


def _bus_name(value: str) -> str:
    """A name that the rule of the bus lets through: what predue itself emits must never come back as events."""
    if value.startswith(("predue", "aws.")):
        raise ValueError("a source's name on the bus begins neither with predue nor with aws.")
    return value


BusName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,256}$"), AfterValidator(_bus_name)]
Secret = Annotated[str, Field(pattern=r"^[!-~]{32,256}$"), AfterValidator(_secret)]
Key = Annotated[str, AfterValidator(_key)]
Tenant = Annotated[str, Field(pattern=r"^[a-z0-9-]{0,32}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


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
    messages are to be understood.
    """

    name: str
    keys: tuple[str, ...] = ()
    tenant: str = ""
    form: str = "predue"
    secrets: tuple[str, ...] = ()
    bus: str | None = None
    settings: Settings = DEFAULT


def read_sources(text: str, forms: Collection[str] = FORMS) -> Named[Source]:
    """Read the sources by name; raises BadPolicy for what names none, which repeats nothing of a secret text."""
    read = read_named(text, "sources", _SourceSetting)
    buses = Counter(one.bus for one in read.values())
    wrong = dict(read.wrong)
    for name, one in read.items():
        if one.form not in forms:
            wrong[name] = f"the sources secret names a form that is none of: {', '.join(sorted(forms))}"
        elif one.bus and buses[one.bus] > 1:
            wrong[name] = "the sources secret gives one name on the bus to two sources"
    good = {
        name: Source(name, tuple(one.keys), one.tenant, one.form, tuple(one.secrets), one.bus, one.settings)
        for name, one in read.items()
        if name not in wrong
    }
    return Named(good, wrong)
