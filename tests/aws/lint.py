"""Lints policies with parliament: those that recorded requests give to roles, as they were rendered, and the deploy policy.
Ends with 1 when there is a finding.

usage: lint.py REQUESTS.jsonl POLICY.json
"""

import base64
import json
import sys
from urllib.parse import parse_qsl

import parliament


# MSK's topics API is newer than parliament's list of actions.
NEWER = {f"Unknown action kafka:{it}Topic" for it in ("Create", "Delete", "Describe", "Update")}


def recorded(path):
    """Yields the policies of roles, with what they are called; who may take on a role is no policy of parliament's kind."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if not record["headers"].get("content-type", "").startswith("application/x-www-form-urlencoded"):
                continue
            form = dict(parse_qsl(base64.b64decode(record["body"]).decode()))
            if form.get("Action") == "PutRolePolicy":
                yield f"{form['RoleName']}/{form['PolicyName']}", form["PolicyDocument"]


def main():
    policies = dict(recorded(sys.argv[1]))
    rendered = len(policies)
    with open(sys.argv[2], encoding="utf-8") as file:
        text = file.read()
    policies["deploy"] = text.replace("ACCOUNT", "123456789012").replace("REGION", "eu-central-1").replace("STACK", "staging")
    findings = []
    for name, text in policies.items():
        for it in parliament.analyze_policy_string(text).findings:
            if str(it.detail) not in NEWER:
                findings.append(f"{name}: {it.issue} {it.detail} {it.location}")
    print(f"{rendered} policies of roles and the deploy policy; {len(findings)} findings")
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings or not rendered else 0


if __name__ == "__main__":
    sys.exit(main())
