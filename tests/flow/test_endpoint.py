"""`predue run --endpoint` over a server in a thread of the test: moto behind HTTP, which can be made to fail."""

import threading
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from infrastructure.local.aws import engine
from infrastructure.local.aws.engine import BadEndpoint, EndpointFailed
from infrastructure.local.cli.__main__ import main
from infrastructure.local.runs import run
from predue.aws import clients
from tests.flow.small import DUE, Book, read_lines, utc


class Server:
    """moto behind HTTP; in a `bad` mood it answers 500 to everything."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self.bad = False
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        # What moto holds is the process's, whoever serves it.
        with urlopen(Request(f"{self.url}/moto-api/reset", method="POST")) as reset:  # noqa: S310 - the address above
            assert reset.status == HTTPStatus.OK

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.bad:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"out of order"]
        answered: Iterable[bytes] = self._moto(environ, start_response)
        return answered

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def book() -> Book:
    made = Book().borrower(preferred_time="09:00").borrower("b-2", channels="email").installment().installment("b-2")
    return made.event(utc(10, 14, 30), "borrower.opted_out", borrower_id="b-2", channel="all")


def options(folder: Path, endpoint: str = "", *, chaos: bool = False) -> run.RunOptions:
    return run.RunOptions(DUE, DUE, folder, endpoint=endpoint, chaos=chaos)


def left_on(server: Server) -> list[str]:
    with engine.over(server.url):
        return [
            *clients.client("dynamodb").list_tables()["TableNames"],
            *clients.client("sqs").list_queues().get("QueueUrls", []),
        ]


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:4571", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1/path", "http://me@host",
     "https://dynamodb.us-east-1.amazonaws.com", "https://SQS.eu-west-1.API.AWS", "https://amazonaws.com.cn."],
)  # fmt: skip
def test_what_is_no_address_of_a_server_or_is_aws_itself_is_refused(text: str) -> None:
    with pytest.raises(BadEndpoint):
        engine.address(text)


def test_a_wrong_endpoint_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*arguments(tmp_path), "--endpoint", "https://sqs.us-east-1.amazonaws.com"])
    assert stopped.value.code == 2
    assert "is AWS itself" in capsys.readouterr().err


def arguments(folder: Path) -> list[str]:
    borrowers, installments, events = map(str, book().write(folder))
    files = ["--borrowers", borrowers, "--installments", installments, "--events", events]
    return ["run", *files, "--from", DUE.isoformat(), "--to", DUE.isoformat(), "--out", str(folder / "out")]


@pytest.mark.parametrize("mood", ["gone", "out of order"])
def test_a_server_that_does_not_answer_ends_with_status_2_one_sentence_and_no_results(
    mood: str, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.bad = mood == "out of order"
    url = "http://127.0.0.1:1" if mood == "gone" else server.url
    assert main([*arguments(tmp_path), "--endpoint", url]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("predue: ")]
    assert len(told) == 1
    assert f"{url} does not answer as AWS does" in told[0]
    assert not (tmp_path / "out").exists()


def test_a_run_over_a_server_is_the_run_over_moto_and_leaves_nothing_there(server: Server, tmp_path: Path) -> None:
    portfolio = book().read(tmp_path)
    summaries = [
        run.run(portfolio, options(tmp_path / "here")),
        run.run(portfolio, options(tmp_path / "there", server.url)),
    ]
    assert read_lines(tmp_path / "here" / "contacts.jsonl") == read_lines(tmp_path / "there" / "contacts.jsonl")
    assert read_lines(tmp_path / "here" / "wire.jsonl") == read_lines(tmp_path / "there" / "wire.jsonl") != []
    assert summaries[0]["aws"] == summaries[1]["aws"]
    assert left_on(server) == []


def test_chaos_over_a_server_meets_the_faults_that_it_meets_over_moto(server: Server, tmp_path: Path) -> None:
    portfolio = book().read(tmp_path)
    here = run.run(portfolio, options(tmp_path / "here", chaos=True))
    there = run.run(portfolio, options(tmp_path / "there", server.url, chaos=True))
    assert there["promises"]["broken"] == []
    assert sum(there["faults"].values()) > 20
    assert here["faults"] == there["faults"]


@pytest.mark.parametrize("fate", ["gone", "out of order", "interrupted"])
def test_a_run_that_is_cut_short_says_so_and_leaves_nothing_on_a_server_that_lives(
    fate: str, server: Server, tmp_path: Path
) -> None:
    cut: list[str] = []

    def cut_short(share: float, _what: str) -> None:
        if share > 0.2 and not cut:
            cut.append(fate)
            if fate == "interrupted":
                raise KeyboardInterrupt
            server.bad = True
            if fate == "gone":
                server.stop()

    with pytest.raises(KeyboardInterrupt if fate == "interrupted" else EndpointFailed) as failed:
        run.run(book().read(tmp_path), options(tmp_path / "out", server.url), cut_short)
    assert cut == [fate]
    if fate == "interrupted":
        assert left_on(server) == []
    else:
        assert server.url in str(failed.value)
        assert not (tmp_path / "out" / "contacts.jsonl").exists()
