from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import botocore.loaders
import botocore.session
import pytest
from botocore.config import Config
from moto import mock_aws

from infrastructure.local.sam.template import REGION
from infrastructure.local.virtual.virtual_clock import VirtualClock
from predue import wiring
from predue.aws import clients
from predue.aws.plans import TablePlans
from predue.aws.table import Table
from predue.outbound import https
from predue.runtime import clock
from tests.aws.line import Line, Storage

PATIENCE = 600
"""Seconds after which a test that waits for something gives it up: no limit that a busy machine meets."""


@pytest.fixture(scope="session", autouse=True)
def service_models() -> Iterator[None]:
    """Each test has a session of its own, and would read the SDK's large service models anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", lru_cache(botocore.loaders.create_loader))
        yield


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """A busy machine lets a server on it be slow; a function would give such a one up, and ask it twice."""
    patient = Config(connect_timeout=PATIENCE, read_timeout=PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_ORDINARY", "_ONCE"):
            patch.setattr(clients, name, getattr(clients, name).merge(patient))
        for name in ("_CONNECT_SECONDS", "_READ_SECONDS"):
            patch.setattr(https, name, PATIENCE)
        yield


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto in this process, and adapters that know no other stack."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    # The SDK waits a random while before it tries again; only that it tries again matters here.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, context: 0)  # noqa: ARG005
    with mock_aws():
        clients.forget()
        wiring.forget()
        yield
    clients.forget()
    wiring.forget()


@pytest.fixture
def virtual_clock() -> Iterator[VirtualClock]:
    told = VirtualClock(datetime(2026, 12, 2, 15, tzinfo=UTC))
    token = clock.source.set(told)
    yield told
    clock.source.reset(token)


@pytest.fixture
def line(aws: None) -> Line:  # noqa: ARG001 - moto comes first
    """The wire; it is there before any client, since a client keeps the handlers that it is born with."""
    return Line(clients.session())


@pytest.fixture
def storage(line: Line) -> Storage:
    made = Storage()
    line.sent.clear()
    return made


@pytest.fixture
def table(storage: Storage) -> Table:
    return Table(storage.table, lambda: 4)


@pytest.fixture
def plans(storage: Storage) -> TablePlans:
    return TablePlans(storage.table, "due_index")
