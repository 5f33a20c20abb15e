"""The providers: SES for email, AWS End User Messaging for SMS. One request on the wire, and what its answer means."""

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from predue.aws.clients import client, code_of
from predue.borrowers.ports import Accepted, NoAnswer, OutboundMessage, RefusalKind, Refused

_SHORTEST_TTL = 5
"""SendTextMessage takes a time to live from 5 to 259,200 seconds (API reference)."""

_CLIENT_ERROR = range(400, 500)

# What each provider answers when it has definitely not taken a message (API references of SESv2 SendEmail and of
# pinpoint-sms-voice-v2 SendTextMessage). A 4xx that is not named is a refusal of the channel: our set-up is wrong. All
# else is no answer.
_EMAIL: dict[str, RefusalKind] = {
    "LimitExceededException": "refused_busy",
    "ThrottlingException": "refused_busy",
    "TooManyRequestsException": "refused_busy",
}
_SMS: dict[str, RefusalKind] = {"ThrottlingException": "refused_busy"}

# Reasons inside ConflictException and ValidationException that concern this phone number and not our account.
_BAD_NUMBER = frozenset(
    (
        "CANNOT_PARSE",
        "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
        "DESTINATION_PHONE_NUMBER_OPTED_OUT",
    )
)
_REQUEST_TIMEOUT = 408


def _answer_of(error: ClientError, table: dict[str, RefusalKind]) -> Refused | NoAnswer:
    """What a service's error means for the message."""
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    reason = str(error.response.get("Reason", ""))
    fields: Any = error.response.get("Fields", ())
    bad_fields = {field.get("Name") for field in fields}
    kind = table.get(code)
    if reason in _BAD_NUMBER or "DestinationPhoneNumber" in bad_fields:
        kind = "refused_address"
    elif kind is None and status in _CLIENT_ERROR and status != _REQUEST_TIMEOUT:
        kind = "refused_channel"
    return NoAnswer(code or str(status)) if kind is None else Refused(kind, reason or code)


def _once(request: Any, table: dict[str, RefusalKind]) -> Accepted | Refused | NoAnswer:
    """Make one request and read its answer."""
    try:
        return Accepted(str(request()["MessageId"]))
    except ClientError as error:
        return _answer_of(error, table)
    except (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError) as error:
        # No connection or no signature: nothing was handed over.
        return Refused("refused_busy", type(error).__name__)
    except ParamValidationError:
        return Refused("refused_address", "ParamValidation")
    except BotoCoreError as error:
        return NoAnswer(type(error).__name__)


class Ses:
    """Implements the port Provider for email."""

    def __init__(self, sender: str, configuration_set: str) -> None:
        self._sender = sender
        self._configuration_set = configuration_set

    def send(self, outbound: OutboundMessage) -> Accepted | Refused | NoAnswer:
        """See Provider; the reminder id goes along as a tag, and one click unsubscribes (RFC 8058)."""
        message = outbound.message
        headers = [
            {"Name": "List-Unsubscribe", "Value": f"<{outbound.unsubscribe_url}>"},
            {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
        ]
        content = {
            "Subject": {"Data": message.subject, "Charset": "UTF-8"},
            "Body": {
                "Text": {"Data": message.body, "Charset": "UTF-8"},
                "Html": {"Data": message.html, "Charset": "UTF-8"},
            },
            "Headers": headers,
        }
        return _once(
            lambda: client("sesv2", once=True).send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [outbound.to]},
                Content={"Simple": content},
                ConfigurationSetName=self._configuration_set,
                EmailTags=[{"Name": "reminder_id", "Value": outbound.reminder_id}],
            ),
            _EMAIL,
        )


class EndUserMessaging:
    """Implements the port Provider for SMS."""

    def __init__(self, origination_identity: str, configuration_set: str) -> None:
        self._origination_identity = origination_identity
        self._configuration_set = configuration_set

    def send(self, outbound: OutboundMessage) -> Accepted | Refused | NoAnswer:
        """See Provider; the carrier drops the message when the allowed hours end."""
        return _once(
            lambda: client("pinpoint-sms-voice-v2", once=True).send_text_message(
                DestinationPhoneNumber=outbound.to,
                OriginationIdentity=self._origination_identity,
                MessageBody=outbound.message.body,
                MessageType="TRANSACTIONAL",
                ConfigurationSetName=self._configuration_set,
                TimeToLive=max(_SHORTEST_TTL, outbound.seconds_to_live),
                Context={"reminder_id": outbound.reminder_id},
            ),
            _SMS,
        )
