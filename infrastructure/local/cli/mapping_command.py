"""`predue mapping`: what a mapping file makes of a message."""

import argparse
import json
import sys
from pathlib import Path

from infrastructure.local.cli.terminal import DONE, UsageError
from predue.connectors import MessageSource, Settings, read
from predue.errors import InvalidEvent


def add(one: argparse.ArgumentParser) -> None:
    """The command's options."""
    one.add_argument("action", choices=["check"], help="check: print the events that the message becomes")
    one.add_argument("file", type=Path, metavar="FILE", help="mapping.toml")
    one.add_argument("message", type=Path, metavar="MESSAGE", help="a message of the other system, as JSON")
    one.add_argument("--source", default="mapping", help="the source that the events name (default mapping)")
    one.set_defaults(command=_mapping)


def _mapping(given: argparse.Namespace) -> int:
    """Print the events of one message, a line each."""
    try:
        text, message = given.file.read_text(encoding="utf-8"), json.loads(given.message.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{given.file} or {given.message} cannot be read as TOML and JSON text ({error})") from error
    try:
        reading = read("mapping", message, MessageSource(given.source, lambda _loan_id: {}, Settings(mapping=text)))
    except InvalidEvent as error:
        raise UsageError(f"{given.message}: {error}") from error
    for event in reading.events:
        print(json.dumps(event.body()))
    for reason in reading.ignored:
        print(f"passed over: {reason}", file=sys.stderr)
    return DONE
