"""Does for real what `.github/workflows/deploy.yml` does, against a local cloud of its own: a change and its diff in one comment
of a pull request, the merge, the plan that was reviewed applied, a stale plan refused, a preview that comes and goes.

The deploy step is the one that `action.yml` runs, `.ci/deploy-step`; git and the cloud are real. GitHub's comments are kept by
a stand-in for `gh`, which does of it what the step asks for.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
SECRET = "canary4Qm8Zr2Tn6Vb1Xc9Lp5Kd3Hs7Wf0GjYe"

STACK = """\
stack: {{ target: local, previews: preview.yaml }}
resources:
  log_group:
    ingest: {{ retention: {retention} }}
{more}  secret:
    token: {{ value_from: {{ env: CHECK_TOKEN }}, recovery_window: 0s }}
"""

GH = '''\
#!{python}
"""Answers `gh api` for the comments of one pull request, which are kept in a file."""
import json, re, sys
from pathlib import Path

kept = Path({kept!r})
comments = json.loads(kept.read_text())
words, options = [], {{}}
rest = iter(sys.argv[1:])
for it in rest:
    if it in ("--method", "--jq", "--field"):
        options[it] = next(rest)
    elif not it.startswith("--"):
        words.append(it)
verb, path = words
assert verb == "api", sys.argv
method = options.get("--method", "GET")
if method == "GET":
    assert path == "repos/shop/pipeline/issues/7/comments", path
    marker = re.fullmatch(r'\\.\\[\\] \\| select\\(\\.body \\| startswith\\("(.*)"\\)\\) \\| \\.id', options["--jq"])[1]
    print(*(it["id"] for it in comments if it["body"].startswith(marker)), sep="\\n")
else:
    body = Path(options["--field"].removeprefix("body=@")).read_text()
    assert len(body) < 65536, len(body)
    if method == "POST":
        assert path == "repos/shop/pipeline/issues/7/comments", path
        comments.append({{"id": 100 + len(comments), "body": body}})
    else:
        number = int(re.fullmatch(r"repos/shop/pipeline/issues/comments/(\\d+)", path)[1])
        [comment] = [it for it in comments if it["id"] == number]
        comment["body"] = body
    kept.write_text(json.dumps(comments))
'''


class Check:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.comments = folder / "comments.json"
        self.output = folder / "output"
        self.summary = folder / "summary.md"
        self.program = folder / "ecomctl"
        shutil.copy(TARGET / "debug/ecomctl", self.program)
        self.comments.write_text(json.dumps([{"id": 99, "body": "Looks good to me"}]))
        tools = folder / "tools"
        tools.mkdir()
        gh = tools / "gh"
        gh.write_text(GH.format(python=sys.executable, kept=str(self.comments)))
        gh.chmod(0o755)
        self.environment = os.environ | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "ECOMCTL_HOME": str(folder / "home"),
            "ECOMCTL_PORTS": "free",
            "ECOMCTL_SOFTWARE": os.environ.get("ECOMCTL_SOFTWARE", str(TARGET / "tmp/software")),
            "CHECK_TOKEN": SECRET,
            "GITHUB_REPOSITORY": "shop/pipeline",
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GH_TOKEN": "none",
        }
        self.told = ""

    def run(self, *command: str, code: int = 0, **variables: str) -> str:
        """Runs a command in the project, and returns what it printed on both streams."""
        ended = subprocess.run(
            command,
            cwd=self.project,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        self.told += ended.stdout
        assert ended.returncode == code, f"{command} ends with {ended.returncode}:\n{ended.stdout}"
        return ended.stdout

    def git(self, *words: str) -> str:
        names = ["-c", "user.name=check", "-c", "user.email=check@example.com", "-c", "commit.gpgsign=false"]
        return self.run("git", *names, *words)

    def step(self, verb: str, code: int = 0, **variables: str) -> tuple[str, str]:
        """Runs the deploy step, and returns what it printed and what it says of changes."""
        self.output.write_text("")
        told = self.run(
            str(REPOSITORY / ".ci/deploy-step"),
            code=code,
            ECOMCTL=str(self.program),
            PROJECT=str(self.project),
            VERB=verb,
            STACK="shop",
            **variables,
        )
        return told, self.output.read_text().strip().removeprefix("changes=")

    def define(self, retention: str, more: str = "") -> None:
        (self.project / "stacks/shop.yaml").write_text(STACK.format(retention=retention, more=more))

    def comment(self) -> str:
        """Returns the one comment of the stack."""
        comments = json.loads(self.comments.read_text())
        assert comments[0] == {"id": 99, "body": "Looks good to me"}, "other people's stay"
        [comment] = comments[1:]
        return comment["body"]

    def check(self) -> None:
        plan, stale = str(self.folder / "plan.json"), str(self.folder / "stale.json")
        (self.project / "stacks").mkdir(parents=True)
        (self.project / "stacks/preview.yaml").write_text("stack: { tags: { preview: \"yes\" } }\n")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.define("7d")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "The stack")
        self.step("up")

        self.git("checkout", "--quiet", "-b", "change")
        self.define("14d", "    audit: { retention: 30d }\n")
        self.git("commit", "--quiet", "--all", "--message", "Keep it longer")
        _, changes = self.step("diff", PLAN=plan, PULL_REQUEST="7")
        assert changes == "true", changes
        first = self.comment()
        for text in ["<!-- ecomctl diff shop -->", "log_group.ingest", "retention 7→14 d", "log_group.audit"]:
            assert text in first, first
        assert f"ecomctl up shop --plan {plan}" in first, first
        self.step("diff", PLAN=plan, PULL_REQUEST="7")
        assert self.comment() == re.sub("last applied .* by", "last applied " + self.ago() + " by", first), "the same one"
        self.step("diff", PLAN=stale)

        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", "Merge", "change")
        told, _ = self.step("up", PLAN=plan)
        assert "log_group.audit" in told, told
        _, changes = self.step("diff", PULL_REQUEST="7")
        assert changes == "false" and "nothing to change" in self.comment(), self.comment()

        told, _ = self.step("up", code=9, PLAN=stale)
        assert "stale" in told and "What moved" in told, told
        assert self.step("diff")[1] == "false", "a stale plan changes nothing"

        self.step("up", PREFIX="pr-7")
        shown = json.loads(self.run(str(self.program), "state", "show", "pr-7-shop", "--json"))
        names = [it["id"] for it in shown["resources"].values()]
        assert names and all("pr-7-shop" in it for it in names), names
        self.step("teardown", PREFIX="pr-7")
        shown = json.loads(self.run(str(self.program), "state", "show", "pr-7-shop", "--json"))
        assert not shown["resources"], shown
        assert self.step("diff")[1] == "false", "the preview's end touches nothing of the stack"

        self.step("lint", code=2)
        everything = [self.told, *(it.read_text() for it in [self.comments, self.summary, Path(plan), Path(stale)])]
        assert not any(SECRET in it for it in everything), "a secret is seen"

    def ago(self) -> str:
        return re.search("last applied (.*) by", self.comment())[1]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ecomctl-deploy-") as folder:
        check = Check(Path(folder))
        try:
            check.check()
        finally:
            subprocess.run([check.program, "local", "stop"], cwd=REPOSITORY, env=check.environment, check=False)
    print("the deploy step does what it promises")


if __name__ == "__main__":
    main()
