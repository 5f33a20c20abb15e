"""The planner's own time for each due, and its memory: run as `python -m tests.bench.planner DUES`, it prints both as
JSON. The endpoint holds the dues, all of one slot; a process of its own shows what this many need.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from botocore.client import BaseClient

from predue import wiring
from predue.reminders.planner import plan
from tests.bench.setting import NOW, answers, endpoint

_call = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's one way for every call


class _Sdk:
    """The processor's time inside the SDK's calls."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls = 0

    def call(self, client: Any, operation: str, params: Any) -> Any:
        """Make one call and count its time."""
        began = time.process_time()
        try:
            return _call(client, operation, params)
        finally:
            self.seconds += time.process_time() - began
            self.calls += 1

    def hook(self) -> Callable[..., Any]:
        """A plain function, which becomes the method of each client."""

        def call(client: Any, operation: str, params: Any) -> Any:
            return self.call(client, operation, params)

        return call


def measure(dues: int) -> dict[str, float]:
    """Plan one slot of so many dues; the own time is all but what the SDK's calls took."""
    sdk = _Sdk()
    with endpoint(answers("sms", dues)):
        services = wiring.planning(lambda: 900.0)
        plan(0, NOW - timedelta(days=300), services)  # what is read and worked out once
        before = _peak()
        BaseClient._make_api_call = sdk.hook()  # type: ignore[attr-defined]
        began = time.process_time()
        tally, finished = plan(0, NOW, services)
        spent = time.process_time() - began
    assert finished, "the planner had time enough"
    assert tally.queued == dues, "every due was planned"
    return {
        "dues": dues,
        "own_microseconds_per_due": (spent - sdk.seconds) / dues * 1e6,
        "sdk_microseconds_per_due": sdk.seconds / dues * 1e6,
        "calls_per_thousand_dues": sdk.calls / dues * 1000,
        "peak_memory_mib": _peak(),
        "peak_memory_before_mib": before,
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))  # noqa: T201 - the parent reads it
