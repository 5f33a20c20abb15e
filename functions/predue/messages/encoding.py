"""How many SMS segments a text takes, since each segment is billed and long texts may arrive in pieces."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# 3GPP TS 23.038 V17.0.0, 6.2.1: the default alphabet, without its escape code, and the extension table of 6.2.1.1, each
# of whose characters takes an escape code before it.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
_ALPHABET = _BASIC | _EXTENDED
_LAST_OF_BASIC_PLANE = "\uffff"

# Units in a message that stands alone, and in each part of a longer one, whose header takes 6 octets (3GPP TS 23.040,
# 9.2.3.24.1).
_ROOM = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


@dataclass(frozen=True, slots=True)
class SmsSize:
    """What a text takes on the air: `units` are septets in GSM-7 and 16-bit words in UCS-2."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def measure(text: str) -> SmsSize:
    """Count the units and segments of an SMS text; one character outside GSM-7 turns all of it into UCS-2.

    A character of two units is never split between segments, as TS 23.040 demands, so a part may end one unit short.
    An empty text takes no segment.
    """
    letters = set(text)
    encoding: Literal["GSM-7", "UCS-2"] = "GSM-7" if letters <= _ALPHABET else "UCS-2"
    wide = (
        letters & _EXTENDED if encoding == "GSM-7" else {letter for letter in letters if letter > _LAST_OF_BASIC_PLANE}
    )
    units = len(text) + sum(map(text.count, wide))
    alone, part = _ROOM[encoding]
    if units <= alone:
        return SmsSize(encoding, units, min(units, 1))
    return SmsSize(encoding, units, _parts((1 + (letter in wide) for letter in text), part))


def _parts(widths: Iterable[int], room: int) -> int:
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts
