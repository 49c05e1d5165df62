"""A stand-in of Fabric and Power BI on loopback: workspaces with models and reports, as their REST APIs answer.

It keeps items in memory and says what the services would refuse: names that are taken, parts that are missing, a report without
its model, a connection to another source, the token of the other API. Definitions come back as the service writes them: with
lines of its own, tables in another order. It loads no data; a refresh ends after some looks.

    python3 fabric.py        prints its port, serves until its standard input ends

`GET /_asked` tells what it was asked, `?method=` and `?path=` what of it; `POST /_refreshes` says how all refreshes ended;
`POST /_faults` takes a list of {"method", "path", "status", "body", "headers", "cut", "late", "skip", "times"}: whatever request
fits first is answered by it instead; `skip` lets so many that fit pass, and `late` lets it take effect all the same.
"""

import base64
import json
import re
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SCOPES = {
    "https://api.fabric.microsoft.com/.default": "fabric",
    "https://analysis.windows.net/powerbi/api/.default": "powerbi",
}
SORTS = {"semanticModels": "SemanticModel", "reports": "Report"}
PAGE = 2
# How often a refresh is looked at before it is over.
LOOKS = 3


class Refused(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class World:
    def __init__(self):
        self.lock = threading.RLock()
        self.items, self.operations, self.refreshes, self.bound = {}, {}, {}, {}
        self.asked, self.faults = [], []
        # Addresses that answers give out are on another host, as the service's are, unless somebody is to follow them.
        self.host = "https://elsewhere.invalid"

    def of(self, workspace, sort=None):
        mine = [it for it in self.items.values() if it["workspaceId"] == workspace]
        return [it for it in mine if sort in (None, it["type"])]

    def item(self, workspace, id, sort=None):
        it = self.items.get(id)
        if it is None or it["workspaceId"] != workspace or sort not in (None, it["type"]):
            raise Refused(404, "ItemNotFound", f"there is no item {id}")
        return it

    def begin(self, result):
        id = str(uuid.uuid4())
        self.operations[id] = {"looks": 0, "result": result}
        return 202, None, {"x-ms-operation-id": id, "Location": f"{self.host}/v1/operations/{id}", "Retry-After": "0"}

    def check(self, sort, definition):
        parts = {}
        for it in definition["parts"]:
            if it["payloadType"] != "InlineBase64":
                raise Refused(400, "InvalidInput", "payloadType")
            parts[it["path"]] = base64.b64decode(it["payload"], validate=True)
        needed = ["definition.pbism", "definition/model.tmdl"] if sort == "SemanticModel" else ["definition.pbir", "definition/report.json"]
        for path in needed:
            if path not in parts:
                raise Refused(400, "InvalidDefinitionParts", f"{path} is missing")
        if sort == "Report":
            reference = json.loads(parts["definition.pbir"])["datasetReference"]
            connection = reference.get("byConnection")
            if connection is None:
                raise Refused(400, "InvalidDefinitionParts", "definition.pbir: only byConnection is taken")
            named = connection.get("pbiModelDatabaseName")
            found = re.search(r"semanticmodelid=([0-9a-fA-F-]+)", connection.get("connectionString") or "")
            if (found.group(1) if found else named) not in self.items:
                raise Refused(400, "DatasetNotFound", "the report's model is not there")
        for path, content in parts.items():
            if path.endswith(".json"):
                json.loads(content)
            if path.endswith(".tmdl") and any(line.startswith(" ") for line in content.decode().splitlines()):
                raise Refused(400, "Workload_FailedToParseFile", f"{path}: TMDL is indented by tabs")
        return parts

    def source(self, item):
        text = item["parts"].get("definition/expressions.tmdl", b"").decode()
        found = re.search(r'expression AthenaDsn = "([^"]*)"', text)
        return {"type": "AmazonAthena", "path": found.group(1) if found else ""}

    def answer(self, method, path, query, body):
        match [method, *path.strip("/").split("/")]:
            case ["GET", "v1", "workspaces", workspace]:
                return 200, {"id": workspace, "displayName": workspace, "capacityId": str(uuid.UUID(int=1))}, {}
            case ["GET", "v1", "workspaces", workspace, "folders"]:
                return 200, {"value": []}, {}
            case ["GET", "v1", "workspaces", workspace, "items" | "semanticModels" | "reports" as section]:
                return self.page(self.of(workspace, SORTS.get(section)), query)
            case ["POST", "v1", "workspaces", workspace, "items" | "semanticModels" | "reports" as section]:
                return self.create(workspace, SORTS.get(section) or body["type"], body)
            case ["PATCH", "v1", "workspaces", workspace, section, id]:
                it = self.item(workspace, id, SORTS.get(section))
                taken = {other["displayName"] for other in self.of(workspace, it["type"]) if other is not it}
                if body.get("displayName") in taken:
                    raise Refused(400, "ItemDisplayNameAlreadyInUse", f"'{body['displayName']}' is taken")
                it["displayName"] = body.get("displayName", it["displayName"])
                it["description"] = body.get("description", it["description"])
                if len(it["description"]) > 256:
                    raise Refused(400, "InvalidInput", "the description is too long")
                return 200, public(it), {}
            case ["DELETE", "v1", "workspaces", workspace, section, id]:
                self.item(workspace, id, SORTS.get(section))
                del self.items[id]
                return 200, None, {}
            case ["POST", "v1", "workspaces", workspace, section, id, "getDefinition"]:
                it = self.item(workspace, id, SORTS.get(section))
                parts = [(path, rewritten(path, content)) for path, content in sorted(it["parts"].items(), reverse=True)]
                encoded = [{"path": path, "payload": base64.b64encode(content).decode(), "payloadType": "InlineBase64"} for path, content in parts]
                return self.begin({"definition": {"parts": encoded}})
            case ["POST", "v1", "workspaces", workspace, section, id, "updateDefinition"]:
                it = self.item(workspace, id, SORTS.get(section))
                it["parts"] = self.check(it["type"], body["definition"])
                return self.begin(None)
            case ["POST", "v1", "workspaces", workspace, "semanticModels", id, "bindConnection"]:
                it, binding = self.item(workspace, id), body["connectionBinding"]
                if binding["connectionDetails"] != self.source(it):
                    raise Refused(400, "InvalidInput", "the model has no such source")
                self.bound[id] = binding
                return 200, None, {}
            case ["GET", "v1", "workspaces", workspace, "items", id, "connections"]:
                source, binding = self.source(self.item(workspace, id)), self.bound.get(id)
                if binding is None or binding["connectionDetails"] != source:
                    binding = {"connectivityType": "None"}
                return self.page([{"id": binding.get("id"), "connectivityType": binding["connectivityType"], "connectionDetails": source}], query)
            case ["GET", "v1", "connections", id]:
                source = {"type": "AmazonAthena", "path": "any"}
                return 200, {"id": id, "connectivityType": "OnPremisesGateway", "connectionDetails": source}, {}
            case ["GET", "v1", "operations", id]:
                it = self.operations[id]
                it["looks"] += 1
                status = "Running" if it["looks"] == 1 else "Succeeded"
                headers = {"Retry-After": "0", "Location": f"{self.host}/v1/operations/{id}"}
                if status == "Succeeded":
                    headers["Location"] += "/result"
                    if it["result"] is None:
                        del headers["Location"]
                return 200, {"status": status, "percentComplete": 50 * it["looks"]}, headers
            case ["GET", "v1", "operations", id, "result"]:
                result = self.operations[id]["result"]
                if result is None:
                    raise Refused(400, "OperationHasNoResult", "there is no result")
                return 200, result, {}
            case ["POST", "v1.0", "myorg", "groups", workspace, "datasets", id, "refreshes"]:
                self.item(workspace, id, "SemanticModel")
                mine = self.refreshes.setdefault(id, [])
                if mine and mine[0]["status"] == "Unknown":
                    raise Refused(400, "RefreshInProgressException", "another refresh runs")
                mine.insert(0, {"requestId": str(uuid.uuid4()), "status": "Unknown", "looks": 0})
                return 202, None, {"Location": f"{self.host}{path}/{mine[0]['requestId']}", "Retry-After": "0"}
            case ["GET", "v1.0", "myorg", "groups", workspace, "datasets", id, "refreshes"]:
                mine = self.refreshes.get(id, [])
                for it in mine:
                    if it.get("fixed"):
                        continue
                    it["looks"] += 1
                    it["status"] = "Completed" if it["looks"] > LOOKS else "Unknown"
                return 200, {"value": mine}, {"Retry-After": "0"}
        raise Refused(404, "EndpointNotFound", f"{method} {path}")

    def create(self, workspace, sort, body):
        if any(it["displayName"] == body["displayName"] for it in self.of(workspace, sort)):
            raise Refused(400, "ItemDisplayNameAlreadyInUse", f"'{body['displayName']}' is taken")
        if len(body.get("description", "")) > 256:
            raise Refused(400, "InvalidInput", "the description is too long")
        parts = self.check(sort, body["definition"])
        it = {"id": str(uuid.uuid4()), "type": sort, "displayName": body["displayName"], "description": body.get("description", ""), "workspaceId": workspace, "parts": parts}
        self.items[it["id"]] = it
        return self.begin(public(it))

    def page(self, found, query):
        begin = int(query.get("continuationToken", ["0"])[0])
        page = {"value": [public(it) for it in found[begin : begin + PAGE]]}
        if begin + PAGE < len(found):
            page["continuationToken"] = str(begin + PAGE)
        return 200, page, {}


def public(it):
    return {key: value for key, value in it.items() if key != "parts"}


def rewritten(path, content):
    """A part as the service writes it: TMDL with identifiers and annotations of its own."""
    if path.startswith("definition/tables/"):
        text = re.sub(r"lineageTag: .*", lambda _: f"lineageTag: {uuid.uuid4()}", content.decode())
        return (text + "\n\tannotation PBI_ResultType = Table\n").encode()
    return content


class Answerer(BaseHTTPRequestHandler):
    world: World
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one(self):
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        url = urlsplit(self.path)
        world = self.world
        if url.path == "/_asked":
            wanted = {key: values[0] for key, values in parse_qs(url.query).items()}
            fits = lambda it: it["method"] == wanted.get("method", it["method"]) and re.search(wanted.get("path", ""), it["path"])
            return self.send(200, [it for it in world.asked if fits(it)], {})
        if url.path == "/_refreshes":
            for it in [it for mine in world.refreshes.values() for it in mine]:
                it.update(json.loads(raw), fixed=True)
            return self.send(200, None, {})
        if url.path == "/_faults":
            world.faults = json.loads(raw)
            return self.send(200, None, {})
        if url.path.endswith("/oauth2/v2.0/token"):
            scope = parse_qs(raw.decode()).get("scope", [""])[0]
            if scope not in SCOPES:
                return self.send(400, {"error": "invalid_scope", "error_description": scope}, {})
            return self.send(200, {"token_type": "Bearer", "expires_in": 3600, "access_token": SCOPES[scope]}, {})
        body = json.loads(raw) if raw else None
        with world.lock:
            world.asked.append({"method": self.command, "path": self.path, "body": body})
            for it in world.faults:
                if it["times"] > 0 and it.get("method", self.command) == self.command and re.search(it["path"], self.path):
                    if it.get("skip", 0) > 0:
                        it["skip"] -= 1
                        continue
                    it["times"] -= 1
                    if it.get("late"):
                        self.attempt(url, body)
                    if it.get("cut"):
                        self.close_connection = True
                        return None
                    return self.send(it["status"], it.get("body"), it.get("headers", {}))
            return self.send(*self.attempt(url, body))

    def attempt(self, url, body):
        token = "powerbi" if url.path.startswith("/v1.0/") else "fabric"
        if self.headers.get("authorization") != f"Bearer {token}" and not self.server.any_token:
            return 401, {"errorCode": "InvalidToken", "message": "the token is for another audience"}, {}
        try:
            return self.world.answer(self.command, url.path, parse_qs(url.query), body)
        except Refused as it:
            return it.status, {"requestId": str(uuid.uuid4()), "errorCode": it.code, "message": str(it)}, {}

    do_GET = do_POST = do_PATCH = do_DELETE = handle_one

    def send(self, status, body, headers):
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if content:
            headers = {**headers, "Content-Type": "application/json"}
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


def start(any_token=False):
    """Starts one in this process; returns the server and its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (Answerer,), {"world": World()}))
    server.daemon_threads = True
    server.any_token = any_token
    url = f"http://127.0.0.1:{server.server_address[1]}"
    if any_token:
        server.RequestHandlerClass.world.host = url
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, url


if __name__ == "__main__":
    print(start()[1], flush=True)
    sys.stdin.read()
