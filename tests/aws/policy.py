"""Checks that the deploy policies allow each recorded request: what ministack takes a request for (action and resource) is
judged by its evaluation of policies, the one that AUTH=true enforces; for EC2, RDS and KMS it is what AWS asks for, each resource
and its tags (`network.py`, `keys.py`). Without any one statement, a request is denied whose action can be named. They allow no action but what
is recorded, what the program's sources name, or what AWS asks for by itself; and nothing of a network, a key or a database by the
policies of another stack. Each is short enough for a managed policy.

usage: policy.py REQUESTS.jsonl POLICY.json...
"""

import collections
import functools
import json
import os
import re
import sys
from pathlib import Path

os.environ["AUTH"] = "true"

from ministack.core.iam_actions import extract_iam_action, extract_resource_arn
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document, validate_policy_document
from keys import Keys
from network import Networks, needs_of_databases
from wire import Request

SOURCES = Path(__file__).resolve().parents[2] / "src"
ACCOUNT, REGION = "000000000000", "us-east-1"
# The most characters that a managed policy of IAM may have, white space left out, and the longest names to be put in.
LARGEST, LONGEST = 6144, {"ACCOUNT": ACCOUNT, "REGION": "ap-southeast-1", "STACK": "pr-1234-staging-blue"}

# What AWS asks for on behalf of a request, or under another name than ministack has; no request shows it.
IMPLIED = {
    "iam:PassRole": "when a role is given to a function or a schedule",
    "iam:CreateServiceLinkedRole": "when the first cluster or database of an account is made",
    "secretsmanager:CreateSecret": "also by RDS, which keeps the password of a database",
    "secretsmanager:TagResource": "also by RDS, which keeps the password of a database",
    "kms:CreateGrant": "when a cluster or a database is made whose disks a key encrypts",
    "kms:Decrypt": "when a secret is written or read that a key encrypts",
    "kms:GenerateDataKey": "when a secret is written that a key encrypts",
    "kms:DescribeKey": "by RDS, for the key of that secret",
    "rds:CreateDBSnapshot": "when a database is deleted that leaves a last snapshot",
    "rds:AddTagsToResource": "when anything is made with tags",
    "ec2:CreateTags": "when anything is made with tags",
    "route53:AssociateVPCWithHostedZone": "when an endpoint is made whose names are private to the network",
}


# What whoever deploys any stack may do, for AWS lets it be said no narrower: an interface that Lambda forgot in a network has
# no tags, and its network's identifier is not known when the policy is written; lists have no names in them.
OPEN = {"ec2:DeleteNetworkInterface", "rds:DescribeDBInstances", "rds:DescribeDBParameterGroups"}

# What is only looked at, of any stack.
SEEN = ("ec2:Describe", "kms:Describe", "kms:Get", "kms:List")

# What actions are called whose operation has another name.
OTHERWISE = {
    "lambda:InvokeFunction": "Invoke",
    "s3:DeleteObjectVersion": "DeleteObjects",
    "s3:ListBucket": "ListObjectsV2",
    "s3:PutEncryptionConfiguration": "PutBucketEncryption",
}


def needs(record, networks, keys):
    """Lists what a request has to be allowed: action, resource, and what is known of it besides. Nothing where no policy is
    asked."""
    request = Request(record)
    service = {"monitoring": "cloudwatch"}.get(request.signed, request.signed)
    if service == "sts":
        return []  # Anybody may ask who they are.
    if service == "ec2":
        return networks.needs(request, record["answer"])
    if service == "kms":
        return keys.needs(request, record["answer"])
    if service == "redshift-data":
        return needs_of_statements(request)
    if service == "rds":
        return needs_of_databases(request, f"arn:aws:rds:{REGION}:{ACCOUNT}")
    if request.operation.name == "PutMetricData":
        return [("cloudwatch:PutMetricData", "*", (("cloudwatch:namespace", request.members["Namespace"]),))]
    query = collections.defaultdict(list)
    for name, value in [*request.query, *request.form().items()]:
        query[name].append(value)
    arguments = (service, request.method, request.path, request.headers, request.body, dict(query))
    action = extract_iam_action(*arguments)
    if action is None or "/operation/" in request.path:
        action = f"{service}:{request.operation.name}"
    return [(action, resource_of(request, service) or extract_resource_arn(*arguments, REGION, ACCOUNT) or "*", ())]


def needs_of_statements(request):
    """Lists what a request to Redshift's Data API has to be allowed: also what it asks for in the name of whoever sends it, to log in
    ("Authorizing access to the Amazon Redshift Data API")."""
    name, members = f"redshift-data:{request.operation.name}", request.members
    if request.operation.name != "ExecuteStatement":
        return [(name, "*", ())]
    clusters, workgroups = f"arn:aws:redshift:{REGION}:{ACCOUNT}", f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}"
    # A workgroup's ARN has an identifier, not its name.
    workgroup = f"{workgroups}:workgroup/0a1b2c3d-0000-0000-0000-000000000000"
    cluster = members.get("ClusterIdentifier")
    found = [(name, f"{clusters}:cluster:{cluster}" if cluster else workgroup, ())]
    if secret := members.get("SecretArn"):
        arn = secret if secret.startswith("arn:") else f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret}-a1b2c3"
        return [*found, ("secretsmanager:GetSecretValue", arn, ())]
    if not cluster:
        return [*found, ("redshift-serverless:GetCredentials", workgroup, ())]
    database = f"{clusters}:dbname:{cluster}/{members['Database']}"
    if user := members.get("DbUser"):
        action = "redshift:GetClusterCredentials"
        return [*found, (action, database, ()), (action, f"{clusters}:dbuser:{cluster}/{user}", ())]
    return [*found, ("redshift:GetClusterCredentialsWithIAM", database, ())]


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


def allows(policy, need):
    """Says whether a policy allows an action; on something of what it names, where ministack does not tell on what."""
    action, resource, known = need
    named = [resource]
    if resource == "*" and not action.startswith("ec2:"):
        named += [it for statement in policy for it in statement.resources]
    for it in named:
        context = EvalContext(f"arn:aws:iam::{ACCOUNT}:role/deploy", "AssumedRole", ACCOUNT, action, it, REGION)
        context.service_context = dict(known)
        if evaluate(context, [policy]).decision == "Allow":
            return True
    return False


def statements(document):
    """Lists the statements with their actions."""
    for it in document["Statement"]:
        yield it, it["Action"] if isinstance(it["Action"], list) else [it["Action"]]


class Policies:
    """The policies as they are written, to be filled in for one stack or the other."""

    def __init__(self, paths):
        self.texts = {Path(it).name: Path(it).read_text(encoding="utf-8") for it in paths}
        self.document = {"Version": "2012-10-17", "Statement": [
            it for text in self.texts.values() for it in json.loads(text)["Statement"]
        ]}

    @functools.cache
    def of(self, stack, without=None):
        """Returns what a stack's policies say, all statements together, or all but one."""
        left = [it for it in self.document["Statement"] if it["Sid"] != without]
        text = json.dumps({**self.document, "Statement": left})
        return parse_policy_document(fill(text, {"ACCOUNT": ACCOUNT, "REGION": REGION, "STACK": stack}))

    def mistakes(self):
        """Lists what is wrong with the documents themselves."""
        for name, text in self.texts.items():
            filled = fill(text, LONGEST)
            size = len(re.sub(r"\s", "", filled))
            print(f"{name}: {len(json.loads(text)['Statement'])} statements, {size} of {LARGEST} characters with long names")
            if size > LARGEST:
                yield f"{name} has {size} characters, and a managed policy no more than {LARGEST}"
            if said := validate_policy_document(json.loads(filled)):
                yield f"{name}: {said}"
        sids = collections.Counter(it["Sid"] for it in self.document["Statement"])
        yield from (f"{sid} is there {count} times" for sid, count in sids.items() if count > 1)


def fill(text, names):
    for name, it in names.items():
        text = text.replace(name, it)
    return text


def main():
    networks, keys = Networks(REGION, ACCOUNT), Keys(REGION, ACCOUNT)
    wanted, requests = collections.Counter(), collections.Counter()
    with open(sys.argv[1], encoding="utf-8") as file:
        for record in map(json.loads, file):
            if found := needs(record, networks, keys):
                requests[record["stack"], tuple(found)] += 1
                wanted.update((record["stack"], it) for it in found)
    policies = Policies(sys.argv[2:])
    wrong = list(policies.mistakes())
    for stack, (action, resource, known) in sorted(wanted):
        if not allows(policies.of(stack), (action, resource, known)):
            wrong.append(f"{action} on {resource} of the stack {stack} is denied, with {dict(known)}")

    # Who may deploy one stack may do nothing to the network, the keys and the databases of another.
    foreign = 0
    for stack, found in requests:
        action = found[0][0]
        if not action.startswith(("ec2:", "kms:", "rds:")) or action in OPEN or action.startswith(SEEN):
            continue
        foreign += 1
        if all(allows(policies.of("another"), it) for it in found):
            wrong.append(f"{action} on {found[0][1]} of the stack {stack} is allowed to who deploys another")

    named = {it for file in SOURCES.rglob("*.rs") for it in re.findall(r'"([A-Z]\w+)"', file.read_text(encoding="utf-8"))}
    asked = {action for _, (action, _, _) in wanted}
    for statement, actions in statements(policies.document):
        sid = statement["Sid"]
        missing = [it for it in wanted if allows(policies.of(it[0]), it[1]) and not allows(policies.of(it[0], sid), it[1])]
        if not missing and not set(actions) <= IMPLIED.keys():
            wrong.append(f"without {sid}, nothing is denied")
        for action in set(actions) - asked - IMPLIED.keys():
            if OTHERWISE.get(action, action.split(":")[1]) not in named:
                wrong.append(f"{action} in {sid} is asked for by nothing")
    count = len(policies.document["Statement"])
    print(f"{sum(requests.values())} requests, which need {len(wanted)} permissions; each of {count} statements taken away")
    print(f"{foreign} kinds of requests to networks, keys and databases with the policies of another stack; {len(wrong)} mistakes")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong or not wanted or not foreign else 0


if __name__ == "__main__":
    sys.exit(main())
