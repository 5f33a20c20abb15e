import json
from pathlib import Path
from typing import Any

import pytest

from predue.connectors import Reading, read
from predue.connectors.mapping import read_mapping
from predue.errors import BadPolicy, InvalidEvent
from tests.unit.connectors.messages import Lender, bodies, but, source

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLE = (DOCS / "mapping.example.toml").read_text(encoding="utf-8")
OPENED = json.loads((DOCS / "mapping.example.json").read_text(encoding="utf-8"))
PAYMENT = {
    "messageId": "m-2",
    "kind": "PAYMENT",
    "sentAt": "2026-12-02T09:00:00Z",
    "loan": {"number": "L-77", "currency": "EUR"},
    "payment": {"state": "BOOKED", "installment": 1, "amountInCents": 12550},
}
STOP = {
    "messageId": "m-3",
    "kind": "CONTACT_STOP",
    "sentAt": "2026-12-02T09:00:00Z",
    "customer": {"id": 4711},
    "medium": "TEXT",
}


def mapped(told: Any, mapping: str = EXAMPLE) -> Reading:
    return read("mapping", told, source(mapping=mapping))


def rule(*lines: str, kind: str = "installment.paid", head: str = "") -> str:
    """A mapping of one rule whose fields are all there, with more lines after them."""
    fields = [
        'event_id = "id"',
        "sequence = { constant = 1 }",
        'loan_id = "loan"',
        'installment_no = "no"',
        'amount = "sum"',
    ]
    return "\n".join(["[[rules]]", f'type = "{kind}"', head, "[rules.fields]", *fields, *lines])


STATED = {"id": "e", "loan": "L-1", "no": 1, "sum": 12.5}


def test_the_example_makes_an_event_of_each_installment() -> None:
    first, second = bodies(mapped(OPENED))
    assert first == {
        "type": "installment.scheduled",
        "source": "core",
        "event_id": "m-1001/1",
        "sequence": 1796112000000,
        "loan_id": "L-77",
        "borrower_id": "4711",
        "installment_no": 1,
        "due_date": "2026-12-15",
        "currency": "EUR",
        "amount": "125.5",
    }
    assert second["event_id"] == "m-1001/2"


def test_the_example_connects_a_system_from_due_to_paid_and_stopped() -> None:
    one = Lender("mapping", "4711", mapping=EXAMPLE)
    one.tell(OPENED)
    one.tell(PAYMENT)
    one.tell(PAYMENT)
    one.tell(STOP)
    assert one.owed("L-77") == {2: ("2027-01-15", "125.50")}
    assert one.world.ledger("4711").opted_out("sms")


def test_a_message_that_fits_no_rule_is_ignored() -> None:
    assert mapped({"kind": "OTHER"}).ignored == ("no rule",)
    assert mapped(but(PAYMENT, payment__state="PENDING")).ignored == ("no rule",)


def test_true_is_not_one() -> None:
    text = rule(head='when = { "flag" = 1 }')
    assert mapped({**STATED, "flag": True}, text).ignored == ("no rule",)
    assert mapped({**STATED, "flag": 1}, text).events


def test_an_empty_list_becomes_no_event() -> None:
    assert mapped(but(OPENED, loan__schedule=[])) == Reading()
    assert mapped(but(OPENED, loan__schedule=None)) == Reading()


@pytest.mark.parametrize(
    ("field", "told", "value"),
    [
        ('{ path = "x" }', "a", "a"),
        ('{ constant = "k" }', "a", "k"),
        ('{ path = "x", transform = "lower" }', "ABC", "abc"),
        ('{ path = "x", map = { "1" = "one" } }', 1, "one"),
        ('{ path = "x", map = { true = "yes" } }', True, "yes"),
        ('{ concat = ["x", { constant = "z" }], separator = "-" }', 5, "5-z"),
        ('"x[0].y"', [{"y": "deep"}], "deep"),
    ],
)
def test_a_value_comes_by_path_constant_or_transform(field: str, told: Any, value: str) -> None:
    (event,) = mapped({**STATED, "x": told}, rule(f"borrower_id = {field}")).events
    assert event.borrower_id == value


ZONED = '{ path = "x", transform = "date", zone = "Europe/Berlin" }'


@pytest.mark.parametrize(
    ("stored", "day"),
    [
        ("2026-12-14T23:00:00Z", "2026-12-15"),
        ("2026-06-14T22:00:00+00:00", "2026-06-15"),
        ("2026-06-14T22:00:00.000Z", "2026-06-15"),
        ("2026-06-15", "2026-06-15"),
        ("2026-06-15T00:00:00", "2026-06-15"),
    ],
)
def test_a_local_midnight_that_is_stored_in_utc_is_its_local_day(stored: str, day: str) -> None:
    told = mapped({**STATED, "x": stored}, rule(f"due_date = {ZONED}", kind="installment.rescheduled"))
    assert [event["due_date"] for event in bodies(told)] == [day]


def test_without_a_zone_such_a_day_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="due_date: is a time in UTC"):
        mapped(
            {**STATED, "x": "2026-12-14T23:00:00Z"},
            rule('due_date = { path = "x", transform = "date" }', kind="installment.rescheduled"),
        )


@pytest.mark.parametrize(
    "wrong", ['{ path = "x", transform = "date", zone = "Berlin" }', '{ path = "x", zone = "Europe/Berlin" }']
)
def test_a_zone_is_one_of_ianas_and_for_dates(wrong: str) -> None:
    with pytest.raises(BadPolicy, match="zone"):
        mapped({**STATED, "x": "2026-06-15"}, rule(f"due_date = {wrong}", kind="installment.rescheduled"))


@pytest.mark.parametrize(
    ("minor", "currency", "major"), [(1250, "USD", "12.5"), (1250, "JPY", "1250"), (1250, "KWD", "1.25")]
)
def test_minor_units_are_those_of_the_events_currency(minor: int, currency: str, major: str) -> None:
    text = rule('currency = "currency"').replace(
        'amount = "sum"', 'amount = { path = "sum", transform = "minor_units" }'
    )
    assert bodies(mapped({**STATED, "sum": minor, "currency": currency}, text))[0]["amount"] == major


@pytest.mark.parametrize(
    ("told", "changes", "names"),
    [
        (OPENED, {"messageId": None}, "event_id"),
        (OPENED, {"sentAt": "today"}, "sequence"),
        (OPENED, {"loan__schedule": {"number": 1}}, "each"),
        (OPENED, {"loan__schedule": ["secret"]}, "event_id"),
        (OPENED, {"loan__schedule__1__number": 1}, "event_id"),
        (OPENED, {"loan__schedule__0__dueAt": "15.12.2026"}, "due_date"),
        (OPENED, {"loan__schedule__0__amountInCents": 1.5}, "amount"),
        (OPENED, {"loan__currency": None}, "currency"),
        (STOP, {"medium": "secret"}, "channel"),
        (STOP, {"medium": ["secret"]}, "channel"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(told: Any, changes: dict[str, Any], names: str) -> None:
    with pytest.raises(InvalidEvent, match=names) as caught:
        mapped(but(told, **changes))
    assert "secret" not in str(caught.value)


def test_a_path_that_does_not_fit_what_stands_there_is_named() -> None:
    with pytest.raises(InvalidEvent, match="borrower_id"):
        mapped(STATED, rule('borrower_id = "length(no)"'))


@pytest.mark.parametrize("told", [None, [], "x", 1])
def test_only_an_object_is_mapped(told: Any) -> None:
    with pytest.raises(InvalidEvent, match="message"):
        mapped(told)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules = [", "no TOML"),
        ("", "rules: Field required"),
        ("rules = []", "rules"),
        (rule("color = 'x'"), "no field 'color'"),
        (rule("type = 'x'"), "no field 'type'"),
        (rule(kind="installment.forgotten"), "line 2"),
        (rule(head='whenn = { "a" = 1 }'), "line 3: rules.0.whenn"),
        (rule(head='each = "a["'), "line 3: rules.0.each"),
        (rule(head='when = { "a[" = 1 }'), "no JMESPath"),
        (rule('borrower_id = { path = "a", constant = "b" }'), "line 10"),
        (rule("borrower_id = {}"), "exactly one"),
        (rule('borrower_id = { path = "a", transform = "eval" }'), "line 10"),
        (rule('borrower_id = { pathh = "a" }'), "line 10"),
        (rule(f'borrower_id = "{"a" * 401}"'), "at most 400"),
        (
            EXAMPLE.replace('"installment.paid"', '"installment.payd"'),
            f"line {EXAMPLE[: EXAMPLE.index('installment.paid')].count(chr(10)) + 1}",
        ),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_with_key_and_line(text: str, says: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        read_mapping(text)
    assert says in str(caught.value)
