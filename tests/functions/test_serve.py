"""The command as people start it: a process of its own, asked over HTTP, stopped by a signal."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infrastructure.local.cli.__main__ import main
from predue.domain.keys import Keys
from tests.flow.small import Book, read_lines
from tests.functions.recorded import ROOT

_PATIENCE_SECONDS = 600
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Process:
    """A server that has started, and what it said."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process = process
        self.said = said
        self.port = urlsplit(said.split()[3]).port

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_SECONDS)
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def stop(self, number: int) -> tuple[int, str]:
        # Again and again, as make does it, which passes on what its process group got already.
        self.process.send_signal(number)
        assert self.process.stdout
        rest = ""
        for line in self.process.stdout:
            rest += line
            self.process.send_signal(number)
        return self.process.wait(_PATIENCE_SECONDS), rest


def command(folder: Path, *more: str) -> list[str]:
    borrowers, installments, _ = map(str, Book().borrower(channels="email").installment().write(folder))
    files = ["--borrowers", borrowers, "--installments", installments, "--out", str(folder / "out")]
    return [sys.executable, "-m", "infrastructure.local.cli", "serve", *files, *more]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PREDUE_DEMO_WEBHOOK_SECRET"}
    return kept | {"PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"} | more


@contextmanager
def started(folder: Path, **more: str) -> Iterator[Process]:
    process = subprocess.Popen(  # noqa: S603 - our own command
        command(folder, "--port", "0"), cwd=ROOT, env=environment(**more), stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("  why"):
                break
        yield Process(process, said)
    finally:
        process.kill()
        process.communicate()


def test_a_started_server_says_where_it_is_answers_and_stops_with_status_0(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert re.search(r"secret +whsec_[A-Za-z0-9+/]{32}\n", server.said)
        assert f"http://127.0.0.1:{server.port}/webhooks/demo" in server.said
        status, page = server.ask("GET", "/")
        assert status == 200
        assert "Live on this machine" in page
        # The root of the keys is the same in every stack on one machine, so the borrower's link is known.
        keys = Keys([b"one-machine-".ljust(64, b"0")])
        path = f"/unsubscribe/{keys.stop_token(keys.borrower_ref('b-1'), 'email')}"
        assert "Stop emails" in server.ask("GET", path)[1]
        assert "no more payment reminders" in server.ask("POST", path, "List-Unsubscribe=One-Click")[1]
        assert "OneClickStop" in (tmp_path / "out" / "logs.jsonl").read_text(encoding="utf-8")
        status, rest = server.stop(signal.SIGTERM)
        assert (status, rest.strip()) == (0, "predue: stopped")
        assert read_lines(tmp_path / "out" / "contacts.jsonl") == []


def test_a_given_secret_is_used_and_not_shown_and_ctrl_c_ends_with_status_0(tmp_path: Path) -> None:
    with started(tmp_path, PREDUE_DEMO_WEBHOOK_SECRET=SECRET) as server:
        assert "the one in PREDUE_DEMO_WEBHOOK_SECRET" in server.said
        assert SECRET not in server.said
        assert server.stop(signal.SIGINT)[0] == 0


@pytest.mark.parametrize("wrong", ["port in use", "no secret", "half the files", "no port", "unknown option"])
def test_a_server_that_cannot_start_ends_with_status_2_and_says_why(
    wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREDUE_DEMO_WEBHOOK_SECRET", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = command(tmp_path)[3:]
        match wrong:
            case "port in use":
                given += ["--port", str(taken.getsockname()[1])]
            case "no secret":
                monkeypatch.setenv("PREDUE_DEMO_WEBHOOK_SECRET", "not base64!")
            case "half the files":
                del given[given.index("--installments") : given.index("--installments") + 2]
            case "no port":
                given += ["--port", "65536"]
            case "unknown option":
                given += ["--host", "0.0.0.0"]  # noqa: S104 - refused, which is the point
        try:
            status = main(given)
        except SystemExit as ended:
            status = int(str(ended.code))
    assert status == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("predue")
