"""Requests as a loan system signs them: by the arithmetic of Standard Webhooks, not by the library that checks."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any


def key(text: str) -> str:
    """A key as Standard Webhooks writes it, made from any text."""
    return "whsec_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


OURS, OLD, FOREIGN = key("ours"), key("old"), key("foreign")
SOURCES = {
    "core": {"keys": [OURS, OLD], "tenant": "", "form": "predue"},
    "acme": {"keys": [FOREIGN], "tenant": "acme", "form": "predue"},
}


def signature(secret: str, message_id: str, seconds: str, body: bytes) -> str:
    root = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(root, f"{message_id}.{seconds}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signed(body: bytes, at: datetime, *secrets: str, message_id: str = "msg_1") -> dict[str, str]:
    """The headers of a request that carries this body, signed at an instant with each of the keys."""
    seconds = str(int(at.timestamp()))
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(signature(one, message_id, seconds, body) for one in secrets or (OURS,)),
    }


def written(*bodies: dict[str, Any], array: bool = False) -> bytes:
    """The body of a request: one event, or an array."""
    return json.dumps(list(bodies) if array or len(bodies) != 1 else bodies[0]).encode()
