"""Checks that a deploy policy allows each recorded request: what ministack takes a request for (action and resource) is judged
by its evaluation of policies, the one that AUTH=true enforces. Without any one statement, a request is denied whose action can
be named. And it allows no action but what is recorded, what the program's sources name, or what AWS asks for by itself.

usage: policy.py REQUESTS.jsonl POLICY.json
"""

import collections
import copy
import json
import os
import re
import sys
from pathlib import Path

os.environ["AUTH"] = "true"

from ministack.core.iam_actions import extract_iam_action, extract_resource_arn
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document, validate_policy_document
from wire import Request

SOURCES = Path(__file__).resolve().parents[2] / "src"
ACCOUNT, REGION, STACK = "000000000000", "us-east-1", "test"

# What AWS asks for on behalf of a request, or under another name than ministack has; no request shows it.
IMPLIED = {
    "iam:PassRole": "when a role is given to a function or a schedule",
    "iam:CreateServiceLinkedRole": "when the first cluster or database of an account is made",
    "secretsmanager:CreateSecret": "also by RDS, which keeps the password of a database",
    "secretsmanager:TagResource": "also by RDS, which keeps the password of a database",
    "kms:DescribeKey": "by RDS, for the key of that secret",
    "rds:CreateDBSnapshot": "when a database is deleted that leaves a last snapshot",
    "ec2:DescribeSecurityGroups": "when a function, a database or a cluster is put into a network",
    "ec2:DescribeSubnets": "when a function, a database or a cluster is put into a network",
    "ec2:DescribeVpcs": "when a function, a database or a cluster is put into a network",
}


# What actions are called whose operation has another name.
OTHERWISE = {
    "lambda:InvokeFunction": "Invoke",
    "s3:DeleteObjectVersion": "DeleteObjects",
    "s3:ListBucket": "ListObjectsV2",
    "s3:PutEncryptionConfiguration": "PutBucketEncryption",
}


def needs(record):
    """Returns the action and the resource of a request, as ministack has them; `None` where no policy is asked."""
    request = Request(record)
    service = {"monitoring": "cloudwatch"}.get(request.signed, request.signed)
    if service == "sts":
        return None  # Anybody may ask who they are.
    query = collections.defaultdict(list)
    for name, value in [*request.query, *request.form().items()]:
        query[name].append(value)
    arguments = (service, request.method, request.path, request.headers, request.body, dict(query))
    action = extract_iam_action(*arguments)
    if action is None or "/operation/" in request.path:
        action = f"{service}:{request.operation.name}"
    return action, resource_of(request, service) or extract_resource_arn(*arguments, REGION, ACCOUNT) or "*"


def resource_of(request, service):
    """Returns the resource where ministack takes it for another one; these are named as AWS's service authorization reference
    names them."""
    if service == "kafka" and (arn := request.members.get("ClusterArn")):
        return arn  # ministack does not decode the path.
    if service == "scheduler" and "Name" in request.members and "Schedule" in request.operation.name:
        group = request.members.get("GroupName")
        if group:  # ministack takes all schedules for those of the default group.
            return f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/{group}/{request.members['Name']}"
    return None


def allows(policy, action, resource):
    """Says whether a policy allows an action; on something of what it names, where ministack does not tell on what."""
    named = [resource] if resource != "*" else ["*", *(it for statement in policy for it in statement.resources)]
    for it in named:
        context = EvalContext(f"arn:aws:iam::{ACCOUNT}:role/deploy", "AssumedRole", ACCOUNT, action, it, REGION)
        if evaluate(context, [policy]).decision == "Allow":
            return True
    return False


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = collections.Counter(it for line in file if (it := needs(json.loads(line))))
    with open(sys.argv[2], encoding="utf-8") as file:
        text = file.read()
    document = json.loads(text.replace("ACCOUNT", ACCOUNT).replace("REGION", REGION).replace("STACK", STACK))
    wrong = [f"the policy itself: {it}" for it in [validate_policy_document(document)] if it]
    policy = parse_policy_document(document)
    denied = sorted({(action, resource) for action, resource in wanted if not allows(policy, action, resource)})
    wrong += [f"{action} on {resource} is denied" for action, resource in denied]

    named = {it for file in SOURCES.rglob("*.rs") for it in re.findall(r'"([A-Z]\w+)"', file.read_text(encoding="utf-8"))}
    asked = {action for action, _ in wanted}
    for number, statement in enumerate(document["Statement"]):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        less = copy.deepcopy(document)
        del less["Statement"][number]
        left = parse_policy_document(less)
        missing = [it for it in wanted if allows(policy, *it) and not allows(left, *it)]
        if not missing and not set(actions) <= IMPLIED.keys():
            wrong.append(f"without {statement['Sid']}, nothing is denied")
        for action in set(actions) - asked - IMPLIED.keys():
            if OTHERWISE.get(action, action.split(":")[1]) not in named:
                wrong.append(f"{action} in {statement['Sid']} is asked for by nothing")
    print(f"{sum(wanted.values())} requests of {len(wanted)} kinds; each of {len(document['Statement'])} statements taken away; {len(wrong)} mistakes")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
