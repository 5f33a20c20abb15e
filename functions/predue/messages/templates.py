"""The lender's texts: where they lie, which placeholders each may hold, and what is wrong with them.

A text holds `{{name}}` placeholders off an allow list and no logic. It is filled in one pass, so that a value is never
read as a text: whatever stands in a name stays inert.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from babel import Locale
from babel.dates import format_date

from predue.domain.channel import CHANNELS
from predue.domain.stage import Stage
from predue.errors import TextMissing

_LINE = frozenset({"amount", "due_date", "when", "loan", "number"})
_NONE: frozenset[str] = frozenset()

# Where a text may stand in a file, and which placeholders it may hold there. `*` is a stage, `before` or `after`. Only
# the greeting knows the borrower's name and only the frame of an email holds a link, so nothing else can carry them.
_ALLOWED: Mapping[tuple[str, ...], frozenset[str]] = {
    ("frame",): frozenset({"lender", "text", "greeting", "help", "reference"}),
    ("date",): _NONE,
    ("greeting", "known"): frozenset({"name"}),
    ("greeting", "unknown"): _NONE,
    ("help", "known"): frozenset({"phone"}),
    ("help", "unknown"): _NONE,
    ("when", "today"): _NONE,
    ("when", "tomorrow"): _NONE,
    ("when", "yesterday"): _NONE,
    ("when", "before"): frozenset({"days"}),
    ("when", "after"): frozenset({"days"}),
    ("lines", "each"): _LINE,
    ("lines", "between"): _NONE,
    ("lines", "more"): frozenset({"rest"}),
    ("*", "one"): _LINE | {"lender"},
    ("*", "many"): frozenset({"count", "lines", "lender"}),
    ("*", "subject"): frozenset({"due_date", "when", "loan", "number", "lender"}),
    ("*", "many_subject"): frozenset({"count", "lender"}),
}
_PLACES = {path[0] for path in _ALLOWED} - {"*"} | {"spelling"}
_STAGES = ("T-7", "T-3", "T-1", "T0", "T+1", "before", "after")
_SUBJECTS = frozenset({"subject", "many_subject"})
_IN_FRAME = {"sms": ("lender", "text"), "email": ("lender", "text", "reference", "unsubscribe_url")}

_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")
_LINK = re.compile(r"://|www\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TemplateSet:
    """The texts of one locale and channel, as their file holds them."""

    locale: str
    channel: str
    data: Mapping[str, Any]
    _versions: dict[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)
    _split: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def file(self) -> str:
        """The file's name, for errors."""
        return f"texts/{self.locale}/{self.channel}.toml"

    def text(self, *path: str) -> str:
        """Find a text as written, such as `text("T-3", "one")`; raises TextMissing for none or an empty one."""
        found: Any = self.data
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if not isinstance(found, str) or not found:
            raise TextMissing(f"{self.file}: {'.'.join(path)} is missing")
        return found

    def fill(self, values: Mapping[str, str], *path: str) -> str:
        """Replace the placeholders of a text; raises TextMissing for an unknown placeholder or an empty value."""
        pieces = list(self._split.get(path) or self._parts(path))
        for place in range(1, len(pieces), 2):
            key = pieces[place]
            value = values.get(key)
            if not value:
                raise TextMissing(f"{self.file}: {'.'.join(path)} needs {{{{{key}}}}}, which is empty")
            pieces[place] = value
        return "".join(pieces)

    def _parts(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Part a text at its placeholders, which may all stand there, and keep it so."""
        pieces, allowed = _pieces(self.text(*path)), self.allowed(path)
        for key in pieces[1::2]:
            if key not in allowed:
                raise TextMissing(f"{self.file}: {'.'.join(path)} holds the unknown placeholder {{{{{key[:40]}}}}}")
        self._split[path] = pieces
        return pieces

    def allowed(self, path: tuple[str, ...]) -> frozenset[str]:
        """Name the placeholders that may stand at a place."""
        if path == ("frame",) and self.channel == "email":
            return _ALLOWED["frame",] | {"unsubscribe_url"}
        return _ALLOWED[path if path in _ALLOWED else ("*", path[-1])]

    def section(self, stage: str, due_date: date, today: date) -> str:
        """Choose whose words speak of an installment: its stage's, else the general ones.

        The general ones also step in where the stage would contradict the calendar, as on a stage that was moved past
        the due date.
        """
        passed = due_date < today
        if stage in self.data and (Stage.named(stage).offset > 0) == passed:
            return stage
        return "after" if passed else "before"

    def version(self, section: str, around: str = "") -> str:
        """Name the exact words of a section, such as `en-US/sms/T-3@1a2b3c4d`; the name changes when they do.

        They are the section's own, those that all sections share, and the page `around` them.
        """
        if (section, around) not in self._versions:
            shared = {key: self.data[key] for key in self.data if key in _PLACES}
            content = json.dumps([shared, self.data.get(section), around], ensure_ascii=False, sort_keys=True)
            digest = hashlib.sha256(content.encode()).hexdigest()[:8]
            self._versions[section, around] = f"{self.locale}/{self.channel}/{section}@{digest}"
        return self._versions[section, around]

    def part(self, key: str) -> Mapping[str, Any]:
        """Find a table of the file, empty if it has none of that name."""
        found = self.data.get(key)
        return found if isinstance(found, Mapping) else {}

    def most(self) -> int:
        """How many installments a message lists at most; 0 is all."""
        return int(self.part("lines").get("most", 0))

    def spelt(self, message: str) -> str:
        """Replace the letters of a finished message that its channel does without."""
        letters = self.part("spelling")
        found = letters.keys() & set(message)
        return message.translate(str.maketrans({letter: letters[letter] for letter in found})) if found else message


@lru_cache(maxsize=1024)
def _pieces(text: str) -> tuple[str, ...]:
    """Part a text at its placeholders: words stand at the even places, the placeholders' names between them."""
    pieces = _PLACEHOLDER.split(text)
    return tuple(piece.strip() if place % 2 else piece for place, piece in enumerate(pieces))


def book(locale: str, channel: str) -> TemplateSet:
    """Open the texts of a locale and channel; raises TextMissing for a channel that has none."""
    if channel not in CHANNELS:
        raise TextMissing(f"there is no channel {channel[:20]!r} and so no texts for it")
    return _book(locale, channel)


@lru_cache(maxsize=1)
def page() -> str:
    """Read the HTML page around an email."""
    return _read_file(_root(), "email.html")


def on_page(values: Mapping[str, str]) -> str:
    """Put `lang`, `subject` and `content`, each safe as HTML, on the page; raises TextMissing for other names."""
    pieces = list(_pieces(page()))
    try:
        pieces[1::2] = [values[key] for key in pieces[1::2]]
    except KeyError as unknown:
        raise TextMissing(f"texts/email.html holds the unknown placeholder {unknown}") from None
    return "".join(pieces)


@lru_cache(maxsize=1024)
def locale_for(asked: str) -> str:
    """Choose the texts' locale for a borrower's BCP 47 locale: itself, else the first of its language or the default.

    Traditional Chinese is no variant of simplified Chinese: its readers get the default.
    """
    known, default = _locales()
    parts = re.split(r"[-_]", asked.strip().lower())
    exact = [locale for locale in known if locale.lower().split("-") == parts]
    traditional = parts[0] == "zh" and "hans" not in parts and not {"hant", "tw", "hk", "mo"}.isdisjoint(parts)
    same = [] if traditional else [locale for locale in known if locale.lower().split("-")[0] == parts[0]]
    return (exact or same or [default])[0]


def check_texts(root: Traversable | None = None) -> list[str]:
    """Say what is wrong with the texts in a folder (by default the installed ones); nothing if all is well.

    Every locale in `locales.toml` needs every text of every stage for SMS and email, with known placeholders only.
    """
    folder = root or _root()
    try:
        locales, _ = _read_locales(folder)
        books = [_read_book(folder, locale, channel) for locale in locales for channel in _IN_FRAME]
        wrapper = _read_file(folder, "email.html")
    except TextMissing as error:
        return [str(error)]
    problems = [f"{book.file}: {problem}" for book in books for problem in _problems(book)]
    if sorted(set(_PLACEHOLDER.findall(wrapper))) != ["content", "lang", "subject"]:
        problems.append("texts/email.html: needs {{lang}}, {{subject}} and {{content}}, and nothing else")
    return problems


def _problems(book: TemplateSet) -> Iterator[str]:
    sections = [key for key in book.data if key not in _PLACES]
    for path in _needed(book, sections):
        try:
            text = book.text(*path)
        except TextMissing:
            yield f"{'.'.join(path)} is missing"
        else:
            yield from (f"{'.'.join(path)} {problem}" for problem in _text_problems(book, path, text))
    for key in _IN_FRAME[book.channel]:
        if f"{{{{{key}}}}}" not in str(book.data.get("frame")):
            yield f"frame does not hold {{{{{key}}}}}"
    for section in sections:
        if section not in _STAGES and not _is_stage(section):
            yield f"{section} is neither a stage nor a part of a message"
    if any(len(letter) != 1 or not isinstance(plain, str) for letter, plain in book.part("spelling").items()):
        yield "spelling replaces single letters by text only"
    if not isinstance(most := book.part("lines").get("most", 1), int) or most < 1:
        yield "lines.most is not a whole number from 1"


def _needed(book: TemplateSet, sections: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every place where the file must have a text; its own additional stages included.

    An SMS need not greet, and a list that leaves nothing out needs no word for the rest.
    """
    for path in _ALLOWED:
        if path[0] == "*":
            if book.channel == "email" or path[1] not in _SUBJECTS:
                yield from ((section, path[1]) for section in dict.fromkeys((*_STAGES, *sections)))
        elif (path[0] != "greeting" or book.channel == "email" or "greeting" in book.data) and (
            path != ("lines", "more") or "most" in book.part("lines")
        ):
            yield path


def _text_problems(book: TemplateSet, path: tuple[str, ...], text: str) -> Iterator[str]:
    for key in _PLACEHOLDER.findall(text):
        if key.strip() not in book.allowed(path):
            yield f"holds the unknown placeholder {{{{{key}}}}}"
    if re.search(r"[{}]", _PLACEHOLDER.sub("", text)):
        yield "holds a brace outside a placeholder"
    if path[-1] in _SUBJECTS and len(text.splitlines()) != 1:
        yield "is not one line"
    if book.channel == "sms" and _LINK.search(text):
        yield "holds a link"
    if path == ("date",) and not _is_pattern(text, book.locale):
        yield "is no date pattern"


def _is_stage(name: str) -> bool:
    try:
        Stage.named(name)
    except ValueError:
        return False
    return True


def _is_pattern(pattern: str, locale: str) -> bool:
    """Whether a date pattern writes a date; Babel answers a bad one with various errors."""
    try:
        return bool(format_date(date(2026, 12, 1), pattern, locale=Locale.parse(locale, sep="-")))
    except (AttributeError, KeyError, ValueError):
        return False


def _root() -> Traversable:
    return files("predue.messages") / "texts"


@lru_cache(maxsize=64)
def _book(locale: str, channel: str) -> TemplateSet:
    return _read_book(_root(), locale, channel)


@lru_cache(maxsize=1)
def _locales() -> tuple[tuple[str, ...], str]:
    return _read_locales(_root())


def _read_book(root: Traversable, locale: str, channel: str) -> TemplateSet:
    return TemplateSet(locale, channel, _read_toml(root, locale, f"{channel}.toml"))


def _read_locales(root: Traversable) -> tuple[tuple[str, ...], str]:
    data = _read_toml(root, "locales.toml")
    known, default = tuple(data.get("locales", ())), data.get("default")
    if default not in known:
        raise TextMissing("texts/locales.toml: default is not one of the locales")
    return known, str(default)


def _read_toml(root: Traversable, *path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_file(root, *path))
    except tomllib.TOMLDecodeError as error:
        raise TextMissing(f"texts/{'/'.join(path)}: {error}") from None


def _read_file(root: Traversable, *path: str) -> str:
    try:
        return root.joinpath(*path).read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise TextMissing(f"texts/{'/'.join(path)} cannot be read: {type(error).__name__}") from error
