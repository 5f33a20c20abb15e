"""Values as they stand in a message: names made inert, amounts and days in the words of a locale."""

import re
import unicodedata
from datetime import date
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import NumberPattern, get_currency_symbol, get_territory_currencies, parse_pattern

from predue.domain.money import Money, exponent
from predue.errors import TextMissing

_CURRENCY = re.compile(r"[A-Z]{3}")
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]+")

_TERRITORY = re.compile(r"[a-z]{2}|[0-9]{3}")

# Drawn as nothing, though Unicode counts them among letters, marks and symbols: fillers, blank braille, selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_NAME_MARKS = frozenset(" .,'&()-·・") | {"\u2019", "\u2010"}  # the typographic apostrophe and hyphen
_LONGEST_NAME = 40
_MOST_DIGITS = 4  # more of them are shown as a telephone link
# A dot right before a letter makes a domain out of words; initials as in "J.R. Smith" do not.
_DOMAIN = re.compile(r"\.(?=\w)(?!\w\.)")

# Spaces and apostrophes by which CLDR groups digits; an SMS with one of these would need UCS-2.
_PLAIN_FIGURES = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\u2019": "'", "\u200e": None, "\u200f": None, "\u061c": None}
)


def inert(value: str) -> str:
    """Put a value on one line, without braces and without what cannot be seen: controls, bidi marks, fillers."""
    seen = value if value.isascii() else _BLANK.sub("", value)
    if not seen.isprintable() or "{" in seen or "}" in seen:
        seen = "".join(map(_visible, seen))
    return " ".join(seen.split())


def person(name: str) -> str:
    """Make a borrower's name fit for a greeting: at most 40 characters, and empty if it is not plainly a name.

    Anything but letters, their marks, a few digits and the punctuation of names might be a link, a telephone number or
    code, and a greeting without a name is better than one with what is left of those.
    """
    plain = unicodedata.normalize("NFC", inert(name))
    if "{" in name or "}" in name or not plain[:1].isalpha() or _DOMAIN.search(plain):
        return ""
    if not plain.replace(" ", "").isalpha():
        kinds = [unicodedata.category(character) for character in plain if character not in _NAME_MARKS]
        if any(kind != "Nd" and kind[0] not in "LM" for kind in kinds) or kinds.count("Nd") > _MOST_DIGITS:
            return ""
    if len(plain) <= _LONGEST_NAME:
        return plain
    return plain[: _LONGEST_NAME + 1].rpartition(" ")[0] or plain[:_LONGEST_NAME]


def web_address(url: str) -> str:
    """Pass a link of plain ASCII, and nothing for what is none."""
    return url if _URL.fullmatch(url) else ""


def tail(loan_id: str) -> str:
    """Cut a loan's id to its last four letters or digits, which tell a borrower's own loans apart and no more."""
    return "".join(filter(str.isalnum, inert(loan_id)))[-4:]


def amount(money: Money, text_locale: str, asked: str, today: date) -> str:
    """Write an amount with all its digits, grouped as the borrower's own locale (`asked`) does.

    The currency's symbol stands only where it can mean nothing else: in texts of the very country that the borrower's
    locale names, for the tender of that country. Elsewhere its ISO 4217 code does. Raises TextMissing for what is no
    amount to ask for.
    """
    if money.minor <= 0 or not _CURRENCY.fullmatch(money.currency):
        raise TextMissing("an installment has no positive amount in an ISO 4217 currency to speak of")
    own, reader = locale(text_locale), _reader(text_locale, asked)
    pattern = _figures(reader, exponent(money.currency))
    figures = pattern.apply(money.major(), reader, decimal_quantization=False).translate(_PLAIN_FIGURES)
    if _territory(asked) == own.territory and money.currency in _tender(own.territory, today):
        return f"{get_currency_symbol(money.currency, own)}{figures}"
    return f"{money.currency} {figures}"


@lru_cache(maxsize=1024)
def day(value: date, pattern: str, text_locale: str) -> str:
    """Write a date by a Unicode date pattern in the words of a locale."""
    return format_date(value, pattern, locale=locale(text_locale))


@lru_cache(maxsize=64)
def locale(name: str) -> Locale:
    """Babel's locale of a folder of texts."""
    return Locale.parse(name, sep="-")


@lru_cache(maxsize=256)
def _figures(reader: Locale, digits: int) -> NumberPattern:
    """A locale's pattern of numbers with so many digits after the point."""
    whole = reader.decimal_formats[None].pattern.partition(".")[0]
    return parse_pattern(f"{whole}.{'0' * digits}" if digits else whole)


@lru_cache(maxsize=1024)
def _tender(territory: str, today: date) -> frozenset[str]:
    return frozenset(get_territory_currencies(territory, today))


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if kind in {"Cc", "Zl", "Zp", "Zs"}:
        return " "
    return "" if kind[0] == "C" or character in "{}" else character


@lru_cache(maxsize=256)
def _reader(text_locale: str, asked: str) -> Locale:
    """Take the borrower's own locale for the grouping of digits if it shares the texts' language; else the texts'."""
    own, territory = locale(text_locale), _territory(asked)
    if not territory or _parts(asked)[0] != own.language:
        return own
    try:
        return locale(f"{own.language}-{territory}")
    except (UnknownLocaleError, ValueError):
        return own


@lru_cache(maxsize=256)
def _territory(asked: str) -> str:
    """Find the territory in a BCP 47 locale, in capitals; empty if it names none."""
    for part in _parts(asked)[1:]:
        if len(part) == 1:  # extensions follow, whose parts look like territories
            return ""
        if _TERRITORY.fullmatch(part):
            return part.upper()
    return ""


def _parts(asked: str) -> list[str]:
    return re.split(r"[-_]", asked.strip().lower())
