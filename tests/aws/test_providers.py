from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from predue.aws import clients
from predue.aws.providers import EndUserMessaging, Ses
from predue.borrowers.ports import Accepted, NoAnswer, OutboundMessage, Provider, RefusalKind, Refused
from predue.messages.render import RenderedMessage
from tests.aws.line import Line

SES, SMS = "sesv2.SendEmail", "pinpoint-sms-voice-v2.SendTextMessage"
MESSAGE = RenderedMessage("en-US/sms/before@1", "en-US", "Hello", "A subject", "<p>Hello</p>")
URL = "https://example.test/unsubscribe/token"
ANSWERED = {SES: {"MessageId": "m-1"}, SMS: {"MessageId": "m-1"}}


def outbound(to: str = "zoe@example.com", ttl: int = 3600) -> OutboundMessage:
    return OutboundMessage("reminderid123", to, MESSAGE, ttl, URL)


def provider(operation: str) -> Provider:
    identity = "arn:aws:sms-voice:us-east-1:123456789012:pool/pool-1"
    return Ses("reminders@lender.example", "predue") if operation == SES else EndUserMessaging(identity, "predue")


def send(operation: str, **more: Any) -> Accepted | Refused | NoAnswer:
    return provider(operation).send(outbound("zoe@example.com" if operation == SES else "+12125550100", **more))


both = pytest.mark.parametrize("operation", [SES, SMS])


@both
def test_a_message_that_was_taken_gives_the_providers_own_id(operation: str, line: Line) -> None:
    line.reply(operation, ANSWERED[operation])
    assert send(operation) == Accepted("m-1")


@both
def test_a_read_timeout_is_one_request_on_the_wire_and_no_answer(operation: str, line: Line) -> None:
    line.no_answer(operation, times=10)
    assert send(operation) == NoAnswer("ReadTimeoutError")
    assert len(line.of(operation)) == 1


@both
def test_a_timeout_in_an_environment_that_asks_for_retries_is_still_one_request(
    operation: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    line.no_answer(operation, times=10)
    send(operation)
    assert len(line.of(operation)) == 1


@both
@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_server_that_fails_is_asked_once_and_its_answer_proves_nothing(
    operation: str, status: int, line: Line
) -> None:
    line.say(operation, "InternalServerException", status=status, times=10)
    assert send(operation) == NoAnswer("InternalServerException")
    assert len(line.of(operation)) == 1


@both
def test_a_refused_connection_handed_nothing_over(operation: str, line: Line) -> None:
    line.no_connection(operation, times=10)
    assert send(operation) == Refused("refused_busy", "ConnectTimeoutError")
    assert len(line.of(operation)) == 1


@both
def test_a_request_that_could_not_be_signed_handed_nothing_over(
    operation: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = clients.client(operation.partition(".")[0], once=True)._request_signer
    monkeypatch.setattr(signer, "_credentials", None)
    assert send(operation) == Refused("refused_busy", "NoCredentialsError")
    assert line.of(operation) == []


REFUSALS = [
    (SES, "TooManyRequestsException", 429, "refused_busy"),
    (SES, "LimitExceededException", 400, "refused_busy"),
    (SES, "ThrottlingException", 400, "refused_busy"),
    (SES, "MessageRejected", 400, "refused_channel"),
    (SES, "MailFromDomainNotVerifiedException", 400, "refused_channel"),
    (SES, "AccountSuspendedException", 400, "refused_channel"),
    (SES, "SendingPausedException", 400, "refused_channel"),
    (SES, "NotFoundException", 404, "refused_channel"),
    (SES, "BadRequestException", 400, "refused_channel"),
    (SMS, "ThrottlingException", 429, "refused_busy"),
    (SMS, "AccessDeniedException", 403, "refused_channel"),
    (SMS, "ResourceNotFoundException", 404, "refused_channel"),
    (SMS, "ServiceQuotaExceededException", 402, "refused_channel"),
]
BY_REASON = [
    ("ConflictException", "DESTINATION_PHONE_NUMBER_OPTED_OUT", (), "refused_address"),
    ("ConflictException", "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE", (), "refused_address"),
    ("ConflictException", "NUMBER_CAPABILITIES_MISSING", (), "refused_channel"),
    ("ConflictException", "DESTINATION_COUNTRY_BLOCKED", (), "refused_channel"),
    ("ConflictException", "RESOURCE_NOT_ACTIVE", (), "refused_channel"),
    ("ValidationException", "CANNOT_PARSE", (), "refused_address"),
    ("ValidationException", "FIELD_VALIDATION_FAILED", ("DestinationPhoneNumber",), "refused_address"),
    ("ValidationException", "FIELD_VALIDATION_FAILED", ("MessageBody",), "refused_channel"),
    ("ValidationException", "UNKNOWN_FIELD", (), "refused_channel"),
]


@pytest.mark.parametrize(("operation", "code", "status", "kind"), REFUSALS)
def test_a_refusal_is_read_from_its_code(operation: str, code: str, status: int, kind: RefusalKind, line: Line) -> None:
    line.say(operation, code, status=status, times=10)
    assert send(operation) == Refused(kind, code)
    assert len(line.of(operation)) == 1


@pytest.mark.parametrize(("code", "reason", "fields", "kind"), BY_REASON)
def test_a_refused_sms_is_read_from_the_reason_inside_its_error(
    code: str, reason: str, fields: tuple[str, ...], kind: RefusalKind, line: Line
) -> None:
    wrong = [{"Name": name, "RenderedMessage": "bad"} for name in fields]
    line.say(SMS, code, Reason=reason, Fields=wrong)
    assert send(SMS) == Refused(kind, reason)


def test_a_number_that_the_sdk_itself_refuses_is_a_bad_address_and_no_request(line: Line) -> None:
    assert EndUserMessaging("pool", "predue").send(outbound("")) == Refused("refused_address", "ParamValidation")
    assert line.of(SMS) == []


@both
def test_the_request_is_valid_in_the_services_own_model(operation: str, line: Line) -> None:
    line.reply(operation, ANSWERED[operation])
    send(operation)
    service, _, name = operation.partition(".")
    model = botocore.session.get_session().get_service_model(service).operation_model(name)
    assert model.input_shape is not None
    report = ParamValidator().validate(line.of(operation)[0], model.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_an_email_carries_the_reminder_id_as_its_tag_and_unsubscribes_by_one_click(line: Line) -> None:
    line.reply(SES, ANSWERED[SES])
    send(SES)
    (body,) = line.of(SES)
    assert body["EmailTags"] == [{"Name": "reminder_id", "Value": "reminderid123"}]
    assert body["ConfigurationSetName"] == "predue"
    assert body["Destination"] == {"ToAddresses": ["zoe@example.com"]}
    content = body["Content"]["Simple"]
    headers = {header["Name"]: header["Value"] for header in content["Headers"]}
    assert headers == {"List-Unsubscribe": f"<{URL}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    assert content["Subject"]["Data"] == "A subject"
    assert content["Body"]["Text"]["Data"] == "Hello"
    assert content["Body"]["Html"]["Data"] == "<p>Hello</p>"


def test_an_sms_carries_the_reminder_id_as_context_and_dies_with_the_allowed_hours(line: Line) -> None:
    line.reply(SMS, ANSWERED[SMS], times=2)
    send(SMS, ttl=3600)
    send(SMS, ttl=2)
    first, second = line.of(SMS)
    assert first["Context"] == {"reminder_id": "reminderid123"}
    assert first["TimeToLive"] == 3600
    assert second["TimeToLive"] == 5
    assert first["MessageType"] == "TRANSACTIONAL"
    assert first["ConfigurationSetName"] == "predue"
    assert first["MessageBody"] == "Hello"
