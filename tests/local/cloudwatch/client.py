"""Uses CloudWatch with boto3: an alarm that goes off and back, and what is told of it; prints what it was given."""

import datetime
import json
import sys
import time
import urllib.request

import boto3

endpoint, name = sys.argv[1:3]
keys = {"aws_access_key_id": "000000000000", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
client = lambda service: boto3.client(service, endpoint_url=endpoint, **keys)
cloudwatch, sns, sqs = client("cloudwatch"), client("sns"), client("sqs")
began = time.monotonic()


def until(what, ask):
    deadline = time.monotonic() + 60
    while True:
        if (answer := ask()) is not None:
            return answer
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


topic = sns.create_topic(Name=name)["TopicArn"]
queue = sqs.create_queue(QueueName=name)["QueueUrl"]
queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
metric = {"Namespace": name, "MetricName": "Bad", "Dimensions": [{"Name": "Stack", "Value": "dev"}]}
cloudwatch.put_metric_alarm(
    AlarmName=name,
    AlarmDescription="Too many are bad.",
    **metric,
    ExtendedStatistic="p90",
    Period=10,
    EvaluationPeriods=1,
    Threshold=5,
    ComparisonOperator="GreaterThanThreshold",
    TreatMissingData="ignore",
    AlarmActions=[topic],
    OKActions=[topic],
)
parent = f"{name}-parent"
cloudwatch.put_composite_alarm(AlarmName=parent, AlarmRule=f'ALARM("{name}")', AlarmActions=[topic])


def put(*values):
    datum = {key: metric[key] for key in ("MetricName", "Dimensions")}
    now = datetime.datetime.now(datetime.timezone.utc)
    datum |= {"Timestamp": now, "Values": [float(it) for it in values], "Unit": "Count", "StorageResolution": 1}
    cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])


def describe():
    kinds = ["MetricAlarm", "CompositeAlarm"]
    return cloudwatch.describe_alarms(AlarmNames=[name, parent], AlarmTypes=kinds)


def reaches(state):
    def ask():
        found = describe()
        alarms = found["MetricAlarms"] + found["CompositeAlarms"]
        return found if all(it["StateValue"] == state for it in alarms) else None

    return until(state, ask)


def messages(count):
    received = []

    def ask():
        for it in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=it["ReceiptHandle"])
            received.append(json.loads(json.loads(it["Body"])["Message"]))
        return received if len(received) >= count else None

    return until(f"{count} messages", ask)


put(1, 2, 9, 9, 9)
alarmed = reaches("ALARM")
told = messages(2)
put(1, 1, 1)
cleared = reaches("OK")
told += messages(1)

now = datetime.datetime.now(datetime.timezone.utc)
window = {"StartTime": now - datetime.timedelta(minutes=5), "EndTime": now + datetime.timedelta(seconds=1)}
stat = {"Metric": metric, "Period": 300, "Stat": "SampleCount"}
data = cloudwatch.get_metric_data(
    MetricDataQueries=[
        {"Id": "m", "MetricStat": stat, "ReturnData": False},
        {"Id": "e", "Expression": "FILL(m, 0) * 10", "Label": "tenfold"},
    ],
    **window,
)["MetricDataResults"]
listed = cloudwatch.list_metrics(Namespace=name)["Metrics"]
history = cloudwatch.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")["AlarmHistoryItems"]

refused = {}
try:
    cloudwatch.delete_alarms(AlarmNames=[name])
except cloudwatch.exceptions.ClientError as err:
    refused["child"] = err.response["Error"]["Message"]
cloudwatch.delete_alarms(AlarmNames=[parent])
cloudwatch.delete_alarms(AlarmNames=[name])
try:
    cloudwatch.delete_alarms(AlarmNames=[name])
except cloudwatch.exceptions.ResourceNotFound as err:
    refused["gone"] = err.response["Error"]["Code"]
try:
    cloudwatch.put_dashboard(DashboardName=name, DashboardBody="{}")
except cloudwatch.exceptions.ClientError as err:
    refused["dashboard"] = err.response["Error"]["Code"]
cloudwatch.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')

# The same in AWS's JSON protocol, which clients of another age speak.
scope = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"
headers = {
    "Authorization": scope,
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "GraniteServiceVersion20100801.GetDashboard",
}
asked = urllib.request.Request(endpoint, json.dumps({"DashboardName": name}).encode(), headers)
dashboard = json.load(urllib.request.urlopen(asked))
cloudwatch.delete_dashboards(DashboardNames=[name])

print(
    json.dumps(
        {
            "alarmed": alarmed,
            "cleared": cleared,
            "told": sorted(told, key=lambda it: it["StateChangeTime"]),
            "data": data,
            "listed": listed,
            "history": [it["HistorySummary"] for it in history],
            "refused": refused,
            "dashboard": dashboard,
            "seconds": time.monotonic() - began,
        },
        default=str,
    )
)
