from datetime import time
from typing import Any

import pytest

from predue.domain.profile import Profile
from predue.events.models import Updated, read_event
from predue.events.owners import Owners
from predue.events.profile_changes import merged
from tests.unit.world import KEYS, PHONE, utc


def update(sequence: int = 1, **fields: Any) -> Updated:
    body = {"type": "borrower.updated", "event_id": "e", "source": "core", "borrower_id": "b-1", "sequence": sequence}
    event = read_event({**body, **fields})
    assert isinstance(event, Updated)
    return event.came(utc("06-01 12:00"))


def after(*updates: Updated) -> Profile:
    profile = Profile("b-1", "ref")
    for one in updates:
        profile = merged(profile, one, KEYS, Owners())
    return profile


def test_given_fields_merge_and_the_others_stay() -> None:
    profile = after(update(name="Ann", locale="en-US"), update(2, locale="es-US"))
    assert (profile.name, profile.locale) == ("Ann", "es-US")


def test_each_field_goes_by_its_own_newest_sequence() -> None:
    profile = after(update(5, name="Ann"), update(3, name="Bob", locale="es-US"))
    assert (profile.name, profile.locale) == ("Ann", "es-US")


def test_null_takes_a_field_away() -> None:
    profile = after(
        update(name="Ann", channels="sms", phone=PHONE, preferred_time="12:00"),
        update(2, name=None, channels=None, phone=None, preferred_time=None),
    )
    assert (profile.name, profile.channels, profile.preferred_time) == ("", (), None)
    assert profile.addresses == profile.address_refs == {}


def test_an_empty_wish_is_no_wish() -> None:
    assert after(update(preferred_time="12:00")).preferred_time == time(12)
    assert after(update(preferred_time="12:00"), update(2, preferred_time="")).preferred_time is None


def test_a_phone_number_serves_text_messages_and_calls_each_under_its_own_name() -> None:
    profile = after(update(phone="+1 (201) 555-0100"))
    assert profile.addresses == {"sms": PHONE, "voice": PHONE}
    assert profile.address_refs["sms"] != profile.address_refs["voice"]
    assert PHONE not in str(profile.address_refs)


def test_a_bad_contact_point_loses_its_channels_until_it_is_mended() -> None:
    bad = after(update(phone=PHONE, email="ann@example.com"), update(2, phone="555"))
    assert set(bad.addresses) == {"email"}
    assert bad.bad_addresses == ("phone",)
    mended = merged(bad, update(3, phone=PHONE), KEYS, Owners())
    assert set(mended.addresses) == {"sms", "voice", "email"}
    assert mended.bad_addresses == ()


@pytest.mark.parametrize(
    ("phone", "served"),
    [
        ("+442079460000", {"voice", "email"}),
        ("+493012345678", {"voice", "email"}),
        ("+449012345678", {"email"}),
        ("+448001111111", {"email"}),
        ("+447400123456", {"sms", "voice", "email"}),
    ],
)
def test_a_fixed_line_and_a_number_that_costs_its_owner_or_nobody_get_no_text_messages(
    phone: str, served: set[str]
) -> None:
    profile = after(update(phone=phone, email="ann@example.com"))
    assert set(profile.addresses) == set(profile.address_refs) == served
    assert profile.bad_addresses == (() if "sms" in served else ("phone",))


def test_a_national_number_is_read_by_the_jurisdiction_that_is_said_with_it() -> None:
    assert after(update(phone="07400 123456", jurisdiction="GB")).addresses["sms"] == "+447400123456"
    # Stated before or after it the place makes no difference, so that the order of arrival makes none.
    apart = [update(2, phone="07400 123456"), update(1, jurisdiction="GB")]
    assert after(*apart).addresses == after(*reversed(apart)).addresses == {}


def test_one_mailbox_written_in_two_ways_is_one_contact_point() -> None:
    one, other = after(update(email="Ana.Maria@Example.COM")), after(update(email="ana.maria@example.com"))
    assert one.addresses == other.addresses
    assert one.address_refs == other.address_refs


def test_channels_alone_grant_no_consent() -> None:
    assert after(update(consent="email"), update(2, channels="sms|email")).consent == ("email",)
