"""Another server that speaks the AWS APIs in moto's place: checked before anything is made there, and never AWS itself.

Whatever the SDK would read from the machine's own AWS set-up is out of reach meanwhile, so that no request of a run
goes anywhere but to the endpoint.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import create_loader

from infrastructure.local.sam.template import REGION
from predue import wiring
from predue.aws import clients


class EndpointFailed(BaseException):
    """The server did not do its work, so the run has no result; nothing of a handler may catch this, since a run that
    goes on without its server would record failures that no AWS has caused.
    """


class BadEndpoint(ValueError):
    """What is given is no address of a server that a run may use; the text says why."""


def address(text: str) -> str:
    """An endpoint as it may be used; raises BadEndpoint for one that is no http(s) address, or that is AWS itself."""
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadEndpoint(f"{text!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise BadEndpoint(f"{text!r} is no http or https address, such as http://127.0.0.1:4571")
    if parts.username or parts.query or parts.fragment or parts.path.strip("/"):
        raise BadEndpoint(f"{text!r}: only scheme, host and port make an endpoint")
    if any(f".{host.rstrip('.')}".endswith(f".{suffix}") for suffix in _aws_suffixes()):
        raise BadEndpoint(f"{host} is AWS itself; a run makes and deletes tables and queues, so it never goes there")
    return f"{parts.scheme}://{parts.netloc}"


def _aws_suffixes() -> set[str]:
    """The domains under which AWS serves its APIs, of every partition that the SDK knows."""
    partitions = create_loader().load_data("partitions")["partitions"]
    outputs = [partition["outputs"] for partition in partitions]
    return {str(output[key]) for output in outputs for key in ("dnsSuffix", "dualStackDnsSuffix")}


def own_name() -> str:
    """A name that no other run on the same server has, before all that the run makes."""
    return f"predue-{secrets.token_hex(4)}"


@contextmanager
def local_credentials() -> Iterator[None]:
    """Credentials that mean nothing anywhere, and nothing else of this machine's AWS set-up."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def over(endpoint: str) -> Iterator[None]:
    """Within this, the SDK talks to the endpoint alone; raises EndpointFailed at once if nothing there answers."""
    with local_credentials():
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        # The server is asked directly, whatever proxy leads from this machine to the internet.
        direct = urlsplit(endpoint).hostname or ""
        os.environ |= {
            name: ",".join(filter(None, (os.environ.get(name), direct))) for name in ("NO_PROXY", "no_proxy")
        }
        _forget()
        try:
            _ask(endpoint)
            _forget()
            yield
        finally:
            _forget()


@contextmanager
def serving(endpoint: str) -> Iterator[None]:
    """As `over`; what the server refuses to the stack itself, in AWS's part, is EndpointFailed, too."""
    try:
        with over(endpoint):
            yield
    except (BotoCoreError, ClientError) as error:
        raise EndpointFailed(f"{endpoint} failed the run: {_said(error)}") from error


def _ask(endpoint: str) -> None:
    """Whether somebody is there who speaks the APIs, by the cheapest question."""
    try:
        clients.client("dynamodb", once=True).list_tables(Limit=1)
    except (BotoCoreError, ClientError) as error:
        raise EndpointFailed(f"{endpoint} does not answer as AWS does: {_said(error)}") from error


def _said(error: BotoCoreError | ClientError) -> str:
    """An error in a line; what is no AWS may answer with a whole page."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} got {clients.code_of(error)}"
    return str(error)


def _forget() -> None:
    clients.forget()
    wiring.forget()
