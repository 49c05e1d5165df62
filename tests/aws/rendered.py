"""Policies of roles, as they were rendered: read from recorded requests."""

import base64
import json
from urllib.parse import parse_qsl


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
