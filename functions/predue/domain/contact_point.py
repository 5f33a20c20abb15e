"""Contact points: each read strictly into its one canonical form.

Every error is a ValueError whose reason never holds the address, since reasons end up in logs and `rejected.csv`.
"""

import re
import unicodedata

_PHONE = re.compile(r"\+[0-9][0-9 ().-]{5,30}")
# RFC 5321 4.1.2 dot-string, without the quoted form, which hardly any mailbox uses and many systems break on.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?![0-9]+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])")
_OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}")
_LONGEST_LOCAL, _LONGEST_EMAIL = 64, 254  # RFC 5321 4.5.3.1.1; RFC 3696 erratum 1690

# IDNA 2003, which Python's codec follows, turns these into other letters, and so into somebody else's domain; IDNA 2008
# keeps them (UTS 46, section 2.3, deviations). The joiners among the deviations fall to the check for invisible ones.
_DEVIATIONS = frozenset("ßẞς")


def phone(text: str) -> str:
    """Read a phone number into E.164, such as `+12015550100`.

    It is an international number with its `+`, spaces and the usual punctuation. Raises ValueError for what is no
    number of the numbering plan that it names (source: libphonenumber's metadata).
    """
    text = text.strip()
    if not _PHONE.fullmatch(text):
        raise ValueError("phone number is not of the form +<country><number>")
    # Its tables take 100 ms to import, which functions that read no phone number need not pay for.
    import phonenumbers  # noqa: PLC0415

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise ValueError("phone number has no known country code or no plausible length") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError("phone number is not valid in its country's numbering plan")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def email(text: str) -> str:
    """Read an email address: its domain in lower case and IDNA form, its local part as it was written.

    Raises ValueError for anything that SES would not take or that could carry more than an address: white space,
    control and invisible characters, quoted or non-ASCII local parts, domain literals, domains without a dot.
    """
    text = text.strip()
    if any(unicodedata.category(character)[0] in "CZ" for character in text):
        raise ValueError("email address holds white space or invisible characters")
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or len(local) > _LONGEST_LOCAL:
        raise ValueError("email address has no plain local part before its @")
    address = f"{local}@{_ascii_domain(domain)}"
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
    if _DEVIATIONS & set(domain):
        raise ValueError("email domain holds a letter that IDNA versions encode differently; give its xn-- form")
    try:
        ascii_form = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise ValueError("email domain is not a valid domain name") from None
    if not _DOMAIN.fullmatch(ascii_form):
        raise ValueError("email domain is not a dotted domain name")
    return ascii_form
