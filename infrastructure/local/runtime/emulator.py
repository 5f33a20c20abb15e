"""A function in the real runtime: AWS's Runtime Interface Emulator with awslambdaric and the handler, in processes of
their own and without a container.

The emulator is the one that the SAM CLI puts into its images. awslambdaric is the runtime's own loop; the environment
beside it holds what the functions ship and nothing else, so that a package that only development has is missed here.
"""

import json
import os
import platform
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.error import URLError
from urllib.request import Request, urlopen

from infrastructure.local.sam.template import REGION

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv-runtime/bin/python"
_RIE = ".venv-sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-"
_BINARIES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
_CALL = re.compile(r"INVOKE RTDONE\(status: success, .*duration: ([0-9.]+)ms\)")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_STARTS = 3
_STATED = 2000
"""Characters of what a function wrote that a failure repeats."""
_PATIENCE = 10.0
"""Seconds in which the emulator listens, writes its report, or ends; it takes a fraction of one."""


class RuntimeFailure(Exception):
    """A function did not answer as Lambda's callers expect; the text says how, with what it wrote."""


@dataclass(frozen=True)
class Deployed:
    """One function as its template deploys it; `code` is the folder that its CodeUri names."""

    logical_id: str
    name: str
    handler: str
    code: Path
    timeout: int
    memory: int
    variables: Mapping[str, str]
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    @property
    def module(self) -> str:
        """The handler's file, by which its event is named, too."""
        return self.handler.partition(".")[0]


class Invocation(NamedTuple):
    """What a function answered, and the milliseconds that its handler took."""

    answer: Any
    ms: float


def missing() -> str:
    """What the real runtime still needs on this machine, or nothing."""
    if emulator() is None:
        return "no emulator for this machine in .venv-sam; make .venv-sam/bin/sam"
    return "" if PYTHON.exists() else "no .venv-runtime; make .venv-runtime/.ready"


def emulator() -> Path | None:
    """The emulator's binary for this machine, if the SAM CLI is installed."""
    kind = _BINARIES.get(platform.machine().lower(), "")
    return next(iter(sorted(ROOT.glob(_RIE + kind))), None) if kind else None


def read_answer(body: bytes, module: str) -> Any:
    """A function's answer; raises RuntimeFailure for an error, and for the time-outs that the emulator answers with
    status 200 and a sentence.
    """
    try:
        answer = json.loads(body) if body else None
    except ValueError:
        raise RuntimeFailure(f"{module}: {body.decode(errors='replace')[:300]}") from None
    if isinstance(answer, dict) and "errorMessage" in answer:
        raise RuntimeFailure(f"{module}: {answer.get('errorType')}: {answer['errorMessage']}")
    return answer


def cold_start(log: str) -> float:
    """The milliseconds of the cold start; the `Init Duration` of the emulator's last line is not it."""
    found = _INIT.search(log)
    if not found:
        raise RuntimeFailure(f"the emulator reported no cold start: {log[-_STATED:]}")
    return float(found[1])


def handler_times(log: str) -> list[float]:
    """The milliseconds of each call, without the cold start before the first."""
    return [float(found) for found in _CALL.findall(log)]


class RunningRuntime:
    """A function in its emulator; the runtime starts with the first call."""

    def __init__(self, function: Deployed, process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
        self._function = function
        self._process = process
        self._url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        self._log = log
        self._calls = 0

    @property
    def pid(self) -> int:
        """The emulator's process."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What emulator and function have written."""
        return Path(self._log.name).read_text(encoding="utf-8", errors="replace")

    def invoke(self, event: Any) -> Invocation:
        """Call the function; raises RuntimeFailure if it fails or exceeds its time."""
        request = Request(self._url, json.dumps(event).encode(), {"Content-Type": "application/json"})  # noqa: S310 - our own loopback
        try:
            with urlopen(request, timeout=self._function.timeout + _PATIENCE) as answer:  # noqa: S310
                body = answer.read()
        except (URLError, HTTPException, OSError) as error:
            raise RuntimeFailure(f"{self._function.module}: {error}; it wrote {self.log[-_STATED:]}") from error
        found = read_answer(body, self._function.module)
        self._calls += 1
        return Invocation(found, self._waited_for_report())

    def _waited_for_report(self) -> float:
        deadline = time.monotonic() + _PATIENCE
        while len(times := handler_times(self.log)) < self._calls:
            if time.monotonic() > deadline:
                raise RuntimeFailure(f"the emulator reported no end of the call: {self.log[-_STATED:]}")
            time.sleep(0.01)
        return times[-1]

    @property
    def cold_start_ms(self) -> float:
        """The time from starting Python to the handler being ready, as the emulator reports it."""
        return cold_start(self.log)

    @property
    def peak_mb(self) -> float | None:
        """The most memory that the function's process has held, from Linux; the emulator itself always reports the
        whole of MemorySize.
        """
        with suppress(OSError):
            for child in children(self._process.pid):
                if found := _PEAK.search(Path(f"/proc/{child}/status").read_text(encoding="utf-8")):
                    return round(int(found[1]) / 1024, 1)
        return None


@contextmanager
def running(function: Deployed, endpoint: str) -> Iterator[RunningRuntime]:
    """The function in an emulator of its own, whose processes end with the context."""
    with tempfile.NamedTemporaryFile(prefix=f"{function.module}-") as log:
        process, port = _started(function, endpoint, log)
        try:
            yield RunningRuntime(function, process, port, log)
        finally:
            _end_processes(process)


def _started(function: Deployed, endpoint: str, log: IO[bytes]) -> "tuple[subprocess.Popen[bytes], int]":
    """The emulator once it listens; another process may take a free port first, so it is tried again."""
    if reason := missing():
        raise RuntimeFailure(reason)
    for _ in range(_STARTS):
        port, api_port = _free_port(), _free_port()
        command = [
            str(emulator()),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
            *("--runtime-api-address", f"127.0.0.1:{api_port}"),
            *(str(PYTHON), "-m", "awslambdaric", function.handler),
        ]
        process = subprocess.Popen(  # noqa: S603 - a fixed program and the template's own words
            command,
            cwd=function.code,
            env=_environment(function, endpoint),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if _listens(process, port):
                return process, port
        except BaseException:
            _end_processes(process)
            raise
        _end_processes(process)
    raise RuntimeFailure(f"the emulator did not start: {Path(log.name).read_text(errors='replace')[-_STATED:]}")


def _environment(function: Deployed, endpoint: str) -> dict[str, str]:
    """Just what the template and Lambda itself give the function, and where AWS is."""
    return {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": str(function.code),
        **function.variables,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(function.timeout),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "local",
        "AWS_ENDPOINT_URL": endpoint,
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.02)
    return False


def children(pid: int) -> list[int]:
    """The processes that a process's threads have started, where Linux tells them."""
    found = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in found for child in path.read_text(encoding="utf-8").split()]


def _end_processes(process: "subprocess.Popen[bytes]") -> None:
    """End the emulator and the runtime that it started: both are of the process group that was made for them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE / 5)
