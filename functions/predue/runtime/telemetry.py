"""One logger and one set of metrics for all functions; neither ever carries personal data, bodies or exception texts of
others.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from predue.errors import BadPolicy, PredueError

logger = Logger()
metrics = Metrics(namespace="predue")


_counting = Lock()


def count(name: str, value: float = 1) -> None:
    """Count something; workers may do so side by side."""
    with _counting:
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


@contextmanager
def failures(what: str) -> Iterator[None]:
    """Log and count a failure on its way out: its kind and place, and its text only if it is our own, which holds no
    personal data.
    """
    try:
        yield
    except PredueError as error:
        count("FailedClosed" if isinstance(error, BadPolicy) else "Retried" if error.retry else "Unusable")
        logger.warning(what, error=type(error).__name__, reason=str(error), retry=error.retry)
        raise
    except Exception as error:
        count("Unexpected")
        places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
        # Not logger.exception: it would write the exception's text and arguments, which may be personal.
        logger.error(what, error=type(error).__name__, places=places)  # noqa: TRY400
        raise
