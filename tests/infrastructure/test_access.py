import ast
import re
from datetime import UTC, date, datetime
from itertools import chain

import pytest

from predue.aws.case_items import case_item
from predue.domain.case import SIGNALS, Case, Hold, at_risk
from predue.domain.due import Due
from tests.infrastructure.stack import NESTED, ROOT, STACK, Resource, Stack, Statement, load, parts

ALLOWS = [statement for statement in STACK.statements() if statement.allows]
WRITES = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
TABLE_ARN = "<Storage/Table.Arn>"
each_permission = pytest.mark.parametrize("statement", ALLOWS, ids=[str(statement) for statement in ALLOWS])

# What a setting names, and the action that a function with the setting has to be allowed on just that.
NEEDS = {
    "TABLE_NAME": "dynamodb:GetItem",
    "KEYS_SECRET": "secretsmanager:GetSecretValue",
    "SOURCES_SECRET": "secretsmanager:GetSecretValue",
    "WEBHOOKS_SECRET": "secretsmanager:GetSecretValue",
    "WEBHOOKS_QUEUE_URL": "sqs:SendMessage",
    "POLICY_PARAMETER": "ssm:GetParameters",
    "SWITCH_PARAMETER": "ssm:GetParameters",
    "SMS_QUEUE_URL": "sqs:SendMessage",
    "EMAIL_QUEUE_URL": "sqs:SendMessage",
    "EVENTS_DEAD_LETTERS_URL": "sqs:SendMessage",
    "IMPORTS_QUEUE_URL": "sqs:SendMessage",
    "BOOKS_BUCKET": "s3:GetObject",
    "BUS_NAME": "events:PutEvents",
    "DEFER_GROUP": "scheduler:CreateSchedule",
    "DEFER_ROLE_ARN": "iam:PassRole",
    "SMS_CONFIGURATION_SET": "sms-voice:SendTextMessage",
    "EMAIL_CONFIGURATION_SET": "ses:SendEmail",
}


# They have the variable as every function has it, and no use for it.
WITHOUT_TABLE = {"PublishEvents", "CallWebhooks"}


def permissions(role: Resource) -> list[Statement]:
    """What a role's own policies and the policies attached to it allow."""
    attached = [STACK.named_by(policy) for policy in role.get("ManagedPolicyArns") or []]
    assert None not in attached, f"{role} carries a policy that is not written here"
    every = chain(role.statements(), *(policy.statements() for policy in attached if policy is not None))
    return [statement for statement in every if statement.allows and "Principal" not in statement.body]


def role_of(function: Resource) -> Resource:
    role = STACK.named_by(function.get("Role"))
    assert role is not None
    return role


def named(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"<([^/>]+)/([^.>]+)\.", text))


@each_permission
def test_no_action_is_a_wildcard_but_with_a_written_reason(statement: Statement) -> None:
    assert not any("*" in action for action in statement.actions) or statement.reason
    assert "NotAction" not in statement.body
    assert "NotResource" not in statement.body


@each_permission
def test_no_resource_is_a_wildcard_but_with_a_written_reason(statement: Statement) -> None:
    assert not any("*" in resource for resource in statement.resources) or statement.reason


def test_no_function_is_allowed_a_wildcard_action_at_all(function: Resource) -> None:
    assert not [action for s in permissions(role_of(function)) for action in s.actions if "*" in action]


def test_every_reason_for_a_wildcard_belongs_to_one(stack: Stack) -> None:
    with_wildcard = {
        (statement.resource.template.name, statement.sid)
        for statement in stack.statements()
        if any("*" in part for part in statement.actions + statement.resources)
    }
    templates = {resource.template for resource in stack.resources}
    reasons = {(t.name, sid) for t in templates for sid in t.body.get("Metadata", {}).get("WildcardReasons", {})}
    assert reasons == with_wildcard


def test_each_function_has_a_role_of_its_own_and_no_other_policies(function: Resource, stack: Stack) -> None:
    assert role_of(function).name == f"{function.name}Role"
    assert [f.name for f in stack.of(function.type) if role_of(f) == role_of(function)] == [function.name]
    assert function.get("Policies") is None


def test_every_role_is_in_use_and_assumed_by_one_service(role: Resource, stack: Stack) -> None:
    (trust,) = [s for s in role.statements() if "Principal" in s.body]
    service = trust.body["Principal"]["Service"]
    if service == "lambda.amazonaws.com":
        assert role in [role_of(function) for function in stack.of("AWS::Serverless::Function")]
    else:
        assert service == "scheduler.amazonaws.com"
        condition = trust.body["Condition"]["StringEquals"]
        assert condition["aws:SourceAccount"] == "123456789012"
        assert ":schedule-group/" in condition["aws:SourceArn"]
        others = [event["RoleArn"] for _, _, event in stack.events("ScheduleV2")]
        others += [f.get("Environment", "Variables", "DEFER_ROLE_ARN") for f in stack.of("AWS::Serverless::Function")]
        assert role in [stack.named_by(arn) for arn in others if arn]


@pytest.mark.parametrize("setting", NEEDS)
def test_a_function_may_use_what_its_settings_name_and_nothing_else_of_its_kind(setting: str, stack: Stack) -> None:
    for function in stack.of("AWS::Serverless::Function"):
        value = function.get("Environment", "Variables", setting)
        if setting == "TABLE_NAME" and function.name in WITHOUT_TABLE:
            value = None
        allowed = {
            resource
            for statement in permissions(role_of(function))
            if NEEDS[setting] in statement.actions
            for resource in statement.resources
        }
        if value is None:
            dead_letters = {arn for arn in allowed if "DeadLetters" in arn}
            variables = {k: v for k, v in function.get("Environment", "Variables").items() if k != setting}
            others = [variables[other] for other in NEEDS if NEEDS[other] == NEEDS[setting] and other in variables]
            own = {arn for arn in allowed if any(named(other) & named(arn) for other in others)}
            assert not allowed - dead_letters - own, f"{function} has no {setting} but may {NEEDS[setting]}"
        else:
            assert named(value) <= named(" ".join(allowed)), f"{function} has {setting} but may not {NEEDS[setting]}"


def test_a_function_takes_from_its_own_queue_only(function: Resource, stack: Stack) -> None:
    queues = [e["Queue"] for f, _, e in stack.events("SQS") if f == function]
    taken = [r for s in permissions(role_of(function)) if "sqs:ReceiveMessage" in s.actions for r in s.resources]
    assert taken == queues


def test_a_function_writes_to_its_own_log_only(function: Resource) -> None:
    (logs,) = [s for s in permissions(role_of(function)) if "logs:PutLogEvents" in s.actions]
    group = STACK.named_by(function.get("LoggingConfig", "LogGroup"))
    assert group is not None
    assert logs.resources == [f"arn:aws:logs:us-east-1:123456789012:log-group:{group.get('LogGroupName')}:*"]


def test_a_function_may_start_no_function_but_itself(function: Resource) -> None:
    started = [r for s in permissions(role_of(function)) if "lambda:InvokeFunction" in s.actions for r in s.resources]
    own = f"arn:aws:lambda:us-east-1:123456789012:function:{function.get('FunctionName')}"
    assert started == ([own] if function.name in ("PlanReminders", "CloseDay") else [])


def test_no_function_deletes_records_scans_the_table_or_changes_settings_keys_or_permissions(
    function: Resource,
) -> None:
    actions = {action for s in permissions(role_of(function)) for action in s.actions}
    assert not actions & {"dynamodb:BatchWriteItem", "dynamodb:DeleteTable"}
    scanned = [r for s in permissions(role_of(function)) if "dynamodb:Scan" in s.actions for r in s.resources]
    # What a complete statement no longer holds is found by listing the keys of what is open, and nothing else.
    assert scanned == ([f"{TABLE_ARN}/index/due_index"] if function.name == "ImportBook" else [])
    deletions = [s for s in permissions(role_of(function)) if "dynamodb:DeleteItem" in s.actions]
    # What was parked goes once it is applied; nothing else is ever deleted by a function.
    assert [s.body["Condition"]["ForAllValues:StringLike"] for s in deletions] == (
        [{"dynamodb:LeadingKeys": ["W#*"]}] if function.name in ("Ingest", "IngestEvents", "ImportBook") else []
    )
    assert all(s.body["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"} for s in deletions)
    assert not [a for a in actions if a.startswith("ssm:") and not a.startswith("ssm:Get")]
    assert not [a for a in actions if a.startswith("secretsmanager:") and a != "secretsmanager:GetSecretValue"]
    assert {a for a in actions if a.startswith("iam:")} <= {"iam:PassRole"}
    assert not actions & {"kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey"}


@pytest.mark.parametrize(
    ("function_name", "partitions"),
    [
        ("PlanReminders", ["B#*", "P#*", "R#*"]),
        ("CloseDay", ["B#*", "P#*", "R#*", "U#*"]),
        ("DeliverSms", ["B#*", "C#*", "R#*"]),
        ("DeliverEmail", ["B#*", "C#*", "R#*"]),
        ("RecordReceipts", ["B#*", "C#*", "R#*"]),
        ("Unsubscribe", ["B#*"]),
        ("Ingest", ["B#*", "C#*", "E#*", "L#*", "O#*", "R#*", "U#*", "W#*"]),
        ("IngestEvents", ["B#*", "C#*", "E#*", "L#*", "O#*", "R#*", "U#*", "W#*"]),
        ("ImportBook", ["B#*", "C#*", "E#*", "L#*", "O#*", "R#*", "U#*", "W#*"]),
        ("PublishEvents", []),
        ("CallWebhooks", []),
    ],
)
def test_a_function_writes_only_to_its_part_of_the_table(
    function_name: str, partitions: list[str], stack: Stack
) -> None:
    (function,) = [f for f in stack.of("AWS::Serverless::Function") if f.name == function_name]
    writing = [s for s in permissions(role_of(function)) if set(WRITES) & set(s.actions)]
    condition = {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }
    assert [s.body.get("Condition") for s in writing] == ([condition] if partitions else [])


@pytest.mark.parametrize(
    ("policy", "own", "writers"),
    [
        ("ProtectProfiles", "profile_item", {"Ingest", "IngestEvents", "ImportBook"}),
        ("ProtectDues", "due_item", {"CloseDay", "Ingest", "IngestEvents", "ImportBook"}),
        ("ProtectConsentEvents", "", {"RecordReceipts", "Unsubscribe", "Ingest", "IngestEvents", "ImportBook"}),
        ("ProtectCases", "", {"CloseDay", "Ingest", "IngestEvents", "ImportBook"}),
    ],
)
def test_no_sender_can_edit_what_a_borrower_or_loan_system_said(
    policy: str, own: str, writers: set[str], stack: Stack
) -> None:
    (denial,) = [s for s in stack.statements() if s.sid == policy and not s.allows]
    assert denial.actions == WRITES
    assert {named(resource) == named(TABLE_ARN) for resource in denial.resources} == {True}
    (attributes,) = [keys["dynamodb:Attributes"] for keys in denial.body["Condition"].values()]
    assert list(denial.body["Condition"]) == ["ForAnyValue:StringEquals"]
    free = {
        function.name
        for function in stack.of("AWS::Serverless::Function")
        if function.name not in WITHOUT_TABLE
        and denial.resource not in [stack.named_by(arn) for arn in role_of(function).get("ManagedPolicyArns")]
    }
    assert free == writers
    kinds = {kind: item_names(kind) for kind in ("profile_item", "ledger_item", "due_item", "record_item")}
    assert all(not set(attributes) & names for kind, names in kinds.items() if kind != own)
    # A due's and a profile's item cannot be written without one of them.
    assert not own or set(attributes) <= kinds[own]
    assert not own or {"ref", "loan_id"} & set(attributes)


def test_no_case_can_be_written_without_an_attribute_that_senders_are_denied(stack: Stack) -> None:
    (denial,) = [s for s in stack.statements() if s.sid == "ProtectCases" and not s.allows]
    (attributes,) = [keys["dynamodb:Attributes"] for keys in denial.body["Condition"].values()]
    due, now = Due("b-1", "L-1", 1, date(2026, 12, 5), 1, "USD", 0, ()), datetime(2026, 12, 2, tzinfo=UTC)
    cases = [at_risk(due, signal, now) for signal in SIGNALS]
    cases.append(Case("b-1", "0" * 32, now, Hold("hardship", 1, "core")))
    written = set().union(*map(case_item, cases)) - {"pk", "sk", "expires_at"}
    assert set(attributes) == written


def item_names(kind: str) -> set[str]:
    """The attributes that the code writes in an item of a kind, read from its source."""
    tree = ast.parse((ROOT / "functions/predue/aws/items.py").read_text())
    (function,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == kind]
    (returned,) = [node.value for node in function.body if isinstance(node, ast.Return)]
    assert isinstance(returned, ast.Dict)
    return {key.value for key in returned.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_only_the_channels_own_function_may_send_on_it(channel: str, stack: Stack) -> None:
    prefix = {"sms": "sms-voice:", "email": "ses:"}[channel]
    senders = {
        function.name: [s for s in permissions(role_of(function)) if any(a.startswith(prefix) for a in s.actions)]
        for function in stack.of("AWS::Serverless::Function")
    }
    name = f"Deliver{channel.title()}"
    assert [sender for sender, statements in senders.items() if statements] == [name]
    (send,) = senders[name]
    assert all(":Send" in action for action in send.actions)


def test_who_publishes_reads_the_stream_and_no_item_and_who_calls_webhooks_neither(stack: Stack) -> None:
    by_name = {f.name: permissions(role_of(f)) for f in stack.of("AWS::Serverless::Function")}
    actions = {name: {a for s in by_name[name] for a in s.actions if "dynamodb" in a} for name in WITHOUT_TABLE}
    reading = {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"}
    assert actions == {"PublishEvents": {f"dynamodb:{name}" for name in reading}, "CallWebhooks": set()}
    on = {r for s in by_name["PublishEvents"] for r in s.resources if "dynamodb" in str(s.actions)}
    assert on == {"<Storage/Table.StreamArn>", f"{TABLE_ARN}/stream/*"}
    others = {a for name, some in by_name.items() if name != "PublishEvents" for s in some for a in s.actions}
    assert not {a for a in others if "Stream" in a and a.startswith("dynamodb:")}


def test_whom_to_call_and_who_may_tell_events_stand_in_secrets_that_no_function_reads_both_of(stack: Stack) -> None:
    for function in stack.of("AWS::Serverless::Function"):
        variables = set(function.get("Environment", "Variables"))
        assert ("WEBHOOKS_SECRET" in variables) is (function.name == "CallWebhooks")
        assert not {"WEBHOOKS_SECRET", "SOURCES_SECRET"} <= variables


def test_webhooks_go_to_public_addresses_unless_a_sandbox_says_otherwise(stack: Stack) -> None:
    (rule,) = [r for name, r in stack.template.body["Rules"].items() if name == "ProductionCallsPublicAddresses"]
    assert stack.template.holds(rule["RuleCondition"])
    assert all(stack.template.holds(one["Assert"]) for one in rule["Assertions"])
    (function,) = [f for f in stack.of("AWS::Serverless::Function") if f.name == "CallWebhooks"]
    assert function.get("Environment", "Variables", "WEBHOOK_ADDRESSES") == "public"
    careless = load("production", WebhookAddresses="any").template
    assert not all(careless.holds(one["Assert"]) for one in rule["Assertions"])


def test_email_goes_out_under_the_configured_address_identity_and_configuration_set_only(stack: Stack) -> None:
    (send,) = [s for s in ALLOWS if "ses:SendEmail" in s.actions]
    (configuration,) = stack.of("AWS::SES::ConfigurationSet")
    assert send.body["Condition"] == {"StringEquals": {"ses:FromAddress": "reminders@example.com"}}
    assert send.resources == [
        f"arn:aws:ses:us-east-1:123456789012:configuration-set/<{configuration.template.name}/{configuration.name}.Ref>",
        "arn:aws:ses:us-east-1:123456789012:identity/example.com",
    ]


def test_a_function_may_hand_the_scheduler_one_role_and_nobody_else_any() -> None:
    passes = [s for s in ALLOWS if "iam:PassRole" in s.actions]
    assert {s.resource.name for s in passes} == {"DeliverSmsRole", "DeliverEmailRole"}
    for statement in passes:
        (role,) = [STACK.named_by(resource) for resource in statement.resources]
        assert role is not None
        assert role.name == "DeferRole"
        assert statement.body["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_what_predue_emits_goes_out_under_its_own_name_only() -> None:
    emitting = [statement for statement in ALLOWS if "events:PutEvents" in statement.actions]
    assert emitting
    for statement in emitting:
        assert statement.body["Condition"] == {"StringEquals": {"events:source": "predue"}}, statement


def test_the_queue_of_events_is_filled_by_its_rule_only(stack: Stack) -> None:
    (rule,) = [one for one in stack.of("AWS::Events::Rule") if one.name == "EventsRule"]
    (policy,) = [p for p in stack.of("AWS::SQS::QueuePolicy") if p.name == "EventsPolicy"]
    (allowed,) = [s for s in policy.statements() if s.allows]
    assert allowed.body["Principal"] == {"Service": "events.amazonaws.com"}
    assert rule.is_named_by(allowed.body["Condition"]["ArnEquals"]["aws:SourceArn"])


def test_functions_use_the_key_only_through_the_services_that_hold_what_it_encrypts(role: Resource) -> None:
    for statement in permissions(role):
        if any(action.startswith("kms:") for action in statement.actions):
            via = parts(statement.body["Condition"]["StringEquals"]["kms:ViaService"])
            assert set(via) <= {
                f"{s}.us-east-1.amazonaws.com" for s in ("dynamodb", "lambda", "s3", "secretsmanager", "sqs")
            }


def test_nothing_is_granted_to_everyone(stack: Stack) -> None:
    for statement in stack.statements():
        if statement.allows and "Principal" in statement.body:
            principals = statement.body["Principal"]
            assert principals != "*", statement
            assert "*" not in str(principals), statement
    assert not stack.of("AWS::Lambda::Permission")
    assert not stack.of("AWS::Lambda::Url")


def test_a_bucket_is_private_keeps_what_was_replaced_and_forgets_what_is_old(bucket: Resource) -> None:
    assert set(bucket.get("PublicAccessBlockConfiguration").values()) == {True}
    assert bucket.get("OwnershipControls", "Rules") == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket.get("VersioningConfiguration", "Status") == "Enabled"
    rules = bucket.get("LifecycleConfiguration", "Rules")
    assert {rule["Prefix"] for rule in rules} == {"books/", "work/", "confirmed/"}
    assert all(rule["Status"] == "Enabled" and rule["ExpirationInDays"] <= 365 for rule in rules)


def test_a_bucket_refuses_what_does_not_come_over_tls(bucket: Resource, stack: Stack) -> None:
    (policy,) = [one for one in stack.of("AWS::S3::BucketPolicy") if bucket.is_named_by(one.get("Bucket"))]
    (denial,) = policy.statements()
    assert (denial.allows, denial.actions, denial.body["Principal"]) == (False, ["s3:*"], "*")
    assert denial.body["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_bucket_tells_the_imports_of_files_and_confirmations_and_not_of_the_imports_own_work(
    bucket: Resource, stack: Stack
) -> None:
    told = bucket.get("NotificationConfiguration", "QueueConfigurations")
    assert {one["Event"] for one in told} == {"s3:ObjectCreated:*"}
    assert sorted(one["Filter"]["S3Key"]["Rules"][0]["Value"] for one in told) == ["books/", "confirmed/"]
    assert {queue.name for one in told if (queue := stack.named_by(one["Queue"]))} == {"ImportsQueue"}


def test_the_import_writes_no_file_of_a_source_and_no_confirmation() -> None:
    written = [r for s in ALLOWS if "s3:PutObject" in s.actions for r in s.resources]
    endings = sorted(one.partition(">")[2] for one in written)
    assert endings == ["/books/*.rejected.csv", "/books/*.report.json", "/books/*.warnings.csv", "/work/*"]
    assert {s.resource.name for s in ALLOWS if any(a.startswith("s3:") for a in s.actions)} == {"ImportBookRole"}


def test_a_service_publishes_and_fills_queues_only_on_our_behalf(stack: Stack) -> None:
    for statement in stack.statements():
        if statement.allows and statement.resource.type in ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"):
            condition = statement.body["Condition"]
            keys = {key for operator in condition.values() for key in operator}
            assert keys & {"aws:SourceArn", "aws:SourceAccount"}, statement
            assert statement.actions in (["sns:Publish"], ["sqs:SendMessage"]), statement


def test_a_queue_refuses_what_does_not_come_over_tls(queue: Resource, stack: Stack) -> None:
    (policy,) = [p for p in stack.of("AWS::SQS::QueuePolicy") if any(queue.is_named_by(q) for q in p.get("Queues"))]
    (denial,) = [s for s in policy.statements() if not s.allows]
    assert denial.body["Principal"] == "*"
    assert denial.actions == ["sqs:*"]
    assert denial.body["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_unsubscribe_link_and_the_webhook_are_all_that_is_public(stack: Stack) -> None:
    routes = [(function.name, event["Method"], event["Path"]) for function, _, event in stack.events("HttpApi")]
    assert sorted(routes) == [
        ("Ingest", "POST", "/webhooks/{source}"),
        ("Unsubscribe", "GET", "/unsubscribe/{token}"),
        ("Unsubscribe", "POST", "/unsubscribe/{token}"),
    ]
    assert not stack.events("Api")
    assert not [f for f in stack.of("AWS::Serverless::Function") if f.get("FunctionUrlConfig")]


@pytest.mark.parametrize(
    ("name", "services", "more"),
    [("Unsubscribe", set(), set()), ("Ingest", {"ssm"}, {"dynamodb:Query", "dynamodb:DeleteItem"})],
)
def test_a_public_function_can_neither_send_nor_queue_nor_list_everybody(
    name: str, services: set[str], more: set[str], stack: Stack
) -> None:
    (function,) = [function for function in stack.of("AWS::Serverless::Function") if function.name == name]
    actions = {action for s in permissions(role_of(function)) for action in s.actions}
    assert {a.partition(":")[0] for a in actions} == {"dynamodb", "kms", "logs", "secretsmanager", "xray"} | services
    assert {a for a in actions if a.startswith("dynamodb:")} == {"dynamodb:GetItem", *WRITES} | more
    # Without an index nobody can be found who is not named.
    assert not [r for s in permissions(role_of(function)) for r in s.resources if "/index/" in r]
    assert name in {function.name for function, _, _ in stack.events("HttpApi")}


def test_the_public_api_is_throttled_and_its_log_holds_neither_token_nor_caller(api: Resource, stack: Stack) -> None:
    assert 0 < api.get("DefaultRouteSettings", "ThrottlingRateLimit") <= 100
    assert 0 < api.get("DefaultRouteSettings", "ThrottlingBurstLimit") <= 200
    webhook = api.get("RouteSettings", "POST /webhooks/{source}")
    assert 0 < webhook["ThrottlingRateLimit"] <= 100
    assert 0 < webhook["ThrottlingBurstLimit"] <= 200
    assert stack.named_by(api.get("AccessLogSettings", "DestinationArn")) in stack.of("AWS::Logs::LogGroup")
    told = set(re.findall(r"\$context\.([A-Za-z.]+)", api.get("AccessLogSettings", "Format")))
    assert told == {"requestTime", "requestId", "routeKey", "status", "responseLatency", "integrationErrorMessage"}


def test_nested_templates_are_the_only_other_place_for_resources(stack: Stack) -> None:
    here = {resource.type for resource in stack.resources if resource.template.name == "predue"}
    assert here == {
        NESTED,
        "AWS::Serverless::Function",
        "AWS::Serverless::HttpApi",
        "AWS::Logs::LogGroup",
    }
