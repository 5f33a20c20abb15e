"""The figures of a run: how many reminders went out, to how many borrowers, and why the rest did not."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from infrastructure.local.report import words

_WIDTH = 28
Nested = dict[str, dict[str, int]]


def summarise(contacts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count the lines of contacts.jsonl; `sent` and `unknown` are contacts, and a line is one reminder.

    Returns JSON-ready keys, each sorted:

    - `reminders`: lines; `planned_stages`: installments and stages that they answer for
    - `outcomes`: {outcome: n}; `reasons`: {outcome: {reason: n}} for all that were not sent
    - `borrowers`: distinct borrowers; `borrowers_contacted`: those with a contact
    - `contacts_per_borrower`: `max`, `mean` over all `borrowers`, `histogram` {contacts as text: borrowers}, with `"0"`
    - `by_channel`: {channel: contacts}
    - `by_stage`, `by_day`, `by_hour`: {stage, local day or local hour: {channel: contacts}}; a digest counts once,
      under its most urgent stage
    - `receipts`: {what the provider said of a contact: n}; `digests`: contacts about several installments;
      `switched`: contacts that another channel was asked for first

    The caller adds, all optional: `cases` {`opened`, `open`, `by_reason`: {reason: cases}}, `aws` {`calls`, `units`:
    {operation: number}}, `cost_per_million_reminders` {`total_usd`, `lines`: {item: usd}}, `seconds` {`wall`, `cpu`},
    `dead_letters` {queue: messages}, `promises` {`checked`: {number: checks}, `broken`: [`"1: what happened"` or
    {`promise`, `detail`}] or {number: [text]}} and `coverage` {anything: value}.
    """
    outcomes: Counter[str] = Counter()
    reasons: defaultdict[str, Counter[str]] = defaultdict(Counter)
    borrowers: Counter[str] = Counter()
    cross = {name: defaultdict[str, Counter[str]](Counter) for name in ("by_stage", "by_day", "by_hour")}
    channels: Counter[str] = Counter()
    receipts: Counter[str] = Counter()
    stages = digests = switched = 0
    for line in contacts:
        outcome, channel = str(line["outcome"]), str(line.get("channel") or "")
        outcomes[outcome] += 1
        stages += len(line.get("dues") or ())
        contacted = outcome in words.CONTACTS
        borrowers[str(line["borrower_id"])] += contacted
        if outcome != "sent":
            reasons[outcome][str(line.get("reason") or "")] += 1
        if contacted:
            channels[channel] += 1
            receipts[str(line.get("receipt") or "none yet").replace("_", " ")] += 1
            digests += len(line.get("dues") or ()) > 1
            switched += len({attempt["channel"] for attempt in line.get("attempts") or ()}) > 1
            cross["by_stage"][urgent_stage(line)][channel] += 1
            cross["by_day"][str(line["local_time"])[:10]][channel] += 1
            cross["by_hour"][str(line["local_time"])[11:13]][channel] += 1
    return {
        "reminders": outcomes.total(),
        "planned_stages": stages,
        "outcomes": _ranked(outcomes),
        "reasons": {outcome: _ranked(reasons[outcome]) for outcome in sorted(reasons)},
        "borrowers": len(borrowers),
        "borrowers_contacted": sum(count > 0 for count in borrowers.values()),
        "contacts_per_borrower": _per_borrower(Counter(borrowers.values())),
        "by_channel": _ranked(channels),
        "by_stage": _nested(cross["by_stage"], words.stage_offset),
        "by_day": _nested(cross["by_day"], str),
        "by_hour": _nested(cross["by_hour"], str),
        "receipts": _ranked(receipts),
        "digests": digests,
        "switched": switched,
    }


def urgent_stage(line: Mapping[str, Any]) -> str:
    """The stage of a reminder that lies furthest along; empty if it names none."""
    stages = [str(due["stage"]) for due in line.get("dues") or ()]
    return max(stages, key=words.stage_offset, default="")


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _nested(counts: Mapping[str, Counter[str]], order: Callable[[str], Any]) -> Nested:
    return {name: _ranked(counts[name]) for name in sorted(counts, key=order)}


_ORDERS: Mapping[str, Callable[[str], Any]] = {
    "reasons": str,
    "by_stage": words.stage_offset,
    "by_day": str,
    "by_hour": str,
}


def _per_borrower(histogram: Mapping[int, int]) -> dict[str, Any]:
    """Contacts per borrower, of which a histogram counts the borrowers."""
    borrowers = sum(histogram.values())
    contacts = sum(count * number for count, number in histogram.items())
    return {
        "max": max(histogram, default=0),
        "mean": round(contacts / borrowers, 4) if borrowers else 0.0,
        "histogram": {str(count): histogram[count] for count in sorted(histogram)},
    }


def total(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The summary of a whole from those of its parts, which have no borrower in common."""
    found: dict[str, Any] = _sum(parts) if parts else summarise(())
    histogram = {int(count): borrowers for count, borrowers in found["contacts_per_borrower"]["histogram"].items()}
    every = Counter({number: count for number, count in histogram.items() if count})
    found["contacts_per_borrower"] = _per_borrower(every)
    for name in ("outcomes", "by_channel", "receipts"):
        found[name] = _ranked(Counter(found[name]))
    for name, order in _ORDERS.items():
        found[name] = _nested({key: Counter(counts) for key, counts in found[name].items()}, order)
    if "coverage" in found:
        planned, reminded = found["coverage"]["planned_stages"], found["coverage"]["reminded"]
        found["coverage"]["share"] = round(reminded / planned if planned else 1.0, 4)
    return found


def _sum(parts: Sequence[Any]) -> Any:
    """Values added up: numbers, lists one after the other, mappings by name."""
    if isinstance(parts[0], Mapping):
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: _sum([part[name] for part in parts if name in part]) for name in names}
    return [item for part in parts for item in part] if isinstance(parts[0], list) else sum(parts)


def contacts_in(summary: Mapping[str, Any]) -> int:
    """The contacts of a summary: reminders sent, and those that may have been."""
    return sum(count for outcome, count in summary.get("outcomes", {}).items() if outcome in words.CONTACTS)


def held_back(summary: Mapping[str, Any]) -> dict[str, list[tuple[str, str, int]]]:
    """Why reminders did not go out, or perhaps did: {group: [(label, code, reminders)]}, from best events to worst."""
    grouped: defaultdict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for outcome, reasons in summary.get("reasons", {}).items():
        for code, count in reasons.items():
            meaning = words.reason(code, outcome)
            grouped[meaning.group][meaning.label, code] += count
    return {
        group: [(label, code, count) for (label, code), count in grouped[group].most_common()]
        for group in words.GROUPS
        if group in grouped
    }


def promises(summary: Mapping[str, Any]) -> list[tuple[str, str, int, list[str]]]:
    """Each promise that was checked or broken, as (number, words, checks, what broke it)."""
    stated = summary.get("promises", {})
    checked: Mapping[str, int] = stated.get("checked", {})
    broken: defaultdict[str, list[str]] = defaultdict(list)
    for item in _breaches(stated.get("broken", ())):
        number, detail = _breach(item)
        broken[number].append(detail)
    numbers = sorted({*map(str, checked), *broken}, key=lambda number: (not number.isdigit(), number.zfill(4)))
    return [
        (number, words.PROMISES.get(number, f"Promise {number}"), _checks(checked, number), broken[number])
        for number in numbers
    ]


def _checks(checked: Mapping[Any, int], number: str) -> int:
    return int(checked.get(number, checked.get(int(number), 0) if number.isdigit() else 0))


def _breaches(broken: Mapping[Any, Iterable[str]] | Iterable[object]) -> Iterable[object]:
    """Flatten what broke promises, if it is told as {number: [text]}."""
    if not isinstance(broken, Mapping):
        return broken
    return [{"promise": number, "detail": text} for number, texts in broken.items() for text in texts]


def _breach(item: object) -> tuple[str, str]:
    """The promise and the words of one breach, told as a text (`1: what happened`) or as a mapping."""
    if isinstance(item, Mapping):
        rest = {key: value for key, value in item.items() if key not in ("promise", "detail")}
        extra = ", ".join(f"{key} {value}" for key, value in rest.items())
        return str(item.get("promise", "?")), "; ".join(part for part in (str(item.get("detail", "")), extra) if part)
    number, colon, detail = str(item).partition(":")
    return (number.strip(), detail.strip()) if colon and number.strip().isdigit() else ("?", str(item))


def text(summary: Mapping[str, Any]) -> str:
    """The summary for a terminal, in words that need no manual; print it as it is."""
    sections = (
        _headline,
        _by_channel,
        _stages,
        _held_back,
        _borrowers,
        _cases,
        _dead_letters,
        _promises,
        _cost,
        _machine,
    )
    return "\n\n".join(block for section in sections if (block := section(summary))) + "\n"


def _headline(summary: Mapping[str, Any]) -> str:
    outcomes: Mapping[str, int] = summary.get("outcomes", {})
    total = sum(outcomes.values())
    if not total:
        return "No reminder was planned in this period, so nothing went out."
    sent, unknown = outcomes.get("sent", 0), outcomes.get("unknown", 0)
    reached = _count(summary.get("borrowers_contacted", 0), "borrower")
    lines = [f"{sent:,} of {total:,} planned reminders went out; contacted: {reached}."]
    if unknown:
        lines.append(
            f"{unknown:,} more may have gone out: the provider has not confirmed, and they are not sent again."
        )
    rest = total - sent - unknown
    lines.append(f"{rest:,} did not go out." if rest else "None was held back.")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _by_channel(summary: Mapping[str, Any]) -> str:
    rows = [(words.channel(code), count) for code, count in summary.get("by_channel", {}).items()]
    return _chart("What went out, by channel", rows)


def _stages(summary: Mapping[str, Any]) -> str:
    rows = [(words.stage(name), sum(counts.values())) for name, counts in summary.get("by_stage", {}).items()]
    return _chart("What went out, by stage (a digest counts under its most urgent)", rows)


def _held_back(summary: Mapping[str, Any]) -> str:
    blocks = []
    for group, reasons in held_back(summary).items():
        total = sum(count for *_, count in reasons)
        blocks.append(f"  {words.GROUPS[group]}: {total:,}")
        blocks += [f"    {label:<{_WIDTH + 4}} {count:>9,}" for label, _, count in reasons]
    return "\n".join(["Why the others did not", *blocks]) if blocks else ""


def _borrowers(summary: Mapping[str, Any]) -> str:
    per = summary.get("contacts_per_borrower", {})
    if not per.get("histogram"):
        return ""
    rows = [(_count(int(count), "message"), borrowers) for count, borrowers in per["histogram"].items()]
    return _chart(f"Messages per borrower (mean {per['mean']:.2f}, most {per['max']})", rows)


def _chart(title: str, rows: Sequence[tuple[str, int]]) -> str:
    """Bars of text, the longest 30 wide; a count above zero always shows."""
    if not rows:
        return ""
    most = max(count for _, count in rows) or 1
    return "\n".join(
        [
            title,
            *(
                f"  {label:<{_WIDTH}} {count:>9,}  {'█' * math.ceil(30 * count / most)}".rstrip()
                for label, count in rows
            ),
        ]
    )


def _cases(summary: Mapping[str, Any]) -> str:
    stated = summary.get("cases") or {}
    if not stated.get("opened"):
        return ""
    wide = max(len(words.CASES[code]) for code in stated["by_reason"])
    why = [f"  {words.CASES[code]:<{wide}} {count:>9,}" for code, count in stated["by_reason"].items()]
    opened = f"{_count(stated['opened'], 'case')} opened, {stated['open']:,} still open"
    return "\n".join([f"Whom a person should look at: {opened}", *why])


def _dead_letters(summary: Mapping[str, Any]) -> str:
    given_up: Mapping[str, int] = summary.get("dead_letters") or {}
    if not given_up:
        return ""
    title = f"Dead letters: {_count(sum(given_up.values()), 'message')} that no function could take"
    return "\n".join([title, *(f"  {queue:<{_WIDTH + 4}} {count:>9,}" for queue, count in given_up.items())])


def _promises(summary: Mapping[str, Any]) -> str:
    lines = []
    for number, meaning, checks, broken in promises(summary):
        kept = f"kept in {_count(checks, 'check')}" if checks else "nothing to check"
        mark = f"BROKEN {_count(len(broken), 'time')}" if broken else kept
        lines.append(f"  {number:>2}  {meaning:<64} {mark}")
        lines += [f"        {detail}" for detail in broken[:5]]
    return "\n".join(["Promises", *lines]) if lines else ""


def _cost(summary: Mapping[str, Any]) -> str:
    cost = summary.get("cost_per_million_reminders") or {}
    if not cost:
        return ""
    lines = [f"  {name:<{_WIDTH}} {usd(value):>14}" for name, value in cost.get("lines", {}).items()]
    return "\n".join(
        [
            f"A million reminders at the price of these: about {usd(cost.get('total_usd', 0))}",
            "  (few share the runs and polls of a day, which cost the same for many; make bench bills many)",
            *lines,
        ]
    )


def usd(value: float) -> str:
    """Dollars to the cent."""
    return f"${value:,.2f}"


def _machine(summary: Mapping[str, Any]) -> str:
    seconds = summary.get("seconds") or {}
    calls = sum((summary.get("aws") or {}).get("calls", {}).values())
    parts = [f"{seconds['wall']:,.1f} s on the clock"] if "wall" in seconds else []
    parts += [f"{seconds['cpu']:,.1f} s of CPU"] if "cpu" in seconds else []
    parts += [f"{calls:,} AWS calls"] if calls else []
    return f"This run took {', '.join(parts)}." if parts else ""
