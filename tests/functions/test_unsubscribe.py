import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from predue import wiring
from predue.aws import clients
from predue.domain.keys import Keys
from tests.flow.published import counted
from tests.flow.small import Book, Standing, standing, told, utc
from tests.functions.recorded import call, recorded

START = utc(10, 14, 51)


def one() -> Book:
    return Book().borrower(channels="email").installment()


def link(stand: Standing) -> str:
    """The path of b-1's one-click link."""
    with stand.stack.feeding():
        profile = wiring.table().profile("b-1")
        assert profile is not None
        return wiring.unsubscribe_url(profile.ref).partition("amazonaws.com")[2]


def state(stand: Standing) -> list[str]:
    """Everything that the table holds."""
    items = clients.client("dynamodb").scan(TableName=stand.environment["TABLE_NAME"])["Items"]
    return sorted(json.dumps(item, sort_keys=True, default=str) for item in items)


def posted(path: str) -> Any:
    event = json.dumps(recorded("unsubscribe"))
    return json.loads(event.replace("/unsubscribe/TOKEN", path).replace('"TOKEN"', f'"{path.rpartition("/")[2]}"'))


class Page(HTMLParser):
    """The tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "form":
            self.forms.append(dict(attrs))


def test_looking_at_the_link_changes_nothing_and_offers_a_button(tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        before = state(stand)
        answer = stand.stack.request("GET", link(stand))
        assert answer["statusCode"] == 200
        assert Page(answer["body"]).forms == [{"method": "post"}]
        assert state(stand) == before
        stand.until(utc(10, 15, 4))
        assert told(stand.contacts) == {("T0", "sent", "")}


def test_one_click_as_a_mail_provider_makes_it_stops_email(tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        answer = call(stand.stack, "unsubscribe", posted(link(stand)))
        assert answer["statusCode"] == 200
        stand.until(utc(10, 15, 4))
        assert told(stand.contacts) == {("T0", "suppressed", "opted_out")}
        assert stand.wire == []


def test_a_click_repeated_changes_nothing_more(tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        first = stand.stack.request("POST", link(stand))
        after = state(stand)
        second = stand.stack.request("POST", link(stand))
        assert first["statusCode"] == second["statusCode"] == 200
        assert first["body"] == second["body"]
        assert state(stand) == after


def test_a_link_stops_its_channel_only(tmp_path: Path) -> None:
    with standing(tmp_path, Book().borrower(channels="email|sms").installment(), START) as stand:
        stand.stack.request("POST", link(stand))
        stand.until(utc(10, 15, 4))
        assert [line["channel"] for line in stand.wire] == ["sms"]


def forged(path: str) -> dict[str, str]:
    token = path.rpartition("/")[2]
    elsewhere = Keys([b"another root key of enough length"]).stop_token("refrefrefrefrefr", "email")
    last = "A" if token[-1] != "A" else "B"
    return {
        "cut": token[:-1],
        "changed": token[:-2] + last + token[-1],
        "longer": token + "x",
        "unsigned": token.partition(".")[0],
        "other key": elsewhere,
        "empty parts": ".",
        "words": "hello",
        "null": "%00",
        "unicode": "ünï",
        "huge": "a" * 6000,
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_or_garbled_link_is_not_found_and_changes_nothing(method: str, tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        before = state(stand)
        answers = {
            name: stand.stack.request(method, f"/unsubscribe/{token}") for name, token in forged(link(stand)).items()
        }
        assert {name: answer["statusCode"] for name, answer in answers.items()} == dict.fromkeys(answers, 404)
        assert len({answer["body"] for answer in answers.values()}) == 1
        assert state(stand) == before


def test_a_link_of_nobody_that_we_signed_ourselves_is_not_found(tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand, stand.stack.feeding():
        path = wiring.unsubscribe_url("nobodynobodynobo").partition("amazonaws.com")[2]
        assert stand.stack.request("POST", path)["statusCode"] == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("known", [True, False])
def test_every_page_forbids_scripts_frames_caches_and_referrers(method: str, *, known: bool, tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        answer = stand.stack.request(method, link(stand) if known else "/unsubscribe/x")
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert "script" not in Page(answer["body"]).tags


def test_a_page_tells_nothing_about_the_borrower(tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        path = link(stand)
        for method in ("GET", "POST"):
            body = stand.stack.request(method, path)["body"]
            for part in ("b-1", "Ana", "person0", "120", "loan-1", path.rpartition("/")[2]):
                assert part not in body


def test_without_keys_a_click_is_an_error_and_no_page_that_says_done(tmp_path: Path) -> None:
    with standing(tmp_path, one(), START) as stand:
        path = link(stand)
        secret = stand.environment["KEYS_SECRET"]
        clients.client("secretsmanager").put_secret_value(SecretId=secret, SecretString="{}")
        stand.stack.clock.move_to(utc(10, 14, 59))
        try:
            status = stand.stack.request("POST", path)["statusCode"]
        except Exception:  # noqa: BLE001 - API Gateway makes a 500 of whatever a function raises
            status = 500
        assert status == 500
        assert counted(stand, "FailedClosed") == 1
