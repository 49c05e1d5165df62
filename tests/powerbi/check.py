"""What others say of the model and the report that `ecomctl build` writes, and of how `ecomctl up` publishes them.

    python check.py --ecomctl target/debug/ecomctl [--cli powerbi-report-author] [--schemas] [--publish]

Microsoft's report authoring tool and pbir-utils validate the report, pbi-parsers reads every formula and query, pbix-mcp's engine
computes the measures that have a statement beside them (`measures.py`), and fabric-cicd, Microsoft's own client, publishes the tree to a stand-in of Fabric. With `--publish`, ecomctl publishes it there as well, from a
stack on the local cloud, and what both sent must be the same bytes.
"""

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import fabric

ROOT = Path(__file__).resolve().parents[2]
WORKSPACE = "11111111-aaaa-4bbb-8ccc-000000000001"
STACK = f"""
stack:
  target: local
resources:
  bucket:
    lake: {{}}
  catalog:
    gold: {{ name: powerbi_check_gold }}
  table:
{{tables}}
  model:
    sales:
      workspace: {WORKSPACE}
      tables: [daily_sales, product_sales, payment_outcomes, customer_segments, cohort_retention, order_facts]
      source: {{ athena: {{}} }}
  report:
    sales:
      workspace: {WORKSPACE}
      model: sales
      pages: [sales, customers, pipeline]
""".replace("{{", "{").replace("}}", "}")


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--ecomctl", type=Path, default=ROOT / "target/debug/ecomctl")
    ask.add_argument("--cli", help="Microsoft's powerbi-report-author; left out, that check is left out")
    ask.add_argument("--schemas", action="store_true", help="let it fetch Microsoft's JSON schemas")
    ask.add_argument("--publish", action="store_true", help="publish with ecomctl, too: starts a local cloud")
    args = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        tree = Path(folder) / "tree"
        stack(project)
        run([args.ecomctl.resolve(), "-C", project, "build", "check", "--only", "model.sales", "--out", tree])
        report = next(tree.glob("*.Report"))
        if args.cli:
            validates(args.cli, report, args.schemas)
        hygienic(report)
        readable(tree)
        print(run([sys.executable, Path(__file__).with_name("measures.py"), tree]).rstrip())
        theirs = published_by_microsoft(tree)
        same(theirs, tree)
        if args.publish:
            compare(theirs, published_by_ecomctl(args.ecomctl.resolve(), project))


def stack(project):
    """A project with the templates and contracts of this one, and a stack with nothing but the model and what it needs."""
    (project / "stacks").mkdir(parents=True)
    # Contracts are found beside the templates, so these are copies.
    shutil.copytree(ROOT / "templates", project / "templates")
    (project / "notebooks").symlink_to(ROOT / "notebooks")
    contract = "notebooks/src/ecom_pipeline/contracts/gold.json"
    names = json.loads((ROOT / contract).read_text())
    tables = [f"    {it}: {{ catalog: gold, bucket: lake, prefix: gold/{it}, contract: {contract} }}" for it in names]
    (project / "stacks/check.yaml").write_text(STACK.replace("{tables}", "\n".join(tables)))


def run(command, **options):
    done = subprocess.run([str(it) for it in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def validates(cli, report, schemas):
    told = json.loads(run([cli, "validate", report, *([] if schemas else ["--no-schema"])]))["data"]
    if told["errorCount"] or told["warningCount"] or told["result"] != "succeeded":
        sys.exit(json.dumps(told, indent=2))
    print("powerbi-report-author: no error, no warning")


def hygienic(report):
    told = run([Path(sys.executable).with_name("pbir-utils"), "validate", report, "--strict"])
    print("pbir-utils:", re.search(r"All \d+ rules passed", told).group())


def readable(tree):
    from pbi_parsers import dax, pq

    formulas, queries = {}, {}
    for file in sorted(tree.glob("*.SemanticModel/definition/tables/*.tmdl")):
        lines = file.read_text().splitlines()
        for i, line in enumerate(lines):
            found = re.match(r"\t(measure|partition) ('(?:[^']|'')*'|\S+) =(.*)", line)
            if not found:
                continue
            what, name, rest = found.groups()
            if what == "partition":
                i = next(j for j in range(i, len(lines)) if lines[j].startswith("\t\tsource ="))
                what, rest = rest.strip(), lines[i].split("=", 1)[1]
            body = rest.strip() or "\n".join(deeper(lines[i + 1 :]))
            (queries if what == "m" else formulas)[f"{file.stem}/{name}"] = body
    for name, text in formulas.items():
        if dax.to_ast(text) is None:
            sys.exit(f"pbi-parsers cannot read {name}: {text}")
    for name, text in queries.items():
        if pq.to_ast(text) is None:
            sys.exit(f"pbi-parsers cannot read {name}: {text}")
    if len(formulas) < 30 or len(queries) != 6:
        sys.exit(f"only {len(formulas)} formulas and {len(queries)} queries were found")
    print(f"pbi-parsers: {len(formulas)} formulas and {len(queries)} queries read")


def deeper(lines):
    for line in lines:
        if line.strip() and not line.startswith("\t\t\t"):
            return
        yield line.strip("\t")


def parts(asked):
    """What was sent in requests that make items: content by kind of item and path."""
    sent = {}
    for it in asked:
        body = it["body"] or {}
        if it["method"] == "POST" and body.get("definition") and "updateDefinition" not in it["path"]:
            sort = body.get("type") or {"semanticModels": "SemanticModel", "reports": "Report"}[it["path"].rsplit("/", 1)[1]]
            for part in body["definition"]["parts"]:
                sent[f"{sort}/{part['path']}"] = base64.b64decode(part["payload"])
    return sent


def published_by_microsoft(tree):
    import fabric_cicd
    from azure.core.credentials import AccessToken
    from fabric_cicd import FabricWorkspace, constants, publish_all_items

    server, url = fabric.start(any_token=True)
    for name in ["FABRIC_API_ROOT_URL", "DEFAULT_API_ROOT_URL"]:
        setattr(constants, name, url)
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600, "appid": "x", "oid": "x"}).encode())

    class Credential:
        def get_token(self, *_scopes, **_options):
            return AccessToken(f"e30.{claims.decode().rstrip('=')}.x", int(time.time()) + 3600)

    workspace = FabricWorkspace(
        workspace_id=WORKSPACE,
        repository_directory=str(tree),
        item_type_in_scope=["SemanticModel", "Report"],
        token_credential=Credential(),
    )
    publish_all_items(workspace)
    world = server.RequestHandlerClass.world
    print(f"fabric-cicd {fabric_cicd.__version__ if hasattr(fabric_cicd, '__version__') else ''}: {len(world.items)} items published")
    return parts(world.asked)


def apart(path):
    return path.endswith("/.platform") or path == "Report/definition.pbir"


def same(sent, tree):
    """Microsoft's client sends the files as they are."""
    for path, content in sent.items():
        sort, name = path.split("/", 1)
        file = next(tree.glob(f"*.{sort}")) / name
        if not apart(path) and file.read_bytes() != content:
            sys.exit(f"{path} was not sent as it is")


def published_by_ecomctl(ecomctl, project):
    server, url = fabric.start()
    environment = {
        **os.environ,
        "ECOMCTL_PORTS": "free",
        "AZURE_AUTHORITY_HOST": url,
        "FABRIC_API_ROOT_URL": url,
        "DEFAULT_API_ROOT_URL": url,
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
        "AZURE_CLIENT_SECRET": "hush-hush",
    }
    environment.pop("ECOMCTL_HOME", None)
    command = [ecomctl, "-C", project]
    world = server.RequestHandlerClass.world
    try:
        told = run([*command, "up", "check"], env=environment)
        sent = parts(world.asked)
        if "none to load yet: no run has written" not in told or world.refreshes:
            sys.exit(f"tables that hold nothing are loaded, or not told of: {told} {world.refreshes}")
        again = run([*command, "diff", "check", "--exit-code"], env=environment)
        print(again.strip().splitlines()[0])
        written(command, environment)
        told += run([*command, "up", "check"], env=environment)
        if [len(it) for it in world.refreshes.values()] != [1]:
            sys.exit(f"data are not loaded once: {world.refreshes}")
        again += run([*command, "diff", "check", "--exit-code"], env=environment)
        print("ecomctl: the model is published first, and loaded once there is something to load")
        spoil(project)
        renamed = subprocess.run([str(it) for it in [*command, "diff", "check"]], env=environment, capture_output=True, text=True)
        if "it breaks the visuals sales/figures" not in re.sub(r"\s+", " ", renamed.stderr):
            sys.exit(f"a column that is renamed is not told of: {renamed.stdout}{renamed.stderr}")
        print("\n".join(renamed.stderr.strip().splitlines()[:6]))
        mend(project)
        run([*command, "teardown", "check", "--yes"], env=environment)
        if world.items:
            sys.exit(f"teardown leaves {list(world.items.values())}")
        if any("hush-hush" in it for it in [told, again, *map(str, (project / ".ecomctl").glob("state/*"))]):
            sys.exit("the secret was told")
        state = "".join(it.read_text() for it in (project / ".ecomctl").rglob("*.json") if it.stat().st_size < 1 << 20)
        if "hush-hush" in state:
            sys.exit("the secret is in the state")
    finally:
        subprocess.run([str(it) for it in [*command, "local", "stop"]], env=environment, capture_output=True)
    return sent


def written(command, environment):
    """Lets the lake's tables look as after the first run of a job: each has a log of Delta's."""
    at = json.loads(run([*command, "local", "status", "--json"], env=environment))["endpoints"]
    for it in json.loads((ROOT / "notebooks/src/ecom_pipeline/contracts/gold.json").read_text()):
        key = f"check-lake-{at['account']}/gold/{it}/_delta_log/00000000000000000000.json"
        urllib.request.urlopen(urllib.request.Request(f"{at['gateway']}/{key}", data=b"{}", method="PUT")).close()


def spoil(project):
    """Renames a column of gold, in a copy."""
    (project / "notebooks").unlink()
    shutil.copytree(ROOT / "notebooks", project / "notebooks", ignore=shutil.ignore_patterns(".venv", "__pycache__", "tests"))
    contract = project / "notebooks/src/ecom_pipeline/contracts/gold.json"
    contract.write_text(contract.read_text().replace('{"name": "net_sales"', '{"name": "net_revenue"', 1))


def mend(project):
    shutil.rmtree(project / "notebooks")
    (project / "notebooks").symlink_to(ROOT / "notebooks")


def compare(theirs, ours):
    left, right = ({path for path in it if not apart(path)} for it in (theirs, ours))
    if left != right:
        sys.exit(f"different parts: {sorted(left ^ right)}")
    for path in sorted(left):
        if theirs[path] != ours[path]:
            sys.exit(f"{path} differs:\n{theirs[path].decode()}\n---\n{ours[path].decode()}")
    print(f"fabric-cicd and ecomctl sent the same {len(left)} parts, byte for byte")


if __name__ == "__main__":
    main()
