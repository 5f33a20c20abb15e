"""What each function finds when it is called in the real runtime; `effects.py` says what it must have done afterwards.

The events are recorded ones, of one day of 2026; what they name is fed so that it is true now: a borrower for each
channel whose reminder is due, and one whose day passed with no run. Local noon comes from the zone that has it, so that
the allowed hours are on whenever it runs.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall
from typing import Any

import boto3
from botocore.config import Config
from standardwebhooks import Webhook

from infrastructure.local.aws.aws_server import AwsServer
from infrastructure.local.aws.lambdas import environment
from infrastructure.local.aws.stack import PARAMETERS
from infrastructure.local.runs.portfolio import INSTALLMENT_COLUMNS, apply_rows
from infrastructure.local.runtime.emulator import ROOT, Deployed
from infrastructure.local.sam.resources import Resources
from infrastructure.local.sam.template import REGION, Resource, TemplateFile
from predue import wiring
from predue.aws import clients
from predue.domain import instant
from predue.domain.record import Record, ref_of
from predue.domain.stage import StageKey
from predue.runtime import settings

EVENTS = ROOT / "tests/events"
SMS, EMAIL, LATE = "b-1", "b-2", "b-3"
"""Who has a reminder due by SMS, who by email, and whose day has passed; the recorded events name the first two."""
_RECORDED_DAY = "2026-12-10"
_RECORDED_SLOT = "2026-12-10T15:00:00Z"
RECEIPTS = ("refrefrefrefrefrabcdefghijklmnop", "refrefrefrefrefrqrstuvwxyzabcdef")
"""The reminders that the recorded receipts are about."""
_SLOT = wall(10)
FILE = "books/core/daily book.csv"
SIGNING_KEY = f"whsec_{base64.b64encode(b'signs the events of the scene...').decode()}"
"""Of the source that the recorded webhook comes from."""


EVERYTHING = {"Publish": "webhooks", "WebhookAddresses": "any"}
"""Parameters under which every function of the template is there, and a subscriber may be on loopback."""


def deployed(root: TemplateFile) -> list[Deployed]:
    """Every function of a template, with what its own settings and the globals give it."""
    shared = root.resolve(root.raw["Globals"]["Function"], deep=True)
    return [_function(one, shared) for one in root.resources() if one.type == "AWS::Serverless::Function"]


def _function(resource: Resource, shared: Mapping[str, Any]) -> Deployed:
    own = resource.get("Environment", "Variables", default={})
    variables = shared.get("Environment", {}).get("Variables", {}) | own
    return Deployed(
        logical_id=resource.name,
        name=resource.get("FunctionName"),
        handler=resource.get("Handler"),
        code=ROOT / resource.get("CodeUri", default=shared.get("CodeUri")),
        timeout=resource.get("Timeout", default=shared.get("Timeout", 3)),
        memory=resource.get("MemorySize", default=shared.get("MemorySize", 128)),
        variables={name: str(value) for name, value in variables.items()},
        events=tuple((one["Type"], one["Properties"]) for one in resource.get("Events", default={}).values()),
    )


def template(physical: Callable[[Resource, str], Any]) -> TemplateFile:
    """The application's template with the values of the stack on one machine, and as many workers as are deployed."""
    workers = TemplateFile(ROOT / "template.yaml", {}, physical).raw["Parameters"]["Workers"]["Default"]
    return TemplateFile(ROOT / "template.yaml", PARAMETERS | EVERYTHING | {"Workers": workers}, physical)


@dataclass(frozen=True)
class Scene:
    """The resources of the template in a server, and three borrowers in their table."""

    server: AwsServer
    functions: list[Deployed]
    now: datetime
    token: str
    root: TemplateFile
    etag: str = ""

    @property
    def zone(self) -> str:
        """The zone of the borrowers, where it is noon."""
        return noon_zone(self.now)

    @property
    def day(self) -> date:
        """Today, there."""
        return (self.now + _days_away(self.now)).date()

    @property
    def slot(self) -> datetime:
        """The slot of today, two hours ago."""
        return datetime.combine(self.day, _SLOT, UTC) - _days_away(self.now)

    def event(self, module: str) -> Any:
        """A function's recorded event, about what is here now."""
        text = (EVENTS / f"{module}.json").read_text(encoding="utf-8")
        for recorded, here in (
            (_RECORDED_SLOT, instant.to_text(self.slot)),
            (_RECORDED_DAY, self.day.isoformat()),
            ("TOKEN", self.token),
            ("ETAG", self.etag),
        ):
            text = text.replace(recorded, here)
        event = json.loads(text)
        for record in (one for one in event.get("Records", ()) if "body" in one):
            record["md5OfBody"] = hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()
        if "webhook-id" in event.get("headers", {}):
            event["headers"] |= _signed(event["headers"]["webhook-id"], event["body"])
        return event

    def function(self, module: str) -> Deployed:
        """The function of a handler's file."""
        return next(one for one in self.functions if one.module == module)

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Within this, the adapters of this process work on the server, with the variables of all functions."""
        with acting(self.functions, self.server.endpoint):
            yield


@contextmanager
def acting(functions: list[Deployed], endpoint: str = "") -> Iterator[None]:
    """Within this, the adapters of this process work on an endpoint, with the variables of these functions."""
    variables = {name: value for one in functions for name, value in one.variables.items()}
    given = ({"AWS_ENDPOINT_URL": endpoint} if endpoint else {}) | {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    with environment(variables | given):
        clients.forget()
        wiring.forget()
        try:
            yield
        finally:
            clients.forget()
            wiring.forget()


def _signed(message_id: str, body: str) -> dict[str, str]:
    """The headers that sign a webhook now: a recorded signature is of a time long past."""
    now = datetime.now(UTC)
    signature = Webhook(SIGNING_KEY).sign(message_id, now, body)
    return {"webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def noon_zone(now: datetime) -> str:
    """The fixed zone in which it is between noon and one o'clock."""
    hours = round(_days_away(now) / timedelta(hours=1))
    # In the names of these zones the sign is the other way round (tzdata, file etcetera).
    return f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT"


def _days_away(now: datetime) -> timedelta:
    return timedelta(hours=12 - now.astimezone(UTC).hour)


def scene(server: AwsServer, now: datetime) -> Scene:
    """Make the template's resources in a server that is emptied first, and feed the borrowers."""
    server.reset()
    with acting([], server.endpoint):
        # Not the functions' clients: on a busy machine they would ask again, and find made what they ask for.
        patient = Config(read_timeout=120, retries={"total_max_attempts": 1})
        resources = Resources(lambda service: boto3.client(service, config=patient))  # type: ignore[call-overload]  # the name is not a literal here
        root = template(resources.physical)
        for resource in root.resources():
            resources.physical(resource, "")
        functions = deployed(root)
    made = Scene(server, functions, now, "", root)
    with made.acting():
        _feed(made)
        etag = _put_file(made)
        return replace(made, etag=etag, token=wiring.keys().stop_token(wiring.keys().borrower_ref(EMAIL), "email"))


def _feed(made: Scene) -> None:
    sources = {"core": {"keys": [SIGNING_KEY], "bus": "lender.loans", "tenant": "", "form": "predue"}}
    clients.client("secretsmanager").put_secret_value(
        SecretId=settings.env("SOURCES_SECRET"), SecretString=json.dumps(sources)
    )
    _listen(made)
    services = wiring.event_services()
    midnight = made.slot - timedelta(hours=_SLOT.hour)
    for number, (borrower, channel, day, known) in enumerate(
        (
            (SMS, "sms", made.day, midnight),
            (EMAIL, "email", made.day, midnight),
            (LATE, "email", made.day - timedelta(days=1), midnight - timedelta(days=1)),
        ),
        start=1,
    ):
        fields = {
            "borrower_id": borrower,
            "name": "Ana López",
            "phone": f"+1212555010{number}",
            "email": f"person{number}@example.com",
            "locale": "en-US",
            "time_zone": made.zone,
            "jurisdiction": "IS",  # without summer time, so that a fixed zone is known
            "channels": channel,
            "consent": channel,
            "preferred_time": f"{_SLOT:%H:%M}",
        }
        due = dict(zip(INSTALLMENT_COLUMNS, _installment_line(number, borrower, day).split(","), strict=True))
        apply_rows(fields, [due], known, services)
    for reminder, channel in zip(RECEIPTS, ("sms", "email"), strict=True):
        key = StageKey(f"loan-{ref_of(reminder)}-{channel}", 1, made.day, "T0")
        sent = Record(reminder, SMS, made.slot, made.slot.isoformat(), (key,), "sent", "", channel, receipt="accepted")
        wiring.table().write_record(sent)


def _installment_line(number: int, borrower: str, day: date) -> str:
    """A row of an installment."""
    return f"loan-{number},1,{borrower},{day.isoformat()},120.00,USD,0,open"


def _put_file(made: Scene) -> str:
    """Put the file that the recorded event tells of; returns its entity tag."""
    bucket = settings.env("BOOKS_BUCKET")
    put = clients.client("s3").put_object(
        Bucket=bucket,
        Key=FILE,
        Body=f"{','.join(INSTALLMENT_COLUMNS)}\n{_installment_line(9, SMS, made.day)}\n".encode(),
    )
    return str(put["ETag"]).strip('"')


def _listen(made: Scene) -> None:
    """A subscriber at the server's own address, and the template's rules, by which events reach its queue."""
    subscribers = {"core": {"url": f"{made.server.endpoint}/hooks/core", "keys": [SIGNING_KEY]}}
    clients.client("secretsmanager").put_secret_value(
        SecretId=settings.env("WEBHOOKS_SECRET"), SecretString=json.dumps(subscribers)
    )
    events = clients.client("events")
    for rule in (one for one in made.root.resources() if one.type == "AWS::Events::Rule" and one.get("EventBusName")):
        named = {"Name": rule.get("Name"), "EventBusName": rule.get("EventBusName")}
        events.put_rule(**named, EventPattern=json.dumps(rule.get("EventPattern")))
        targets = [{"Id": target["Id"], "Arn": target["Arn"]} for target in rule.get("Targets")]
        events.put_targets(Rule=named["Name"], EventBusName=named["EventBusName"], Targets=targets)
