"""Asks a deployed stack's services whether the properties of its template are in effect; reads, and changes nothing."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.request import urlopen

from predue.aws import clients
from tests.engine.deployment import Made

Stack = Mapping[str, Made]


def in_effect(stack: Stack) -> dict[str, bool]:
    """By `type property`, whether what the template says is so."""
    parts = (_table, _queues, _topics, _bus, _secrets, _schedules, _logs, _functions, _mappings, _api, _mail, _rights)
    return {name: bool(found) for part in parts for name, found in part(stack, clients.client).items()}


Clients = Callable[[str], Any]
Found = dict[str, Any]


def _table(stack: Stack, client: Clients) -> Found:
    name = {"TableName": stack["Storage/Table"].physical}
    dynamodb = client("dynamodb")
    table = dynamodb.describe_table(**name)["Table"]
    backups = dynamodb.describe_continuous_backups(**name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    ttl = dynamodb.describe_time_to_live(**name)["TimeToLiveDescription"]
    indexes = {(one["IndexName"], one["Projection"]["ProjectionType"]) for one in table["GlobalSecondaryIndexes"]}
    kind = "AWS::DynamoDB::Table"
    return {
        f"{kind} BillingMode": table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST",
        f"{kind} DeletionProtectionEnabled": table["DeletionProtectionEnabled"],
        f"{kind} GlobalSecondaryIndexes": indexes == {("due_index", "INCLUDE"), ("unresolved_index", "KEYS_ONLY")},
        f"{kind} KeySchema": [key["AttributeName"] for key in table["KeySchema"]] == ["pk", "sk"],
        f"{kind} PointInTimeRecoverySpecification": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
        f"{kind} SSESpecification": "SSEDescription" in table,
        f"{kind} TimeToLiveSpecification": ttl.get("AttributeName") == "expires_at",
    }


def _queues(stack: Stack, client: Clients) -> Found:
    def attributes(path: str) -> dict[str, str]:
        asked = client("sqs").get_queue_attributes(QueueUrl=stack[path].physical, AttributeNames=["All"])
        return dict(asked["Attributes"])

    jobs, dead = attributes("Messaging/SmsQueue"), attributes("Messaging/SmsDeadLetters")
    redrive = json.loads(jobs.get("RedrivePolicy", "{}"))
    kind = "AWS::SQS::Queue"
    return {
        f"{kind} KmsMasterKeyId": jobs.get("KmsMasterKeyId", "").endswith(stack["Storage/Key"].physical),
        f"{kind} MessageRetentionPeriod": dead["MessageRetentionPeriod"] == "1209600",
        f"{kind} RedriveAllowPolicy": "byQueue" in dead.get("RedriveAllowPolicy", ""),
        f"{kind} RedrivePolicy": redrive == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 5},
        f"{kind} VisibilityTimeout": jobs["VisibilityTimeout"] == "180",
        "AWS::SQS::QueuePolicy PolicyDocument": "aws:SecureTransport" in jobs.get("Policy", ""),
    }


def _topics(stack: Stack, client: Clients) -> Found:
    topic = client("sns").get_topic_attributes(TopicArn=stack["Messaging/EmailEvents"].physical)["Attributes"]
    arn = stack["Messaging/EmailEventsToReceipts"].physical
    subscription = client("sns").get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    return {
        "AWS::SNS::Subscription RawMessageDelivery": subscription.get("RawMessageDelivery") == "true",
        "AWS::SNS::Subscription RedrivePolicy": "receipts-dead-letters" in subscription.get("RedrivePolicy", ""),
        "AWS::SNS::Topic KmsMasterKeyId": topic.get("KmsMasterKeyId"),
        "AWS::SNS::TopicPolicy PolicyDocument": "EmailProvider" in topic.get("Policy", ""),
    }


def _bus(stack: Stack, client: Clients) -> Found:
    bus = client("events").describe_event_bus(Name=stack["Messaging/Bus"].physical)
    rule = {"Rule": stack["Messaging/EmailDeliveries"].physical.rpartition("|")[2]}
    target = client("events").list_targets_by_rule(**rule)["Targets"][0]
    return {
        "AWS::Events::Rule Targets": "receipts" in target["Arn"] and "InputTransformer" in target,
        "AWS::Events::Rule DeadLetterConfig": "DeadLetterConfig" in target,
        "AWS::Events::EventBus DeadLetterConfig": bus.get("DeadLetterConfig"),
        "AWS::Events::EventBus KmsKeyIdentifier": bus.get("KmsKeyIdentifier"),
    }


def _secrets(stack: Stack, client: Clients) -> Found:
    name = {"SecretId": stack["Storage/Keys"].physical}
    root = json.loads(client("secretsmanager").get_secret_value(**name)["SecretString"])["root"]
    policy = client("ssm").get_parameter(Name=stack["Storage/Policy"].physical)["Parameter"]
    key = {"KeyId": stack["Storage/Key"].physical}
    rules = client("kms").get_key_policy(**key, PolicyName="default")["Policy"]
    aliases = client("kms").list_aliases()["Aliases"]
    return {
        "AWS::KMS::Alias TargetKeyId": any(one.get("TargetKeyId") == key["KeyId"] for one in aliases),
        "AWS::KMS::Key EnableKeyRotation": client("kms").get_key_rotation_status(**key)["KeyRotationEnabled"],
        "AWS::KMS::Key KeyPolicy": "NotificationsAndEvents" in rules,
        "AWS::SSM::Parameter Value": json.loads(policy["Value"]) == {"max_reminders_per_day": 100_000},
        "AWS::SecretsManager::Secret GenerateSecretString": len(root) == 64 and root.isalnum(),
        "AWS::SecretsManager::Secret KmsKeyId": client("secretsmanager").describe_secret(**name).get("KmsKeyId"),
    }


def _schedules(stack: Stack, client: Clients) -> Found:
    name = stack["PlanRemindersEveryQuarterHour"].physical
    schedule = client("scheduler").get_schedule(Name=name, GroupName="default")
    target, group = schedule["Target"], stack["Messaging/DeferGroup"].physical
    kind = "AWS::Scheduler::Schedule"
    return {
        f"{kind} ScheduleExpression": schedule["ScheduleExpression"] == "cron(0/15 * * * ? *)",
        f"{kind} Target.DeadLetterConfig": "schedule-dead-letters" in target.get("DeadLetterConfig", {}).get("Arn", ""),
        f"{kind} Target.RetryPolicy": target.get("RetryPolicy", {}).get("MaximumEventAgeInSeconds") == 900,
        "AWS::Scheduler::ScheduleGroup Name": client("scheduler").get_schedule_group(Name=group)["State"] == "ACTIVE",
    }


def _logs(stack: Stack, client: Clients) -> Found:
    name = stack["DeliverSmsLogs"].physical
    group = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]
    alarm = client("cloudwatch").describe_alarms(AlarmNames=[stack["Alarms/ApiFailures"].physical])["MetricAlarms"][0]
    return {
        "AWS::CloudWatch::Alarm AlarmActions": alarm.get("AlarmActions") == [stack["Alarms/Topic"].physical],
        "AWS::CloudWatch::Alarm Metric": alarm["MetricName"] == "5xx" and alarm["Period"] == 300,
        "AWS::Logs::LogGroup KmsKeyId": group.get("kmsKeyId"),
        "AWS::Logs::LogGroup RetentionInDays": group.get("retentionInDays") == 365,
    }


def _functions(stack: Stack, client: Clients) -> Found:
    name = {"FunctionName": stack["PlanReminders"].physical}
    function = client("lambda").get_function_configuration(**name)
    failed = client("lambda").list_function_event_invoke_configs(**name)["FunctionEventInvokeConfigs"][0]
    loop = client("lambda").get_function_recursion_config(**name)["RecursiveLoop"]
    kind = "AWS::Lambda::Function"
    return {
        f"{kind} Architectures": function["Architectures"] == ["arm64"],
        f"{kind} Environment": function["Environment"]["Variables"]["TABLE_NAME"] == stack["Storage/Table"].physical,
        f"{kind} KmsKeyArn": function.get("KMSKeyArn"),
        f"{kind} LoggingConfig": function["LoggingConfig"]["LogGroup"] == stack["PlanRemindersLogs"].physical,
        f"{kind} RecursiveLoop": loop == "Allow",
        f"{kind} Timeout": function["Timeout"] == 300,
        f"{kind} TracingConfig": function["TracingConfig"]["Mode"] == "Active",
        "AWS::Lambda::EventInvokeConfig DestinationConfig": failed["DestinationConfig"]["OnFailure"]["Destination"],
    }


def _mappings(stack: Stack, client: Clients) -> Found:
    name = stack["DeliverSmsJobs"].physical
    mapping = client("lambda").get_event_source_mapping(UUID=name)
    # As it stands on the wire: the SDK would make a number of a text.
    with urlopen(f"{client('lambda').meta.endpoint_url}/2015-03-31/event-source-mappings/{name}") as page:  # noqa: S310 - the engine's own address
        scaling = json.load(page)["ScalingConfig"]
    kind = "AWS::Lambda::EventSourceMapping"
    return {
        f"{kind} BatchSize": mapping["BatchSize"] == 5,
        f"{kind} FunctionResponseTypes": mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"],
        f"{kind} ScalingConfig": scaling == {"MaximumConcurrency": 4},
        f"{kind} State": mapping["State"] == "Enabled",
    }


def _api(stack: Stack, client: Clients) -> Found:
    api = {"ApiId": stack["Api"].physical}
    gateway = client("apigatewayv2")
    routes = {route["RouteKey"] for route in gateway.get_routes(**api)["Items"]}
    stage = gateway.get_stages(**api)["Items"][0]
    return {
        "AWS::ApiGatewayV2::Api Body": routes == {f"{method} /unsubscribe/{{token}}" for method in ("GET", "POST")},
        "AWS::ApiGatewayV2::Stage AccessLogSettings": "$context.routeKey" in stage["AccessLogSettings"]["Format"],
        "AWS::ApiGatewayV2::Stage DefaultRouteSettings": stage["DefaultRouteSettings"].get("ThrottlingBurstLimit")
        == 100,
    }


def _mail(stack: Stack, client: Clients) -> Found:
    name = {"ConfigurationSetName": stack["Messaging/EmailConfiguration"].physical}
    options = client("sesv2").get_configuration_set(**name)
    told = client("sesv2").get_configuration_set_event_destinations(**name)["EventDestinations"]
    topics = {one["SnsDestination"]["TopicArn"]: one["MatchingEventTypes"] for one in told if "SnsDestination" in one}
    buses = [one["MatchingEventTypes"] for one in told if "EventBridgeDestination" in one]
    kind = "AWS::SES::ConfigurationSet"
    return {
        f"{kind} DeliveryOptions": options["DeliveryOptions"] == {"TlsPolicy": "REQUIRE", "MaxDeliverySeconds": 3600},
        f"{kind} SuppressionOptions": options["SuppressionOptions"]["SuppressedReasons"] == ["BOUNCE", "COMPLAINT"],
        f"{kind}EventDestination EventDestination": "BOUNCE" in topics.get(stack["Messaging/EmailEvents"].physical, ())
        and buses == [["DELIVERY", "DELIVERY_DELAY"]],
    }


def _rights(stack: Stack, client: Clients) -> Found:
    role = {"RoleName": stack["Access/DeliverSmsRole"].physical}
    attached = client("iam").list_attached_role_policies(**role)["AttachedPolicies"]
    policies = {one["PolicyArn"] for one in attached}
    return {
        "AWS::IAM::Role ManagedPolicyArns": stack["Access/ProtectProfiles"].physical in policies,
        "AWS::IAM::Role Policies": client("iam").list_role_policies(**role)["PolicyNames"],
    }
