"""Runs the functions themselves under ministack's AUTH=true, each as the role that recorded requests gave it: the role is enough
for its work, and no more. Without any one action, the function is denied something and says what, unless the action is one that a
service of AWS asks for in the role's name, which `SERVICES` tells.

The database is not there: what a role is for ends with its password.

usage: own.py REQUESTS.jsonl POLICIES, with a Python that has ministack
"""

import base64
import http.server
import json
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import botocore.config
import botocore.session

from auth import ACCOUNT, REGION, Cloud
from rendered import recorded

STACK = "test"
# What each function is invoked with: what its triggers, schedules and subscriptions send.
ORDER = {"order_id": "o-1", "customer_id": "c-1", "created_at": "2026-01-02T03:04:05Z"}
RECORD = {
    "topic": "orders", "partition": 0, "offset": 1, "timestamp": 1767322800000, "timestampType": "CREATE_TIME", "headers": [],
    "value": base64.b64encode(json.dumps(ORDER).encode()).decode(),
}
ALARM = {"AlarmName": "test-ingest-errors", "AlarmDescription": "Fails", "NewStateValue": "ALARM", "OldStateValue": "OK",
         "NewStateReason": "one", "StateChangeTime": "2026-01-02T03:04:05.000+0000", "Region": "US East (N. Virginia)"}
EVENTS = {
    "ingest": [{"eventSource": "aws:kafka", "eventSourceArn": "arn:aws:kafka:::cluster/a", "records": {"orders-0": [RECORD]}}],
    "migrate": [{"action": "status", "schema": "shop"}],
    "watch": [
        {"source": "aws.scheduler"},
        {"Records": [{"EventSource": "aws:sns", "Sns": {"Subject": "ALARM", "Message": json.dumps(ALARM)}}]},
    ],
}

# What is asked for with a function's role, though the function itself asks for nothing of the kind: who does.
SERVICES = {
    "kms:Decrypt": "Secrets Manager, S3 and SNS, each for what a key of the stack encrypts",
    "kms:GenerateDataKey": "S3 and SNS, each for what a key of the stack encrypts",
    "logs:CreateLogStream": "Lambda, which writes what the function prints",
    "logs:PutLogEvents": "Lambda, which writes what the function prints",
    "ec2:CreateNetworkInterface": "Lambda, which lets the function into its network",
    "ec2:DeleteNetworkInterface": "Lambda, when the function leaves its network",
    "ec2:DescribeNetworkInterfaces": "Lambda, which lets the function into its network",
    "ec2:DescribeSecurityGroups": "Lambda's poller, which stands in the cluster's network",
    "ec2:DescribeSubnets": "Lambda, which lets the function into its network",
    "ec2:DescribeVpcs": "Lambda's poller, which stands in the cluster's network",
    "kafka:DescribeCluster": "Lambda's poller, which looks for the cluster",
    "kafka:DescribeClusterV2": "Lambda's poller, which looks for the cluster",
    "kafka:GetBootstrapBrokers": "Lambda's poller, which looks for the brokers",
    "kafka-cluster:AlterGroup": "Lambda's poller, which keeps its place in the topic",
    "kafka-cluster:Connect": "Lambda's poller, which speaks with the brokers",
    "kafka-cluster:DescribeClusterDynamicConfiguration": "Lambda's poller, which speaks with the brokers",
    "kafka-cluster:DescribeGroup": "Lambda's poller, which keeps its place in the topic",
    "kafka-cluster:DescribeTopic": "Lambda's poller, which reads the topic",
    "kafka-cluster:ReadData": "Lambda's poller, which reads the topic",
}
DENIED = re.compile(r"AccessDenied|is not authorized|not authorized to perform")


class Workspace(http.server.BaseHTTPRequestHandler):
    """A workspace of Databricks whose jobs never ran."""

    def do_GET(self):
        body = b'{"created_time": 1767322800000, "runs": [], "has_more": false}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def functions(path):
    """Returns the functions that were made, as they were asked for."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for record in map(json.loads, file):
            if record["stack"] == STACK and record["method"] == "POST" and record["target"].rstrip("/").endswith("/functions"):
                asked = json.loads(base64.b64decode(record["body"]))
                found.setdefault(asked["FunctionName"].removeprefix(f"{STACK}-"), asked)
    return found


def one_less(policies):
    """Yields each action of a role's policies, with where it stands, and the policies without it."""
    for name, document in policies.items():
        for i, statement in enumerate(document["Statement"]):
            for action in statement["Action"]:
                less = [it for it in statement["Action"] if it != action]
                others = [it for at, it in enumerate(document["Statement"]) if at != i]
                changed = others + ([{**statement, "Action": less}] if less else [])
                yield action, statement["Sid"], {**policies, name: {**document, "Statement": changed}}


class Stage:
    """The account with what the functions ask of it."""

    def __init__(self, cloud, made, workspace):
        session = botocore.session.get_session()
        session.set_credentials(ACCOUNT, "root")
        config = botocore.config.Config(read_timeout=90, retries={"max_attempts": 0}, s3={"addressing_style": "path"})
        client = lambda name: session.create_client(name, region_name=REGION, endpoint_url=cloud.endpoint, config=config)
        self.iam, self.functions, self.rounds = client("iam"), client("lambda"), 0
        self.real, self.workspace = {}, workspace
        variables = {key: it for asked in made.values() for key, it in asked["Environment"]["Variables"].items()}
        self.s3, self.bucket = client("s3"), variables["STATE_BUCKET"]
        s3, bucket = self.s3, self.bucket
        s3.create_bucket(Bucket=bucket)
        for key, it in variables.items():
            if key.startswith("TABLE_"):
                log = it.removeprefix(f"s3://{bucket}/") + "_delta_log/"
                s3.put_object(Bucket=bucket, Key=log + "_last_checkpoint", Body=b'{"version": 0, "size": 1}')
                s3.put_object(Bucket=bucket, Key=log + f"{1:020}.json", Body=b"{}")
        secrets = client("secretsmanager")
        for variable, value in [
            ("DATABASE_SECRET_ARN", json.dumps({"username": "u", "password": "p"})), ("DATABRICKS_SECRET_ARN", "token"),
        ]:
            # The end of an ARN is Secrets Manager's own.
            secret = secrets.create_secret(Name=variable.lower().replace("_", "-"), SecretString=value)
            self.real[variables[variable]] = secret["ARN"]
        client("sns").create_topic(Name=variables["PEOPLE_TOPIC_ARN"].rsplit(":", 1)[1])

    def here(self, it):
        """Returns a document with the ARNs of this account."""
        text = json.dumps(it)
        for recorded_as, real in self.real.items():
            text = text.replace(recorded_as, real)
        return json.loads(text)

    def make(self, name, asked):
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ]}
        role = self.iam.create_role(RoleName=f"{STACK}-{name}", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.functions.create_function(
            FunctionName=f"{STACK}-{name}", Role=role, Runtime=asked["Runtime"], Handler=asked["Handler"], Timeout=60,
            Architectures=asked["Architectures"], Code={"ZipFile": base64.b64decode(asked["Code"]["ZipFile"])},
            Environment={"Variables": self.variables(asked)},
        )

    def variables(self, asked):
        # A new variable makes a new process, which remembers nothing.
        own = {"DATABASE_HOST": "127.0.0.1", "DATABASE_PORT": "1", "ROUND": str(self.rounds)}
        host = {"DATABRICKS_HOST": self.workspace} if "DATABRICKS_HOST" in asked["Environment"]["Variables"] else {}
        return {**self.here(asked["Environment"]["Variables"]), **own, **host}

    def allow(self, name, policies):
        for policy, document in self.here(policies).items():
            role = {"RoleName": f"{STACK}-{name}", "PolicyName": policy}
            if document["Statement"]:
                self.iam.put_role_policy(**role, PolicyDocument=json.dumps(document))
            else:
                self.iam.delete_role_policy(**role)

    def said(self, name, asked):
        """Invokes a function with all its events, and returns what it said of its failures."""
        self.rounds += 1
        # What is remembered from the round before need not be written again.
        for it in self.s3.list_objects_v2(Bucket=self.bucket, Prefix="ecomctl/").get("Contents", []):
            self.s3.delete_object(Bucket=self.bucket, Key=it["Key"])
        function = f"{STACK}-{name}"
        self.functions.update_function_configuration(
            FunctionName=function, Environment={"Variables": self.variables(asked)},
        )
        deadline = time.monotonic() + 60
        while True:
            now = self.functions.get_function_configuration(FunctionName=function)
            if now["State"] == "Active" and now.get("LastUpdateStatus") != "InProgress":
                break
            assert time.monotonic() < deadline, f"{function} does not become ready: {now}"
            time.sleep(0.1)
        texts = []
        for event in EVENTS[name]:
            answer = self.functions.invoke(FunctionName=function, Payload=json.dumps(event).encode(), LogType="Tail")
            texts.append(answer["Payload"].read().decode())
            texts.append(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"))
        return " ".join(texts)


def main():
    requests, templates = Path(sys.argv[1]), Path(sys.argv[2])
    made = functions(requests)
    policies = {}
    for called, text in recorded(requests):
        role, policy = called.split("/")
        policies.setdefault(role.removeprefix(f"{STACK}-"), {})[policy] = json.loads(text)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Workspace)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    wrong, needed, others = [], {}, set()
    with tempfile.TemporaryDirectory(prefix="ecomctl-own-") as folder:
        cloud = Cloud(folder, {"LAMBDA_EXECUTOR": "local", "AWS_ENDPOINT_URL": "itself"})
        try:
            stage = Stage(cloud, made, f"http://127.0.0.1:{server.server_port}")
            for name in EVENTS:
                stage.make(name, made[name])
                stage.allow(name, policies[name])
                said = stage.said(name, made[name])
                if DENIED.search(said):
                    wrong.append(f"the role of {name} is not enough: {said}")
                for action, sid, less in one_less(policies[name]):
                    if action in SERVICES:
                        others.add(action)
                        continue
                    stage.allow(name, less)
                    said = stage.said(name, made[name])
                    if DENIED.search(said):
                        needed[f"{name} {sid} {action}"] = DENIED.search(said)[0]
                    else:
                        wrong.append(f"{name} does without {action} of {sid}: {said}")
                    stage.allow(name, policies[name])
        finally:
            cloud.end()
    # What only a stack in a network is given, no function of this one asks for.
    written = {
        action for it in ("database", "logs", "network", "publish", "secret", "stream", "watch")
        for action in re.findall(r'"([a-z0-9-]+:[A-Z]\w+)"(?!:)', (templates / f"{it}.json").read_text(encoding="utf-8"))
    }
    asked_for = {it.split(" ")[2] for it in needed}
    wrong += [f"{it} is asked for by nobody" for it in sorted(written - asked_for - SERVICES.keys())]
    wrong += [f"{it} is told to be asked for, and no policy has it" for it in sorted(SERVICES.keys() - written)]
    print(f"{len(needed)} permissions of functions are needed by themselves, {len(SERVICES)} by who acts for them")
    print(*needed, sep="\n")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong or len(needed) < 5 or not others else 0


if __name__ == "__main__":
    sys.exit(main())
