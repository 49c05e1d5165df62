"""Checks recorded requests against AWS's own published models, which botocore carries: names of members, those that are
required, types, lengths and ranges, patterns, enumerations. Ends with 1 when a request breaks one; also when requests that are
spoilt on purpose pass, for then the check is worth nothing.

usage: models.py REQUESTS.jsonl
"""

import base64
import collections
import copy
import datetime
import json
import re
import sys

from wire import Request

TYPES = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "blob": (bytes, str),
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (str, int, float, datetime.datetime),
}
# What Java's regular expressions have and Python's have not.
CLASSES = {
    r"\p{L}": r"A-Za-z\u00aa-\uffff",
    r"\p{Z}": r"\s",
    r"\p{N}": r"\d",
    r"\p{Alnum}": "A-Za-z0-9",
    r"\p{ASCII}": r"\x00-\x7f",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
}


class Check:
    def __init__(self):
        self.patterns, self.passed_over = {}, collections.Counter()

    def request(self, request):
        """Lists what is wrong with a request."""
        wrong = list(request.unknown)
        if request.shape is not None:
            self.value(request.shape, request.members, "", wrong)
        return wrong

    def value(self, shape, value, at, wrong):
        if isinstance(value, bool) != (shape.type_name == "boolean") or not isinstance(value, TYPES[shape.type_name]):
            wrong.append(f"{at} is a {type(value).__name__}, not a {shape.type_name}")
            return
        rules = shape.metadata
        if shape.type_name == "structure":
            wrong += [f"{at}.{name} is missing" for name in shape.required_members if name not in value]
            if rules.get("union") and len(value) != 1:
                wrong.append(f"{at} has {len(value)} members, and is one of several")
            for name, it in value.items():
                self.value(shape.members[name], it, f"{at}.{name}", wrong)
        elif shape.type_name == "list":
            for number, it in enumerate(value):
                self.value(shape.member, it, f"{at}[{number}]", wrong)
        elif shape.type_name == "map":
            for key, it in value.items():
                self.value(shape.key, key, f"{at} key", wrong)
                self.value(shape.value, it, f"{at}[{key}]", wrong)
        size = value if shape.type_name in ("integer", "long", "float", "double") else None
        if shape.type_name in ("string", "list", "map", "blob"):
            size = len(value)
        if size is not None and not rules.get("min", size) <= size <= rules.get("max", size):
            wrong.append(f"{at} is {size}, not from {rules.get('min')} to {rules.get('max')}")
        if shape.type_name == "string":
            if shape.enum and value not in shape.enum:
                wrong.append(f"{at} is {value!r}, none of {shape.enum}")
            if "pattern" in rules and (known := self.compiled(rules["pattern"])) and not known.fullmatch(value):
                wrong.append(f"{at} is {value!r}, not like {rules['pattern']}")

    def compiled(self, pattern):
        """Returns a pattern that has to match in full; `None` where Python does not understand it."""
        if pattern not in self.patterns:
            text = pattern
            for java, python in CLASSES.items():
                text = text.replace(java, python)
            try:
                self.patterns[pattern] = re.compile(text, re.DOTALL)
            except re.error:
                self.patterns[pattern] = None
        if self.patterns[pattern] is None:
            self.passed_over[pattern] += 1
        return self.patterns[pattern]


def spoilt(records):
    """Yields requests with one thing wrong each, and a word of what must be told of it."""

    def first(signed, operation):
        for record in records:
            request = Request(record)
            if (request.signed, request.operation.name) == (signed, operation):
                return record
        raise ValueError(f"nothing asks for {operation} of {signed}")

    def with_json(record, change):
        record = copy.deepcopy(record)
        body = json.loads(base64.b64decode(record["body"]))
        change(body)
        record["body"] = base64.b64encode(json.dumps(body).encode()).decode()
        return record

    def with_form(record, text):
        record = copy.deepcopy(record)
        record["body"] = base64.b64encode(base64.b64decode(record["body"]) + text).decode()
        return record

    group, function = first("logs", "CreateLogGroup"), first("lambda", "CreateFunction")
    yield with_json(group, lambda it: it.pop("logGroupName")), "is missing"
    yield with_json(group, lambda it: it.update(logGroupName="a name")), "not like"
    yield with_json(group, lambda it: it.update(logGroupName="x" * 600)), "from 1 to 512"
    yield with_json(group, lambda it: it.update(nonsense=1)), "is no member"
    yield with_json(function, lambda it: it.update(Runtime="cobol")), "none of"
    yield with_json(function, lambda it: it.update(MemorySize=1)), "from 128"
    yield with_json(function, lambda it: it.update(MemorySize="many")), "not a integer"
    yield with_json(function, lambda it: it["Code"].update(Nonsense=1)), "is no member"
    yield with_form(first("rds", "CreateDBInstance"), b"&Nonsense=1"), "is no parameter"
    yield with_form(first("ec2", "CreateSubnet"), b"&Nonsense=1"), "is no parameter"
    yield with_form(first("ec2", "CreateVpcEndpoint"), b"&VpcEndpointType=Nonsense"), "none of"
    yield with_form(first("iam", "CreateRole"), b"&RoleName=a%20name"), "not like"
    listing = copy.deepcopy(first("lambda", "GetFunction"))
    listing["target"] += ("&" if "?" in listing["target"] else "?") + "Nonsense=1"
    yield listing, "is no query parameter"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    check, counts, violations = Check(), collections.Counter(), collections.Counter()
    for record in records:
        request = Request(record)
        counts[request.model.service_name] += 1
        violations.update(f"{request}: {it}" for it in check.request(request))
    services = ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
    print(f"{len(records)} requests checked by their models: {services}; {len(violations)} violations")
    for pattern, number in check.passed_over.items():
        print(f"passed over {number} times, as Python does not understand it: {pattern}")
    for text, number in violations.items():
        print(f"{number} × {text}")
    passed = []
    for number, (record, word) in enumerate(spoilt(records)):
        told = Check().request(Request(record))
        if not any(word in it for it in told):
            passed.append(f"spoilt request {number} should tell `{word}`, and tells {told}")
    print(*passed, sep="\n", end="\n" if passed else "")
    return 1 if violations or passed or not records else 0


if __name__ == "__main__":
    sys.exit(main())
