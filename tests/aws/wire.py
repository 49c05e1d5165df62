"""Reads requests as they came over the wire back into what they ask for, by the models that botocore carries: the service, the
operation, and the members, for each of AWS's protocols. What the model does not know is told as a violation.
"""

import base64
import gzip
import json
import re
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qsl, unquote, urlsplit

import cbor2
from botocore.loaders import Loader
from botocore.model import ServiceModel

# The names of services in signatures, where botocore calls them otherwise.
CALLED = {"monitoring": "cloudwatch"}
# Query parameters that SDKs add to tell operations apart, which are not part of the models.
ADDED = {"x-id"}
LOADER = Loader()
MODELS = {}


class Request:
    """A request: what it asks for, and what of it the model does not know."""

    def __init__(self, record):
        self.method, self.headers = record["method"], record["headers"]
        self.body = base64.b64decode(record["body"])
        if self.headers.get("content-encoding") == "gzip":
            self.body = gzip.decompress(self.body)
        parts = urlsplit(record["target"])
        self.path, self.query = parts.path, parse_qsl(parts.query, keep_blank_values=True)
        self.scope = re.search(r"Credential=([^/]+)/\d+/([^/]*)/([^/]+)/", self.headers.get("authorization", ""))
        self.signed = self.scope[3] if self.scope else None
        self.unknown = []
        self.model = model(CALLED.get(self.signed, self.signed))
        self.operation = self.find()
        self.shape = self.operation.input_shape
        self.members = {} if self.shape is None else self.read()

    def __str__(self):
        return f"{self.model.service_name} {self.operation.name}"

    def find(self):
        """Tells which operation is meant."""
        target, form = self.headers.get("x-amz-target"), self.form()
        if target:
            return self.model.operation_model(target.rsplit(".", 1)[1])
        if "Action" in form:
            return self.model.operation_model(form["Action"])
        if named := re.fullmatch(r"/service/[^/]+/operation/(\w+)", self.path):
            return self.model.operation_model(named[1])
        keys, found = {name for name, _ in self.query}, []
        for name in self.model.operation_names:
            operation = self.model.operation_model(name)
            path, _, query = operation.http["requestUri"].partition("?")
            static = dict(parse_qsl(query, keep_blank_values=True))
            if operation.http["method"] != self.method or not set(static) <= keys:
                continue
            if any(value and (key, value) not in self.query for key, value in static.items()):
                continue
            if labels := pattern(path).fullmatch(self.path.rstrip("/") or "/"):
                found.append((len(static), -len(labels.groups()), name))
        if not found:
            raise ValueError(f"{self.signed} has no operation {self.method} {self.path} {self.query}")
        # `x-id` settles which of two is meant.
        named = dict(self.query).get("x-id")
        best = named if any(it[2] == named for it in found) else max(found)[2]
        return self.model.operation_model(best)

    def form(self):
        form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True)) if form else {}

    def read(self):
        protocol = self.model.resolved_protocol if hasattr(self.model, "resolved_protocol") else self.model.protocol
        if self.path.startswith("/service/"):
            return self.of_json(self.shape, cbor2.loads(self.body) if self.body else {}, "")
        if self.headers.get("x-amz-target"):
            return self.of_json(self.shape, loads(self.body), "")
        if form := self.form():
            used = {"Action", "Version"}
            members = self.of_form(self.shape, "", form, used, protocol == "ec2")
            self.unknown += [f"{name} is no parameter" for name in form if name not in used]
            return members
        return self.of_rest(protocol)

    def of_rest(self, protocol):
        path, _, static = self.operation.http["requestUri"].partition("?")
        labels = pattern(path).fullmatch(self.path.rstrip("/") or "/").groupdict()
        used = {name for name, _ in parse_qsl(static, keep_blank_values=True)} | ADDED
        members, rest = {}, {}
        payload = self.shape.serialization.get("payload")
        for name, shape in self.shape.members.items():
            where, called = shape.serialization.get("location"), shape.serialization.get("name", name)
            if where == "uri":
                members[name] = scalar(shape, unquote(labels[re.sub(r"\W", "_", called)]))
            elif where == "querystring" and shape.type_name == "map":
                own = [it for it in self.query if it[0] not in used]
                used |= {it[0] for it in own}
                members |= {name: dict(own)} if own else {}
            elif where == "querystring":
                used.add(called)
                values = [value for key, value in self.query if key == called]
                if values and shape.type_name == "list":
                    members[name] = [scalar(shape.member, it) for it in values]
                elif values:
                    members[name] = scalar(shape, values[0])
            elif where == "header":
                if called.lower() in self.headers:
                    value = self.headers[called.lower()]
                    members[name] = value.split(",") if shape.type_name == "list" else scalar(shape, value)
            elif where == "headers":
                prefix = called.lower()
                own = {key[len(prefix):]: value for key, value in self.headers.items() if key.startswith(prefix)}
                members |= {name: own} if own else {}
            elif name != payload:
                rest[called] = name
        self.unknown += [f"{name} is no query parameter" for name, _ in self.query if name not in used]
        if payload:
            shape = self.shape.members[payload]
            if shape.type_name in ("blob", "string"):
                members[payload] = self.body if shape.type_name == "blob" else self.body.decode()
            elif self.body and protocol == "rest-xml":
                members[payload] = self.of_xml(shape, ElementTree.fromstring(self.body), payload)
            elif self.body:
                members[payload] = self.of_json(shape, loads(self.body), payload)
        elif rest and self.body:
            body = loads(self.body)
            self.unknown += [f"{name} is no member" for name in body if name not in rest]
            for called, value in body.items():
                if called in rest and value is not None:
                    shape = self.shape.members[rest[called]]
                    members[rest[called]] = self.of_json(shape, value, rest[called])
        return members

    def of_json(self, shape, value, at):
        if shape.type_name == "structure" and isinstance(value, dict):
            names = {it.serialization.get("name", name): name for name, it in shape.members.items()}
            self.unknown += [f"{at}.{name} is no member" for name in value if name not in names]
            return {
                names[name]: self.of_json(shape.members[names[name]], it, f"{at}.{name}")
                for name, it in value.items()
                if name in names and it is not None
            }
        if shape.type_name == "list" and isinstance(value, list):
            return [self.of_json(shape.member, it, f"{at}[{number}]") for number, it in enumerate(value)]
        if shape.type_name == "map" and isinstance(value, dict):
            return {key: self.of_json(shape.value, it, f"{at}[{key}]") for key, it in value.items()}
        if shape.type_name == "blob" and isinstance(value, str):
            return base64.b64decode(value)
        return value

    def of_form(self, shape, prefix, form, used, ec2):
        within = f"{prefix}." if prefix else ""
        there = lambda name: any(key == name or key.startswith(f"{name}.") for key in form)
        if shape.type_name == "structure":
            members = {}
            for name, it in shape.members.items():
                called = it.serialization.get("name", name)
                if ec2:
                    called = it.serialization.get("queryName", called[:1].upper() + called[1:])
                elif it.type_name == "list" and it.serialization.get("flattened"):
                    called = it.member.serialization.get("name", called)
                if there(within + called):
                    members[name] = self.of_form(it, within + called, form, used, ec2)
            return members
        if shape.type_name == "list":
            if not (ec2 or shape.serialization.get("flattened")):
                prefix = f"{prefix}.{shape.member.serialization.get('name', 'member')}"
            items, number = [], 1
            while there(f"{prefix}.{number}"):
                items.append(self.of_form(shape.member, f"{prefix}.{number}", form, used, ec2))
                number += 1
            return items
        if shape.type_name == "map":
            prefix = prefix if shape.serialization.get("flattened") else f"{prefix}.entry"
            key, value = (it.serialization.get("name", usual) for it, usual in ((shape.key, "key"), (shape.value, "value")))
            items, number = {}, 1
            while there(f"{prefix}.{number}"):
                used |= {f"{prefix}.{number}.{key}"}
                name = form[f"{prefix}.{number}.{key}"]
                items[name] = self.of_form(shape.value, f"{prefix}.{number}.{value}", form, used, ec2)
                number += 1
            return items
        used.add(prefix)
        return scalar(shape, form.get(prefix, ""))

    def of_xml(self, shape, element, at):
        local = lambda name: name.rsplit("}", 1)[-1]
        if shape.type_name == "structure":
            members, names = {}, {}
            for name, it in shape.members.items():
                names[it.serialization.get("name", name)] = name
                if it.type_name == "list" and it.serialization.get("flattened"):
                    names[it.member.serialization.get("name", it.serialization.get("name", name))] = name
            for child in element:
                name = names.get(local(child.tag))
                if name is None:
                    self.unknown.append(f"{at}.{local(child.tag)} is no member")
                    continue
                it = shape.members[name]
                if it.type_name == "list" and it.serialization.get("flattened"):
                    members.setdefault(name, []).append(self.of_xml(it.member, child, f"{at}.{name}"))
                else:
                    members[name] = self.of_xml(it, child, f"{at}.{name}")
            for key, value in element.attrib.items():
                attributes = [n for n, it in shape.members.items() if it.serialization.get("xmlAttribute")]
                members |= {name: value for name in attributes if local(key) in name.lower()}
            return members
        if shape.type_name == "list":
            return [self.of_xml(shape.member, child, at) for child in element]
        return scalar(shape, element.text or "")


def model(name):
    if name not in MODELS:
        MODELS[name] = ServiceModel(LOADER.load_service_model(name, "service-2"), name)
    return MODELS[name]


def loads(body):
    return json.loads(body) if body else {}


def pattern(path):
    """Turns the path of a model into a regular expression: `{Key+}` holds slashes, other labels do not."""
    label = lambda it: f"(?P<{re.sub(r'[^0-9A-Za-z_]', '_', it[1])}>{'.+' if it[2] else '[^/]+'})"
    parts = re.split(r"(\{[^}]+\})", path.rstrip("/") or "/")
    text = "".join(re.sub(r"\{([^}+]+)(\+?)\}", label, it) if it.startswith("{") else re.escape(it) for it in parts)
    return re.compile(text)


def scalar(shape, text):
    """Reads a value that is text on the wire. What does not fit stays text, and is told by the check of types."""
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
    except ValueError:
        return text
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if shape.type_name == "blob":
        return base64.b64decode(text)
    return text
