import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from predue.domain.contact_point import email, openid, phone


@pytest.mark.parametrize("area", ["201", "212", "305", "312", "415", "512", "617", "702", "808", "907"])
def test_the_fictitious_numbers_of_test_data_are_taken(area: str) -> None:
    assert [phone(f"+1{area}55501{last:02}") for last in range(100)] == [
        f"+1{area}55501{last:02}" for last in range(100)
    ]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("+1 (201) 555-0100", "+12015550100"),
        (" +86 138 0013 8000 ", "+8613800138000"),
        ("+44 7911 123456", "+447911123456"),
        ("+91 98765-43210", "+919876543210"),
        ("+52 55 1234 5678", "+525512345678"),
        ("001 201 555 0100", "+12015550100"),
        ("0044 (0)7400 123456", "+447400123456"),
        ("+44 (0)7400 123456", "+447400123456"),
        ("+44 07400 123456", "+447400123456"),
        ("+44\u00a07400\u202f123456", "+447400123456"),
        ("+44\u20117400\u2013123456", "+447400123456"),
        ("\uff0b\uff18\uff16\uff11\uff13\uff18\uff10\uff10\uff11\uff13\uff18\uff10\uff10\uff10", "+8613800138000"),
        ("\u202a+12015550100\u202c", "+12015550100"),
        ("'+12015550100", "+12015550100"),
        ("+49 171/2345678", "+491712345678"),
        ("+39 (0)6 12345678", "+390612345678"),
    ],
)
def test_a_phone_number_is_brought_into_e164(written: str, canonical: str) -> None:
    assert phone(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        "2015550100",
        "+1201555010",
        "+120155501000",
        "+10005550100",
        "+9990000000",
        "07400 123456",
        "12015550100",
        "1.20156E+10",
        "12015550100.0",
        "=+12015550100",
        "+12015550100 ext 5",
        "+12015550100/+12015550101",
        "+49 171 2345678/9",
        "n/a",
        "+1800FLOWERS",
        "+12015550100;ext=5",
        "+12015550100x5",
        "+1201555\n0100",
        "+12015550100\u202e",
        "+١٢٠١٥٥٥٠١٠٠",
        "tel:+12015550100",
        "+1" * 200,
    ],
)
def test_what_is_no_dialable_international_number_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"^phone number"):
        phone(written)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("ana@example.com", "ana@example.com"),
        (" Ana.Lopez+loan@Example.COM\n", "ana.lopez+loan@example.com"),
        ("\u200bana\uff20example.com\u00a0", "ana@example.com"),
        ("ana@stra\u00dfe.de", "ana@xn--strae-oqa.de"),
        ("ana@\u03b2\u03cc\u03bb\u03bf\u03c2.com", "ana@xn--nxasmm1c.com"),
        ("o'brien@mail.example.co.uk", "o'brien@mail.example.co.uk"),
        ("li@例子.中国", "li@xn--fsqu00a.xn--fiqs8s"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
    ],
)
def test_an_email_address_is_folded_to_lower_case_and_gets_an_ascii_domain(written: str, canonical: str) -> None:
    assert email(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ana",
        "ana@",
        "@example.com",
        "ana@localhost",
        "ana@example.",
        "ana@.example.com",
        "ana@exa mple.com",
        "ana@example.com\r\nBcc: eve@example.com",
        "ana@example.com, eve@example.com",
        "Ana <ana@example.com>",
        '"ana eve"@example.com',
        "ana..lopez@example.com",
        ".ana@example.com",
        "aña@example.com",
        "ana@eve@example.com",
        "ana@[192.0.2.1]",
        "ana@192.0.2.1",
        "ana@192.0.2.10",
        "ana@-example.com",
        "ana@exam_ple.com",
        "ana\u202e@example.com",
        "ana@exam\u200bple.com",
        "ana\x00@example.com",
        f"{'a' * 65}@example.com",
        f"ana@{'a.' * 130}com",
        f"ana@{'a' * 64}.com",
        "ana@\ud800.com",
    ],
)
def test_what_is_no_single_plain_email_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"^email"):
        email(written)


def test_an_openid_is_one_opaque_word() -> None:
    assert openid(" oUpF8uMuAJO_M2pxb1Q9zNjWeS6o ") == "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"


@pytest.mark.parametrize(
    "written", ["", "short", "o" * 65, "two words here", "o/../../etc", "oUpF8uMuAJO\nM2pxb1Q9", "用户用户用户用户"]
)
def test_what_is_no_opaque_word_is_no_openid(written: str) -> None:
    with pytest.raises(ValueError, match=r"^WeChat openid"):
        openid(written)


@example("+12001112222")
@given(st.text() | st.emails().map(lambda good: f"{good}\x7f") | st.integers(10**9, 10**14).map("+0{}".format))
def test_a_reason_never_holds_the_address(written: str) -> None:
    for read in (phone, email, openid):
        try:
            read(written)
        except ValueError as error:
            told = "".join(traceback.format_exception(error, chain=True)).partition("Error: ")[2]
        else:
            continue
        assert len(written.strip()) < 9 or written.strip() not in told


@given(st.emails())
def test_reading_an_address_again_changes_nothing(written: str) -> None:
    try:
        once = email(written)
    except ValueError:
        return
    assert email(once) == once
    assert once.rpartition("@")[0] == written.rpartition("@")[0].lower()
