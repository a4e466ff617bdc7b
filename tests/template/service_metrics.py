"""What AWS services publish of the metrics that alarms and dashboard use, from their documentation.

Each metric has one or more sets of dimensions; CloudWatch finds a metric only by a whole set.
"""

from __future__ import annotations

# "Available CloudWatch metrics for Amazon SQS", Amazon SQS Developer Guide.
_QUEUE = [{"QueueName"}]
# "Types of metrics for Lambda functions", AWS Lambda Developer Guide; also by alias, by version.
_FUNCTION = [{"FunctionName"}]
# "Amazon API Gateway dimensions and metrics", API Gateway Developer Guide. The last set only for
# methods with detailed metrics (MetricsEnabled).
_API = [{"ApiName"}, {"ApiName", "Stage"}, {"ApiName", "Method", "Resource", "Stage"}]
# "DynamoDB metrics and dimensions", DynamoDB Developer Guide; indexes have their own.
_TABLE = [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}]

SERVICE_METRICS = {
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): _QUEUE,
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): _QUEUE,
    ("AWS/SQS", "NumberOfMessagesSent"): _QUEUE,
    ("AWS/Lambda", "Errors"): _FUNCTION,
    ("AWS/Lambda", "Throttles"): _FUNCTION,
    ("AWS/Lambda", "RecursiveInvocationsDropped"): _FUNCTION,
    ("AWS/Lambda", "Invocations"): _FUNCTION,
    ("AWS/Lambda", "Duration"): _FUNCTION,  # milliseconds
    ("AWS/Lambda", "IteratorAge"): _FUNCTION,  # milliseconds
    ("AWS/ApiGateway", "4XXError"): _API,
    ("AWS/ApiGateway", "5XXError"): _API,
    ("AWS/ApiGateway", "Count"): _API,
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits"): _TABLE,
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): _TABLE,
    # "Monitoring Amazon SNS topics using CloudWatch", Amazon SNS Developer Guide.
    ("AWS/SNS", "NumberOfMessagesPublished"): [{"TopicName"}],
    # "CloudWatch Logs metrics and dimensions", CloudWatch Logs User Guide.
    ("AWS/Logs", "IncomingBytes"): [{"LogGroupName"}],
}
# The resource that a dimension's value names, and how the template gets its name.
NAMED_BY = {
    "QueueName": ("AWS::SQS::Queue", "QueueName"),
    "FunctionName": ("AWS::Serverless::Function", "Ref"),
    "TableName": ("AWS::DynamoDB::Table", "Ref"),
    "TopicName": ("AWS::SNS::Topic", "TopicName"),
    "LogGroupName": ("AWS::Logs::LogGroup", "Ref"),
}
