"""The borrower's one-click stop of email (RFC 8058): GET shows what a POST would do, POST does it."""

from html import escape
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from predue import wiring
from predue.borrowers import own_stop
from predue.runtime import clock
from predue.runtime.telemetry import count, failures, logger, metrics

app = APIGatewayHttpResolver()

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title>
<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1.2rem;color:#1b2733}}
button{{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#0b5a8a;color:#fff}}</style></head>
<body><h1>{title}</h1>{body}</body></html>"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _html(status: HTTPStatus, title: str, body: str) -> Response[str]:
    return Response(status, "text/html; charset=utf-8", _PAGE.format(title=escape(title), body=body), dict(_HEADERS))


def _unknown() -> Response[str]:
    count("LinkUnknown")
    help_there = "<p>Please use the link in your newest message, or call your lender.</p>"
    return _html(HTTPStatus.NOT_FOUND, "This link does not work", help_there)


@app.get("/unsubscribe/<token>")
def show(token: str) -> Response[str]:
    """What would be stopped; changes nothing, since mail scanners follow links."""
    if wiring.keys().read_stop_token(token) is None:
        return _unknown()
    count("LinkShown")
    form = (
        "<p>You will get no more payment reminders by email. Your payments stay due as agreed.</p>"
        '<form method="post"><button>Stop emails</button></form>'
    )
    return _html(HTTPStatus.OK, "Stop reminders by email?", form)


@app.post("/unsubscribe/<token>")
def act(token: str) -> Response[str]:
    """Stop the channel that the token names; the same again changes nothing."""
    meant = wiring.keys().read_stop_token(token)
    store = wiring.table()
    borrower_id = meant and store.borrower_of(meant[0])
    if not meant or not borrower_id:
        return _unknown()
    own_stop.stop(borrower_id, meant[1], f"one-click-{meant[0]}", "one-click", clock.now(), store)
    count("OneClickStop")
    return _html(HTTPStatus.OK, "Done", "<p>You will get no more payment reminders by email.</p>")


@app.not_found  # API Gateway decodes the path, so that a garbled token may fit no route
def garbled(_error: Exception) -> Response[str]:
    """A link that does not even have the form of one."""
    return _unknown()


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request of the HTTP API."""
    with failures("a borrower's link failed"):
        return app.resolve(event, context)
