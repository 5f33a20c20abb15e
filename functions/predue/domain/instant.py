"""Instants: aware UTC datetimes, kept as whole milliseconds where they are stored."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """An aware datetime as whole milliseconds since 1970-01-01 UTC, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def to_epoch(moment: datetime) -> int:
    """An aware datetime as whole seconds, the form of a time to live."""
    return to_ms(moment) // 1000


def from_ms(ms: int) -> datetime:
    """The instant that `to_ms` stored."""
    return _EPOCH + ms * _MILLISECOND


def to_text(moment: datetime) -> str:
    """ISO 8601 in UTC with a final Z; milliseconds only where there are any."""
    moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Read ISO 8601; raises ValueError for a text that names no offset, since its instant would be a guess."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text[:40]!r} has no offset; write it in UTC with a final Z")
    return moment.astimezone(UTC)
