"""Plain words for the codes in records, shared by summary, report and explanation."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

GROUPS = {
    "needless": "Nothing left to remind",
    "protected": "The borrower is protected",
    "unreachable": "No way to reach the borrower",
    "late": "Too late in the day",
    "switched": "Held by your own switches",
    "refused": "Refused by the provider",
    "unsure": "Outcome not known yet",
    "other": "Other reasons",
}
"""Why reminders did not go out, from best events to worst; each reason belongs to one."""


class Reason(NamedTuple):
    """What a reason code means: a `label` for charts, the `because` that completes a sentence, and its group."""

    label: str
    because: str
    group: str


REASONS = {
    "paid": Reason("Already paid", "nothing was owed any more: the installment had been paid", "needless"),
    "cancelled": Reason("Installment cancelled", "the installment had been cancelled", "needless"),
    "rescheduled": Reason(
        "Moved to another due date", "the installment had been moved to another due date", "needless"
    ),
    "disputed": Reason("Under dispute", "the borrower disputes the installment", "protected"),
    "opted_out": Reason("Borrower opted out", "the borrower had asked for no more messages", "protected"),
    "hold": Reason("On hold", "the borrower is on hold (hardship, dispute or bereavement)", "protected"),
    "no_consent": Reason(
        "No consent", "the borrower has given no consent for a channel that could be used", "protected"
    ),
    "cap_day": Reason(
        "Already contacted that day", "the borrower had already been contacted that local day", "protected"
    ),
    "gave_way": Reason(
        "Room kept for a more urgent one",
        "the room under the caps was kept for a more urgent reminder of the days ahead",
        "protected",
    ),
    "zone_unknown": Reason(
        "Time zone unknown",
        "the time zone is unknown and no hour is allowed in every zone where the borrower may be",
        "protected",
    ),
    "stage_channel": Reason(
        "Stage not for this channel", "this stage may not use the channel that would have carried it", "protected"
    ),
    "no_channel": Reason(
        "No channel wished for", "the borrower names no channel, so none could be used", "unreachable"
    ),
    "no_address": Reason(
        "No valid number or address", "there is no valid phone number or address for the channel", "unreachable"
    ),
    "address_suppressed": Reason(
        "Number or address blocked", "the number or address is blocked after a stop, bounce or complaint", "unreachable"
    ),
    "channel_unavailable": Reason("Channel not in service", "the wished channel is not in service", "unreachable"),
    "allow_list": Reason(
        "Not on the test allow-list", "outside production only allow-listed recipients get messages", "switched"
    ),
    "stage_removed": Reason("Stage taken out", "the stage was taken out of the policy while it waited", "switched"),
    "shadow": Reason(
        "Shadow mode", "shadow mode was on: everything was done except the call to the provider", "switched"
    ),
    "paused": Reason("Kill switch on", "the kill switch was on until the allowed hours of that day ended", "switched"),
    "hours_over": Reason(
        "Allowed hours ended", "the allowed hours of that local day ended before it could go out", "late"
    ),
    "no_run": Reason("No run in time", "no planning run reached it before the allowed hours of that day ended", "late"),
    "refused": Reason("Refused by the provider", "the provider refused every channel that could be used", "refused"),
    "refused_address": Reason(
        "Number or address refused", "the provider refused the number or address for good", "refused"
    ),
    "refused_channel": Reason("Channel refused", "the provider could send nothing on the channel", "refused"),
    "refused_busy": Reason("Provider too busy", "the provider was too busy to take the message in time", "refused"),
    "text_missing": Reason(
        "No text to send", "no approved text exists for this stage, channel and language", "refused"
    ),
    "no_answer": Reason(
        "No answer from the provider",
        "the provider gave no clear answer; it may have gone out, so it counts as a contact and is not sent again",
        "unsure",
    ),
}

OUTCOMES = {
    "sent": "Sent",
    "unknown": "Perhaps sent, receipt awaited",
    "suppressed": "Held back",
    "expired": "Ran out of time",
    "failed": "Could not be delivered",
}
CONTACTS = frozenset(("sent", "unknown"))
"""The outcomes that count as contacts."""

CHANNELS = {"sms": "SMS", "email": "Email", "voice": "Voice call", "wechat": "WeChat", "push": "App push"}

CASES = {
    "unreachable": "no message reaches the borrower",
    "earlier_overdue": "an earlier installment of the loan was left unpaid",
    "payment_reversed": "a payment was taken back",
    "hardship": "the borrower asked for help",
}
"""Why a person should look at a borrower."""

PROMISES = {
    "1": "Contact caps hold for every borrower",
    "2": "Nothing outside the allowed local hours",
    "3": "Nothing about money already paid, cancelled, moved or disputed",
    "4": "Nothing after an opt-out or during a hold",
    "5": "At most one provider call for each installment and stage",
    "6": "Every planned stage has exactly one outcome",
    "7": "Nothing after the pre-due window; one hand-over",
    "8": "No personal data in logs, queues or URLs",
    "9": "Every contact can be explained from records",
    "10": "When in doubt nothing is sent",
}

_CAP = re.compile(r"cap_(?:(sms|email|voice|wechat|push)_)?(day|\d+_days)")
_STAGE = re.compile(r"T(?:([+-])(\d+)|0)")
_OTHER = {"suppressed": "protected", "expired": "late", "failed": "refused", "unknown": "unsure"}


def reason(code: str, outcome: str = "") -> Reason:
    """The meaning of any reason code; one that is not listed keeps its own words, in the group of its outcome."""
    if code in REASONS:
        return REASONS[code]
    if match := _CAP.fullmatch(code):
        return _cap(*match.groups())
    words = code.replace("_", " ").strip()
    if not words:
        return Reason("No reason given", "no reason was recorded", _OTHER.get(outcome, "other"))
    return Reason(words[0].upper() + words[1:], words, _OTHER.get(outcome, "other"))


def _cap(name: str | None, per: str) -> Reason:
    window = "that local day" if per == "day" else f"in {per.replace('_', ' ')}"
    kind = channel(name) if name else "contact"
    return Reason(
        f"{kind[0].upper()}{kind[1:]} limit {window} reached", f"the {kind} limit {window} was reached", "protected"
    )


def outcome(code: str) -> str:
    """An outcome in words."""
    return OUTCOMES.get(code, code)


def channel(code: str) -> str:
    """A channel in words."""
    return CHANNELS.get(code, code or "no channel")


def stage(name: str) -> str:
    """A stage in words: `T-3` is `3 days before due`."""
    match = _STAGE.fullmatch(name)
    if not match:
        return name
    sign, days = match.groups()
    if days is None:
        return "on the due date"
    return f"{days} {'day' if days == '1' else 'days'} {'before' if sign == '-' else 'after'} due"


def stage_offset(name: str) -> int:
    """Days from the due date, for sorting; what is no stage comes last."""
    match = _STAGE.fullmatch(name)
    return int(name[1:] or 0) if match else 10_000


def installment(line: Mapping[str, Any]) -> str:
    """Which installment a line of a file speaks of."""
    return f"loan {line['loan_id']}, installment {line['installment_no']}, due {line['due_date']}"
