"""What predue tells others of its own accord: a model for each type of event, from which the published schemas are made
(`docs/schemas/`, by `python -m infrastructure.openapi.event_schemas`).

An event's id follows from what it tells, so the same told twice carries the same id. Of personal data an event holds
nothing but the ids that the loan system itself gave to borrower and loan. A field may be added to a version; whatever
would break a reader makes the next one.
"""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.json_schema import SkipJsonSchema

from predue.domain import instant
from predue.domain.case import About, Case, Kind, Signal
from predue.domain.channel import Channel
from predue.domain.due import Due
from predue.domain.record import Outcome, Record
from predue.domain.stage import StageKey
from predue.events.tenant import split_tenant

SOURCE = "predue"
"""The source of every event on the bus."""

Instant = Annotated[
    AwareDatetime,
    PlainSerializer(instant.to_text, return_type=str),
    Field(json_schema_extra={"type": "string", "format": "date-time"}, description="UTC, with a final Z."),
]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]


class Published(BaseModel):
    """What every event tells; its type is the name of its model."""

    model_config = ConfigDict(frozen=True)

    version: Annotated[Literal[1], Field(description="The version of this type's form.")]
    event_id: Annotated[
        str,
        Field(pattern=r"^[0-9a-f]{32}$", description="The same whenever the same is told again."),
    ]
    tenant: Annotated[
        str | SkipJsonSchema[None],
        Field(description="Whose borrower it is; absent for the lender itself.", json_schema_extra={"type": "string"}),
    ] = None
    borrower_id: Annotated[str, Field(description="As the loan system gave it.")]
    at: Instant

    @property
    def type(self) -> str:
        """The event's type."""
        return type(self).__name__

    def detail(self) -> dict[str, Any]:
        """The event in JSON's values."""
        return self.model_dump(mode="json", exclude_none=True)


class StageOfInstallment(BaseModel):
    """One installment at one due date, and the stage at which it was to be reminded of."""

    model_config = ConfigDict(frozen=True)

    loan_id: Annotated[str, Field(description="As the loan system gave it.")]
    installment_no: int
    due_date: Annotated[date, Field(description="Local to the borrower.")]
    stage: Annotated[str, Field(pattern=r"^T(0|[+-][1-9][0-9]{0,2})$", description="Days from the due date.")]


class _Reminder(Published):
    """One reminder's outcome, which answers for each planned stage in `dues`."""

    reminder_id: Annotated[str, Field(description="Leads to predue's own record of all that explains the outcome.")]
    dues: Annotated[list[StageOfInstallment], Field(min_length=1)]


class ReminderSent(_Reminder):
    """The provider took the message. Final."""

    outcome: Literal["sent"]
    channel: Channel


class ReminderSuppressed(_Reminder):
    """Nothing was sent, and nothing will be: by a rule (`suppressed`), or since its time ran out (`expired`). Final."""

    outcome: Literal["suppressed", "expired"]
    reason: Annotated[Code, Field(description="Why, as docs/policy.md lists it.")]


class ReminderFailed(_Reminder):
    """Nothing was sent: every provider that could be asked refused for good, or a text was missing. Final."""

    outcome: Literal["failed"]
    reason: Annotated[Code, Field(description="Why, as docs/policy.md lists it.")]


class ReminderUnknown(_Reminder):
    """The provider was called and its answer is lost: the borrower may have the message. predue does not call again.
    Not final: if it becomes known, an event of the same reminder follows and replaces this one.
    """

    outcome: Literal["unknown"]
    channel: Channel
    reason: Annotated[Code, Field(description="Why, as docs/policy.md lists it.")]


class BorrowerOptedOut(Published):
    """The borrower stopped a channel. Told of every stop, also of one that a later opt-in has lifted already: then
    `sequence` is below that of the opt-in.
    """

    channel: Annotated[Literal[Channel, "all"], Field(description="What was stopped; `all` is every channel.")]
    source: Annotated[
        str,
        Field(description="Who told it: a source of events by name, `one-click` (a link), `provider` (a complaint)."),
    ]
    sequence: Annotated[int, Field(ge=0, description="The stop's place among the borrower's stops and opt-ins.")]


class InstallmentOverdue(Published):
    """An installment left its grace unpaid. predue falls silent about it; collections may begin. Told once."""

    loan_id: Annotated[str, Field(description="As the loan system gave it.")]
    installment_no: int
    due_date: Annotated[date, Field(description="Local to the borrower.")]
    outstanding: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$", description="In major units.")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    grace_days: Annotated[int, Field(ge=0)]
    disputed: bool


class EarlyWarningRaised(Published):
    """What is recorded makes it likely that an installment goes unpaid however often predue writes. Told once for each
    `signal`; all of an installment at one due date belong to one case.
    """

    loan_id: Annotated[str, Field(description="As the loan system gave it.")]
    installment_no: int
    due_date: Annotated[date, Field(description="Local to the borrower.")]
    signal: Annotated[Signal, Field(description="What was seen, as docs/events.md lists it.")]
    case_id: Annotated[str, Field(description="The case that a person should look at.")]


class CaseOpened(Published):
    """There is something for a person to do about a borrower whom a message will not help. Told once."""

    case_id: Annotated[str, Field(description="The same whenever the same case is told of.")]
    kind: Annotated[
        Kind, Field(description="`at_risk`: an installment may go unpaid; `help`: the borrower asked for help.")
    ]
    reason: Annotated[Code, Field(description="The first early warning, or the code of the hold's reason.")]
    loan_id: Annotated[
        str | SkipJsonSchema[None],
        Field(description="Where `kind` is `at_risk`, as are the next two.", json_schema_extra={"type": "string"}),
    ] = None
    installment_no: Annotated[int | SkipJsonSchema[None], Field(json_schema_extra={"type": "integer"})] = None
    due_date: Annotated[
        date | SkipJsonSchema[None],
        Field(description="Local to the borrower.", json_schema_extra={"type": "string", "format": "date"}),
    ] = None


MODELS: Mapping[str, type[Published]] = {
    model.__name__: model
    for model in (
        *(ReminderSent, ReminderSuppressed, ReminderFailed, ReminderUnknown),
        *(BorrowerOptedOut, InstallmentOverdue, EarlyWarningRaised, CaseOpened),
    )
}
"""Every type of event that is told, by its name."""

_BY_OUTCOME: Mapping[Outcome, type[Published]] = {
    "sent": ReminderSent,
    "suppressed": ReminderSuppressed,
    "expired": ReminderSuppressed,
    "failed": ReminderFailed,
    "unknown": ReminderUnknown,
}


def event_id(*values: str) -> str:
    """The id of an event that tells this: the same however often it is told."""
    return hashlib.sha256("#".join(values).encode()).hexdigest()[:32]


def outcome_of(record: Record) -> Published:
    """The event that tells what became of a reminder; a reminder has each outcome at most once."""
    model = _BY_OUTCOME[record.outcome]
    tenant, borrower_id = split_tenant(record.borrower_id)
    values = {
        "version": 1,
        "event_id": event_id("reminder", record.reminder_id, record.outcome),
        "tenant": tenant or None,
        "borrower_id": borrower_id,
        "at": record.at,
        "reminder_id": record.reminder_id,
        "outcome": record.outcome,
        "channel": record.channel,
        "reason": record.reason,
        "dues": [_stage(key) for key in record.keys],
    }
    return model.model_validate({name: value for name, value in values.items() if name in model.model_fields})


def _stage(key: StageKey) -> StageOfInstallment:
    return StageOfInstallment(
        loan_id=split_tenant(key.loan_id)[1], installment_no=key.installment_no, due_date=key.due_date, stage=key.stage
    )


def opted_out(borrower_id: str, consent_key: str, channel: str, source: str, sequence: int, at: datetime) -> Published:
    """The event that tells of a stop; `heard` names the consent event among all of the borrower's."""
    tenant, own = split_tenant(borrower_id)
    return BorrowerOptedOut.model_validate(
        {
            "version": 1,
            "event_id": event_id("opted_out", borrower_id, consent_key),
            "tenant": tenant or None,
            "borrower_id": own,
            "at": at,
            "channel": channel,
            "source": source,
            "sequence": sequence,
        }
    )


def overdue(due: Due, identity: str, at: datetime) -> Published:
    """The event that hands a due over."""
    tenant, borrower_id = split_tenant(due.borrower_id)
    return InstallmentOverdue(
        version=1,
        event_id=identity,
        tenant=tenant or None,
        borrower_id=borrower_id,
        loan_id=split_tenant(due.loan_id)[1],
        installment_no=due.installment_no,
        due_date=due.due_date,
        outstanding=str(due.owed.major()),
        currency=due.currency,
        grace_days=due.grace_days,
        disputed=due.disputed,
        at=at,
    )


def case_opened(case: Case) -> Published:
    """The event that tells of a case."""
    return CaseOpened.model_validate(
        _of_case(case, case.opened_at, event_id("case", case.case_id)) | {"kind": case.kind, "reason": case.reason}
    )


def early_warning(case: Case, signal: Signal) -> Published:
    """The event that tells of one early warning of a case."""
    raised = _of_case(case, case.signals[signal], event_id("early_warning", case.case_id, signal))
    return EarlyWarningRaised.model_validate(raised | {"signal": signal})


def _of_case(case: Case, at: datetime, identity: str) -> dict[str, Any]:
    tenant, own = split_tenant(case.borrower_id)
    frame = {"version": 1, "event_id": identity, "tenant": tenant or None, "borrower_id": own, "at": at}
    about: dict[str, Any] = {"case_id": case.case_id}
    if isinstance(case.about, About):
        loan_id, about["installment_no"], about["due_date"], _ = case.about
        about["loan_id"] = split_tenant(loan_id)[1]
    return frame | about


def schema(model: type[Published]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of an event's detail, which allows fields that are not told of yet."""
    made = model.model_json_schema(mode="serialization")
    for one in (made, *made.get("$defs", {}).values()):
        one["description"] = one["description"].replace("\n", " ")
        for field in one["properties"].values():
            for noise in ("title", "default"):
                field.pop(noise, None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:predue:{model.__name__}:v1",
        **made,
    }
