"""What bounds a flood: at the edge, and in what a new stack begins with."""

from infrastructure.local.sam.template import TemplateFile
from predue.domain.policy import read_policy
from predue.inbound.webhook import MOST_BYTES
from tests.infrastructure.stack import ROOT, Resource, Stack

_LAMBDA_PAYLOAD = 6 * 1024 * 1024
"""The largest synchronous request of Lambda (quotas), in which a body stands in base64 among the headers."""


def test_every_public_route_is_throttled_and_the_webhook_apart_from_the_borrowers(api: Resource, stack: Stack) -> None:
    routes = {f"{event['Method']} {event['Path']}" for _, _, event in stack.events("HttpApi")}
    apart = api.get("RouteSettings")
    assert set(apart) == {route for route in routes if "/webhooks/" in route} != set()
    for limits in (api.get("DefaultRouteSettings"), *apart.values()):
        assert 0 < limits["ThrottlingRateLimit"] <= limits["ThrottlingBurstLimit"] <= 200


def test_the_functions_own_limit_of_a_body_is_below_what_the_edge_lets_through() -> None:
    assert MOST_BYTES * 4 / 3 < _LAMBDA_PAYLOAD / 2


def test_a_new_stack_stops_at_a_volume_that_no_mistake_of_a_million_reaches() -> None:
    template = TemplateFile(ROOT / "template.yaml", {}, lambda _resource, _attribute: None)
    policy = read_policy(template.raw["Parameters"]["InitialPolicy"]["Default"])
    assert policy.max_reminders_per_day is not None
    assert policy.max_reminders_per_day <= 100_000
    assert policy.label == read_policy("{}").label
