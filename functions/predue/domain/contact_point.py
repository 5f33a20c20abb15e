"""Contact points: each read as people write it, into its one canonical form.

Every error is a ValueError whose reason never holds the address, since reasons end up in logs and `rejected.csv`.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

# After a last stroke stand at least four digits: fewer are an alternative ending, which would lengthen the number.
_PHONE = re.compile(r"(?!.*/[0-9 ]{0,3}$)\+[0-9][0-9 ()./-]{5,30}")
_NATIONAL = re.compile(r"(?!.*/[0-9 ]{0,3}$)0[0-9 ()./-]{5,30}")
# What a spreadsheet makes of a number that was not marked as text: digits are lost, or the plus is.
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_BARE = re.compile(r"=?[0-9]{7,15}(?:\.0+)?")
_EXTENSION = re.compile(r".*[0-9]\s*(?:x|ext|extension|#|;ext=)[.: ]*[0-9]{1,7}", re.IGNORECASE)
# RFC 5321 4.1.2 dot-string, without the quoted form, which hardly any mailbox uses and many systems break on.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?![0-9]+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])")
_OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}")
_LONGEST_LOCAL, _LONGEST_EMAIL = 64, 254  # RFC 5321 4.5.3.1.1; RFC 3696 erratum 1690

# IDNA 2003, which Python's codec follows, turns these into other letters, and so into somebody else's domain; IDNA 2008
# keeps them (UTS 46, section 2.3, deviations), and so do the registries. The joiners among the deviations fall to the
# check for invisible ones.
_DEVIATIONS = frozenset("ßẞς")

# Invisible and harmless, since only what they stand around is read: soft hyphen, zero-width and direction marks, as the
# address books of phones leave them. Overrides (U+202D, U+202E) are not among them: what was seen may be reversed.
_UNSEEN = dict.fromkeys([0xAD, *range(0x200B, 0x2010), 0x202A, 0x202B, 0x202C, *range(0x2060, 0x206A), 0xFEFF])
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Letters, digits and marks as East Asian keyboards write them, to those of ASCII."""
_MARKS = {"Pd": "-", "Zs": " "}
"""Dashes and blanks of every kind, by their category in Unicode."""

_NO_TEXTS = {
    "FIXED_LINE": "a fixed line",
    "PREMIUM_RATE": "a premium-rate number",
    "TOLL_FREE": "a toll-free number",
    "SHARED_COST": "a shared-cost number",
    "PERSONAL_NUMBER": "a personal number, which costs its caller more",
    "PAGER": "a pager",
    "UAN": "a company's access number",
    "VOICEMAIL": "a voicemail",
}
"""Kinds of numbers, as libphonenumber names them, to which no text message goes."""


class Point(NamedTuple):
    """A contact point as it was read: its canonical form, the channels that it serves, and what keeps it from serving
    all of them; each empty where there is none.
    """

    text: str = ""
    channels: tuple[str, ...] = ()
    fault: str = ""


@lru_cache(maxsize=1024)
def point(field: str, text: str, jurisdiction: str = "") -> Point:
    """Read the contact point of a profile's field; `jurisdiction` is the one that was said together with it.

    Of a book each is read more than once within a chunk, and to look it up in the numbering plans takes longer than all
    else of its row.
    """
    try:
        match field:
            case _ if not text.strip():
                return Point()
            case "phone":
                return _phone_point(_number(text, jurisdiction))
            case "email":
                return Point(email(text), ("email",))
            case _:
                return Point(openid(text), ("wechat",))
    except ValueError as fault:
        return Point(fault=str(fault))


FIELDS: Mapping[str, tuple[str, ...]] = {"phone": ("sms", "voice"), "email": ("email",), "wechat_openid": ("wechat",)}
"""The profile's fields that are contact points, and the channels that each may serve."""


def canonical(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A profile's fields with each contact point that can be read in its canonical form."""
    place = fields.get("jurisdiction") or ""
    return {name: (name in FIELDS and point(name, value or "", place).text) or value for name, value in fields.items()}


def _phone_point(number: Any) -> Point:
    import phonenumbers  # noqa: PLC0415 - as in _number()

    kind = phonenumbers.PhoneNumberType.to_string(phonenumbers.number_type(number))
    if kind not in _NO_TEXTS:
        return Point(_e164(number), FIELDS["phone"])
    calls = ("voice",) if kind == "FIXED_LINE" else ()
    return Point(_e164(number), calls, f"phone number is {_NO_TEXTS[kind]}: no text messages go there")


def phone(text: str, jurisdiction: str = "") -> str:
    """Read a phone number into E.164, such as `+12015550100`.

    It is an international number with `+` or `00`, or one with the trunk zero of its jurisdiction (ISO 3166), which
    then names the country for certain; with any of the usual punctuation. Raises ValueError for what is no number of
    the numbering plan that it names (source: libphonenumber's metadata).
    """
    return _e164(_number(text, jurisdiction))


def _e164(number: Any) -> str:
    import phonenumbers  # noqa: PLC0415 - as in _number()

    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _number(text: str, jurisdiction: str) -> Any:
    """The number of a text, as libphonenumber keeps it; raises ValueError as `phone` does."""
    text = _plain(text).removeprefix("'")  # by which spreadsheets mark a text
    region = jurisdiction.strip()[:2].upper()
    # Its tables take 100 ms to import, which functions that read no phone number need not pay for.
    import phonenumbers  # noqa: PLC0415

    tries: list[tuple[str, str | None]] = [(text, None)] if _PHONE.fullmatch(text) else []
    if _NATIONAL.fullmatch(text):
        tries = [(text, region), (f"+{text[2:]}", None)] if text.startswith("00") else [(text, region)]
    if not tries:
        raise ValueError(_no_form(text))
    for written, place in tries:
        try:
            number = phonenumbers.parse(written, place)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return number
    raise ValueError("phone number is not valid in the numbering plan of its country; write it as +<country><number>")


def _no_form(text: str) -> str:
    """Why a text cannot be a phone number, as far as it shows."""
    if _SCIENTIFIC.fullmatch(text):
        return (
            "phone number was turned into scientific notation by a spreadsheet, its digits are lost; export it as text"
        )
    if _BARE.fullmatch(text):
        return "phone number lacks its + and country, perhaps taken off by a spreadsheet; write +<country><number>"
    if _EXTENSION.fullmatch(text):
        return "phone number has an extension, to which nothing can be sent; write the number alone"
    return "phone number is not of the form +<country><number>"


def _plain(text: str) -> str:
    """A text as an ASCII keyboard would have written it: hyphens and blanks of other kinds, full width, marks that
    nobody sees.
    """
    text = text.translate(_UNSEEN).translate(_FULL_WIDTH)
    kinds = {ord(letter): _MARKS.get(unicodedata.category(letter)) for letter in set(text)}
    marks = {letter: mark for letter, mark in kinds.items() if mark is not None}
    return text.translate({**marks, ord("\N{MINUS SIGN}"): "-"}).strip()


def email(text: str) -> str:
    """Read an email address: in lower case, its domain in IDNA form.

    Hardly any mailbox tells capitals apart, and one that is written in two ways must not get twice what it may. Raises
    ValueError for anything that SES would not take or that could carry more than an address: white space, control and
    invisible characters, quoted or non-ASCII local parts, domain literals, domains without a dot.
    """
    text = text.strip().translate(_FULL_WIDTH).strip("\u200b\u200e\u200f\u202a\u202c\ufeff\u2060")
    if any(unicodedata.category(character)[0] in "CZ" for character in text):
        raise ValueError("email address holds white space or invisible characters")
    local, at, domain = text.rpartition("@")
    if at and not local.isascii():
        raise ValueError("email address has letters before its @ that no provider of ours can reach (outside ASCII)")
    if not at or not _LOCAL.fullmatch(local) or len(local) > _LONGEST_LOCAL:
        raise ValueError("email address has no plain local part before its @")
    address = f"{local.lower()}@{_ascii_domain(domain)}"
    if len(address) > _LONGEST_EMAIL:
        raise ValueError("email address is too long")
    return address


def openid(text: str) -> str:
    """Read a WeChat openid, an opaque word of letters, digits, `_` and `-`; raises ValueError for anything else."""
    text = text.strip()
    if not _OPENID.fullmatch(text):
        raise ValueError("WeChat openid is not one word of 6 to 64 letters, digits, _ or -")
    return text


def _ascii_domain(domain: str) -> str:
    try:
        ascii_form = ".".join(map(_ascii_label, re.split("[.\u3002\uff0e\uff61]", domain)))
    except UnicodeError:
        raise ValueError("email domain is not a valid domain name") from None
    if not _DOMAIN.fullmatch(ascii_form):
        raise ValueError("email domain is not a dotted domain name")
    return ascii_form


def _ascii_label(label: str) -> str:
    if _DEVIATIONS & set(label):
        kept = unicodedata.normalize("NFC", label.replace("ẞ", "ß").lower())
        return f"xn--{kept.encode('punycode').decode('ascii')}"
    return label.encode("idna").decode("ascii").lower()
