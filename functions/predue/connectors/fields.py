"""Reading one value after the other out of a message, with errors that name the field and never its value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from predue.errors import InvalidEvent

_LARGEST = Decimal(10) ** 15
_FINEST = -12
_MOST_PARTS = 5_000
"""More than any schedule has; what is longer costs its reader time."""


@dataclass(frozen=True)
class Fields:
    """A JSON object; `where` is its own name inside the message.

    An empty text counts as absent: that is what templates make of a value that is not there.
    """

    raw: Mapping[str, Any]
    where: str = ""

    @classmethod
    def of(cls, value: object, where: str = "") -> "Fields":
        """Any value that should be an object."""
        if not isinstance(value, Mapping):
            raise InvalidEvent(f"{where or 'message'}: is no object")
        return cls(value, where)

    def name(self, key: str) -> str:
        """The full name of a field, as errors give it."""
        return f"{self.where}.{key}" if self.where else key

    def has(self, key: str) -> bool:
        """Whether a field carries anything."""
        return self.raw.get(key) not in (None, "")

    def _given(self, key: str) -> Any:
        if not self.has(key):
            raise InvalidEvent(f"{self.name(key)}: is missing")
        return self.raw[key]

    def text(self, key: str) -> str:
        """A text; a whole number counts as one, since ids come as either."""
        value = self._given(key)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InvalidEvent(f"{self.name(key)}: is no text")
        try:
            return str(value)
        except ValueError:  # an integer of thousands of digits
            raise InvalidEvent(f"{self.name(key)}: is too long") from None

    def whole(self, key: str) -> int:
        """A whole number from zero on, also as a text of digits."""
        text = self.text(key)
        if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004 - below 2**53
            raise InvalidEvent(f"{self.name(key)}: is no whole number")
        return int(text)

    def amount(self, key: str) -> Decimal:
        """An amount of money in major units, zero or more."""
        value = self._given(key)
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise InvalidEvent(f"{self.name(key)}: is no amount")
        try:
            amount = Decimal(str(value))
        except (InvalidOperation, ValueError):
            raise InvalidEvent(f"{self.name(key)}: is no amount") from None
        if not amount.is_finite() or not 0 <= amount <= _LARGEST:
            raise InvalidEvent(f"{self.name(key)}: is no amount between 0 and {_LARGEST}")
        if amount.normalize().as_tuple().exponent < _FINEST:  # type: ignore[operator]
            raise InvalidEvent(f"{self.name(key)}: has too many digits")
        return amount

    def day(self, key: str) -> date:
        """A date, or the date that a timestamp shows; its own offset is kept, since a due date is local."""
        try:
            return date.fromisoformat(self.text(key)[:10])
        except ValueError:
            raise InvalidEvent(f"{self.name(key)}: is no ISO date") from None

    def flag(self, key: str) -> bool:
        """A truth value; absent is false."""
        value = self.raw.get(key)
        if value is not None and not isinstance(value, bool):
            raise InvalidEvent(f"{self.name(key)}: is neither true nor false")
        return bool(value)

    def part(self, key: str) -> "Fields":
        """An object inside."""
        return Fields.of(self._given(key), self.name(key))

    def parts(self, key: str) -> list["Fields"]:
        """A list of objects inside."""
        value = self._given(key)
        if not isinstance(value, list):
            raise InvalidEvent(f"{self.name(key)}: is no list")
        if len(value) > _MOST_PARTS:
            raise InvalidEvent(f"{self.name(key)}: has more than {_MOST_PARTS} entries")
        return [Fields.of(one, f"{self.name(key)}[{index}]") for index, one in enumerate(value)]
