import json
from pathlib import Path

import pytest

from infrastructure.local.cli.__main__ import main
from infrastructure.local.cli.terminal import DONE, USAGE

DOCS = Path(__file__).parents[4] / "docs"
FILE, MESSAGE = str(DOCS / "mapping.example.toml"), str(DOCS / "mapping.example.json")


def test_the_check_prints_an_event_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mapping", "check", FILE, MESSAGE, "--source", "core"]) == DONE
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["source"], event["installment_no"]) for event in events] == [("core", 1), ("core", 2)]


@pytest.mark.parametrize(
    ("mapping", "message", "says"),
    [
        ("rules = [", "{}", "no TOML"),
        (None, "{", "cannot be read"),
        (None, '{"kind": "PAYMENT", "payment": {"state": "BOOKED"}}', "event_id: Field required"),
    ],
)
def test_what_is_wrong_is_said_and_the_status_tells_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mapping: str | None, message: str, says: str
) -> None:
    (tmp_path / "mapping.toml").write_text(mapping or Path(FILE).read_text())
    (tmp_path / "message.json").write_text(message)
    assert main(["mapping", "check", str(tmp_path / "mapping.toml"), str(tmp_path / "message.json")]) == USAGE
    assert says in capsys.readouterr().err
