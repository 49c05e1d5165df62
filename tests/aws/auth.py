"""Deploys under ministack's AUTH=true, with exactly the deploy policies: a stack of what ministack serves by itself comes and goes
by a user that may do nothing else, and without a statement the error names the action that is missing.

usage: auth.py ECOMCTL POLICY.json..., with a Python that has ministack
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import botocore.session

ACCOUNT, REGION = "000000000000", "us-east-1"

STACK = """\
stack: { account: "000000000000", region: us-east-1 }
resources:
  bucket:
    lake: {}
  catalog:
    gold: {}
  log_group:
    ingest: { retention: 7d }
  notification:
    people: {}
  role:
    ingest:
      policies:
        logs: { template: policies/logs.json, uses: [log_group.ingest] }
  secret:
    token: { value_from: { env: AUTH_TOKEN }, recovery_window: 0s }
  workgroup:
    analytics: { bucket: lake, scan_limit: 1GiB, prefix: athena }
"""
LOST = ["bucket.lake", "secret.token"]

# Where ministack does not tell what is asked of, it asks for a permission on everything; AWS takes the one that is there.
UNTOLD = ["athena:CreateWorkGroup", "athena:ListTagsForResource", "sns:ListTagsForResource"]


CLOUD = """\
from ministack import app as stack


async def app(scope, receive, send):
    await stack.app({**scope, "scheme": "https"} if scope["type"] == "http" else scope, receive, send)
"""


class Cloud:
    """ministack, which asks everybody but its root whether they may."""

    def __init__(self, folder, more=None):
        with socket.socket() as it:
            it.bind(("127.0.0.1", 0))
            port = it.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        environment = {
            "PATH": os.environ["PATH"],
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "STATE_DIR": f"{folder}/state",
            "S3_DATA_DIR": f"{folder}/s3",
            "TMPDIR": str(folder),
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "root",
        }
        environment |= {key: self.endpoint if it == "itself" else it for key, it in (more or {}).items()}
        self.log = open(f"{folder}/log", "w+", encoding="utf-8")
        # Our buckets refuse who comes without TLS, which nobody needs on loopback: each request counts as if it came by TLS.
        program = Path(folder, "cloud.py")
        program.write_text(CLOUD, encoding="utf-8")
        words = [sys.executable, "-m", "hypercorn", "cloud:app", "--bind", f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(words, env=environment, stdout=self.log, stderr=self.log, cwd=folder)
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2)
                break
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "ministack does not start"
                time.sleep(0.1)
        session = botocore.session.get_session()
        session.set_credentials(ACCOUNT, "root")
        self.iam = session.create_client("iam", region_name=REGION, endpoint_url=self.endpoint)
        self.iam.create_user(UserName="deploy")
        self.key = self.iam.create_access_key(UserName="deploy")["AccessKey"]

    def allow(self, document):
        untold = {"Sid": "Untold", "Effect": "Allow", "Action": UNTOLD, "Resource": "*"}
        document = {**document, "Statement": [*document["Statement"], untold]}
        self.iam.put_user_policy(UserName="deploy", PolicyName="deploy", PolicyDocument=json.dumps(document))

    def end(self):
        self.process.terminate()
        self.process.wait(30)


def main():
    program, policies = Path(sys.argv[1]).resolve(), [Path(it).resolve() for it in sys.argv[2:]]
    texts = [it.read_text(encoding="utf-8") for it in policies]
    filled = [it.replace("ACCOUNT", ACCOUNT).replace("REGION", REGION).replace("STACK", "auth") for it in texts]
    document = {"Version": "2012-10-17", "Statement": [one for it in filled for one in json.loads(it)["Statement"]]}
    with tempfile.TemporaryDirectory(prefix="ecomctl-auth-") as folder:
        folder = Path(folder)
        (folder / "stacks").mkdir()
        (folder / "stacks/auth.yaml").write_text(STACK)
        (folder / "templates").symlink_to(policies[0].parents[1])
        cloud = Cloud(folder)

        def run(*words, code=0):
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "AWS_ENDPOINT_URL": cloud.endpoint,
                "AWS_ACCESS_KEY_ID": cloud.key["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": cloud.key["SecretAccessKey"],
                "AUTH_TOKEN": "a secret",
            }
            words = [program, "-C", folder, *words]
            ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300, check=False)
            told = ended.stdout + ended.stderr
            assert code is None or ended.returncode == code, f"{words[3:]} ends with {ended.returncode}:\n{told}"
            return ended.returncode, " ".join(told.split())

        try:
            up = ["up", "auth"]
            down = ["teardown", "auth", "--yes", *(word for it in LOST for word in ("--allow-data-loss", it))]
            cloud.allow(document)
            run(*up)
            run("diff", "auth", "--exit-code")
            run(*down)
            named = {}
            # What an account has by itself, or who looks at nothing of it, is asked for by none of these kinds.
            for sid in ["Athena", "Catalog", "Roles", "Logs", "Buckets", "Secrets", "Notifications"]:
                less = [it for it in document["Statement"] if it["Sid"] != sid]
                [gone] = [it for it in document["Statement"] if it["Sid"] == sid]
                cloud.allow({**document, "Statement": less})
                code, told = run(*up, code=None)
                actions = [it for it in gone["Action"] if it in told]
                assert code in (5, 6) and actions, f"without {sid}, `up` ends with {code} and names no action: {told}"
                named[sid] = actions[0]
            cloud.allow(document)
            run(*up)
            run(*down)
        finally:
            cloud.end()
    print("under AUTH=true, the policy is enough; without a statement, this is told to be missing:")
    print(*(f"  {sid}: {action}" for sid, action in named.items()), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
