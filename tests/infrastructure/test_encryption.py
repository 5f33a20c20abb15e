from tests.infrastructure.stack import Resource, Stack, load


def test_a_queue_is_encrypted_with_our_own_key(queue: Resource, stack: Stack) -> None:
    assert stack.named_by(queue.get("KmsMasterKeyId")) == key(stack)


def test_a_topic_is_encrypted_with_our_own_key(topic: Resource, stack: Stack) -> None:
    assert stack.named_by(topic.get("KmsMasterKeyId")) == key(stack)


def test_a_table_is_encrypted_with_our_own_key(table: Resource, stack: Stack) -> None:
    assert table.get("SSESpecification", "SSEEnabled") is True
    assert table.get("SSESpecification", "SSEType") == "KMS"
    assert stack.named_by(table.get("SSESpecification", "KMSMasterKeyId")) == key(stack)


def test_a_log_group_is_encrypted_with_our_own_key(log_group: Resource, stack: Stack) -> None:
    assert stack.named_by(log_group.get("KmsKeyId")) == key(stack)


def test_the_key_may_be_used_for_every_log_group(log_group: Resource, stack: Stack) -> None:
    (logs,) = [s for s in key(stack).statements() if s.sid == "Logs"]
    patterns = logs.body["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    prefixes = [pattern.partition(":log-group:")[2].removesuffix("*") for pattern in patterns]
    assert any(log_group.get("LogGroupName").startswith(prefix) for prefix in prefixes)


def test_a_secret_is_encrypted_with_our_own_key(secret: Resource, stack: Stack) -> None:
    assert stack.named_by(secret.get("KmsKeyId")) == key(stack)


def test_a_bus_is_encrypted_with_our_own_key(bus: Resource, stack: Stack) -> None:
    assert stack.named_by(bus.get("KmsKeyIdentifier")) == key(stack)


def test_a_functions_settings_are_encrypted_with_our_own_key(function: Resource, stack: Stack) -> None:
    assert stack.named_by(function.get("KmsKeyArn")) == key(stack)


def test_the_key_changes_every_year_and_cannot_vanish_overnight(stack: Stack) -> None:
    assert key(stack).get("EnableKeyRotation") is True
    assert key(stack).get("PendingWindowInDays") == 30


def test_services_use_the_key_for_our_account_only(stack: Stack) -> None:
    for statement in key(stack).statements():
        if "Service" in statement.body["Principal"] and statement.sid != "Logs":
            assert statement.body["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}


def test_every_service_that_publishes_to_a_topic_or_fills_a_queue_may_use_the_key(stack: Stack) -> None:
    publishers = {
        statement.body["Principal"]["Service"]
        for statement in stack.statements()
        if statement.allows and statement.resource.type in ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy")
    }
    (services,) = [s.body["Principal"]["Service"] for s in key(stack).statements() if s.sid == "NotificationsAndEvents"]
    assert publishers == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "ses.amazonaws.com",
        "sms-voice.amazonaws.com",
        "sns.amazonaws.com",
    }
    assert publishers <= set(services)


def test_the_table_can_be_brought_back_to_any_second(table: Resource) -> None:
    assert table.get("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") is True


def test_the_table_forgets_what_has_expired(table: Resource) -> None:
    assert table.get("TimeToLiveSpecification") == {"AttributeName": "expires_at", "Enabled": True}


def test_the_table_cannot_be_deleted_in_production_and_can_in_a_sandbox(table: Resource) -> None:
    assert table.get("DeletionProtectionEnabled") is True
    (sandbox,) = load("sandbox").of("AWS::DynamoDB::Table")
    assert sandbox.get("DeletionProtectionEnabled") is False


def test_what_cannot_be_made_again_outlives_the_stack(stack: Stack) -> None:
    kept = {resource.name for resource in stack.resources if resource.body.get("DeletionPolicy") == "Retain"}
    replaced = {resource.name for resource in stack.resources if resource.body.get("UpdateReplacePolicy") == "Retain"}
    assert kept == replaced == {"Key", "Table", "Keys"}


def test_the_indexes_hold_keys_and_an_instant_only(table: Resource) -> None:
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes")}
    assert indexes.keys() == {"due_index", "unresolved_index"}
    assert indexes["due_index"]["Projection"] == {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["written_at"]}
    assert indexes["unresolved_index"]["Projection"] == {"ProjectionType": "KEYS_ONLY"}


def test_email_travels_encrypted_or_not_at_all(stack: Stack) -> None:
    (configuration,) = stack.of("AWS::SES::ConfigurationSet")
    assert configuration.get("DeliveryOptions", "TlsPolicy") == "REQUIRE"


def key(stack: Stack) -> Resource:
    (found,) = stack.of("AWS::KMS::Key")
    return found
