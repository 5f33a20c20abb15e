"""Deploys the application to an engine as `sam deploy` does: code and nested templates in a bucket, SAM transformed."""

import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.config import Config
from samtranslator.translator.transform import transform

from predue.aws import clients
from tests.infrastructure.stack import NESTED, ROOT, parse

Template = dict[str, Any]
BUCKET = "predue-code"
PARAMETERS = {
    "Environment": "production",
    "EmailFrom": "reminders@lender.example",
    "EmailIdentity": "lender.example",
    "SmsOriginationIdentity": "arn:aws:sms-voice:us-east-1:123456789012:pool/pool-lender",
    "AlarmEmail": "alarms@lender.example",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000",
    "Shards": "1",
    "Workers": "1",
}
_PATIENCE = 120.0
"""Seconds after which a deployment that does not end has failed."""


@dataclass(frozen=True)
class Made:
    """One resource of the deployed stack; `path` names it across nested stacks, such as `Messaging/SmsQueue`."""

    path: str
    type: str
    physical: str


def deploy(name: str, endpoint: str, leave_out: Iterable[str] = ()) -> dict[str, Made]:
    """Deploy the application without the types to leave out; returns what was made, by path."""
    clients.client("s3").create_bucket(Bucket=BUCKET)
    clients.client("s3").put_object(Bucket=BUCKET, Key="code.zip", Body=_code())
    create(name, packaged(endpoint, frozenset(leave_out)), PARAMETERS | {"DomainName": f"{name}.lender.example"})
    return {made.path: made for made in _walk(name)}


def create(name: str, template: Template, parameters: Mapping[str, str] | None = None) -> None:
    """Create a stack and wait for it; raises AssertionError with the engine's reasons if it does not complete."""
    # One request that may take its time: the SDK's own retry would meet the stack that the first one is making.
    patient = Config(read_timeout=_PATIENCE, retries={"total_max_attempts": 1})
    cloudformation = clients.session().client("cloudformation", config=patient)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
        Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    end = time.monotonic() + _PATIENCE
    while (status := _status(name)).endswith("_IN_PROGRESS"):
        assert time.monotonic() < end, f"{name} is still {status}"
        time.sleep(0.2)
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    reasons = [
        (one["LogicalResourceId"], one.get("ResourceStatusReason")) for one in events if "FAIL" in one["ResourceStatus"]
    ]
    assert status == "CREATE_COMPLETE", reasons


def _status(name: str) -> str:
    return str(clients.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def packaged(endpoint: str, leave_out: frozenset[str]) -> Template:
    """template.yaml in plain CloudFormation; the files nested in it stand in the bucket."""
    root = parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    root["Globals"]["Function"]["CodeUri"] = f"s3://{BUCKET}/code.zip"
    for resource in root["Resources"].values():
        if resource["Type"] == NESTED:
            file = ROOT / resource["Properties"]["TemplateURL"]
            nested = without(parse(file.read_text(encoding="utf-8")), leave_out)
            clients.client("s3").put_object(Bucket=BUCKET, Key=f"{file.stem}.json", Body=json.dumps(nested).encode())
            resource["Properties"]["TemplateURL"] = f"{endpoint}/{BUCKET}/{file.stem}.json"
    return without(transform(root, {}, _NoManagedPolicies()), leave_out)


class _NoManagedPolicies:
    """What the transform asks for managed policies by name; the template names none of them."""

    @staticmethod
    def load() -> dict[str, str]:
        return {}


def without(template: Template, types: frozenset[str]) -> Template:
    """A template without the resources of some types; where they are referred to, their name stands instead."""
    gone = {name for name, resource in template["Resources"].items() if resource["Type"] in types}

    def kept(value: Any) -> Any:
        if isinstance(value, list):
            return [kept(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.get("Ref") in gone:
            return value["Ref"]
        if isinstance(attribute := value.get("Fn::GetAtt"), list) and attribute[0] in gone:
            return f"arn:aws:none:us-east-1:123456789012:{attribute[0]}"
        return {key: kept(one) for key, one in value.items()}

    resources = {name: kept(resource) for name, resource in template["Resources"].items() if name not in gone}
    return {key: kept(one) for key, one in template.items()} | {"Resources": resources}


def _code() -> bytes:
    """The code of the functions, without their dependencies: the engine keeps it, and the tests call the handlers."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((ROOT / "functions").rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT / "functions"))
    return packed.getvalue()


def _walk(stack: str, prefix: str = "") -> Iterator[Made]:
    for one in clients.client("cloudformation").list_stack_resources(StackName=stack)["StackResourceSummaries"]:
        made = Made(prefix + one["LogicalResourceId"], one["ResourceType"], one["PhysicalResourceId"])
        yield made
        if made.type == NESTED:
            yield from _walk(made.physical, f"{made.path}/")


def types_of(endpoint: str) -> set[str]:
    """Every resource type of the application, as CloudFormation gets it."""
    folder = Path(ROOT / "infrastructure")
    templates = [packaged(endpoint, frozenset())]
    templates += [parse(file.read_text(encoding="utf-8")) for file in folder.glob("*.yaml")]
    return {resource["Type"] for template in templates for resource in template["Resources"].values()}
