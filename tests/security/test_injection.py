import re
import unicodedata
from datetime import date, timedelta
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from predue.domain.money import Money
from predue.errors import TextMissing
from predue.messages.render import Lender, ReminderItem, RenderedMessage, render

TODAY = date(2026, 12, 2)
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
LETTERS = st.one_of(
    st.characters(),
    st.sampled_from(sorted(BIDI)),
    st.sampled_from("\r\n\0\u200b\u2028\u2029{}<>&'\".$%\\:/@ a\u0431م王"),
)
NAMES = st.text(LETTERS, max_size=80) | st.from_regex(r"(\w+\.)+(com|cn|рф)|https?://\w+|\{\{\w+\}\}", fullmatch=True)


def message(channel: str, name: str = "", locale: str = "en-US", **values: str) -> RenderedMessage:
    one = ReminderItem(values.get("loan", "LN-4471"), 1, TODAY + timedelta(days=3), Money(123456, "USD"), "T-3")
    lender = Lender(values.get("lender", "Example Credit Union"), values.get("phone", "(201) 555-0100"))
    reference = values.get("reference", "ref7abc")
    return render(
        channel,
        locale,
        [one],
        name=name,
        lender=lender,
        reference=reference,
        unsubscribe_url="https://e.example/u",
        today=TODAY,
    )


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, object]] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.words += data


def greeting(email: RenderedMessage) -> str:
    return email.body.partition("\n\n")[0]


@given(NAMES, st.sampled_from(["en-US", "es-US", "zh-CN"]))
@example("{{7*7}}", "en-US")
@example("{{reference}}", "en-US")
@example("$amount ${amount} %(amount)s {0.__class__}", "en-US")
@example("Ana\r\nBcc: eve@example.com", "en-US")
@example("a" * 10_000, "en-US")
def test_a_name_changes_nothing_but_the_greeting(name: str, locale: str) -> None:
    named, nameless = message("email", name, locale), message("email", "", locale)
    assert named.body.partition("\n\n")[2] == nameless.body.partition("\n\n")[2]
    assert (named.subject, named.text_version) == (nameless.subject, nameless.text_version)
    assert message("sms", name, locale) == message("sms", "", locale)
    assert len(greeting(named)) < 60


@given(NAMES)
@example("<script>alert(1)</script>")
@example("Ana' onclick='x")
@example("&lt;b&gt;")
@example("<!--")
def test_a_name_adds_no_tag_to_the_page(name: str) -> None:
    named, nameless = Tags(message("email", name).html), Tags(message("email").html)
    assert named.tags == nameless.tags
    assert greeting(message("email", name)) in named.words


@given(NAMES)
@example("Ana\u202egnp.exe")
@example("\u2066Ana\u2069\u200b\ufeff")
@example("Ana\u3164")
@example("Ana\u1160\uffa0")
@example("Ana\u2800")
@example("Ana\ufe0f\U000e0100")
def test_a_name_brings_no_unseen_character_into_a_message(name: str) -> None:
    email = message("email", name)
    for text in (email.body, email.subject, email.html):
        assert not BIDI & set(text)
        assert all(character == "\n" or unicodedata.category(character)[0] != "C" for character in text)
        assert not set(text) & set("\u2028\u2029\u115f\u1160\u3164\uffa0\u2800\ufe0f\U000e0100")


@given(NAMES)
@example("Ana evil.com")
@example("www.evil.example")
@example("https://evil.example/x")
@example("eve@evil.example")
@example("Call +1 900 555 0199")
@example("Call 900 555 0199")
@example("evil。com")
@example("evil\u200b.com")
@example("evil.\u202ecom")
@example("例子.中国")
@example("bit.ly/x")
@example("j.r.evil.com")
def test_a_name_brings_no_link_and_no_telephone_number_into_a_message(name: str) -> None:
    said = unicodedata.normalize("NFKC", greeting(message("email", name)))
    assert not re.search(r"://|www\.|@|\w[.。]\w{2,}|/", said)
    assert sum(character.isdecimal() for character in said) <= 4


@pytest.mark.parametrize(
    "name",
    [
        "{{7*7}}",
        "{{ name }}",
        "{% if x %}",
        "Ana{{",
        "}}",
        "${jndi}",
        "<b>Ana</b>",
        "Ana; DROP",
        "evil.com",
        "12345678",
        "Ana 900 555 0199",
        "007",
        "...",
        "\u0301Ana",
        "",
    ],
)
def test_what_is_not_plainly_a_name_gets_a_greeting_without_one(name: str) -> None:
    assert greeting(message("email", name)) == "Hello,"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        *[
            ("Ana López", "Ana López"),
            ("O'Brien", "O'Brien"),
            ("D\u2019Angelo", "D\u2019Angelo"),
            ("J.R. Smith", "J.R. Smith"),
        ],
        *[
            ("Jean-Luc St. John", "Jean-Luc St. John"),
            ("王芳", "王芳"),
            ("محمد علي", "محمد علي"),
            ("अनिता शर्मा", "अनिता शर्मा"),
        ],
        *[
            ("Ann & Bob Lee", "Ann & Bob Lee"),
            ("Li Wei (李伟)", "Li Wei (李伟)"),
            ("Henry 3rd", "Henry 3rd"),
            ("María del Mar", "María del Mar"),
        ],
        *[("  Ana \t López\r\n", "Ana López"), ("A\u200bn\u202ea", "Ana"), ("Jose\u0301", "José")],
        *[(" ".join(["Maria"] * 20), " ".join(["Maria"] * 6)), ("a" * 99, "a" * 40)],
    ],
)
def test_a_plain_name_of_any_script_is_greeted(name: str, shown: str) -> None:
    assert greeting(message("email", name)) == f"Hello {shown},"


def test_a_name_that_html_knows_better_is_escaped_once() -> None:
    assert "<p>Hello Ann &amp; Bob O&#x27;Lee,</p>" in message("email", "Ann & Bob O'Lee").html


@given(
    LETTERS.flatmap(lambda letter: st.text(LETTERS).map(lambda rest: letter + rest)),
    st.sampled_from(["lender", "phone", "reference", "loan"]),
)
@example("{{amount}}", "lender")
@example("A\r\nBcc: eve@example.com", "lender")
@example("<img src=x>", "reference")
@example("</title><img src=x>", "lender")
def test_no_other_value_is_read_as_a_text_a_header_or_a_tag(value: str, which: str) -> None:
    try:
        email = message("email", **{which: value})
    except TextMissing as error:
        told = str(error)
    else:
        _has_the_usual_shape(email)
        return
    assert len(value) < 5 or value not in told


def _has_the_usual_shape(email: RenderedMessage) -> None:
    assert len(email.subject.splitlines()) == 1
    assert not BIDI & set(email.body + email.subject)
    assert not set("{}") & set(email.body + email.subject + email.html)
    assert Tags(email.html).tags == Tags(message("email").html).tags
    mail = EmailMessage()
    mail["Subject"] = email.subject
    assert mail.keys() == ["Subject"]


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_a_loan_id_shows_at_most_its_last_four_letters_or_digits(loan: str) -> None:
    shown = re.compile(r"on loan ending (.*) is due in 3 days")
    try:
        found = shown.search(message("sms", loan=loan).body)
    except TextMissing:
        assert not any(character.isalnum() for character in loan)
        return
    assert found
    assert len(found[1]) <= 4
    assert "".join(character for character in loan if character.isalnum()).endswith(found[1])
