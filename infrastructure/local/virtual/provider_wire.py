"""Both providers at the SDK's wire: what SES and End User Messaging answer, as the played carrier decides."""

from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from infrastructure.local.aws.wire_answers import answer, json_body
from infrastructure.local.virtual.carrier import BAD_NUMBER, STOPPED_NUMBER, Carrier, CarrierAnswer, Letter
from predue.messages.encoding import measure

_BAD_FIELD = {"Fields": [{"Name": "DestinationPhoneNumber", "Message": "not a reachable number"}]}
_REFUSALS: dict[str, tuple[str, dict[str, Any]]] = {
    BAD_NUMBER: ("ValidationException", _BAD_FIELD),
    STOPPED_NUMBER: ("ConflictException", {}),
}
"""By reason, the exception and what else its body says."""


class ProviderWire(Carrier):
    """The carrier behind the two operations that send a message."""

    def send_text_message(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer `SendTextMessage` (JSON protocol of pinpoint-sms-voice-v2)."""
        body = json_body(request)
        sender = body["OriginationIdentity"].rpartition("/")[2]
        reminder = body["Context"]["reminder_id"]
        text = body["MessageBody"]
        number, segments = body["DestinationPhoneNumber"], measure(text).segments
        return _wire_answer(request, self.text(Letter(reminder, number, sender, text, segments=segments)))

    def send_email(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer `SendEmail` (REST JSON protocol of sesv2)."""
        body = json_body(request)
        reminder = next(tag["Value"] for tag in body["EmailTags"] if tag["Name"] == "reminder_id")
        content = body["Content"]["Simple"]
        letter = Letter(
            reminder,
            body["Destination"]["ToAddresses"][0],
            body["FromEmailAddress"],
            content["Body"]["Text"]["Data"],
            content["Subject"]["Data"],
            content["Body"]["Html"]["Data"],
        )
        tags = {"reminder_id": [reminder], "ses:configuration-set": [body["ConfigurationSetName"]]}
        return _wire_answer(request, self.email(letter, tags))


def _wire_answer(request: AWSPreparedRequest, taken: CarrierAnswer) -> AWSResponse:
    if not taken.refused:
        return answer(request, 200, {"MessageId": taken.message_id})
    code, more = _REFUSALS[taken.refused]
    body = {"__type": code, "Message": taken.refused, "Reason": taken.refused} | more
    return answer(request, 400, body, {"x-amzn-ErrorType": code})
