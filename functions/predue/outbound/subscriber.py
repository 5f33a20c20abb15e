"""Subscribers: the systems that predue calls with its events, each with its address, its keys and what it wants."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from predue.errors import BadPolicy
from predue.inbound.sources import MOST_KEYS, Key, Named, Tenant, read_named
from predue.outbound.published import MODELS

_LONGEST_URL = 2048


class _SubscriberSetting(BaseModel):
    """A subscriber as the secret states it; read strictly, since a misspelt word would keep events from it unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    url: Annotated[str, Field(max_length=_LONGEST_URL)]
    keys: Annotated[list[Key], Field(min_length=1, max_length=MOST_KEYS)]
    events: Annotated[list[str], Field(min_length=1)] = list(MODELS)
    tenant: Tenant = ""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A system that is called.

    `keys` are the newest first, and each signs; `events` are the types that it wants; it hears of the borrowers of its
    `tenant` only, where "" is the lender itself.
    """

    name: str
    url: str
    keys: tuple[str, ...]
    events: frozenset[str]
    tenant: str = ""

    def wants(self, kind: str, detail: Mapping[str, Any]) -> bool:
        """Whether it is to hear of an event."""
        return kind in self.events and detail.get("tenant", "") == self.tenant


def read_subscribers(text: str, *, public: bool) -> Named[Subscriber]:
    """Read the subscribers by name; raises BadPolicy for what names none, which repeats nothing of a secret text.

    `public`: each must be called by https.
    """
    read = read_named(text, "webhooks", _SubscriberSetting)
    good, wrong = {}, dict(read.wrong)
    for name, one in read.items():
        try:
            _check(one, public=public)
        except BadPolicy as fault:
            wrong[name] = str(fault)
        else:
            good[name] = Subscriber(name, one.url, tuple(one.keys), frozenset(one.events), one.tenant)
    return Named(good, wrong)


def _check(setting: _SubscriberSetting, *, public: bool) -> None:
    """Raise BadPolicy for an address that cannot be called, and for a type of event that there is not."""
    try:
        parts = urlsplit(setting.url)
        fine = bool(parts.hostname) and parts.port != 0 and setting.url.isascii() and setting.url.isprintable()
    except ValueError:
        fine = False
    if not fine or parts.username or parts.fragment or " " in setting.url:
        raise BadPolicy("the webhooks secret is wrong at: url")
    if parts.scheme != "https" and (public or parts.scheme != "http"):
        raise BadPolicy("the webhooks secret names an address that is not https")
    if unknown := set(setting.events) - set(MODELS):
        raise BadPolicy(f"the webhooks secret names {len(unknown)} types of events that there are not")
