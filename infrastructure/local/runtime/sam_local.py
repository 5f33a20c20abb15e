"""What `sam local` needs to call the functions in its containers: an environment file, an endpoint on this host, and
the recorded events about what the endpoint holds now.
"""

import argparse
import json
import re
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from moto import mock_aws

from infrastructure.local.aws.aws_server import aws_server
from infrastructure.local.runtime.emulator import ROOT
from infrastructure.local.runtime.scene import acting, deployed, scene, template
from infrastructure.local.sam.resources import Resources
from infrastructure.local.sam.template import REGION
from predue.aws import clients

PORT = 4570
ENDPOINT = f"http://host.docker.internal:{PORT}"
ENV_FILE = ROOT / "tests/env.json"
EVENTS = ROOT / "build/events"
_SUFFIX = re.compile(r"(:secret:.*)-[A-Za-z0-9]{6}$")


def environment_file() -> dict[str, dict[str, str]]:
    """The variables of every function in the form of `sam local --env-vars`, as they are against the endpoint."""
    with mock_aws(), acting([]):
        root = template(Resources(clients.client).physical)
        return {
            one.logical_id: {"AWS_ENDPOINT_URL": ENDPOINT}
            | {name: _at_endpoint(value) for name, value in one.variables.items()}
            for one in deployed(root)
        }


def _at_endpoint(value: str) -> str:
    """A value as it is at the endpoint: its queues, and secrets without the suffix that is drawn for each."""
    return _SUFFIX.sub(r"\1", value.replace(f"https://sqs.{REGION}.amazonaws.com", ENDPOINT))


def write_json(path: Path, value: Any) -> None:
    """Write a value for people to read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the endpoint until it is interrupted; `--write` renews the environment file instead."""
    parser = argparse.ArgumentParser(prog="make sam-local", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, which the containers must reach")
    parser.add_argument("--write", action="store_true", help=f"write {ENV_FILE.relative_to(ROOT)} and end")
    given = parser.parse_args(arguments)
    if given.write:
        write_json(ENV_FILE, environment_file())
        return 0
    with aws_server(given.host, PORT) as server:
        made = scene(server, datetime.now(UTC))
        for one in made.functions:
            write_json(EVENTS / f"{one.module}.json", made.event(one.module))
        print(f"sam-local: AWS is at {server.endpoint}; events about what is there now: {EVENTS.relative_to(ROOT)}/")
        _until_interrupted()
    return 0


def _until_interrupted() -> None:
    ended = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


if __name__ == "__main__":
    sys.exit(main())
