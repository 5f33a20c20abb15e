"""The report of a run: one HTML page with everything inline, that a manager can read, print and pass on."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infrastructure.local.report import words
from infrastructure.local.report.summary import contacts_in, held_back, promises, summarise, usd

PLOT_HEIGHT = 180
_LABELS = 10
_WIDEST_BAR = 9.0
_TICK_STEPS = (1, 2, 5)
_TICKS = 5
_DENSE = 10
_HOURS = 24
_STACKS = 3


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a column: its series, its count, and its place in pixels from the top of the plot."""

    series: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a chart; `left`, `width` and `middle` in percent of the plot's width, so that it fits any screen."""

    name: str
    label: str
    left: float
    width: float
    middle: float
    top: float
    total: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns over a scale; `ticks` are (pixels from the top, text), `dense` once values would collide."""

    columns: tuple[Column, ...]
    ticks: tuple[tuple[float, str], ...]
    series: tuple[str, ...]

    @property
    def dense(self) -> bool:
        """Whether there are too many columns for a figure above each on a small screen."""
        return len(self.columns) > _DENSE

    @property
    def total(self) -> int:
        """The sum of all columns."""
        return sum(column.total for column in self.columns)


def write_report(
    path: Path,
    *,
    summary: Mapping[str, Any],
    contacts: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]],
    title: str,
    period: tuple[date, date],
    hours: tuple[int, int] = (9, 20),
    cases: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write the report of a run.

    `summary` has the shape of `summarise`, whose figures are counted from `contacts` (lines of contacts.jsonl) where it
    lacks them. A sample is a message as the borrower saw it: `channel`, `locale`, `to_label` (masked), `from`,
    `subject`, `body`, `html`, `at`, `local_time`, `stage`, `segments`, `encoding`; what does not apply may be missing.
    `hours` are the allowed local hours, to shade them: the first, and the one at which they end. `cases` are those
    that are open, in words. Equal arguments give equal pages.
    """
    figures = summary if "receipts" in summary else {**summarise(contacts), **summary}
    page = (
        pages()
        .get_template("report.html.j2")
        .render(
            title=title,
            period=_period(*period),
            plot_height=PLOT_HEIGHT,
            series=_series(figures["by_channel"]),
            **_headline(figures),
            **_charts(figures, period, hours),
            **_outcomes(figures),
            **_business(figures),
            cases=cases,
            dead_letters=figures.get("dead_letters") or {},
            samples=[filled(sample) for sample in samples],
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def pages() -> Environment:
    """The templates of pages beside this file, with the words that they share."""
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, Path(__file__).parents[1] / "serve"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, usd=usd, channel=words.channel, stage=words.stage)
    return environment


def _number(value: float) -> str:
    """Write a number with separators, and with decimals only if it has any."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _period(first: date, last: date) -> str:
    if first == last:
        return f"{first.day} {first:%B %Y}"
    if first.year != last.year:
        return f"{first.day} {first:%B %Y} to {last.day} {last:%B %Y}"
    start = f"{first.day}" if first.month == last.month else f"{first.day} {first:%B}"
    return f"{start} to {last.day} {last:%B %Y}"


def _series(by_channel: Mapping[str, int]) -> list[dict[str, Any]]:
    """Legend entries: each channel that was used, with its share."""
    total = sum(by_channel.values())
    return [
        {"code": code, "count": by_channel[code], "share": by_channel[code] / total} for code in _ordered(by_channel)
    ]


def _ordered(codes: Iterable[str]) -> list[str]:
    """Channels in the one order that all charts and legends share."""
    known = list(words.CHANNELS)
    return sorted(codes, key=lambda code: (known.index(code) if code in known else len(known), code))


# Headline


def _headline(figures: Mapping[str, Any]) -> dict[str, Any]:
    outcomes, groups = figures["outcomes"], held_back(figures)
    planned, sent = sum(outcomes.values()), outcomes.get("sent", 0)
    needless = sum(count for *_, count in groups.get("needless", ()))
    per = figures["contacts_per_borrower"]
    tiles = [
        (
            "Reminders sent",
            _number(sent),
            f"{figures['borrowers_contacted']:,} of {figures['borrowers']:,} borrowers contacted",
        ),
        ("Did not go out", _number(planned - contacts_in(figures)), f"{needless:,} because nothing was left to remind"),
        ("Most to one borrower", _number(per["max"]), f"{per['mean']:.2f} on average"),
    ]
    if unknown := outcomes.get("unknown", 0):
        tiles.append(("Receipt awaited", _number(unknown), "perhaps sent; never sent again by itself"))
    cost = figures.get("cost_per_million_reminders") or {}
    if "total_usd" in cost:
        shared = f"at the price of these {_number(sent)}, which share the fixed part"
        tiles.append(("A million reminders", f"${cost['total_usd']:,.0f}", shared))
    return {"tiles": tiles, "verdict": _verdict(figures), "planned": planned}


def _verdict(figures: Mapping[str, Any]) -> tuple[str, str]:
    """Give the tone and the sentence of the banner."""
    stated = promises(figures)
    broken, checks = [row for row in stated if row[3]], sum(row[2] for row in stated)
    if broken:
        noun = "promise was" if len(broken) == 1 else "promises were"
        return "bad", f"{len(broken)} {noun} broken: see below, and stop before anything goes live."
    if stated:
        return "good", f"Every promise held, in {checks:,} checks."
    return "plain", "Promises were not checked in this run."


# Charts


def _charts(figures: Mapping[str, Any], period: tuple[date, date], hours: tuple[int, int]) -> dict[str, Any]:
    first, last = period
    days = [(first + timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)]
    by_day, by_hour = figures["by_day"], figures["by_hour"]
    histogram = figures["contacts_per_borrower"]["histogram"]
    counts = range(max(map(int, histogram), default=-1) + 1)
    return {
        "by_day": _chart([(day, _day_label(day), by_day.get(day, {})) for day in sorted({*days, *by_day})]),
        "by_hour": _chart([(f"{hour:02}:00", f"{hour:02}", by_hour.get(f"{hour:02}", {})) for hour in range(_HOURS)]),
        "allowed": {
            "first": f"{hours[0]:02}:00",
            "last": f"{hours[1]:02}:00",
            "left": 100 * hours[0] / _HOURS,
            "width": 100 * (hours[1] - hours[0]) / _HOURS,
            "outside": sum(sum(n.values()) for hour, n in by_hour.items() if not hours[0] <= int(hour) < hours[1]),
        },
        "by_stage": _stage_rows(figures["by_stage"]),
        "histogram": _chart([(str(n), str(n), {"borrowers": histogram.get(str(n), 0)}) for n in counts], thin=False),
    }


def _day_label(day: str) -> str:
    value = date.fromisoformat(day)
    return f"{value.day} {value:%b}"


def _stage_rows(by_stage: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """Bars from left to right, one a stage, each channel a part in percent of the longest."""
    most = max((sum(counts.values()) for counts in by_stage.values()), default=1)
    rows = []
    for name, counts in by_stage.items():
        parts, left = [], 0.0
        for code in _ordered(counts):
            width = 100 * counts[code] / most
            parts.append({"series": code, "count": counts[code], "left": left, "width": width})
            left += width
        rows.append({"name": name, "total": sum(counts.values()), "parts": parts})
    return rows


def _chart(items: Sequence[tuple[str, str, Mapping[str, int]]], *, thin: bool = True, most: int = 0) -> Chart:
    """Lay out columns: each item a name for tooltip and table, a label for the axis, and its counts by series."""
    series = tuple(_ordered({code for *_, counts in items for code in counts}))
    scale = _scale(most or max((sum(counts.values()) for *_, counts in items), default=0))
    band = 100 / max(1, len(items))
    width = min(band * 0.72, _WIDEST_BAR)
    every = math.ceil(len(items) / _LABELS) if thin else 1
    columns = []
    for place, (name, label, counts) in enumerate(items):
        middle = band * (place + 0.5)
        segments, total = _segments(counts, series, scale[-1])
        top = PLOT_HEIGHT * (1 - total / scale[-1])
        shown = label if place % every == 0 else ""
        columns.append(Column(name, shown, middle - width / 2, width, middle, top, total, segments))
    ticks = tuple((PLOT_HEIGHT * (1 - value / scale[-1]), _number(value)) for value in scale)
    return Chart(tuple(columns), ticks, series)


def columns_of(labels: Sequence[str], sides: Sequence[Mapping[str, int]]) -> list[Chart]:
    """Charts of one series each, with a column for each label, under one scale."""
    most = max((count for counts in sides for count in counts.values()), default=0)
    return [
        _chart([(one, one[:3], {"borrowers": counts.get(one, 0)}) for one in labels], thin=False, most=most)
        for counts in sides
    ]


def _segments(counts: Mapping[str, int], series: Sequence[str], most: int) -> tuple[tuple[Segment, ...], int]:
    """Stack the series from the bottom up."""
    total, segments = 0, []
    for code in series:
        if count := counts.get(code, 0):
            total += count
            segments.append(Segment(code, count, PLOT_HEIGHT * (1 - total / most), PLOT_HEIGHT * count / most))
    return tuple(segments), total


def _scale(most: int) -> list[int]:
    """Round tick values from 0 to at least `most`, about five of them."""
    step = next(
        step * 10**power for power in range(18) for step in _TICK_STEPS if step * 10**power * _TICKS >= max(most, 1)
    )
    return list(range(0, math.ceil(max(most, 1) / step) * step + 1, step))


# Outcomes


def _outcomes(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "groups": _stacked(held_back(figures)),
        "receipts": list(figures["receipts"].items()),
        "digests": figures["digests"],
        "switched": figures["switched"],
    }


def _stacked(groups: Mapping[str, Sequence[tuple[str, str, int]]]) -> list[list[dict[str, Any]]]:
    """Deal the groups of reasons out to columns of about equal height; bars in percent of the longest."""
    most = max((count for rows in groups.values() for *_, count in rows), default=1)
    stacks: list[list[dict[str, Any]]] = [[] for _ in range(min(_STACKS, len(groups)))]
    heights = [0] * len(stacks)
    for group, reasons in groups.items():
        place = heights.index(min(heights))
        heights[place] += len(reasons) + 1
        rows = [{"label": label, "code": code, "count": n, "width": 100 * n / most} for label, code, n in reasons]
        total = sum(count for *_, count in reasons)
        stacks[place].append({"code": group, "label": words.GROUPS[group], "total": total, "rows": rows})
    return stacks


def _business(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Promises, cost, and what the run itself took."""
    cost = figures.get("cost_per_million_reminders") or {}
    total = cost.get("total_usd") or sum(cost.get("lines", {}).values())
    aws, seconds = figures.get("aws") or {}, figures.get("seconds") or {}
    calls, units = aws.get("calls", {}), aws.get("units", {})
    return {
        "promises": promises(figures),
        "cost": {
            "total": total,
            "lines": [
                {"name": name, "usd": value, "width": 100 * value / total if total else 0}
                for name, value in sorted(cost.get("lines", {}).items(), key=lambda line: -line[1])
            ],
        },
        "calls": [(name, calls.get(name), units.get(name)) for name in sorted({*calls, *units})],
        "seconds": {name: seconds[name] for name in ("wall", "cpu") if name in seconds},
        "coverage": [
            (name.replace("_", " "), _stated(value)) for name, value in (figures.get("coverage") or {}).items()
        ],
    }


def _stated(value: object) -> str:
    """Any JSON value as one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_stated(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_stated, value)) or "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return str(value)


_SAMPLE_FIELDS = (
    "channel",
    "locale",
    "to_label",
    "from",
    "subject",
    "body",
    "html",
    "local_time",
    "at",
    "stage",
    "segments",
    "encoding",
)


def filled(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what a sample does not say, and write its local time the short way."""
    whole = {name: sample.get(name) or "" for name in _SAMPLE_FIELDS}
    moment = str(whole["local_time"] or whole["at"])
    return {**whole, "when": moment[:16].replace("T", " "), "length": len(str(whole["body"]))}
