"""Where the providers' events go: by topic, or by the account's default bus and its rules, into the queues that
listen; each as the configuration sets of the templates ask for it.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from infrastructure.local.aws.bus_rules import BusRule, TargetMessage
from infrastructure.local.sam.template import ACCOUNT, REGION, Resource, TemplateError

# SES developer guide, "Monitoring SES events using Amazon EventBridge".
_SES_DETAIL_TYPES = {
    "Send": "Email Sent",
    "Delivery": "Email Delivered",
    "DeliveryDelay": "Email Delivery Delayed",
    "Bounce": "Email Bounced",
    "Complaint": "Email Complaint Received",
    "Reject": "Email Rejected",
    "Rendering Failure": "Email Rendering Failed",
}


class _Destination(NamedTuple):
    """One event destination of a channel's configuration set; `topic` is empty for the default bus."""

    channel: str
    kinds: frozenset[str]
    topic: str


class ProviderEvents:
    """The event destinations, subscriptions and default bus of one stack."""

    def __init__(self, everything: Sequence[Resource], published: Callable[[], None]) -> None:
        """`published` hears of each message to a topic."""
        self._published = published
        self._destinations = [found for resource in everything for found in _destinations(resource)]
        self._topics: dict[str, list[str]] = {}
        for resource in everything:
            if resource.type == "AWS::SNS::Subscription":
                self._topics.setdefault(resource.get("TopicArn"), []).append(resource.get("Endpoint"))
        rules = [BusRule(resource) for resource in everything if resource.type == "AWS::Events::Rule"]
        self._rules = [rule for rule in rules if not rule.bus]
        for channel in ("sms", "email"):
            if not any(one.channel == channel for one in self._destinations):
                raise TemplateError(f"no configuration set says where the events of {channel} go")

    def wanted(self, channel: str, event: dict[str, Any]) -> bool:
        """Whether any destination asks for an event."""
        return bool(self._of(channel, event))

    def publish(self, channel: str, event: dict[str, Any], time: str) -> list[TargetMessage]:
        """Publish an event at its destinations; returns what comes to which queue."""
        stated: list[TargetMessage] = []
        for destination in self._of(channel, event):
            if destination.topic:
                self._published()
                stated += [TargetMessage(queue_arn, json.dumps(event)) for queue_arn in self._topics[destination.topic]]
            else:
                stated += [one for rule in self._rules for one in rule.stated(_on_the_bus(event, time))]
        return stated

    def _of(self, channel: str, event: dict[str, Any]) -> list[_Destination]:
        kind = event["eventType"].replace(" ", "").lower()
        return [one for one in self._destinations if one.channel == channel and kind in one.kinds]


def _destinations(resource: Resource) -> list[_Destination]:
    """The event destinations that a resource describes."""
    if resource.type == "AWS::SMSVOICE::ConfigurationSet":
        channel, given, topic = "sms", resource.get("EventDestinations"), "TopicArn"
    elif resource.type == "AWS::SES::ConfigurationSetEventDestination":
        channel, given, topic = "email", [resource.get("EventDestination")], "TopicARN"
    else:
        return []
    return [
        _Destination(
            channel,
            frozenset(kind.lower() for kind in one["MatchingEventTypes"]),
            one["SnsDestination"][topic] if "SnsDestination" in one else "",
        )
        for one in given
        if one["Enabled"]
    ]


def _on_the_bus(event: dict[str, Any], time: str) -> dict[str, Any]:
    """An event of SES as it comes on the default bus."""
    return {
        "version": "0",
        "id": f"{event['mail']['messageId']}-{event['eventType']}",
        "detail-type": _SES_DETAIL_TYPES[event["eventType"]],
        "source": "aws.ses",
        "account": ACCOUNT,
        "time": time,
        "region": REGION,
        "resources": [],
        "detail": event,
    }
