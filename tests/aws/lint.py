"""Lints policies with parliament: those that recorded requests give to roles, as they were rendered, and the deploy policies.
Ends with 1 when there is a finding.

usage: lint.py REQUESTS.jsonl POLICY.json...
"""

import json
import sys
from pathlib import Path

import parliament

from rendered import recorded


# MSK's topics API is newer than parliament's list of actions.
NEWER = {f"Unknown action kafka:{it}Topic" for it in ("Create", "Delete", "Describe", "Update")}

# Who may write the policy of a bucket may let themselves read and write what is in it: deploying a bucket is just that, and these
# are the stack's own.
OWN = "Possible resource policy privilege escalation on arn:aws:s3:::staging-* "


def elsewhere(text, missing):
    """Says whether another statement has what one has not: what a request makes, and what it makes it in, are allowed under
    conditions of their own, and parliament looks at each statement by itself."""
    kind = kind_of(missing["required_format"])
    statements = json.loads(text)["Statement"]
    return any(
        missing["action"] in it["Action"] and any(kind_of(own) == kind for own in it["Resource"])
        for it in statements
        if isinstance(it["Action"], list) and isinstance(it["Resource"], list)
    )


def kind_of(arn):
    """Returns what kind of thing an ARN stands for, such as `vpc`."""
    return arn.rsplit(":", 1)[1].partition("/")[0]


def main():
    policies = dict(recorded(sys.argv[1]))
    rendered = len(policies)
    for path in sys.argv[2:]:
        text = Path(path).read_text(encoding="utf-8")
        text = text.replace("ACCOUNT", "123456789012").replace("REGION", "eu-central-1").replace("STACK", "staging")
        policies[Path(path).stem] = text
    findings = []
    for name, text in policies.items():
        for it in parliament.analyze_policy_string(text).findings:
            detail = it.detail
            if it.issue == "RESOURCE_MISMATCH":
                detail = [missing for missing in detail if not elsewhere(text, missing)]
            if detail and str(detail) not in NEWER and not str(detail).startswith(OWN):
                findings.append(f"{name}: {it.issue} {detail} {it.location}")
    print(f"{rendered} policies of roles and {len(sys.argv) - 2} deploy policies; {len(findings)} findings")
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings or not rendered else 0


if __name__ == "__main__":
    sys.exit(main())
