"""What a bucket tells of the objects that are put into it, as S3 does (S3 user guide, "Event message structure")."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

from infrastructure.local.sam.template import REGION, Resource


@dataclass(frozen=True)
class Notice:
    """Whom a bucket tells of the objects whose keys begin so."""

    bucket: str
    prefix: str
    queue_arn: str


def notices_of(buckets: Iterable[tuple[Resource, str]]) -> list[Notice]:
    """The notifications of buckets, each given with its name."""
    return [
        Notice(name, _prefix(one), one["Queue"])
        for bucket, name in buckets
        for one in bucket.get("NotificationConfiguration", "QueueConfigurations", default=())
    ]


def _prefix(configuration: dict[str, Any]) -> str:
    rules = {rule["Name"]: rule["Value"] for rule in configuration["Filter"]["S3Key"]["Rules"]}
    return str(rules["prefix"])


def notice_of(bucket: str, key: str, operation: str, at: datetime, about: dict[str, Any]) -> str:
    """The body of the message; `about` is what HeadObject says of the object."""
    kind = {"PutObject": "Put", "CompleteMultipartUpload": "CompleteMultipartUpload"}[operation]
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": REGION,
        "eventTime": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "eventName": f"ObjectCreated:{kind}",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {
                "key": quote_plus(key, safe="/"),
                "size": about["ContentLength"],
                "eTag": about["ETag"].strip('"'),
                "sequencer": f"{int(at.timestamp() * 1000):016X}",
            },
        },
    }
    return json.dumps({"Records": [record]})
