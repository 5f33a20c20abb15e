"""Answers in part, as services give them: some entries taken and some not, some keys read, a page that ends early."""

import copy
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from infrastructure.local.aws.wire_answers import answer, json_body

Act = Callable[[AWSPreparedRequest], AWSResponse | None]
InPart = Callable[[AWSPreparedRequest, Act, random.Random], AWSResponse | None]


def _with(request: AWSPreparedRequest, body: Mapping[str, Any]) -> AWSPreparedRequest:
    """The same request with another JSON body, and that one's length: a server waits for all that it is told of."""
    other = copy.copy(request)
    other.body = json.dumps(body).encode()
    other.headers = copy.copy(request.headers)
    del other.headers["Content-Length"]
    other.headers["Content-Length"] = str(len(other.body))
    return other


def short_page(request: AWSPreparedRequest, most: int) -> AWSPreparedRequest:
    """A query whose page ends after a few items, as one does after a megabyte."""
    return _with(request, {**json_body(request), "Limit": most})


def _send_batch(request: AWSPreparedRequest, act: Act, rng: random.Random) -> AWSResponse | None:
    """SendMessageBatch: an entry that fails for a passing reason is told, and not queued."""
    body = json_body(request)
    failed = [entry["Id"] for entry in body["Entries"] if rng.random() < 0.5]  # noqa: PLR2004 - one of two
    kept = [entry for entry in body["Entries"] if entry["Id"] not in failed]
    said: dict[str, Any] = {"Successful": []}
    if kept:
        taken = act(_with(request, {**body, "Entries": kept}))
        if taken is None or taken.status_code >= 400:  # noqa: PLR2004 - an error of its own stays
            return taken
        said = json.loads(taken.content)
    lost = [{"Id": one, "SenderFault": False, "Code": "InternalError", "Message": "on purpose"} for one in failed]
    return answer(request, 200, {**said, "Failed": lost})


def _get_batch(request: AWSPreparedRequest, act: Act, rng: random.Random) -> AWSResponse | None:
    """BatchGetItem: keys that are left over are to be asked for again."""
    body = json_body(request)
    ((table, wanted),) = body["RequestItems"].items()
    left = [key for key in wanted["Keys"] if rng.random() < 0.5]  # noqa: PLR2004 - one of two
    kept = [key for key in wanted["Keys"] if key not in left]
    if not left or not kept:
        return None
    read = act(_with(request, {**body, "RequestItems": {table: {**wanted, "Keys": kept}}}))
    if read is None or read.status_code >= 400:  # noqa: PLR2004 - an error of its own stays
        return read
    return answer(request, 200, {**json.loads(read.content), "UnprocessedKeys": {table: {**wanted, "Keys": left}}})


def _put_events(request: AWSPreparedRequest, _act: Act, _rng: random.Random) -> AWSResponse:
    """PutEvents: the call succeeds, and its entries were not taken."""
    lost = [{"ErrorCode": "InternalFailure", "ErrorMessage": "on purpose"} for _ in json_body(request)["Entries"]]
    return answer(request, 200, {"FailedEntryCount": len(lost), "Entries": lost})


OPERATIONS: Mapping[str, InPart] = {
    "SendMessageBatch": _send_batch,
    "BatchGetItem": _get_batch,
    "PutEvents": _put_events,
}
