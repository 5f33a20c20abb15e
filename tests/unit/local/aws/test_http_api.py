import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infrastructure.local.aws.http_api import HttpAnswer, HttpRequest, Route, answer_of, event_of, route_of
from infrastructure.local.aws.lambdas import Function
from infrastructure.local.sam.template import TemplateError
from tests.functions.recorded import recorded

NOW = datetime(2026, 12, 10, 15, 10, tzinfo=UTC)
FUNCTION = Function("f", lambda event, _context: event, {}, 10)


def route(method: str, path: str) -> Route:
    return Route(method, path, FUNCTION)


ROUTES = [route("ANY", "/a/{x}"), route("GET", "/a/{x}"), route("GET", "/a/b"), route("POST", "/webhooks/{source}")]


def event(request: HttpRequest) -> dict[str, Any]:
    found = route_of(ROUTES, request)
    assert found is not None
    return event_of(found[0], request, found[1], NOW)


def test_an_event_has_the_shape_of_one_that_api_gateway_sent() -> None:
    sample = recorded("unsubscribe")
    given = HttpRequest(
        "POST",
        "/unsubscribe/TOKEN",
        headers=tuple(sample["headers"].items()),
        body=base64.b64decode(sample["body"]),
        source_ip=sample["requestContext"]["http"]["sourceIp"],
    )
    made = event_of(route("POST", "/unsubscribe/{token}"), given, {"token": "TOKEN"}, NOW)
    chance = {"accountId", "apiId", "requestId"}
    for shape in (made, sample):
        for name in chance:
            shape["requestContext"].pop(name)
    assert made == sample


def test_headers_are_lower_case_and_those_of_one_name_are_joined() -> None:
    made = event(HttpRequest("GET", "/a/b", headers=(("X-One", "1"), ("x-one", "2"), ("Accept", "*/*"))))
    assert made["headers"] == {"x-one": "1,2", "accept": "*/*"}


def test_cookies_stand_apart_from_the_headers() -> None:
    made = event(HttpRequest("GET", "/a/b", headers=(("Cookie", "a=1; b=2"), ("cookie", "c=3"))))
    assert made["cookies"] == ["a=1", "b=2,c=3"]
    assert made["headers"] == {}


def test_a_query_stays_raw_beside_its_decoded_values() -> None:
    made = event(HttpRequest("GET", "/a/b", "x=1%202&x=%C3%BC&empty="))
    assert made["rawQueryString"] == "x=1%202&x=%C3%BC&empty="
    assert made["queryStringParameters"] == {"x": "1 2,ü", "empty": ""}


def test_path_and_path_parameters_are_decoded_before_a_route_is_looked_for() -> None:
    made = event(HttpRequest("GET", "/a/%C3%BC%20x"))
    assert made["rawPath"] == made["requestContext"]["http"]["path"] == "/a/ü x"
    assert made["pathParameters"] == {"x": "ü x"}
    assert route_of(ROUTES, HttpRequest("GET", "/a/x%2Fy")) is None


def test_what_a_request_lacks_is_absent() -> None:
    made = event(HttpRequest("GET", "/a/b"))
    assert made.keys().isdisjoint({"cookies", "queryStringParameters", "pathParameters", "body"})
    assert made["isBase64Encoded"] is False


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "text/plain", "text/x-any"])
def test_a_text_goes_as_it_is(kind: str) -> None:
    made = event(HttpRequest("POST", "/webhooks/demo", headers=(("Content-Type", kind),), body='{"ü":1}'.encode()))
    assert (made["body"], made["isBase64Encoded"]) == ('{"ü":1}', False)


@pytest.mark.parametrize(
    "kind", ["", "application/x-www-form-urlencoded", "application/octet-stream", "application/cbor"]
)
def test_everything_else_is_base64(kind: str) -> None:
    made = event(HttpRequest("POST", "/webhooks/demo", headers=(("Content-Type", kind),), body=b"\xff\x00a=1"))
    assert made["isBase64Encoded"] is True
    assert base64.b64decode(made["body"]) == b"\xff\x00a=1"


def test_the_most_specific_route_takes_a_request() -> None:
    def key(method: str, path: str) -> str | None:
        found = route_of(ROUTES, HttpRequest(method, path))
        return found and found[0].key

    assert key("GET", "/a/b") == "GET /a/b"
    assert key("GET", "/a/c") == "GET /a/{x}"
    assert key("DELETE", "/a/c") == "ANY /a/{x}"
    assert key("GET", "/webhooks/demo") is None
    assert key("POST", "/webhooks/") is None
    assert key("POST", "/webhooks/demo/more") is None


@pytest.mark.parametrize("path", ["/a/{rest+}", "$default"])
def test_a_route_that_takes_any_path_is_refused_by_name(path: str) -> None:
    with pytest.raises(TemplateError, match="any path"):
        route("GET", path)


def test_an_answer_has_status_headers_and_cookies_of_its_function() -> None:
    answer = answer_of(
        {"statusCode": "201", "headers": {"X-One": 1, "Content-Length": "99"}, "cookies": ["a=1", "b=2"], "body": "ü"}
    )
    assert answer.status == 201
    assert dict(answer.headers)["x-one"] == "1"
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert "content-length" not in dict(answer.headers)
    assert answer.body == "ü".encode()


def test_an_encoded_body_is_decoded() -> None:
    encoded = base64.b64encode(b"\xff\x00").decode()
    assert answer_of({"statusCode": 200, "body": encoded, "isBase64Encoded": True}).body == b"\xff\x00"


def test_a_result_without_a_status_is_the_body() -> None:
    assert json.loads(answer_of({"a": 1}).body) == {"a": 1}
    assert answer_of("as it is").body == b"as it is"
    assert dict(answer_of(None).headers) == {"content-type": "application/json"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"statusCode": "many"},
        {"statusCode": 42},
        {"statusCode": None},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "no base64", "isBase64Encoded": True},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "headers": {"x": "1\r\nset-cookie: a=1"}},
        {"statusCode": 200, "cookies": ["a=1\r\nx: 1"]},
    ],
)
def test_a_result_that_is_no_answer_is_an_internal_error(wrong: dict[str, Any]) -> None:
    assert answer_of(wrong) == HttpAnswer(
        500, (("content-type", "application/json"),), b'{"message":"Internal Server Error"}'
    )
