import re
from datetime import date, timedelta
from typing import Any

import pytest
from babel.numbers import parse_decimal
from hypothesis import given
from hypothesis import strategies as st

from predue.domain.money import Money, exponent
from predue.domain.record import most_urgent
from predue.domain.stage import Stage, StageKey
from predue.errors import TextMissing
from predue.messages.encoding import measure
from predue.messages.render import Lender, ReminderItem, RenderedMessage, locale_for, render

TODAY = date(2026, 12, 2)
LENDER = Lender("Example Credit Union", "(201) 555-0100")
LOCALES = ("en-US", "es-US", "zh-CN")
STAGES = ("T-7", "T-3", "T-1", "T0", "T+1")
URL = "https://remind.example.com/u/abc123"


def line(stage: str = "T-3", minor: int = 123456, currency: str = "USD", **changes: Any) -> ReminderItem:
    due_date = TODAY - timedelta(days=Stage.named(stage).offset)
    usual: dict[str, Any] = {"loan_id": "LN-20004471", "installment_no": 3, "due_date": due_date}
    return ReminderItem(**usual | changes, owed=Money(minor, currency), stage=stage)


def message(channel: str, locale: str, *lines: ReminderItem, **changes: Any) -> RenderedMessage:
    usual: dict[str, Any] = {
        "name": "Ana López",
        "lender": LENDER,
        "reference": "ref7abc",
        "unsubscribe_url": URL,
        "today": TODAY,
    }
    return render(channel, locale, lines or (line(),), **usual | changes)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("channel", ["sms", "email"])
def test_every_reminder_names_lender_amount_date_and_the_end_of_the_loan_id(
    channel: str, stage: str, locale: str
) -> None:
    body = message(channel, locale, line(stage)).body
    due = line(stage).due_date
    assert LENDER.name in body
    assert "1,234.56" in body
    assert re.search(r"(?<!\w)4471|尾号4471", body)
    assert "20004471" not in body
    assert str(due.day) in body
    assert "{" not in body


def test_an_english_sms_reads_as_one_plain_sentence_with_help_and_stop() -> None:
    sms = message("sms", "en-US")
    assert sms.body == (
        "Example Credit Union: your payment of $1,234.56 on loan ending 4471 is due in 3 days, Sat, Dec 5. "
        "Help: call (201) 555-0100. Reply STOP to opt out."
    )
    assert (sms.subject, sms.html, sms.encoding, sms.segments) == ("", "", "GSM-7", 1)


def test_an_email_has_subject_reference_unsubscribe_link_and_how_to_tell_that_it_is_genuine() -> None:
    email = message("email", "en-US", line("T-1"))
    assert email.subject == "Your Example Credit Union payment is due tomorrow, Thursday, December 3, 2026"
    assert email.body.startswith("Hello Ana López,\n\n")
    for part in (URL, "ref7abc", "never ask for passwords or card numbers", "number on your contract", "installment 3"):
        assert part in email.body
    assert f'<a href="{URL}">{URL}</a>' in email.html
    assert (email.segments, email.encoding) == (0, "")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("stage", STAGES)
@given(
    minor=st.integers(1, 9_999_999),
    due=st.dates(date(2026, 1, 8), date(2035, 12, 1)),
    lender=st.sampled_from([LENDER, Lender(LENDER.name)]),
)
def test_an_sms_about_one_installment_is_one_gsm_segment_or_two_in_chinese(
    stage: str, locale: str, minor: int, due: date, lender: Lender
) -> None:
    one = line(stage, minor, due_date=due)
    sms = message("sms", locale, one, lender=lender, today=Stage.named(stage).day(due))
    assert (sms.encoding, sms.segments) == ({"zh-CN": "UCS-2"}.get(locale, "GSM-7"), {"zh-CN": 2}.get(locale, 1))
    size = measure(sms.body)
    assert (size.encoding, size.segments) == (sms.encoding, sms.segments)


@pytest.mark.parametrize("locale", LOCALES)
def test_an_sms_tells_how_to_stop_and_how_to_get_help_without_any_link(locale: str) -> None:
    for stage in STAGES:
        for lender, way in (
            (LENDER, LENDER.phone),
            (Lender("L"), {"en-US": "HELP", "es-US": "AYUDA", "zh-CN": "帮助"}[locale]),
        ):
            body = message("sms", locale, line(stage), lender=lender).body
            assert way in body
            assert {"zh-CN": "退订"}.get(locale, "STOP") in body
            assert "://" not in body


@pytest.mark.parametrize(
    ("stage", "due", "words"),
    [
        ("T-1", TODAY + timedelta(days=1), "is due tomorrow, Thu, Dec 3"),
        ("T-1", TODAY + timedelta(days=3), "is due in 3 days, Sat, Dec 5"),
        ("T0", TODAY, "is due today, Wed, Dec 2"),
        ("T0", TODAY - timedelta(days=2), "was due 2 days ago, Mon, Nov 30"),
        ("T+1", TODAY - timedelta(days=1), "was due yesterday, Tue, Dec 1"),
        ("T+1", TODAY, "is due today, Wed, Dec 2"),
    ],
)
def test_the_words_agree_with_the_calendar_even_if_the_stage_was_moved(stage: str, due: date, words: str) -> None:
    assert words in message("sms", "en-US", line(stage, due_date=due)).body


@pytest.mark.parametrize(
    ("stage", "section"), [("T-5", "before"), ("T-30", "before"), ("T+2", "after"), ("T-3", "T-3")]
)
def test_a_stage_without_words_of_its_own_takes_the_general_ones(stage: str, section: str) -> None:
    for channel in ("sms", "email"):
        for locale in LOCALES:
            assert re.fullmatch(
                rf"{locale}/{channel}/{re.escape(section)}@[0-9a-f]{{8}}",
                message(channel, locale, line(stage)).text_version,
            )


def test_the_version_names_the_words_and_nothing_else() -> None:
    versions = {message("email", locale, line(stage)).text_version for locale in LOCALES for stage in STAGES}
    assert len(versions) == 15
    changed = message("email", "en-US", line(minor=1), name="Bo", reference="x").text_version
    assert changed == message("email", "en-US").text_version


def test_a_digest_lists_each_installment_by_date_in_the_words_of_the_most_urgent() -> None:
    lines = [line("T-3"), line("T+1", 500, "EUR", loan_id="B-9001"), line("T0", 70000, "JPY", loan_id="C-77")]
    sms = message("sms", "en-US", *lines)
    assert sms.text_version.startswith("en-US/sms/T+1@")
    assert sms.body.startswith(
        "Example Credit Union: you have 3 open payments: EUR 5.00 on Tue, Dec 1 (loan ending 9001); "
        "JPY 70,000 on Wed, Dec 2 (loan ending C77); $1,234.56 on Sat, Dec 5 (loan ending 4471)."
    )


@given(st.permutations([line("T-3"), line("T-1", loan_id="B1"), line("T-1", loan_id="B2"), line("T-7", loan_id="D")]))
def test_a_digest_is_the_same_in_whatever_order_its_installments_come(lines: list[ReminderItem]) -> None:
    assert message("email", "es-US", *lines) == message("email", "es-US", *lines[::-1])


def test_words_and_reminder_id_follow_the_same_most_urgent_installment() -> None:
    lines = [line("T-1", loan_id=loan) for loan in "BDAC"] + [line("T-3", loan_id="Z")]
    keys = [StageKey(each.loan_id, each.installment_no, each.due_date, each.stage) for each in lines]
    assert f"/{most_urgent(keys).stage}@" in message("sms", "en-US", *lines).text_version


def test_a_long_digest_says_in_an_sms_how_many_it_leaves_out_and_lists_all_in_an_email() -> None:
    lines = [line("T-3", loan_id=f"LOAN{number}") for number in range(1000, 1012)]
    assert "(loan ending 1004); and 7 more." in message("sms", "en-US", *lines).body
    assert all(f"loan ending in {number}" in message("email", "en-US", *lines).body for number in range(1000, 1012))


@pytest.mark.parametrize(
    ("locale", "currency", "minor", "written"),
    [
        ("en-US", "USD", 123450, "$1,234.50"),
        ("en-US", "CAD", 123450, "CAD 1,234.50"),
        ("en-CA", "USD", 123450, "USD 1,234.50"),
        ("en", "USD", 123450, "USD 1,234.50"),
        ("es-MX", "MXN", 123450, "MXN 1,234.50"),
        ("es-MX", "USD", 123450, "USD 1,234.50"),
        ("es-ES", "EUR", 1234567, "EUR 12.345,67"),
        ("en-IN", "INR", 123456750, "INR 12,34,567.50"),
        ("en-ZA", "ZAR", 123456750, "ZAR 1 234 567,50"),
        ("zh-CN", "CNY", 100, "¥1.00"),
        ("zh-CN", "JPY", 1234567, "JPY 1,234,567"),
        ("zh-SG", "SGD", 5, "SGD 0.05"),
        ("en-US", "JPY", 1234567, "JPY 1,234,567"),
        ("en-US", "KWD", 1234567, "KWD 1,234.567"),
        ("en-US", "CLF", 1, "CLF 0.0001"),
        ("en-US-u-co-phonebk", "USD", 1, "$0.01"),
        ("es-u-co-trad", "USD", 123450, "USD 1,234.50"),
    ],
)
def test_an_amount_is_exact_and_its_currency_can_mean_nothing_else(
    locale: str, currency: str, minor: int, written: str
) -> None:
    body = message("sms", locale, line(minor=minor, currency=currency)).body
    assert re.search(rf"(?<![\w$¥.,]){re.escape(written)}(?![\d.,]*\d)", body) or f"还款{written}\uff0c" in body


@given(
    st.integers(1, 10**19),
    st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF", "INR"]),
    st.sampled_from(["en-US", "en-IN", "es-ES", "zh-CN"]),
)
def test_an_amount_keeps_every_digit(minor: int, currency: str, locale: str) -> None:
    body = message("sms", locale, line(minor=minor, currency=currency)).body
    found = re.search(r"(?:[A-Z]{3} |[$¥])(\d[\d.,]*\d|\d)", body)
    assert found
    assert parse_decimal(found[1], locale=locale.replace("-", "_")).scaleb(exponent(currency)) == minor


def test_an_sms_holds_no_hard_space_that_would_double_its_price() -> None:
    for locale in ("en-ZA", "en-CH", "es-ES", "en-SE", "es-CR"):
        sms = message("sms", locale, line(minor=123456789, currency="ZAR"))
        assert sms.encoding == "GSM-7"


@pytest.mark.parametrize(
    ("asked", "locale"),
    [
        *[
            ("en-US", "en-US"),
            ("EN_us", "en-US"),
            ("en-GB", "en-US"),
            ("en", "en-US"),
            ("es-MX", "es-US"),
            ("es-419", "es-US"),
        ],
        *[("zh-CN", "zh-CN"), ("zh", "zh-CN"), ("zh-Hans-SG", "zh-CN"), ("zh-Hans-TW", "zh-CN"), ("zh-SG", "zh-CN")],
        *[("zh-TW", "en-US"), ("zh-Hant", "en-US"), ("zh-Hant-CN", "en-US"), ("zh-HK", "en-US"), ("zh_MO", "en-US")],
        *[
            ("fr-FR", "en-US"),
            ("", "en-US"),
            ("-", "en-US"),
            ("../../etc", "en-US"),
            ("en_US.UTF-8", "en-US"),
            ("x" * 9999, "en-US"),
        ],
    ],
)
def test_the_nearest_locale_of_the_texts_is_taken(asked: str, locale: str) -> None:
    assert locale_for(asked) == locale
    assert message("sms", asked).locale == locale


@given(st.text())
def test_a_malformed_locale_is_no_reason_not_to_write(asked: str) -> None:
    assert message("email", asked).locale in LOCALES


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lender": Lender("")}, r"texts/en-US/email.toml: .* needs \{\{lender\}\}"),
        ({"lender": Lender("\u202e\u200b \n")}, r"needs \{\{lender\}\}"),
        ({"reference": ""}, r"frame needs \{\{reference\}\}"),
        ({"unsubscribe_url": ""}, r"frame needs \{\{unsubscribe_url\}\}"),
        ({"unsubscribe_url": "javascript:alert(1)"}, r"frame needs \{\{unsubscribe_url\}\}"),
        ({"unsubscribe_url": 'https://e.example/"onclick='}, r"frame needs \{\{unsubscribe_url\}\}"),
    ],
)
def test_a_value_that_the_text_needs_must_not_be_empty(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(TextMissing, match=told):
        message("email", "en-US", **changes)


@pytest.mark.parametrize(
    "bad", [line(minor=0), line(minor=-5), line(currency=""), line(currency="usd"), line(loan_id="--")]
)
def test_nothing_is_written_about_a_loan_without_a_tail_or_a_payment_of_nothing(bad: ReminderItem) -> None:
    with pytest.raises(TextMissing):
        message("sms", "en-US", bad)
    with pytest.raises(TextMissing):
        message("sms", "en-US", line(), bad)


def test_a_reminder_needs_an_installment() -> None:
    with pytest.raises(TextMissing, match="sms reminder without an installment"):
        render("sms", "en-US", [], name="", lender=LENDER, reference="r", today=TODAY)


@pytest.mark.parametrize("channel", ["push", "fax", "../en-US/sms", ""])
def test_a_channel_without_texts_is_an_error_that_no_retry_can_mend(channel: str) -> None:
    with pytest.raises(TextMissing) as caught:
        message(channel, "en-US")
    assert caught.value.retry is False
