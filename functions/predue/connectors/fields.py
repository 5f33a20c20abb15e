"""Reading one value after the other out of a message, with errors that name the field and never its value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from predue.errors import InvalidEvent

_LARGEST = Decimal(10) ** 15
_FINEST = -30
"""More digits than a double shows: schedules come unrounded."""
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

    def balance(self, key: str) -> Decimal:
        """What is still owed, in major units: an amount, which is negative where more was paid."""
        return self.amount(key, least=-_LARGEST)

    def amount(self, key: str, least: Decimal = Decimal()) -> Decimal:
        """An amount of money in major units, by default zero or more."""
        value = self._given(key)
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise InvalidEvent(f"{self.name(key)}: is no amount")
        try:
            amount = Decimal(str(value))
        except (InvalidOperation, ValueError):
            raise InvalidEvent(f"{self.name(key)}: is no amount") from None
        if not amount.is_finite() or not least <= amount <= _LARGEST:
            raise InvalidEvent(f"{self.name(key)}: is no amount between {least} and {_LARGEST}")
        if amount.normalize().as_tuple().exponent < _FINEST:  # type: ignore[operator]
            raise InvalidEvent(f"{self.name(key)}: has too many digits")
        return amount

    def day(self, key: str, local: ZoneInfo | None = None) -> date:
        """A date, or that of a timestamp: in the `local` zone if one is given, else the one that it shows.

        Where it is stored in UTC it shows the local date only if that is what was stored: at local midnight the date in
        UTC is another one in half of the world, so any time of day but midnight is refused.
        """
        text = self.text(key)
        try:
            if len(text) <= len("YYYY-MM-DD"):
                return date.fromisoformat(text)
            moment = datetime.fromisoformat(text)
            if local is not None and moment.tzinfo is not None:
                return moment.astimezone(local).date()
        except (ValueError, OverflowError):
            raise InvalidEvent(f"{self.name(key)}: is no ISO date") from None
        if moment.tzinfo is not None and not moment.utcoffset() and moment.time() != time():
            raise InvalidEvent(
                f"{self.name(key)}: is a time in UTC, whose local day nobody can tell; map it with a zone"
            )
        return moment.date()

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
