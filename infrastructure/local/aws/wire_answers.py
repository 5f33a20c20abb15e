"""Requests and answers at the SDK's wire, where the stack answers in AWS's place."""

import io
import json
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse


class _AnswerBody(io.BytesIO):
    """A response body as botocore reads it."""

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.read()


def answer(
    request: AWSPreparedRequest, status: int, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None
) -> AWSResponse:
    """A JSON answer to a request that never leaves the process."""
    given: Any = {"Content-Type": "application/json", **(headers or {})}
    raw: Any = _AnswerBody(body if isinstance(body, bytes) else json.dumps(body).encode())
    return AWSResponse(request.url, status, given, raw)


def json_body(request: AWSPreparedRequest) -> Any:
    """The JSON body of a request."""
    body = request.body
    return json.loads(body) if isinstance(body, str | bytes | bytearray) and body else {}
