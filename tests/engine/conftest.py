import os
from collections.abc import Iterator

import pytest

from infrastructure.local.aws import engine

_VARIABLE = "PREDUE_ENGINE"


@pytest.fixture(scope="session")
def endpoint() -> str:
    """The server that `make engine` started."""
    given = os.environ.get(_VARIABLE, "")
    assert given, f"{_VARIABLE} names no server; `make engine` starts one and runs these tests"
    url = engine.address(given)
    try:
        with engine.over(url):
            return url
    except engine.EndpointFailed as error:
        pytest.fail(str(error))


@pytest.fixture
def aws(endpoint: str) -> Iterator[None]:
    """The adapters talk to the server alone."""
    with engine.over(endpoint):
        yield
