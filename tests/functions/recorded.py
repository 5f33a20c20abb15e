"""Events as the services send them, with a test's own ids put in."""

import json
from pathlib import Path
from typing import Any

from infrastructure.local.aws.stack import Stack

EVENTS = Path(__file__).parents[1] / "events"
ROOT = Path(__file__).parents[2]


def recorded(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


def batch(name: str, bodies: list[str]) -> Any:
    """A recorded SQS event whose messages carry these bodies; their ids are m-0, m-1, and so on."""
    record = recorded(name)["Records"][0]
    return {"Records": [record | {"messageId": f"m-{number}", "body": body} for number, body in enumerate(bodies)]}


def call(stack: Stack, name: str, event: Any) -> Any:
    """Call the deployed handler, as Lambda does."""
    return stack.invoke(stack.functions[f"predue-{name.replace('_', '-')}"], event)


def failed(answer: Any) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
