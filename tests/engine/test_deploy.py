"""The template on another engine's CloudFormation: what it makes whole, in part, and not at all."""

import importlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from infrastructure.local.aws import engine
from infrastructure.local.aws.lambdas import Function, call, environment
from infrastructure.local.runs import outputs
from infrastructure.local.runs.portfolio import apply_rows
from infrastructure.local.virtual.pollers import QueueMessage
from infrastructure.local.virtual.sqs import sqs_record
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from predue.aws import clients
from predue.runtime import clock
from tests.engine import deployment
from tests.engine.deployment import Made
from tests.engine.effects import in_effect
from tests.engine.gaps import CANNOT_MAKE, MADE_WITHOUT

pytestmark = pytest.mark.engine
SLOT = datetime(2026, 12, 10, 15, tzinfo=UTC)
WHO, MAILBOX = "b-1", "ana@lender.example"
Stack = dict[str, Made]


@pytest.fixture(scope="module")
def stack(endpoint: str) -> Iterator[Stack]:
    """The application as the engine makes it; the engine keeps it until it is stopped."""
    with engine.over(endpoint):
        yield deployment.deploy(engine.own_name(), endpoint, CANNOT_MAKE)


def test_the_template_deploys_and_every_type_but_the_named_ones_is_made(stack: Stack, endpoint: str) -> None:
    assert {made.type for made in stack.values()} == deployment.types_of(endpoint) - set(CANNOT_MAKE)


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize("kind", sorted(CANNOT_MAKE))
def test_what_is_named_as_impossible_is_refused_by_the_engine(kind: str) -> None:
    template = {"Resources": {"One": {"Type": kind, "Properties": {}}}}
    with pytest.raises(ClientError, match=f"Unrecognized resource types: .*{kind}"):
        deployment.create(engine.own_name(), template)


def test_what_is_made_is_in_effect_but_for_the_named_properties(stack: Stack) -> None:
    without = {name for name, found in in_effect(stack).items() if not found}
    assert without == set(MADE_WITHOUT)


def functions(stack: Stack) -> dict[str, dict[str, str]]:
    """The environment of each function, as the engine resolved it."""
    found = {}
    for path in (path for path, made in stack.items() if made.type == "AWS::Lambda::Function"):
        configuration = clients.client("lambda").get_function_configuration(FunctionName=stack[path].physical)
        found[path] = dict(configuration["Environment"]["Variables"]) | {"POWERTOOLS_TRACE_DISABLED": "true"}
    return found


def called(name: str, module: str, variables: Mapping[str, str], event: Any) -> Any:
    """A deployed function's handler, in this process, with the environment that the engine gave it."""
    with environment(variables):
        handler = importlib.import_module(module).handler
    return call(Function(name, handler, variables, 30), event, io.StringIO(), clock.now)


def test_a_reminder_goes_from_the_planner_over_the_deployed_queue_to_the_engines_mail(
    stack: Stack, endpoint: str
) -> None:
    own = functions(stack)
    shared = {name: value for variables in own.values() for name, value in variables.items()}
    wiring.forget()
    token = clock.source.set(VirtualClock(SLOT))
    try:
        clients.client("sesv2").create_email_identity(EmailIdentity="reminders@lender.example")
        with environment(shared):
            know_a_borrower()
        called("planner", "plan_reminders", own["PlanReminders"], {})
        messages = taken(shared["EMAIL_QUEUE_URL"])
        answer = called("deliver", "deliver_email", own["DeliverEmail"], {"Records": messages})
        found = outputs.records(shared["TABLE_NAME"])
    finally:
        clock.source.reset(token)
    assert answer == {"batchItemFailures": []}
    (record,) = found
    assert (record.outcome, record.channel, record.keys[0].stage) == ("sent", "email", "T0")
    with urlopen(f"{endpoint}/_ministack/ses/messages") as page:  # noqa: S310 - an http address, checked by the fixture
        mails = [mail for account in json.load(page)["messages"].values() for mail in account]
    assert record.provider_message_id in {mail["MessageId"] for mail in mails if mail["To"] == [MAILBOX]}


def know_a_borrower() -> None:
    services = wiring.event_services()
    fields = {"borrower_id": WHO, "name": "Ana López", "email": MAILBOX, "locale": "en-US",
              "time_zone": "America/New_York", "jurisdiction": "US-NY", "channels": "email",
              "consent": "email"}  # fmt: skip
    due = {"loan_id": "loan-1", "installment_no": "1", "borrower_id": WHO, "due_date": "2026-12-10",
           "amount": "120.00", "currency": "USD", "grace_days": "3", "status": "open"}  # fmt: skip
    apply_rows(fields, [due], SLOT - timedelta(hours=1), services)


def taken(url: str) -> list[dict[str, Any]]:
    """The messages of a queue, as Lambda hands them over."""
    received = clients.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    return [
        sqs_record(url, QueueMessage(SLOT, 0, one["Body"], one["MessageId"], one["ReceiptHandle"])) for one in received
    ]
