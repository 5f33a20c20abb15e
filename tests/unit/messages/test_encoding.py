from hypothesis import example, given
from hypothesis import strategies as st

from predue.messages.encoding import SmsSize, measure

# Code points of 3GPP TS 23.038 table 6.2.1 in its own order, written out a second time to check those in the code.
TABLE = [
    *[0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5, 0xE5],
    *[0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E, 0xC6, 0xE6, 0xDF, 0xC9],
    *[0x20, 0x21, 0x22, 0x23, 0xA4, *range(0x25, 0x40)],
    *[0xA1, *range(0x41, 0x5B), 0xC4, 0xD6, 0xD1, 0xDC, 0xA7],
    *[0xBF, *range(0x61, 0x7B), 0xE4, 0xF6, 0xF1, 0xFC, 0xE0],
]
BASIC = {chr(point) for point in TABLE}
EXTENDED = set("\f^{}\\[~]|€")


def brute_force(text: str) -> SmsSize:
    """Write each unit into a list, then cut off the longest part that splits no character, until nothing is left."""
    if all(character in BASIC or character in EXTENDED for character in text):
        encoding, alone, part = "GSM-7", 160, 153
        units = [
            unit
            for character in text
            for unit in ([("esc", character)] * (character in EXTENDED) + [("end", character)])
        ]
    else:
        encoding, alone, part = "UCS-2", 70, 67
        words = text.encode("utf-16-be", "surrogatepass")
        pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
        units = [("esc" if 0xD8 <= word[0] <= 0xDB else "end", word.hex()) for word in pairs]
    parts, rest = 0, units
    while rest:
        cut = len(rest) if not parts and len(rest) <= alone else min(part, len(rest))
        while cut < len(rest) and rest[cut - 1][0] == "esc":
            cut -= 1
        parts, rest = parts + 1, rest[cut:]
    return SmsSize(encoding, len(units), parts)  # type: ignore[arg-type]


def test_the_default_alphabet_has_127_characters_beside_its_escape() -> None:
    assert len(BASIC) == len(TABLE) == 127
    assert all(measure(character) == SmsSize("GSM-7", 1, 1) for character in BASIC)


def test_characters_of_the_extension_table_count_double() -> None:
    assert all(measure(character) == SmsSize("GSM-7", 2, 1) for character in EXTENDED)


def test_every_other_character_of_the_basic_plane_needs_ucs2() -> None:
    others = (chr(point) for point in range(0x10000) if chr(point) not in BASIC | EXTENDED)
    assert all(measure(character) == SmsSize("UCS-2", 1, 1) for character in others)


def test_one_letter_outside_gsm7_halves_the_room() -> None:
    assert measure("a" * 160) == SmsSize("GSM-7", 160, 1)
    assert measure("a" * 159 + "á") == SmsSize("UCS-2", 160, 3)


def test_a_text_beyond_one_segment_pays_for_the_headers_of_its_parts() -> None:
    assert [measure("a" * n).segments for n in (160, 161, 306, 307)] == [1, 2, 2, 3]
    assert [measure("还" * n).segments for n in (70, 71, 134, 135)] == [1, 2, 2, 3]


def test_an_escaped_character_moves_to_the_next_segment_whole() -> None:
    assert measure("a" * 152 + "€" + "a" * 152) == SmsSize("GSM-7", 306, 3)
    assert measure("还" * 66 + "😀" + "还" * 66) == SmsSize("UCS-2", 134, 3)


def test_an_empty_text_takes_no_segment() -> None:
    assert measure("") == SmsSize("GSM-7", 0, 0)


SMS_LETTERS = st.one_of(st.sampled_from(sorted(BASIC | EXTENDED)), st.sampled_from("€€€[]áí还😀"))


@given(st.text(SMS_LETTERS, max_size=500) | st.text(st.sampled_from("ab€"), min_size=140, max_size=500))
@example("€" * 80)
@example("€" * 81)
@example("😀" * 35 + "a")
def test_the_count_equals_that_of_cutting_the_text_into_parts(text: str) -> None:
    assert measure(text) == brute_force(text)
