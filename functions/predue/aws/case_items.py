"""Cases as items of the table: written by one update, which makes a case or adds to it what it does not know yet."""

from datetime import date, timedelta
from typing import Any

from predue.aws import items, table_keys
from predue.aws.clients import client, translated
from predue.domain import instant
from predue.domain.case import SIGNALS, About, Case, Hold
from predue.domain.due import KEEP


class Cases:
    """The part of the port Dues that writes cases."""

    _name: str

    def write_case(self, case: Case) -> bool:
        """See Dues; without a read, and whoever comes at the same time adds to the same case.

        An update that changes nothing is none to the stream (developer guide, "Change data capture for DynamoDB
        Streams").
        """
        item = case_item(case)
        key = {name: item.pop(name) for name in ("pk", "sk")}
        with translated("case"):
            answer = client("dynamodb").update_item(
                TableName=self._name,
                Key=items.wire(key),
                # What stands there already was there first.
                UpdateExpression="SET " + ", ".join(f"#{name} = if_not_exists(#{name}, :{name})" for name in item),
                ExpressionAttributeNames={f"#{name}": name for name in item},
                ExpressionAttributeValues=items.wire({f":{name}": value for name, value in item.items()}),
                ReturnValues="ALL_OLD",
            )
        return "Attributes" not in answer


def case_item(case: Case) -> items.Item:
    """The item of a case; each early warning is an attribute of its own, so that two at a time both count.

    One about a due goes with the due; one about a hold stays, since nobody knows how long a hold lasts.
    """
    fields: items.Item = {
        **items.key_item(table_keys.case(case.borrower_id, case.case_id)),
        "opened_at": instant.to_ms(case.opened_at),
        **{name: instant.to_ms(at) for name, at in case.signals.items()},
    }
    if isinstance(case.about, Hold):
        return fields | {"hold": f"{case.about.sequence}#{case.about.source}#{case.about.reason}"}
    loan_id, number, due_date, last_day = case.about
    gone = instant.from_text(f"{last_day.isoformat()}T00:00:00Z") + KEEP
    return fields | {
        "about": f"{loan_id}#{number}#{due_date.isoformat()}#{(last_day - due_date).days}",
        "expires_at": instant.to_epoch(gone),
    }


def read_case(item: items.Item) -> Case:
    """The case that an item holds."""
    return Case(
        borrower_id=table_keys.name_in(item["pk"]),
        case_id=table_keys.name_in(item["sk"]),
        opened_at=instant.from_ms(int(item["opened_at"])),
        about=_about(item),
        signals={name: instant.from_ms(int(item[name])) for name in SIGNALS if name in item},
    )


def _about(item: Any) -> About | Hold:
    if "hold" in item:
        sequence, source, reason = item["hold"].split("#")
        return Hold(reason, int(sequence), source)
    loan_id, number, due_date, grace_days = item["about"].split("#")
    day = date.fromisoformat(due_date)
    return About(loan_id, int(number), day, day + timedelta(days=int(grace_days)))
