"""Delivers the jobs of the email queue."""

from typing import Any

from predue import wiring
from predue.aws.providers import Ses
from predue.reminders.delivery_batch import deliver_each
from predue.runtime.settings import env
from predue.runtime.telemetry import logger, metrics


def _provider() -> Ses:
    return Ses(env("EMAIL_FROM"), env("EMAIL_CONFIGURATION_SET"))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of jobs; answer with those to be brought again."""
    return deliver_each("email", lambda: wiring.delivery("email", _provider), event, context)
