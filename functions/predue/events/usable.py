"""What is taken of a borrower and cannot be used as it stands: it is told, and no reason to refuse the rest."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from predue.domain import contact_point
from predue.domain.zone import UNKNOWN, zone, zones_of


class Warned(NamedTuple):
    """A field of what was said, and why it cannot be used as it stands; the reason repeats nothing of the value."""

    field: str
    reason: str


def warned(fields: Mapping[str, Any]) -> list[Warned]:
    """What of a borrower's fields cannot be used; each as it was said, absent or empty if nothing was."""
    said = {name: value for name, value in fields.items() if isinstance(value, str) and value.strip()}
    place = said.get("jurisdiction", "")
    faults = {name: contact_point.point(name, said[name], place).fault for name in contact_point.FIELDS if name in said}
    if not zone(said.get("time_zone", "UTC")):
        faults["time_zone"] = "is no IANA time zone, such as America/New_York; every zone of the jurisdiction counts"
    if place and not zones_of(f"{UNKNOWN}{place}"):
        meant = " (the United Kingdom is GB)" if place.upper().startswith("UK") else ""
        faults["jurisdiction"] = f"is no code of ISO 3166, such as US-NY or IN{meant}"
    if "locale" in said and not _has_texts(said["locale"].strip()):
        faults["locale"] = "names no language that there are texts in; those of the default are used"
    return [Warned(name, reason) for name, reason in faults.items() if reason]


def _has_texts(locale: str) -> bool:
    # It brings Babel, for which whoever only knows this module need not pay.
    from predue.messages.templates import locale_for  # noqa: PLC0415

    language = re.split("[-_]", locale)[0].lower()
    return locale_for(locale).partition("-")[0].lower() == language
