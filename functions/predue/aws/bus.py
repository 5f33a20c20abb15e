"""The application's event bus."""

import json
from datetime import datetime

from predue import instant
from predue.aws.clients import client, translated
from predue.due import Due
from predue.errors import Unreachable


class EventBus:
    """Implements the port Bus over EventBridge."""

    def __init__(self, name: str) -> None:
        self._name = name

    def overdue(self, due: Due, event_id: str, at: datetime) -> None:
        """See Bus; the detail holds ids and figures, no personal data."""
        detail = {
            "version": 1,
            "event_id": event_id,
            "borrower_id": due.borrower_id,
            "loan_id": due.loan_id,
            "installment_no": due.installment_no,
            "due_date": due.due_date.isoformat(),
            "outstanding": str(due.owed.major()),
            "currency": due.currency,
            "grace_days": due.grace_days,
            "disputed": due.disputed,
            "at": instant.to_text(at),
        }
        entry = {
            "Source": "predue",
            "DetailType": "InstallmentOverdue",
            "Detail": json.dumps(detail),
            "EventBusName": self._name,
            "Time": at,
        }
        with translated("event bus"):
            answer = client("events").put_events(Entries=[entry])
        if answer.get("FailedEntryCount"):
            raise Unreachable(f"event bus: {answer['Entries'][0].get('ErrorCode')}")
