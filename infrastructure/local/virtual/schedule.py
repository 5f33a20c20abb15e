"""Schedule expressions of EventBridge Scheduler, as far as the templates use them; any other is refused by name."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from infrastructure.local.sam.template import TemplateError

_CRON = re.compile(r"cron\((\d{1,2})/(\d{1,2}) \* \* \* \? \*\)")


def fires(expression: str, after: datetime) -> Iterator[datetime]:
    """The instants, at or after `after`, at which a schedule fires; raises TemplateError for a form that is not
    played.
    """
    match = _CRON.fullmatch(expression)
    if not match:
        raise TemplateError(
            f"schedule {expression!r} is not of the form cron(M/N * * * ? *), which is all that is played here"
        )
    first, step = map(int, match.groups())
    minutes = range(first, 60, step)
    moment = after.replace(second=0, microsecond=0)
    if moment < after:
        moment += timedelta(minutes=1)
    while True:
        if moment.minute in minutes:
            yield moment
        moment += timedelta(minutes=1)
