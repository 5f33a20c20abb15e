"""`predue import`: files through the deployed import, on this machine, in a served stack or in a deployed bucket."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import BotoCoreError, ClientError
from moto import mock_aws

from infrastructure.local.aws import engine
from infrastructure.local.aws.fast_moto import fast_queries
from infrastructure.local.aws.kept_answers import kept_answers
from infrastructure.local.aws.stack import Stack
from infrastructure.local.cli.buckets import Bucket, CannotImport, S3Bucket, ServedBucket
from infrastructure.local.virtual.virtual_clock import machine_time
from predue.aws import clients
from predue.domain.policy import Policy
from predue.imports.import_state import BOOKS, PARKED, REJECTED, REPORT, WARNINGS, Import

Progress = Callable[[float, str], None]
_ENDINGS = (".csv", ".jsonl", ".csv.gz", ".jsonl.gz")
_KEY = "whsec_" + "A" * 32
"""Of the source on this machine, which signs nothing: whoever may put a file is believed."""
_LONGEST = timedelta(days=4)
_LOOK_AGAIN_SECONDS = 2.0
_OVER = ("done", "held", "refused")
PATIENCE = timedelta(minutes=30)
"""A failed try of the import begins anew after twelve minutes (infrastructure/bulk.yaml), so two may fail in it."""


@dataclass(frozen=True)
class ImportOptions:
    """What is asked for: files in the order in which they are imported, and whose they are.

    `complete` says that the last file is all that is open; `confirm` goes on with what is held. With a `bucket` the
    files go to a deployed stack, at AWS or at the `endpoint`; with `served`, to the `predue serve` at this address;
    without, to a stack of their own. An import whose report does not change for `patience` is waited for no longer.
    """

    files: tuple[Path, ...]
    out: Path
    source: str = "core"
    tenant: str = ""
    complete: bool = False
    confirm: bool = False
    policy: Policy = field(default_factory=Policy)
    bucket: str = ""
    endpoint: str = ""
    served: str = ""
    patience: timedelta = PATIENCE


Report = dict[str, Any]


def import_files(options: ImportOptions, progress: Progress) -> list[Report]:
    """Import the files one after the other, up to the first that is held or refused; leave their reports in `out`."""
    for file in options.files:
        if not file.name.lower().endswith(_ENDINGS) or file.name.endswith(PARKED):
            ends, aside = ", ".join(_ENDINGS), " or ".join(PARKED)
            raise CannotImport(f"{file.name}: the name of a file ends in one of {ends}, and not in {aside}")
        if not file.is_file():
            raise CannotImport(f"{file}: cannot be read; check the path")
    options.out.mkdir(parents=True, exist_ok=True)
    reports = []
    with _there(options) as bucket:
        for number, file in enumerate(options.files):
            share = _part_of(progress, number, len(options.files), file.name)
            last = file is options.files[-1]
            reports.append(_imported(file, bucket, options, share, complete=options.complete and last))
            if reports[-1]["status"] != "done":
                break
    return reports


def _part_of(progress: Progress, number: int, files: int, name: str) -> Callable[[float], None]:
    return lambda share: progress((number + share) / files, name)


def _there(options: ImportOptions) -> AbstractContextManager[Bucket]:
    if options.served:
        return ServedBucket(options.served)
    return _deployed(options) if options.bucket else _fresh(options)


def _imported(
    file: Path, bucket: Bucket, options: ImportOptions, share: Callable[[float], None], *, complete: bool
) -> Report:
    """Put one file, wait for its import, and fetch its report."""
    key = f"{BOOKS}{options.source}/{_named(file.name, complete=complete)}"
    # What was refused is tried again when it is put again, and until then its old report stands there.
    before = bucket.read(key + REPORT)
    state = Import(key, bucket.put(key, file), 0, "", "")
    awaited = partial(_awaited, state, bucket, share, options.patience)
    report = awaited(lambda raw, report: raw == before and report["status"] == "refused")
    if report["status"] == "held" and options.confirm:
        bucket.confirm(state.id)
        report = awaited(lambda _raw, report: report["status"] == "held")
    (options.out / f"{file.name}{REPORT}").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if report["status"] == "done":
        for ending in (REJECTED, WARNINGS):
            (options.out / f"{file.name}{ending}").write_bytes(bucket.read(key + ending) or b"")
    return {**report, "file": file.name}


def _named(name: str, *, complete: bool) -> str:
    ending = next(one for one in reversed(_ENDINGS) if name.lower().endswith(one))
    stem = name[: -len(ending)]
    return name if not complete or stem.lower().endswith(".complete") else f"{stem}.complete{ending}"


def _awaited(
    state: Import,
    bucket: Bucket,
    share: Callable[[float], None],
    patience: timedelta,
    stale: Callable[[bytes, Report], bool],
) -> Report:
    """The report of an import once it is over; one of another import of the same key is none, nor is a `stale` one."""
    last, moved_at = b"", time.monotonic()
    while True:
        bucket.wait()
        raw = bucket.read(state.key + REPORT) or b"{}"
        if raw != last:
            last, moved_at = raw, time.monotonic()
        elif time.monotonic() - moved_at > patience.total_seconds():
            raise CannotImport(_stands_still(state.key, patience))
        report: Report = json.loads(raw)
        if report.get("import") == state.id:
            share(report["share_done"])
            if report["status"] in _OVER and not stale(raw, report):
                return report
        # Of a file that another one has replaced there comes no report.
        if bucket.tag(state.key) != state.etag:
            raise CannotImport(f"{state.key}: another file came under this name meanwhile; put it again")


def _stands_still(key: str, patience: timedelta) -> str:
    minutes = f"{patience / timedelta(minutes=1):g}"
    return (
        f"{key}: its import has not moved for {minutes} minutes. The file stays there and what it did stays done; "
        'docs/operations.md, "A stuck import", says where to look. The same command goes on with it, with --patience '
        "MINUTES for longer"
    )


@contextmanager
def _fresh(options: ImportOptions) -> Iterator[Bucket]:
    """A stack of its own, in memory, which knows nothing yet and goes when the command ends."""
    start = machine_time()
    log = io.StringIO()
    parameters = {"InitialPolicy": options.policy.model_dump_json(), "Workers": 1}
    with engine.local_credentials(), mock_aws(), fast_queries(), kept_answers():
        stack = Stack(start, log=log, wire=io.StringIO(), parameters=parameters)
        sources = {options.source: {"keys": [_KEY], "tenant": options.tenant, "form": "predue"}}
        clients.client("secretsmanager").put_secret_value(
            SecretId=stack.physical("Sources"), SecretString=json.dumps(sources)
        )
        deadline = start + _LONGEST

        def wait() -> None:
            stack.run_until(stack.clock() + timedelta(seconds=1))
            if stack.clock() > deadline:
                raise CannotImport(f"the import stands still; {options.out / 'logs.jsonl'} says why")

        try:
            yield S3Bucket(clients.client("s3"), stack.physical("Books"), wait)
        finally:
            (options.out / "logs.jsonl").write_text(log.getvalue(), encoding="utf-8")


@contextmanager
def _deployed(options: ImportOptions) -> Iterator[Bucket]:
    """The bucket of a deployed stack, by the machine's own AWS set-up."""
    try:
        s3 = boto3.client("s3", endpoint_url=options.endpoint or None)

        yield S3Bucket(s3, options.bucket, lambda: time.sleep(_LOOK_AGAIN_SECONDS))
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        what = clients.code_of(error) if isinstance(error, ClientError) else str(error)
        raise CannotImport(f"the bucket {options.bucket} cannot be used: {what}") from error


def text(reports: Sequence[Report], out: Path) -> str:
    """What a terminal is told."""
    lines = []
    for one in reports:
        unchanged = f"{one['no_change']} no change, " if one["no_change"] else ""
        lines.append(
            f"{one['file']}: {one['status']}; {one['rows']} rows: {one['applied']} applied, "
            f"{one['known_already']} known already, {unchanged}{one['parked']} parked, "
            f"{one['rejected']} rejected; {one['closed']} closed"
        )
        lines += [f"  {reason}" for reason in one["reasons"]]
        if one["status"] == "held":
            lines.append(f"  nothing of it is applied; if it is right, say --confirm (import {one['import']})")
        if one["rejected"]:
            lines.append(f"  {out / (one['file'] + REJECTED)} says which rows, and why")
        if one["warned"]:
            lines.append(f"  {out / (one['file'] + WARNINGS)} says what cannot be used as it stands")
    return "\n".join(lines)
