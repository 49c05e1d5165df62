"""Runs ministack so that it may be killed at any instant.

ministack (1.5.33) writes what it knows to disk when it exits gracefully, and only then. Here every answer to a request
that changes something waits until the change is on disk. Two kinds of request do not wait: object data of S3, which
ministack writes itself, and what arrives as a stream (log events, metrics, invocations), which is saved in the
background. Does not configure ministack: its environment does.
"""

import asyncio
import functools
import hashlib
import json
import os
import re
import sys
import time
from urllib.parse import parse_qs

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as stack
from ministack.core import lambda_runtime, persistence, responses
from ministack.services import ec2, lambda_svc

READS = re.compile("(BatchGet|Describe|Estimate|Filter|Get|Head|List|Lookup|Preview|Query|Search|Simulate|Test|Validate)")
# Their loss in a crash is what the services themselves allow: a message seen twice, a metric or a log line missing.
STREAMED = re.compile("(PutLogEvents|PutMetricData|ReceiveMessage|DeleteMessage|ChangeMessageVisibility)")
INVOCATION = re.compile(r"^/20\d\d-\d\d-\d\d/functions/[^/]+/(invocations|invoke-async|response-streaming-invocations)/?$")
CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/[^/]*/([^/]+)/aws4_request")
# Sub-resources of S3 objects; any other request for a key is object data.
SUB_RESOURCES = {"tagging", "acl", "retention", "legal-hold"}
# The state of these grows with use, so another service's change does not save them.
GROWING = {"s3", "cloudwatch", "cloudwatch_logs"}
# ministack opens a log stream for each invocation and keeps all of them.
STREAMS_KEPT = 500
# The background save pauses this many times as long as the last save took.
PAUSE = 20


class Saver:
    """Writes the state of services to disk; requests that arrive during a write share the next one."""

    def __init__(self):
        self.wanted, self.written, self.locks, self.digests, self.dirty = {}, {}, {}, {}, set()

    async def save(self, key):
        """Returns once everything that `key` holds now is on disk."""
        self.wanted[key] = ticket = self.wanted.get(key, 0) + 1
        async with self.locks.setdefault(key, asyncio.Lock()):
            if self.written.get(key, 0) >= ticket:
                return
            covers = self.wanted[key]
            self.dirty.discard(key)
            state = snapshot(key)
            if state is not None:
                self.digests[key] = await asyncio.to_thread(write, key, state, self.digests.get(key))
                if key == "lambda":
                    drop_unused_code(state)
            self.written[key] = covers

    async def save_change(self, service):
        """Saves the service that a request changed, and those which may have changed with it."""
        keys = set(stack._build_persistence_save_dict())
        primary = keys_of(service)
        # A change may settle later, such as a function's state from Pending to Active.
        self.dirty |= primary & keys
        await asyncio.gather(*(self.save(key) for key in keys if key in primary or key not in GROWING))

    async def run(self):
        """Saves in the background what did not wait for it."""
        pause = 1.0
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            drop_old_log_streams()
            for key in sorted(self.dirty & set(stack._build_persistence_save_dict())):
                try:
                    await self.save(key)
                except Exception:
                    stack.logger.exception("cannot save %s", key)
            pause = max(1.0, PAUSE * (time.monotonic() - began))


def keys_of(service):
    """The names under which a service's state is saved; all names for a service that is not known."""
    config = stack.SERVICE_REGISTRY.get(stack.SERVICE_NAME_ALIASES.get(service, service))
    if config is None:
        return set(stack._state_map)
    return {config.get("state_key", config["module"]), *config.get("sub_modules", ())}


def snapshot(key):
    """A copy of a service's state. Threads of ministack may change it meanwhile, so a torn copy is taken again."""
    for _ in range(50):
        try:
            return stack._build_persistence_save_dict()[key]()
        except RuntimeError as error:
            if "changed size" not in str(error):
                raise
    raise RuntimeError(f"the state of {key} does not hold still")


def write(key, state, digest):
    """Replaces the file of a service's state at once and for good, unless it says the same already."""
    version = persistence._state_format_version(key)
    text = json.dumps({"__ministack_format__": version, "payload": state}, default=persistence._json_default).encode()
    now = hashlib.blake2b(text).digest()
    if now == digest:
        return now
    os.makedirs(persistence.STATE_DIR, exist_ok=True)
    path = os.path.join(persistence.STATE_DIR, f"{key}.json")
    with open(f"{path}.new", "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)
    directory = os.open(persistence.STATE_DIR, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return now


def references(value):
    """The function code that a state refers to, by hash."""
    if isinstance(value, dict):
        if lambda_svc._BLOB_REF_KEY in value:
            yield value[lambda_svc._BLOB_REF_KEY]
        value = value.values()
    elif hasattr(value, "_data"):
        value = value._data.values()
    elif not isinstance(value, (list, tuple)):
        return
    for part in value:
        yield from references(part)


drop_code = lambda_svc._prune_orphan_code_blobs
# ministack removes unused code before the state that no longer needs it is written; here that is done after.
lambda_svc._prune_orphan_code_blobs = lambda referenced: None


def drop_unused_code(state):
    """Removes function code that the state on disk does not refer to."""
    drop_code(set(references(state)))


restore_functions = lambda_svc.load_persisted_state


def load_functions(data):
    """Restores functions, and finishes the changes that a kill interrupted: ministack would leave them Pending for ever."""
    restore_functions(data)
    for account, region, name in list(lambda_svc._functions._data):
        responses.set_request_account_id(account)
        responses.set_request_region(region)
        lambda_svc._schedule_state_transition(name, 0)


lambda_svc.load_persisted_state = load_functions

function_environment = lambda_svc._provided_worker_env
# What a function sees of ministack's own environment.
SHARED = {"AWS_ENDPOINT_URL", "LANG", "PATH", "TMPDIR", "TZ"}
OWN = set(os.environ) - SHARED


def environment(config, code_dir, port):
    """The environment of a function, without ministack's own settings."""
    variables = (config.get("Environment") or {}).get("Variables") or {}
    given = function_environment(config, code_dir, port)
    return {name: value for name, value in given.items() if name in variables or name not in OWN}


lambda_svc._provided_worker_env = environment
# Changes of functions settle after half a second otherwise.
lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0.1


write_logs = lambda_svc._emit_lambda_logs


def logs(function, *args, **kwargs):
    """Writes what a function logged; not into a group of its own choice that is gone: its role may create none."""
    groups = sys.modules.get("ministack.services.cloudwatch_logs")
    chosen = ((function.get("config") or function).get("LoggingConfig") or {}).get("LogGroup")
    if not chosen or (groups and chosen in groups._log_groups):
        write_logs(function, *args, **kwargs)


lambda_svc._emit_lambda_logs = logs


permissions_of = ec2._parse_ip_permissions


def permissions(params, prefix):
    """The permissions of a security group that a request names, lists of addresses included, which ministack overlooks."""
    rules = permissions_of(params, prefix)
    for i, rule in enumerate(rules, 1):
        j = 1
        while given := ec2._p(params, f"{prefix}.{i}.PrefixListIds.{j}.PrefixListId"):
            rule["PrefixListIds"].append({"PrefixListId": given})
            j += 1
    return rules


ec2._parse_ip_permissions = permissions


def drop_old_log_streams():
    """Keeps the newest log streams of each function."""
    logs = sys.modules.get("ministack.services.cloudwatch_logs")
    for group in list(logs._log_groups._data.values()) if logs else ():
        streams = group.get("streams", {})
        # One a invocation, and named as Lambda names them, whatever the group is called.
        own = [it for it in list(streams) if "/[" in it]
        if len(own) > 2 * STREAMS_KEPT:
            for stream in sorted(own, key=lambda it: streams[it]["creationTime"])[:-STREAMS_KEPT]:
                streams.pop(stream, None)


def service_of(headers, query):
    """The service that a request is signed for, or nothing."""
    credential = headers.get("authorization", "") or "Credential=" + query.get("X-Amz-Credential", [""])[0]
    match = CREDENTIAL.search(credential)
    return match[1] if match else ""


def operation_of(path, headers, query, body):
    """The operation that a request names, or nothing where method and path say it."""
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if "/operation/" in path:
        return path.rpartition("/operation/")[2]
    return (query.get("Action") or parse_qs(body.decode("latin-1")).get("Action") or [""])[0]


def effect_of(method, path, headers, query, body):
    """What a request does to state: nothing, `streamed`, or `change`."""
    if path.startswith(("/_ministack", "/_localstack")):
        return None
    if INVOCATION.match(path):
        return "streamed"
    if operation := operation_of(path, headers, query, body):
        if STREAMED.match(operation):
            return "streamed"
        return None if READS.match(operation) else "change"
    if method in ("GET", "HEAD", "OPTIONS"):
        return None
    key = path.strip("/").partition("/")[2]
    if service_of(headers, query) == "s3" and (key or "delete" in query) and not SUB_RESOURCES & query.keys():
        return "streamed"
    return "change"


def is_foreign(headers):
    """Whether a page of another site asks, in somebody's browser; see guard.rs."""
    name = headers.get("host", "localhost").rpartition(":")[0] or headers.get("host", "localhost")
    local = name in ("127.0.0.1", "localhost") or name.endswith(".localhost")
    return not local or "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def durable(saver):
    """ministack's application, whose answers wait for the disk."""

    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close"})
        if scope["type"] != "http":
            return await stack.app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if is_foreign(headers):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            return await send({"type": "http.response.body", "body": b""})
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        body = bytearray()

        async def received():
            message = await receive()
            # The operation of a form comes first.
            if form and len(body) < 65536:
                body.extend(message.get("body", b""))
            return message

        async def sent(message):
            if message["type"] == "http.response.start":
                effect = effect_of(scope["method"], scope["path"], headers, query, bytes(body))
                if effect == "streamed":
                    saver.dirty |= keys_of(service_of(headers, query)) | GROWING
                elif effect == "change" and not 400 <= message["status"] < 500:
                    await saver.save_change(service_of(headers, query))
            await send(message)

        await stack.app(scope, received, sent)

    return app


async def main():
    """Serves until told to stop."""
    # ministack waits 50 ms for log lines of a function that writes none; lines that come later are not lost, they
    # are shown with the next invocation.
    lambda_runtime.ProvidedWorker._drain_stderr_bounded = functools.partialmethod(
        lambda_runtime.Worker._drain_stderr_bounded, first_line_wait=0.003, idle_confirm=0.001
    )
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    saver = Saver()
    background = asyncio.create_task(saver.run())
    await serve(durable(saver), config)
    background.cancel()


if __name__ == "__main__":
    asyncio.run(main())
