"""Delivers the jobs of the SMS queue."""

from typing import Any

from predue import wiring
from predue.aws.providers import EndUserMessaging
from predue.reminders.delivery_batch import deliver_each
from predue.runtime.settings import env
from predue.runtime.telemetry import logger, metrics


def _provider() -> EndUserMessaging:
    return EndUserMessaging(env("SMS_ORIGINATION_IDENTITY"), env("SMS_CONFIGURATION_SET"))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of jobs; answer with those to be brought again."""
    return deliver_each("sms", lambda: wiring.delivery("sms", _provider), event, context)
