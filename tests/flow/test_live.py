import json
import re
import socket
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from infrastructure.local.serve.serve import _name_source
from predue import wiring
from predue.aws import clients
from predue.events import applying
from predue.events.models import read_event
from tests.flow.live import Served, served
from tests.flow.small import Book, read_lines, told, utc

START = utc(7, 14, 50)
"""Ten minutes before the slot of New York, three days before the installment is due."""
NOT_FOUND = '{"message":"Not Found"}'


def email() -> Book:
    return Book().borrower(channels="email").installment()


def runs(stand: Served, name: str = "predue-plan-reminders") -> int:
    return stand.stack.meter.invocations[name]


def link(stand: Served) -> str:
    """The path of the link in the last message, as the console shows it."""
    page = stand.ask("GET", "/").body
    found = re.search(rf'href="{stand.server.address}(/unsubscribe/[^"]+)"', page)
    assert found, "the console shows no link"
    return found[1]


def test_a_stop_by_the_link_of_a_message_takes_effect(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        stand.pass_to(utc(7, 15, 1))
        assert told(stand.contacts) == {("T-3", "sent", "")}
        path = link(stand)
        assert "Stop emails" in stand.ask("GET", path).body
        assert stand.ask("POST", path, "List-Unsubscribe=One-Click").status == 200
        stand.pass_to(utc(9, 15, 1))
        assert told(stand.contacts) == {("T-3", "sent", ""), ("T-1", "suppressed", "opted_out")}
        assert "had asked for no more messages" in stand.ask("GET", "/").body


def test_the_console_tells_what_happened_and_what_comes(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        before = stand.ask("GET", "/").body
        assert "The next reminders stand at 15:00 UTC, in 11 min, for 1 borrower." in before
        assert "Nothing yet" in before
        stand.pass_to(utc(7, 15, 1))
        after = stand.ask("GET", "/").body
        assert "by Email" in after
        assert "per•••" not in after
        assert "pe•••@example.com" in after
        assert "person0@example.com" not in after


def test_the_console_shows_whom_a_person_should_look_at_while_there_is_something_to_do(tmp_path: Path) -> None:
    asked = {"source": "core", "sequence": 1, "borrower_id": "b-1", "reason": "hardship"}
    with served(tmp_path, email(), START) as stand:
        assert "Whom a person should look at" not in stand.ask("GET", "/").body
        for kind, shown in (("borrower.hold_started", True), ("borrower.hold_ended", False)):
            with stand.stack.feeding():
                told = asked | {"type": kind, "event_id": kind, "sequence": 2 - shown}
                applying.apply(read_event(told), START, wiring.event_services())
            stand.pass_to(stand.now + timedelta(minutes=20))
            assert ("the borrower asked for help" in stand.ask("GET", "/").body) is shown
            assert [one["open"] for one in read_lines(stand.out / "cases.jsonl")] == [shown]


def test_the_console_is_one_page_without_scripts_that_nothing_may_frame(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    book = Book().borrower(hostile, channels="", consent="").installment(hostile)
    with served(tmp_path, book, START) as stand:
        stand.pass_to(utc(7, 15, 1))
        page = stand.ask("GET", "/")
        assert "&lt;script&gt;alert(1)" in page.body
        assert "<script" not in page.body
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert page.headers["cache-control"] == "no-store"


def test_a_foreign_name_that_leads_here_sees_no_console(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        assert stand.ask("GET", "/", Host="evil.example").status == 403
        assert stand.ask("GET", "/", Host="localhost:1").status == 200


def test_the_server_listens_on_this_machine_only(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        assert stand.server._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(("method", "path"), [("GET", "/other"), ("DELETE", "/unsubscribe/x"), ("POST", "/")])
def test_what_no_route_takes_is_not_found(method: str, path: str, tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        got = stand.ask(method, path)
        assert (got.status, got.body, got.headers["content-type"]) == (404, NOT_FOUND, "application/json")


def test_fifty_clients_at_once_are_all_answered(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        futures = [stand.client(lambda: stand.request("GET", "/unsubscribe/x")) for _ in range(50)]
        stand.until(*futures)
        assert {future.result().status for future in futures} == {404}
        assert stand.stack.meter.invocations["predue-unsubscribe"] == 50


def test_clients_that_hang_keep_nobody_waiting(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        begun = [b"", b"GET / HT", b"POST /unsubscribe/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nhalf"]
        hanging = [socket.create_connection(("127.0.0.1", stand.server.port)) for _ in begun]
        try:
            for one, sent in zip(hanging, begun, strict=True):
                one.sendall(sent)
            assert stand.ask("GET", "/unsubscribe/x").status == 404
        finally:
            for one in hanging:
                one.close()
        assert stand.ask("GET", "/").status == 200


MALFORMED = [
    b"\r\n\r\n",
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  / HTTP/1.1 x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /unsubscribe/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /unsubscribe/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
    b"POST /unsubscribe/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /unsubscribe/%zz%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
]


@pytest.mark.parametrize("sent", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_request_is_no_server_error_and_stops_nothing(sent: bytes, tmp_path: Path) -> None:
    def talk() -> bytes:
        with socket.create_connection(("127.0.0.1", stand.server.port), timeout=600) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            try:
                return b"".join(iter(lambda: connection.recv(65536), b""))
            except ConnectionResetError:
                return b""

    with served(tmp_path, email(), START) as stand:
        answer = stand.client(talk)
        stand.until(answer)
        assert not re.match(rb"HTTP/1.\d 5", answer.result())
        assert stand.ask("GET", "/unsubscribe/x").status == 404


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_larger_than_api_gateway_takes_is_refused(*, chunked: bool, tmp_path: Path) -> None:
    large = b"x" * 10_000_001
    with served(tmp_path, email(), START) as stand:
        got = stand.ask("POST", "/unsubscribe/x", iter([large]) if chunked else large)
        assert (got.status, got.body) == (413, '{"message":"Request Entity Too Large"}')
        assert runs(stand, "predue-unsubscribe") == 0


def test_a_function_that_raises_is_an_internal_error_and_logged_without_what_was_sent(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        secret = stand.stack.functions_environment()["KEYS_SECRET"]
        clients.client("secretsmanager").put_secret_value(SecretId=secret, SecretString="{}")
        stand.now += timedelta(minutes=6)
        got = stand.ask("POST", "/unsubscribe/TOKEN-OF-ANA", "BODY-OF-ANA")
        assert (got.status, got.body) == (500, '{"message":"Internal Server Error"}')
        line = next(line for line in stand.logged if line.get("message") == "request")
        assert (line["route"], line["status"]) == ("POST /unsubscribe/{token}", 500)
        assert line["error"].isidentifier()
        assert "OF-ANA" not in stand.log.getvalue()
        assert stand.ask("GET", "/").status == 200


def test_a_happening_that_fails_stops_none_after_it(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("Ana López")

    with served(tmp_path, email(), START) as stand:
        stand.stack.at(START, 0, fail)
        stand.live.turn(0)
        assert next(line["error"] for line in stand.logged) == "RuntimeError"
        assert "Ana" not in stand.log.getvalue()
        stand.pass_to(utc(7, 15, 1))
        assert told(stand.contacts) == {("T-3", "sent", "")}


def test_a_machine_that_slept_over_many_schedules_runs_each_once_and_goes_on(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        stand.pass_to(START + timedelta(hours=5, minutes=1))
        assert runs(stand) == runs(stand, "predue-close-day") == 1
        # The slot was slept through; the run that came late still reaches its hours.
        assert told(stand.contacts) == {("T-3", "sent", "")}
        stand.pass_to(utc(7, 20, 1))
        assert runs(stand) == 2


@pytest.mark.parametrize(
    "midnight", [utc(8), datetime.fromisoformat("2027-03-14T07:00:00+00:00")], ids=["utc", "clocks of New York"]
)
def test_schedules_go_on_over_midnights_and_changes_of_clocks(midnight: datetime, tmp_path: Path) -> None:
    with served(tmp_path, email(), midnight - timedelta(minutes=40)) as stand:
        for quarter in range(6):
            stand.pass_to(midnight + timedelta(minutes=15 * quarter - 30, seconds=1))
        assert runs(stand) == 6


def test_a_clock_that_is_set_back_stops_time_and_not_the_server(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        stand.pass_to(utc(7, 15, 1))
        stand.now -= timedelta(hours=2)
        assert stand.ask("GET", "/").status == 200
        stand.pass_to(utc(7, 15, 16))
        assert runs(stand) == 2


def test_who_asks_while_the_server_stops_is_told_so(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        asking = stand.client(lambda: stand.request("GET", "/unsubscribe/x"))
        while stand.live._work._asked.empty():
            pass
        stand.live._work.refuse_all()
        assert asking.result().status == 503


def test_the_source_demo_has_its_key_in_the_secret_that_the_template_names(tmp_path: Path) -> None:
    with served(tmp_path, email(), START) as stand:
        _name_source(stand.stack, "whsec_a2V5")
        name = stand.stack.physical("Sources")
        text = clients.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
        assert json.loads(text) == {"demo": {"keys": ["whsec_a2V5"], "tenant": "", "form": "predue"}}
