"""The resources of the templates on one machine: which are made over AWS APIs, which the stack plays, which are left
out and why.

Every type that a template uses stands in exactly one of the three; a test fails for one that does not.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from infrastructure.local.sam.template import ACCOUNT, REGION, Resource, TemplateError

PLAYED = {
    "AWS::CloudFormation::Stack": "its file is read as part of the whole",
    "AWS::Events::Rule": "its targets are told of the events that its pattern takes",
    "AWS::SES::ConfigurationSet": "by the carrier simulator",
    "AWS::SES::ConfigurationSetEventDestination": "by the carrier simulator, which tells the queues that listen",
    "AWS::SMSVOICE::ConfigurationSet": "by the carrier simulator",
    "AWS::SNS::Subscription": "by the carrier simulator",
    "AWS::SNS::Topic": "by the carrier simulator",
    "AWS::Serverless::Function": "called in this process, with its own environment, when its events occur",
    "AWS::Serverless::HttpApi": "its routes call their functions",
}
LEFT_OUT = {
    "AWS::ApiGatewayV2::ApiMapping": "names on the internet mean nothing on one machine",
    "AWS::ApiGatewayV2::DomainName": "names on the internet mean nothing on one machine",
    "AWS::CloudWatch::Alarm": "nobody is called; the run's summary tells what happened",
    "AWS::IAM::ManagedPolicy": "one process has one set of rights; tests/infrastructure checks the policies",
    "AWS::IAM::Role": "one process has one set of rights; tests/infrastructure checks the roles",
    "AWS::KMS::Alias": "nothing is encrypted at rest on one machine",
    "AWS::KMS::Key": "nothing is encrypted at rest on one machine",
    "AWS::Logs::LogGroup": "logs go to a file of the run",
    "AWS::S3::BucketPolicy": "one process has one set of rights",
    "AWS::SNS::TopicPolicy": "one process has one set of rights",
    "AWS::SQS::QueuePolicy": "one process has one set of rights",
}

Clients = Callable[[str], Any]


def _table(resource: Resource, clients: Clients) -> dict[str, Any]:
    name = f"{resource.file.application}-{resource.name}"
    made = clients("dynamodb").create_table(
        TableName=name,
        BillingMode=resource.get("BillingMode"),
        AttributeDefinitions=resource.get("AttributeDefinitions"),
        KeySchema=resource.get("KeySchema"),
        GlobalSecondaryIndexes=resource.get("GlobalSecondaryIndexes"),
        **_stream(resource),
    )["TableDescription"]
    arn = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"
    return {"": name, "Arn": arn, "StreamArn": made.get("LatestStreamArn", "")}


def _stream(resource: Resource) -> dict[str, Any]:
    """What makes a table tell of its changes, where the template has it do so."""
    kind = resource.get("StreamSpecification", "StreamViewType")
    return {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": kind}} if kind else {}


def _queue(resource: Resource, clients: Clients) -> dict[str, Any]:
    """Without its redrive policy and its timeouts, which the stack itself plays in virtual time."""
    name = resource.get("QueueName")
    url = clients("sqs").create_queue(
        QueueName=name, Attributes={"VisibilityTimeout": "43200", "MessageRetentionPeriod": "1209600"}
    )["QueueUrl"]
    return {"": url, "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "QueueName": name}


def _parameter(resource: Resource, clients: Clients) -> dict[str, Any]:
    name = resource.get("Name")
    clients("ssm").put_parameter(
        Name=name, Value=resource.get("Value"), Type=resource.get("Type"), Tier=resource.get("Tier", default="Standard")
    )
    return {"": name}


def _secret_value(resource: Resource, clients: Clients) -> dict[str, Any]:
    name = f"{resource.file.application}-{resource.name}"
    made = clients("secretsmanager").create_secret(Name=name, SecretString=drawn_secret(resource))
    return {"": made["ARN"]}


def drawn_secret(resource: Resource) -> str:
    """A secret as the template gives it; what is to be drawn is the same in every run, so that a run's opaque ids are,
    too.
    """
    text = resource.get("SecretString")
    if text is not None:
        return str(text)
    content = json.loads(resource.get("GenerateSecretString", "SecretStringTemplate"))
    content[resource.get("GenerateSecretString", "GenerateStringKey")] = "one-machine-".ljust(
        resource.get("GenerateSecretString", "PasswordLength"), "0"
    )
    return json.dumps(content)


def _bus(resource: Resource, clients: Clients) -> dict[str, Any]:
    name = resource.get("Name")
    made = clients("events").create_event_bus(Name=name)
    return {"": name, "Name": name, "Arn": made["EventBusArn"]}


def _schedule_group(resource: Resource, clients: Clients) -> dict[str, Any]:
    name = resource.get("Name")
    clients("scheduler").create_schedule_group(Name=name)
    return {"": name, "Arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/{name}"}


def _bucket(resource: Resource, clients: Clients) -> dict[str, Any]:
    """Without what keeps others out and what goes by itself; the stack plays what it tells of objects that are put."""
    name = resource.get("BucketName")
    clients("s3").create_bucket(Bucket=name)
    return {"": name, "Arn": f"arn:aws:s3:::{name}"}


def _remove_bucket(clients: Clients, ref: str) -> None:
    for page in clients("s3").get_paginator("list_objects_v2").paginate(Bucket=ref):
        for found in page.get("Contents", ()):
            clients("s3").delete_object(Bucket=ref, Key=found["Key"])
    clients("s3").delete_bucket(Bucket=ref)


MADE: dict[str, Callable[[Resource, Clients], dict[str, Any]]] = {
    "AWS::DynamoDB::Table": _table,
    "AWS::Events::EventBus": _bus,
    "AWS::S3::Bucket": _bucket,
    "AWS::SQS::Queue": _queue,
    "AWS::SSM::Parameter": _parameter,
    "AWS::Scheduler::ScheduleGroup": _schedule_group,
    "AWS::SecretsManager::Secret": _secret_value,
}

REMOVED: dict[str, Callable[[Clients, str], Any]] = {
    "AWS::DynamoDB::Table": lambda clients, ref: clients("dynamodb").delete_table(TableName=ref),
    "AWS::Events::EventBus": lambda clients, ref: clients("events").delete_event_bus(Name=ref),
    "AWS::S3::Bucket": _remove_bucket,
    "AWS::SQS::Queue": lambda clients, ref: clients("sqs").delete_queue(QueueUrl=ref),
    "AWS::SSM::Parameter": lambda clients, ref: clients("ssm").delete_parameter(Name=ref),
    "AWS::Scheduler::ScheduleGroup": lambda clients, ref: clients("scheduler").delete_schedule_group(Name=ref),
    "AWS::SecretsManager::Secret": lambda clients, ref: clients("secretsmanager").delete_secret(
        SecretId=ref, ForceDeleteWithoutRecovery=True
    ),
}
"""How each type of what was made is taken away again, by its `Ref`."""

_NAMED_BY = {
    "AWS::SES::ConfigurationSet": "Name",
    "AWS::SMSVOICE::ConfigurationSet": "ConfigurationSetName",
    "AWS::SNS::Topic": "TopicName",
}


class Resources:
    """Makes resources when something first asks for them, and knows their names and attributes."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._made: dict[str, dict[str, Any]] = {}
        self._removals: list[tuple[str, Callable[[], Any]]] = []

    def physical(self, resource: Resource, attribute: str) -> Any:
        """`Ref` (attribute "") or an attribute of a resource; raises TemplateError for a type or attribute that is
        not known.
        """
        attributes = self._attributes(resource)
        if attribute not in attributes:
            raise TemplateError(f"{resource.path}: attribute {attribute or 'Ref'} of {resource.type} is not known here")
        return attributes[attribute]

    def _attributes(self, resource: Resource) -> dict[str, Any]:
        if resource.path not in self._made:
            if resource.type in MADE:
                made = MADE[resource.type](resource, self._clients)
                self._made[resource.path] = made
                self._removals.append((made[""], partial(REMOVED[resource.type], self._clients, made[""])))
            elif resource.type in PLAYED or resource.type in LEFT_OUT:
                own_name = f"{resource.file.application}-{resource.name}"
                name = resource.get(_NAMED_BY[resource.type]) if resource.type in _NAMED_BY else own_name
                arn = f"arn:aws:{resource.type.split('::')[1].lower()}:{REGION}:{ACCOUNT}:{name}"
                # A topic's Ref is its ARN; all the others of these are referred to by name.
                self._made[resource.path] = {"": arn if resource.type == "AWS::SNS::Topic" else name, "Arn": arn}
            else:
                raise TemplateError(f"{resource.path}: the stack on one machine does not know {resource.type}")
        return self._made[resource.path]

    def remove(self) -> list[str]:
        """Take away what was made, the last first; returns the names of what its service would not give up."""
        left = []
        while self._removals:
            name, removal = self._removals.pop()
            try:
                removal()
            except ClientError:
                left.append(name)
        return left
