"""The functions in the real Lambda runtime: AWS's emulator, awslambdaric, processes of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from infrastructure.local.aws.aws_server import AwsServer, aws_server
from infrastructure.local.runtime.cold_starts import functions, measure
from infrastructure.local.runtime.emulator import Deployed, RuntimeFailure, children, missing, running

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"the real runtime is not installed: {missing()}")


@pytest.fixture
def server() -> Iterator[AwsServer]:
    with aws_server() as one:
        yield one


@pytest.mark.parametrize("module", functions())
def test_a_function_does_in_the_real_runtime_what_it_is_for(module: str, server: AwsServer) -> None:
    measured = measure(server, module, starts=1)
    assert measured.failure == ""
    assert measured.cold_start_ms > 0


def function(folder: Path, text: str, timeout: int = 600) -> Deployed:
    (folder / "own.py").write_text(text, encoding="utf-8")
    return Deployed("Own", "own", "own.handler", folder, timeout, 128, {"GIVEN": "yes"})


SLOW = "import time\ndef handler(event, context):\n    time.sleep(600)\n"
RAISES = "def handler(event, context):\n    raise ValueError('no')\n"
DEVELOPMENT_ONLY = "import pytest\ndef handler(event, context):\n    return 1\n"
ENVIRONMENT = "import os\ndef handler(event, context):\n    return [sorted(os.environ), event, context.function_name]\n"


@pytest.mark.parametrize(
    ("text", "timeout", "named"),
    [(SLOW, 1, "timed out"), (RAISES, 600, "ValueError"), (DEVELOPMENT_ONLY, 600, "ImportModuleError")],
)
def test_what_lambda_calls_a_failure_is_one_whatever_status_the_emulator_gives(
    text: str, timeout: int, named: str, tmp_path: Path
) -> None:
    with (
        running(function(tmp_path, text, timeout), "http://127.0.0.1:1") as one,
        pytest.raises(RuntimeFailure, match=named),
    ):
        one.invoke({})


def test_a_function_sees_what_the_template_and_lambda_give_it_and_nothing_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_HERE", "1")
    with running(function(tmp_path, ENVIRONMENT), "http://127.0.0.1:1") as one:
        names, event, name = one.invoke({"a": 1}).answer
        assert (event, name) == ({"a": 1}, "own")
        assert {"GIVEN", "AWS_ENDPOINT_URL", "AWS_LAMBDA_RUNTIME_API"} <= set(names)
        assert "ONLY_HERE" not in names


def test_both_processes_end_with_the_context_even_if_it_is_interrupted(tmp_path: Path) -> None:
    started: list[int] = []

    def interrupted() -> None:
        with running(function(tmp_path, ENVIRONMENT), "http://127.0.0.1:1") as one:
            one.invoke({})
            started.extend((one.pid, *children(one.pid)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
