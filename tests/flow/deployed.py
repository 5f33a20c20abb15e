"""A stack over a server of the AWS APIs that tells the import's queue by itself what any process puts in the bucket."""

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infrastructure.local.aws import engine
from infrastructure.local.aws.stack import Stack
from infrastructure.local.virtual.virtual_clock import LiveClock, machine_time
from predue.aws import clients
from tests.functions.recorded import ROOT
from tests.signing import SOURCES

_PATIENCE_SECONDS = 600


@dataclass(frozen=True)
class Deployed:
    """The stack, and where its files are put."""

    stack: Stack
    endpoint: str
    bucket: str

    def work_until(self, over: Callable[[], bool]) -> None:
        """Poll the queues, as Lambda does, until something is over; raises TimeoutError if it hangs."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not over():
            if time.monotonic() > end:
                raise TimeoutError
            for poller in self.stack.pollers.values():
                poller.note_sent()
            while self.stack.step() <= self.stack.clock():
                pass


@contextmanager
def deployed(endpoint: str) -> Iterator[Deployed]:
    """The stack in real time over the server, which the SDK is led to already; it is taken away at the end."""
    made = Stack(
        machine_time(),
        log=io.StringIO(),
        wire=io.StringIO(),
        endpoint=endpoint,
        application=engine.own_name(),
        make_clock=LiveClock,
    )
    try:
        assert isinstance(made.clock, LiveClock), "made with it"
        made.clock.go_live()
        _subscribe(made)
        with made.feeding():
            secret = made.physical("Sources")
            clients.client("secretsmanager").put_secret_value(SecretId=secret, SecretString=json.dumps(SOURCES))
            yield Deployed(made, endpoint, made.physical("Books"))
    finally:
        made.remove()


def imported(stand: Deployed, folder: Path, *words: str) -> tuple[int, str]:
    """The exit status of the command as an operator starts it, and what it says."""
    files = [str(folder / word) if word.endswith(".csv") else word for word in words]
    there = ["--endpoint", stand.endpoint, "--out", str(folder / "out"), "--bucket", stand.bucket]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}",
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "operator",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "infrastructure.local.cli", "import", *there, *files]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        stand.work_until(lambda: process.poll() is not None)
        return process.returncode, process.communicate()[0]
    finally:
        process.kill()
        process.wait()


def _subscribe(stack: Stack) -> None:
    """Have the server tell of files as the template says; the local stack plays that only for what it puts itself."""
    (bucket,) = [one for one in stack.root.resources() if one.type == "AWS::S3::Bucket"]
    queue = clients.client("sqs").get_queue_attributes(
        QueueUrl=stack.physical("ImportsQueue"), AttributeNames=["QueueArn"]
    )
    told = [
        {
            # By the server's own account, which a server may choose.
            "QueueArn": queue["Attributes"]["QueueArn"],
            "Events": [one["Event"]],
            "Filter": {"Key": {"FilterRules": one["Filter"]["S3Key"]["Rules"]}},
        }
        for one in bucket.get("NotificationConfiguration", "QueueConfigurations")
    ]
    clients.client("s3").put_bucket_notification_configuration(
        Bucket=stack.physical("Books"), NotificationConfiguration={"QueueConfigurations": told}
    )
