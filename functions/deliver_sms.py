"""Delivers the jobs of the SMS queue."""

from typing import Any

from predue.aws.delivery import deliver_each
from predue.aws.providers import EndUserMessaging
from predue.aws.settings import env
from predue.aws.telemetry import logger, metrics


def _provider() -> EndUserMessaging:
    return EndUserMessaging(env("SMS_ORIGINATION_IDENTITY"), env("SMS_CONFIGURATION_SET"))


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Take a batch of jobs; answer with those to be brought again."""
    return deliver_each("sms", _provider, event, context)
