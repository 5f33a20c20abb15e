"""The document itself: each route of template.yaml, what it takes and what it answers."""

import json
from pathlib import Path
from typing import Any

from infrastructure.local.sam.template import Resource, TemplateFile
from infrastructure.openapi import examples
from infrastructure.openapi.schemas import ref, schemas
from predue.inbound import problem
from predue.inbound.answers import RETRY_AFTER_SECONDS

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "docs" / "openapi.json"
_JSON, _PROBLEM, _PAGE = "application/json", "application/problem+json", "text/html; charset=utf-8"
_KEY, _BEARER, _BASIC = "standardWebhooks", "sharedSecret", "sharedPassword"

Part = dict[str, Any]


class UnknownRoute(Exception):
    """template.yaml and this module do not name the same routes."""


def text() -> str:
    """The document as it ships."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def document() -> Part:
    """The document; raises UnknownRoute when a route of the template is not described here, or the other way round."""
    described = {
        "POST /webhooks/{source}": _webhook(),
        "GET /unsubscribe/{token}": _show(),
        "POST /unsubscribe/{token}": _stop_page(),
    }
    if described.keys() != routes():
        raise UnknownRoute(", ".join(sorted(described.keys() ^ routes())))
    paths: dict[str, Part] = {}
    for route, operation in described.items():
        method, path = route.split()
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "predue",
            "version": "1",
            "summary": "Reminds borrowers of loan installments before they fall overdue.",
            "description": "News comes in by signed webhook; a borrower stops emails by the link in them.",
        },
        "servers": [
            {"url": "http://127.0.0.1:8000", "description": "`make serve`, with the source `demo`"},
            {
                "url": "https://{domain}",
                "description": "A deployed stack: its outputs PublicUrl and WebhookUrl",
                "variables": {"domain": {"default": "remind.example.com"}},
            },
        ],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": _security()},
    }


def routes() -> set[str]:
    """The HTTP routes of the template, such as `GET /unsubscribe/{token}`."""
    template = TemplateFile(ROOT / "template.yaml", {}, _nothing).raw
    events = [
        event["Properties"]
        for resource in template["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]
    return {f"{event['Method']} {event['Path']}" for event in events}


def _nothing(_resource: Resource, _attribute: str) -> None:
    """Nothing is made for a document: routes refer to no resource."""


def _security() -> Part:
    shared = "For systems that cannot sign: one of the `secrets` of the source"
    return {
        _KEY: _signature(),
        _BEARER: {"type": "http", "scheme": "bearer", "description": f"{shared}."},
        _BASIC: {"type": "http", "scheme": "basic", "description": f"{shared}, as the password of the source's name."},
    }


def _signature() -> Part:
    return {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": (
            "Standard Webhooks (https://www.standardwebhooks.com): `v1,` and base64 of HMAC-SHA256 over "
            "`<webhook-id>.<webhook-timestamp>.<body>`, with the bytes that the secret holds in base64 after `whsec_`. "
            "Several signatures, parted by a space, serve while keys change."
        ),
    }


# The webhook


def _webhook() -> Part:
    return {
        "operationId": "tellNews",
        "summary": "Send events: one, or an array",
        "description": (
            "For a source whose bodies have predue's own form; a source of another form sends that form's messages, of "
            "Fineract also as avro/binary (docs/connectors.md). An event is known by source and `event_id`: the same "
            "again changes nothing. Repeat, signed anew, whatever is not answered with 2xx and is not yours to mend."
        ),
        "security": [{_KEY: []}, {_BEARER: []}, {_BASIC: []}],
        "parameters": [
            _path_parameter("source", "The name of the source, which its keys belong to.", "demo"),
            {
                "name": "webhook-id",
                "in": "header",
                "required": False,
                "description": "A name of the message, for the signature only, which needs it.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,256}$"},
                "example": "msg_1",
            },
            {
                "name": "webhook-timestamp",
                "in": "header",
                "required": False,
                "description": "Seconds since 1970, at most five minutes from now; the signature needs it.",
                "schema": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,10})$"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": ref("News"), "examples": examples.requests()}},
        },
        "responses": _answers(),
    }


def _answers() -> dict[str, Part]:
    given: dict[str, Part] = {
        "200": {
            "description": "Every event is taken: applied, known already, or kept until its loan or borrower is known.",
            "content": {_JSON: {"schema": {"anyOf": [ref("Taken"), ref("Results")]}, "examples": examples.taken()}},
        },
        "207": {
            "description": "Some events of an array are refused for good; a repeat would say the same.",
            "content": {_JSON: {"schema": ref("Results"), "examples": examples.partly()}},
        },
    }
    for status in sorted({one.status for one in examples.problems()}):
        given[str(status)] = _problems(status)
    given["413"]["content"] |= _message_route("API Gateway's own limit is 10 MB.")["content"]
    return dict(sorted((given | _edge() | {"503": _waiting()}).items()))


def _problems(status: int) -> Part:
    """The problems of one status."""
    stated = [one for one in examples.problems() if one.status == status]
    names = [one.type for one in stated]
    exact = {"properties": {"type": {"enum": names}, "status": {"const": status}}}
    return {
        "description": "; ".join(one.title for one in stated) + ".",
        "content": {
            _PROBLEM: {
                "schema": {"allOf": [ref("Problem"), exact]},
                "examples": {
                    one.type.rpartition(":")[2]: {"value": one.model_dump(mode="json", exclude_none=True)}
                    for one in stated
                },
            }
        },
    }


def _waiting() -> Part:
    """503: a function's own, and API Gateway's."""
    return {
        "description": f"{problem.TRY_AGAIN.title}: {problem.TRY_AGAIN.detail}",
        "headers": {
            "Retry-After": {
                "description": "Seconds; absent where API Gateway itself answers.",
                "schema": {"type": "string", "pattern": "^[0-9]+$"},
                "example": str(RETRY_AFTER_SECONDS),
            }
        },
        "content": {
            _PROBLEM: {"schema": {"anyOf": [ref("ResultsProblem"), ref("Problem")]}, "examples": examples.waiting()},
            **_message_route("")["content"],
        },
    }


def _edge() -> dict[str, Part]:
    """What API Gateway answers before a function is asked."""
    return {
        "404": _message_route("No such route: the address holds no source, or no token, or a further part."),
        "429": _message_route("Too many requests; wait a second and repeat."),
    }


def _message_route(description: str) -> Part:
    return {"description": description, "content": {_JSON: {"schema": ref("Message")}}}


# The borrower's stop


def _show() -> Part:
    return {
        "operationId": "showStop",
        "summary": "What a stop would do; changes nothing, since mail scanners follow links",
        "parameters": [_token()],
        "responses": _pages("A page with a button."),
    }


def _stop_page() -> Part:
    return {
        "operationId": "stop",
        "summary": "Stop emails, by the page's button or by a mail client's one click (RFC 8058)",
        "description": "A mail client posts `List-Unsubscribe=One-Click`. Whatever the body says, the token decides.",
        "parameters": [_token()],
        "responses": _pages("Emails are stopped; the same again changes nothing."),
    }


def _token() -> Part:
    return _path_parameter("token", "Signed and opaque, as the link in an email carries it; it never expires.", None)


def _path_parameter(name: str, description: str, example: str | None) -> Part:
    made = {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
    }
    return made | ({"example": example} if example else {})


def _pages(done: str) -> dict[str, Part]:
    page = {_PAGE: {"schema": {"type": "string"}}}
    gone = {"description": "The link leads nowhere.", "content": page | _message_route("")["content"]}
    failed = {"500": _message_route("A fault of ours, which is alarmed; the link may be tried again.")}
    return dict(sorted((_edge() | failed | {"200": {"description": done, "content": page}, "404": gone}).items()))
