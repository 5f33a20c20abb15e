"""What ministack cannot make of the template, by name and with the reason; test_deploy.py fails when this is not true
any more, in either direction.
"""

CANNOT_MAKE = {
    "AWS::SMSVOICE::ConfigurationSet": "it knows no End User Messaging; what refers to it gets its bare name",
}
"""Resource types that its CloudFormation refuses."""

MADE_WITHOUT = {
    "AWS::ApiGatewayV2::Api Body": "it makes the API without the routes of its body, so no page answers",
    "AWS::ApiGatewayV2::Stage DefaultRouteSettings": "its CloudFormation drops the throttling",
    "AWS::DynamoDB::Table PointInTimeRecoverySpecification": "its CloudFormation drops it",
    "AWS::DynamoDB::Table SSESpecification": "it encrypts nothing",
    "AWS::DynamoDB::Table TimeToLiveSpecification": "its CloudFormation drops it; nothing expires",
    "AWS::Events::EventBus DeadLetterConfig": "its CloudFormation drops it",
    "AWS::Events::EventBus KmsKeyIdentifier": "its CloudFormation drops it",
    "AWS::Lambda::EventSourceMapping ScalingConfig": "a number that comes from a parameter stays text, over which its "
    "poller stumbles: no queue feeds its function",
    "AWS::Lambda::Function KmsKeyArn": "it encrypts nothing",
    "AWS::Lambda::Function RecursiveLoop": "its CloudFormation drops it",
    "AWS::SNS::Topic KmsMasterKeyId": "its CloudFormation drops it",
    "AWS::SecretsManager::Secret GenerateSecretString": "the generated root holds the punctuation that the template "
    "excludes",
}
"""Properties that it takes and that have no effect there; every other one that test_deploy.py looks at is in effect."""
