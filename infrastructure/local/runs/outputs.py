"""What a run leaves behind: contacts.jsonl, records.jsonl and the samples of the report, read from the table through
its API.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from predue.aws import items
from predue.aws.clients import client
from predue.domain import instant
from predue.domain.job import Job
from predue.domain.record import Record, most_urgent
from predue.domain.stage import StageKey
from predue.messages.encoding import measure

_SHOWN = 10


def records(table_name: str) -> list[Record]:
    """Every reminder record, in the order of contacts.jsonl."""
    return sorted(map(items.read_record, scan(table_name, "R#")), key=lambda record: (record.at, record.reminder_id))


def scan(table_name: str, prefix: str) -> Iterator[items.Item]:
    """Every item whose sort key begins with a prefix."""
    request: dict[str, Any] = {
        "TableName": table_name,
        "FilterExpression": "begins_with(sk, :prefix)",
        "ExpressionAttributeValues": items.wire({":prefix": prefix}),
    }
    while True:
        page = client("dynamodb").scan(**request)
        yield from map(items.plain, page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def contact_line(record: Record) -> dict[str, Any]:
    """A record as a line of contacts.jsonl."""
    return {
        "at": instant.to_text(record.at),
        "local_time": record.local_time,
        "reminder_id": record.reminder_id,
        "borrower_id": record.borrower_id,
        "channel": record.channel,
        "dues": named(record.keys),
        "outcome": record.outcome,
        "reason": record.reason,
        "policy": record.policy,
        "pack": record.pack,
        "text": record.text,
        "provider_message_id": record.provider_message_id,
        "receipt": record.receipt,
        "attempts": [
            {"at": instant.to_text(attempt.at), "channel": attempt.channel, "answer": attempt.answer.text}
            for attempt in record.attempts
        ],
    }


def named(keys: Iterable[StageKey]) -> list[dict[str, Any]]:
    """Stages of installments, as the files name them."""
    return [
        {
            "loan_id": key.loan_id,
            "installment_no": key.installment_no,
            "due_date": key.due_date.isoformat(),
            "stage": key.stage,
        }
        for key in keys
    ]


def job_line(job: Job) -> dict[str, Any]:
    """A job as a line of dead_letters.jsonl names it."""
    return {"borrower_id": job.borrower_id, "slot": instant.to_text(job.slot), "dues": named(job.keys)}


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """JSON lines, one object a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def write_records(out: Path, contacts: Sequence[dict[str, Any]], records: Sequence[Record]) -> None:
    """contacts.jsonl, and records.jsonl, whose lines say what the gate saw besides."""
    with (
        (out / "contacts.jsonl").open("w", encoding="utf-8") as one,
        (out / "records.jsonl").open("w", encoding="utf-8") as other,
    ):
        for line, record in zip(contacts, records, strict=True):
            text = json.dumps(line, ensure_ascii=False)
            one.write(f"{text}\n")
            other.write(f'{text[:-1]}, "inputs": {json.dumps(dict(record.inputs), ensure_ascii=False)}}}\n')


def sort_lines(path: Path) -> list[dict[str, Any]]:
    """Sort a file of lines by their instants, and return what they say."""
    texts = path.read_text(encoding="utf-8").splitlines()
    both = sorted(((json.loads(text), text) for text in texts), key=lambda one: by_instant(one[0]))
    path.write_text("".join(f"{text}\n" for _, text in both), encoding="utf-8")
    return [line for line, _ in both]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines, one after the other."""
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def by_instant(line: Mapping[str, Any]) -> tuple[str, str]:
    """What sorts lines by their instant, with and without a fraction of a second, then by reminder."""
    at = str(line["at"])
    return at if "." in at else f"{at[:-1]}.000Z", str(line.get("reminder_id", ""))


def samples(found: Sequence[Record], kept: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some of the messages that the carrier kept, as different from each other as there are: by channel, language and
    stage.
    """
    by_id = {record.reminder_id: record for record in found}
    chosen: dict[tuple[str, ...], dict[str, Any]] = {}
    for sample in kept:
        record = by_id.get(sample["reminder_id"])
        if record is None:
            continue
        locale, _, stage = record.text.partition("@")[0].split("/")
        chosen.setdefault((sample["channel"], locale, stage, str(len(record.keys) > 1)), stated(sample, record))
    spread = sorted(chosen.items(), key=lambda found: (found[0][2], found[0][1], found[0][0]))
    step = max(1, len(spread) // _SHOWN)
    return [sample for _, sample in spread[::step]][:_SHOWN]


def stated(sample: dict[str, Any], record: Record) -> dict[str, Any]:
    """A message that the carrier kept, with what its record and its size add."""
    more: dict[str, Any] = {
        "locale": record.text.partition("/")[0],
        "stage": most_urgent(record.keys).stage,
        "local_time": record.local_time,
    }
    if sample["channel"] == "sms":
        size = measure(sample["body"])
        more |= {"segments": size.segments, "encoding": size.encoding}
    return sample | more
