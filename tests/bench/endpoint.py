"""A fast endpoint on this machine that answers AWS's APIs from memory, in a process of its own so that its time is not
ours: every read finds a borrower, every write succeeds. What it says of state is made from the key that is asked for.

Run as `python -m tests.bench.endpoint FILE`: it listens on a free port of loopback, prints the port, and ends with its
standard input. FILE holds the answers that it fills in (see `Answers`).
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

_PAGE_BYTES = 1_000_000
"""A Query answers with at most 1 MB (DynamoDB developer guide, "Paginating the results")."""


class Answers:
    """`state` is a borrower's partition and `profile` a profile, as typed items of borrower `b-0`; `due` is an entry of
    the index, with `{n}` for the borrower's number; `dues` says how many the index holds; `single` are items of the
    stack itself, `parameters` and `secret` its settings.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self._state: str = json.dumps({"Items": given["state"], "Count": len(given["state"])})
        self._profile: str = json.dumps(given["profile"])
        self._due: str = json.dumps(given["due"])
        self._due_key: Any = given["due"]["due_key"]
        self._dues: int = given["dues"]
        self._single = {item["pk"]["S"]: json.dumps(item) for item in given["single"]}
        self._fixed = {"GetParameters": {"Parameters": given["parameters"]}, "GetSecretValue": given["secret"]}
        self._page = _PAGE_BYTES // len(self._due)

    def answer(self, operation: str, body: Any) -> str:
        """The answer to one request."""
        if operation == "Query" and "IndexName" in body:
            return self._index(body)
        if operation == "Query":
            return self._state.replace("B#b-0", body["ExpressionAttributeValues"][":pk"]["S"])
        if operation == "BatchGetItem":
            return self._batch(body["RequestItems"])
        if operation == "SendMessageBatch":
            return json.dumps({"Successful": [_taken(entry) for entry in body["Entries"]], "Failed": []})
        if operation in self._fixed:
            return json.dumps(self._fixed[operation])
        return '{"MessageId": "0123456789abcdef"}' if operation == "Send" else "{}"

    def _index(self, body: Any) -> str:
        """A page of the index, from where the last one ended; all of it stands under one key."""
        if body["ExpressionAttributeValues"][":due_key"] != self._due_key:
            return '{"Items": [], "Count": 0}'
        start = int(body.get("ExclusiveStartKey", {}).get("pk", {}).get("S", "B#b--1")[4:]) + 1
        end = min(start + self._page, self._dues)
        items = ",".join(self._due.replace("{n}", f"{number:012d}") for number in range(start, end))
        last = f', "LastEvaluatedKey": {{"pk": {{"S": "B#b-{end - 1:012d}"}}}}' if end < self._dues else ""
        return f'{{"Items": [{items}], "Count": {end - start}{last}}}'

    def _batch(self, requests: Any) -> str:
        ((table, asked),) = requests.items()
        keys = [key["pk"]["S"] for key in asked["Keys"]]
        found = [self._profile.replace("B#b-0", key) for key in keys if key.startswith("B#")]
        items = ",".join([*found, *(self._single[key] for key in keys if key in self._single)])
        return f'{{"Responses": {{"{table}": [{items}]}}, "UnprocessedKeys": {{}}}}'


def _taken(entry: Any) -> dict[str, str]:
    return {"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": ""}


def _operation(head: dict[str, str]) -> str:
    """The operation that a request names in its target header; a REST call has none, and is an email."""
    return head.get("x-amz-target", "Send").rpartition(".")[2].replace("SendTextMessage", "Send")


async def _serve(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
            head = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(head.get("content-length", 0)))
            said = answers.answer(_operation(head), json.loads(body)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(said), said))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(answers: Answers) -> None:
    """Serve until standard input ends."""
    server = await asyncio.start_server(lambda reader, writer: _serve(answers, reader, writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the parent reads the port here
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Answers(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
