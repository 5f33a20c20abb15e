"""What the templates describe, in the terms in which the stack plays it: functions, what calls them, what tells whom.

Making it makes the resources. Nothing runs yet.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from infrastructure.local.aws.bus_rules import BusRule
from infrastructure.local.aws.http_api import Route
from infrastructure.local.aws.lambdas import Function, Handler, environment
from infrastructure.local.aws.notices import Notice, notices_of
from infrastructure.local.aws.streams import StreamSource, stream_source
from infrastructure.local.sam.resources import Resources
from infrastructure.local.sam.template import Resource, TemplateError, TemplateFile
from infrastructure.local.virtual.pollers import QueueMapping


@dataclass
class Deployment:
    """`functions` are by name, `queue_urls` by ARN, and `sources`, the queues that feed functions, by URL; `schedules`
    are expressions with the function that each calls.
    """

    resources: list[Resource]
    functions: dict[str, Function] = field(default_factory=dict)
    queue_urls: dict[str, str] = field(default_factory=dict)
    sources: dict[str, QueueMapping[Function]] = field(default_factory=dict)
    streams: list[StreamSource] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    schedules: list[tuple[str, Function]] = field(default_factory=list)
    rules: list[BusRule] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


HandlerOf = Callable[[str, Mapping[str, str]], Handler]


def imported(handler: str, variables: Mapping[str, str]) -> Handler:
    """The deployed handler, imported in its function's own environment, as Lambda does at a cold start."""
    module, _, attribute = handler.partition(".")
    with environment(variables):
        found: Handler = getattr(importlib.import_module(module), attribute)
    return found


def deployed(
    root: TemplateFile, resources: Resources, addresses: Mapping[str, str], handler_of: HandlerOf = imported
) -> Deployment:
    """Make what the templates describe; raises TemplateError for anything that is not known here.

    `addresses` are parts of the functions' variables that stand for others: the HTTP API's own address by the one at
    which this machine serves it.
    """
    made = Deployment(list(root.resources()))
    for resource in made.resources:
        resources.physical(resource, "")
    queues, buckets = (
        [one for one in made.resources if one.type == kind] for kind in ("AWS::SQS::Queue", "AWS::S3::Bucket")
    )
    made.queue_urls |= {resources.physical(one, "Arn"): resources.physical(one, "") for one in queues}
    made.rules += [BusRule(one) for one in made.resources if one.type == "AWS::Events::Rule"]
    made.notices += notices_of([(one, resources.physical(one, "")) for one in buckets])
    by_arn = {resources.physical(one, "Arn"): one for one in queues}
    shared = root.resolve(root.raw["Globals"]["Function"], deep=True)["Environment"]["Variables"]
    for resource in made.resources:
        if resource.type == "AWS::Serverless::Function":
            function = _function(resource, shared, addresses, handler_of)
            made.functions[function.name] = function
            for event in resource.get("Events", default={}).values():
                _subscribe(made, function, event["Type"], event["Properties"], by_arn)
    return made


def _function(
    resource: Resource, shared: Mapping[str, Any], addresses: Mapping[str, str], handler_of: HandlerOf
) -> Function:
    """The function of a template."""
    own = resource.get("Environment", "Variables", default={})
    name = resource.get("FunctionName")
    variables = {key: str(value) for key, value in {**shared, **own}.items()}
    for address, other in addresses.items():
        variables = {key: value.replace(address, other) for key, value in variables.items()}
    variables |= {"AWS_LAMBDA_FUNCTION_NAME": name, "POWERTOOLS_TRACE_DISABLED": "true"}
    handler = handler_of(resource.get("Handler"), variables)
    dead_letters = resource.get("EventInvokeConfig", "DestinationConfig", "OnFailure", "Destination", default="")
    return Function(name, handler, variables, resource.get("Timeout"), dead_letters)


def _subscribe(
    made: Deployment, function: Function, kind: str, properties: dict[str, Any], queues: Mapping[str, Resource]
) -> None:
    """Have an event of a type call the function."""
    match kind:
        case "ScheduleV2":
            made.schedules.append((properties["ScheduleExpression"], function))
        case "SQS":
            arn = properties["Queue"]
            made.sources[made.queue_urls[arn]] = _source(made, function, properties, queues[arn])
        case "DynamoDB":
            made.streams.append(stream_source(function, properties))
        case "HttpApi":
            made.routes.append(Route(properties["Method"].upper(), properties["Path"], function))
        case _:
            raise TemplateError(f"{function.name}: an event of type {kind} is not played here")


def _source(
    made: Deployment, function: Function, properties: Mapping[str, Any], queue: Resource
) -> QueueMapping[Function]:
    redrive = queue.get("RedrivePolicy")
    return QueueMapping(
        function,
        properties.get("BatchSize", 10),
        timedelta(seconds=queue.get("VisibilityTimeout", default=30)),
        redrive["maxReceiveCount"],
        made.queue_urls[redrive["deadLetterTargetArn"]],
        timedelta(seconds=properties.get("MaximumBatchingWindowInSeconds", 0)),
    )
