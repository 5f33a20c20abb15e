"""Each test that asks for one kind of resource runs once for each of that kind, so that a new one is held to it."""

import pytest

from tests.infrastructure.stack import FUNCTION, STACK, Stack

KINDS = {
    "function": FUNCTION,
    "queue": "AWS::SQS::Queue",
    "topic": "AWS::SNS::Topic",
    "table": "AWS::DynamoDB::Table",
    "log_group": "AWS::Logs::LogGroup",
    "secret": "AWS::SecretsManager::Secret",
    "bucket": "AWS::S3::Bucket",
    "bus": "AWS::Events::EventBus",
    "role": "AWS::IAM::Role",
    "api": "AWS::Serverless::HttpApi",
    "subscription": "AWS::SNS::Subscription",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    queues, kept = STACK.of(KINDS["queue"]), STACK.dead_letter_queues()
    kinds = {argument: STACK.of(kind) for argument, kind in KINDS.items()}
    kinds["source_queue"] = [queue for queue in queues if queue.name not in kept]
    kinds["dead_letter_queue"] = [queue for queue in queues if queue.name in kept]
    for argument, resources in kinds.items():
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, resources, ids=[resource.name for resource in resources])


@pytest.fixture(scope="session")
def stack() -> Stack:
    return STACK
