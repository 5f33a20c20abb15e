"""What a change in the table's stream tells."""

import json
from collections.abc import Mapping
from typing import Any

from predue.aws import items, table_keys
from predue.aws.case_items import read_case
from predue.domain import instant
from predue.errors import Unusable
from predue.outbound.published import Published, case_opened, early_warning, opted_out, outcome_of


def events_of(change: Mapping[str, Any]) -> list[Published]:
    """The events that a change of the table tells; raises Unusable for an item that cannot be read."""
    images = change["dynamodb"]
    if "NewImage" not in images:
        return []
    try:
        new, old = (items.plain(images.get(name, {})) for name in ("NewImage", "OldImage"))
        match table_keys.kind_in(new["sk"]):
            case table_keys.RECORD:
                return [outcome_of(items.read_record(new))] if old.get("outcome") != new["outcome"] else []
            case table_keys.CONSENT if change["eventName"] == "INSERT":
                return _stop_of(new)
            case table_keys.CASE:
                return _case_of(new, old)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise Unusable(f"an item of the stream cannot be read: {type(error).__name__}") from error
    return []


def _case_of(new: items.Item, old: items.Item) -> list[Published]:
    """A case that is new, and those of its early warnings that are."""
    case = read_case(new)
    opened = [] if old else [case_opened(case)]
    return opened + [early_warning(case, signal) for signal in case.signals if signal not in old]


def _stop_of(item: items.Item) -> list[Published]:
    consent = json.loads(item["said"])
    if consent["type"] != "borrower.opted_out":
        return []
    at, sequence = instant.from_ms(int(item["at"])), int(consent.get("sequence", 0))
    return [opted_out(table_keys.name_in(item["pk"]), item["sk"], consent["channel"], item["source"], sequence, at)]
