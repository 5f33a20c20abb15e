"""One verdict for one row: a webhook, the bus, an import and a run read the same values alike."""

import csv
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from infrastructure.local.runs.portfolio import read_portfolio
from predue.domain import contact_point
from predue.errors import InvalidEvent
from predue.events.models import Event, read_event
from predue.imports import file_reading
from predue.imports.book_rows import BORROWER_COLUMNS, INSTALLMENT_COLUMNS
from predue.imports.import_state import Chunked
from predue.inbound import bus_event
from predue.inbound.deliveries import Delivery, events_of
from predue.inbound.sources import Source
from predue.inbound.webhook import delivery
from tests.depot import Depot
from tests.unit.world import World

CORE = Source("core", bus="lender.core")
FRAME = {"event_id": "e-1", "source": "core", "sequence": 1}
AT = "2026-06-12T14:00:00Z"
Verdict = dict[str, Any] | None
"""What an event says, or None if it is refused."""

# Values as they stand in cells: the first is a good one, others once were taken by one way in and refused by another.
IDS = [
    *("b-1", "B 1", "b" * 128, "b" * 129, "é" * 64, "é" * 65, "é" * 76 + "b"),
    *("", " b", "b ", "b\n", "b#1", "core~b"),
]
IDS += [f"b{sign}1" for sign in "\0\x1f\x7f\x85\xa0\xad\u1680\u2003\u200b\u200d\u2028\u202e\u3000\ufeff\ue000\u0378王"]
AMOUNTS = [
    "120.50",
    "120",
    "007.5",
    "1e3",
    "1_000",
    "1,000",
    " 5",
    "+5",
    "-5",
    "5.",
    ".5",
    "\u0665",
    "0",
    "0.00",
    "NaN",
]
AMOUNTS += ["12.505", "1000000000000000", "1000000000000001", "0000000000000001", "120.500000000"]
DATES = ["2026-06-30", "2026-02-30", "20260630", "1969-12-31", "1970-01-01", "2999-12-31", "3000-01-01", "30.06.2026"]
DATES += ["", "2026-06-30T00:00:00", "\uff12026-06-30"]
NUMBERS = ["1", "01", "0", "-1", "1.0", "999999999", "1000000000", "0000000001", "\u0663", "", "1e1", "0" * 17 + "1"]
NUMBERS += ["365", "366", "0" * 18 + "1"]
CURRENCIES = ["USD", "JPY", "KWD", "usd", "XQQ", "US", "USDT", "840", "", " USD"]
LISTS = ["sms|email", "sms", "", "email|sms|email", "sms||email", "|", "sms |email", "fax", "SMS", "push|wechat|voice"]
TIMES = ["18:45", "", "24:00", "9:00", "09:00:00", "6pm", "0\uff19:00"]
POINTS = [
    "+12015550100",
    "001 (201) 555-0100",
    "+442079460000",
    "Ann@Example.com",
    "ann@example.com",
    "",
    "not a phone",
    "a\nb",
    *("x" * length for length in (40, 41, 129, 321)),
]
PLACES = ["US-NY", "America/New_York", "", "Mars/Olympus", "*US", "U#S", "US NY", "US-NY-12345", "en-US", "x" * 65]
text = st.text(max_size=8)
COLUMNS: dict[str, Sequence[str]] = {
    **dict.fromkeys(("borrower_id", "loan_id"), IDS),
    **dict.fromkeys(("name", "phone", "email", "wechat_openid"), POINTS),
    **dict.fromkeys(("locale", "time_zone", "jurisdiction"), PLACES),
    **dict.fromkeys(("channels", "consent"), LISTS),
    **dict.fromkeys(("installment_no", "grace_days"), NUMBERS),
    "preferred_time": TIMES,
    "due_date": DATES,
    "amount": AMOUNTS,
    "currency": CURRENCIES,
}
WELL = {name: values[0] for name, values in COLUMNS.items()}


def cells(columns: Sequence[str]) -> st.SearchStrategy[dict[str, str]]:
    """A good row but for one or two cells."""
    spoilt = st.sampled_from(columns).flatmap(
        lambda name: st.tuples(st.just(name), st.sampled_from(COLUMNS[name]) | text)
    )
    well = {name: WELL[name] for name in columns}
    return st.lists(spoilt, min_size=1, max_size=2).map(lambda changes: well | dict(changes))


def table(columns: Sequence[str], row: Mapping[str, str]) -> str:
    made = io.StringIO()
    writer = csv.DictWriter(made, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    return made.getvalue()


def read_as(row: Mapping[str, str]) -> dict[str, str]:
    """What the cells of a row say: the white space around them nothing, and a contact point the same however it is
    written.
    """
    return contact_point.canonical({name: value.strip() for name, value in row.items()})


def said(event: Event) -> dict[str, Any]:
    """What an event says, apart from its name and its arrival."""
    return {name: value for name, value in event.body().items() if name not in ("event_id", "at")}


def of(told: Delivery) -> Verdict:
    """The verdict on a single message, as a webhook and the bus find it."""
    try:
        (event,) = events_of(told.messages[0], told.source, {}, lambda _loan_id: {})
    except InvalidEvent:
        return None
    return said(event)


def by_webhook(body: Any) -> Verdict:
    return of(delivery(json.dumps(body), CORE, {}))


def by_bus(body: Any) -> Verdict:
    event = {"source": "lender.core", "detail-type": body.get("type"), "detail": body}
    try:
        return of(bus_event.read(json.dumps(event), [CORE]))
    except InvalidEvent:
        return None


def by_import(name: str, content: str) -> tuple[Verdict, str]:
    """What reading a file of one row makes of it: its verdict and its status."""
    with tempfile.TemporaryDirectory() as folder:
        depot = Depot(Path(folder), World(), source=CORE)
        state, _ = depot.files.load(depot.put(name, content)) or (None, "")
        assert state is not None
        *_, state = file_reading.reading(state, depot.services())
        assert state.rows == 1
        if not state.chunks:
            return None, ""
        ((_, event, status),) = Chunked.read(depot.files.get(state.work("chunk-000000")))
        return said(event), status


def by_run(borrowers: str = "", installments: str = "", events: str = "") -> tuple[Verdict, str]:
    """What a run's portfolio makes of its last file's only row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "b.csv").write_bytes((borrowers or ",".join(BORROWER_COLUMNS)).encode())
        (folder / "i.csv").write_bytes((installments or ",".join(INSTALLMENT_COLUMNS)).encode())
        (folder / "e.jsonl").write_bytes(events.encode())
        known = read_portfolio(folder / "b.csv", folder / "i.csv", folder / "e.jsonl")
    status = "open"
    found: list[Event] = [row.event for row in known.events]
    if installments:
        found, status = [event for event, _ in known.installments], "".join(how for _, how in known.installments)
    elif borrowers:
        found = list(known.borrowers)
    return (said(found[0]), status) if found else (None, "")


def test_the_rows_that_others_are_spoilt_from_are_good() -> None:
    assert by_webhook({"type": "borrower.updated", **FRAME} | WELL)
    assert by_webhook({"type": "installment.scheduled", **FRAME} | WELL)


@settings(max_examples=250, deadline=None)
@given(cells(BORROWER_COLUMNS))
def test_a_borrowers_row_has_the_verdict_of_the_webhook(row: dict[str, str]) -> None:
    verdict = by_webhook(FRAME | {"type": "borrower.updated", "sequence": 0} | read_as(row))
    status = "open" if verdict else ""
    content = table(BORROWER_COLUMNS, row)
    assert by_import("b.csv", content) == (verdict, status)
    assert by_run(borrowers=content) == (verdict, status)


@settings(max_examples=350, deadline=None)
@given(
    cells([name for name in INSTALLMENT_COLUMNS if name != "status"]), st.sampled_from(["open", "paid", "cancelled"])
)
def test_an_installments_row_has_the_verdict_of_the_webhook(row: dict[str, str], status: str) -> None:
    verdict = by_webhook(FRAME | {"type": "installment.scheduled", "sequence": 0} | read_as(row))
    status = status if verdict else ""
    content = table(INSTALLMENT_COLUMNS, row | {"status": status or "open"})
    assert by_import("i.csv", content) == (verdict, status)
    owner = table(BORROWER_COLUMNS, {"borrower_id": row["borrower_id"]})
    assert by_run(owner, content) == (verdict, status)


KINDS = [kind.model_fields["type"].annotation.__args__[0] for kind in get_args(Event)]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
FIELDS = [*WELL, *FRAME, "reason", "channel", "note"]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A good event of some type but for some of its fields."""
    kind = draw(st.sampled_from(KINDS))
    about = WELL | {"type": kind, "channel": "sms", "reason": "hardship"} | FRAME
    for name in draw(st.lists(st.sampled_from([*FIELDS, "type"]), max_size=2)):
        cell = st.sampled_from(COLUMNS.get(name, IDS))
        value = draw(cell | ANY | st.sampled_from([7, 7.0, "007", 1.5, True, 2**53, ["sms", "sms"]]) | st.just(...))
        about = {key: one for key, one in about.items() if key != name} | ({} if value is ... else {name: value})
    return about | {"at": AT}


@settings(max_examples=500, deadline=None)
@given(bodies())
def test_an_event_has_one_verdict_by_webhook_bus_import_and_run(body: dict[str, Any]) -> None:
    verdict = by_webhook(body)
    assert by_bus(body) == verdict
    assert by_import("e.jsonl", json.dumps(body))[0] == verdict
    if body.get("source", "core") == "core":
        assert by_run(events=json.dumps(body))[0] == verdict


@settings(max_examples=300, deadline=None)
@given(bodies())
def test_what_is_stored_of_an_event_reads_as_the_very_event(body: dict[str, Any]) -> None:
    try:
        event = read_event(body)
    except InvalidEvent:
        return
    stored = json.loads(json.dumps(event.body()))
    assert read_event(stored) == event
    assert (read_event(stored).body(), read_event(stored).digest) == (event.body(), event.digest)
