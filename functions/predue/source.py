"""Sources: the systems that may tell news, each with its own keys, its tenant and the form of its bodies."""

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from predue.errors import BadPolicy

MOST_KEYS = 4
"""Of one source at a time: one in use, and others while keys are changed."""
_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a key (Standard Webhooks specification, "Signature scheme")."""


def _key(value: str) -> str:
    """A key as Standard Webhooks writes it."""
    try:
        raw = base64.b64decode(value.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key is base64 after whsec_") from None
    if not value.startswith(_PREFIX) or not _SHORTEST <= len(raw) <= _LONGEST:
        raise ValueError(f"a key is whsec_ and then base64 of {_SHORTEST} to {_LONGEST} bytes")
    return value


Key = Annotated[str, AfterValidator(_key)]
Tenant = Annotated[str, Field(pattern=r"^[a-z0-9-]{0,32}$")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Setting(BaseModel):
    """A source as the secret states it; read strictly, since a key that was misspelled away would lock the source
    out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    keys: Annotated[list[Key], Field(min_length=1, max_length=MOST_KEYS)]
    tenant: Tenant = ""
    form: str = "predue"


_SETTINGS = TypeAdapter(dict[Name, _Setting])


@dataclass(frozen=True, slots=True)
class Source:
    """A system that may tell news.

    `keys` are the newest first, and each of them signs validly; `tenant` owns the borrowers and loans that the source
    tells of, where "" is the lender itself; `form` names how its bodies are to be understood.
    """

    name: str
    keys: tuple[str, ...]
    tenant: str = ""
    form: str = "predue"


def read_sources(text: str, forms: Collection[str]) -> Mapping[str, Source]:
    """Read the sources by name; raises BadPolicy for anything else, which repeats nothing of a secret text."""
    try:
        settings = _SETTINGS.validate_python(json.loads(text))
    except ValidationError as error:
        places = sorted({".".join(map(str, one["loc"][1:2])) or "source" for one in error.errors(include_input=False)})
        raise BadPolicy(f"the sources secret is wrong at: {', '.join(places)}") from None
    except ValueError:
        raise BadPolicy("the sources secret is no JSON") from None
    if any(one.form not in forms for one in settings.values()):
        raise BadPolicy(f"the sources secret names a form that is none of: {', '.join(sorted(forms))}")
    return {name: Source(name, tuple(one.keys), one.tenant, one.form) for name, one in settings.items()}
