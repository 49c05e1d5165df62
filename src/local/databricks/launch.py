"""Runs one task of a job as a Databricks cluster does: makes the session, then calls the wheel, script or notebook.

Its one argument is a file that says what to do (see `runner/attempt.rs`); what comes of it is written beside it.
"""

import base64
import builtins
import importlib
import importlib.metadata
import json
import os
import re
import runpy
import sys
import threading
import traceback
import urllib.error
import urllib.parse
import urllib.request


class NotebookExit(BaseException):
    """Ends a notebook early, with a value."""


class NotHere(Exception):
    """Something that only a real workspace has."""


def session():
    """Connects to the run's server (SPARK_REMOTE), and registers the sources that a cluster has built in."""
    from pyspark.sql import SparkSession
    from pysail.spark.datasource.jdbc import JdbcDataSource

    spark = SparkSession.builder.getOrCreate()
    spark.dataSource.register(JdbcDataSource)
    try:
        from kafka_source import KafkaDataSource
    except ModuleNotFoundError as err:
        if err.name != "kafka_source":
            raise
    else:
        spark.dataSource.register(KafkaDataSource)
    return spark


def run_wheel(task):
    """Calls an entry point by its name in the package's metadata, else a function of the package."""
    wanted = re.sub(r"[-_.]+", "-", task["package"]).lower()
    found = None
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"] or ""
        if re.sub(r"[-_.]+", "-", name).lower() == wanted:
            points = [it for it in distribution.entry_points if it.name == task["entry_point"]]
            found = points[0].load() if points else None
            break
    else:
        raise NotHere(f"no library of the task is the package {task['package']!r}")
    if found is None:
        module = importlib.import_module(task["package"].replace("-", "_"))
        found = getattr(module, task["entry_point"], None)
        if found is None:
            raise NotHere(f"the package {task['package']!r} has no entry point {task['entry_point']!r}")
    named = [f"--{name}={value}" for name, value in task["named"].items()]
    sys.argv = [task["entry_point"], *task["parameters"], *named]
    found()


def run_script(task):
    """Runs a file as the main program."""
    sys.argv = [task["file"], *task["parameters"]]
    sys.path.insert(0, os.path.dirname(task["file"]))
    runpy.run_path(task["file"], run_name="__main__")


class Widgets:
    def __init__(self, given):
        self._given = dict(given)
        self._defaults = {}

    def text(self, name, defaultValue="", label=None):
        self._defaults[name] = str(defaultValue)

    def dropdown(self, name, defaultValue, choices=(), label=None):
        self.text(name, defaultValue)

    combobox = multiselect = dropdown

    def get(self, name):
        for values in (self._given, self._defaults):
            if name in values:
                return values[name]
        raise NotHere(f"InputWidgetNotDefined: no input widget named {name} is defined")

    def getAll(self):
        return {**self._defaults, **self._given}

    def remove(self, name):
        self._defaults.pop(name, None)

    def removeAll(self):
        self._defaults.clear()


class Notebook:
    def exit(self, value=""):
        raise NotebookExit(str(value))

    def run(self, *_, **__):
        raise NotHere("dbutils.notebook.run is not here: make it a task of the job")


class Secrets:
    def __init__(self, address):
        self._address = address

    def _ask(self, path, **query):
        url = f"{self._address}/api/2.0/secrets/{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": "Bearer local"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as err:
            raise NotHere(json.load(err).get("message", str(err))) from None

    def getBytes(self, scope, key):
        return base64.b64decode(self._ask("get", scope=scope, key=key)["value"])

    def get(self, scope, key):
        return self.getBytes(scope, key).decode()

    def list(self, scope):
        return [it["key"] for it in self._ask("list", scope=scope).get("secrets", [])]

    def listScopes(self):
        return [it["name"] for it in self._ask("scopes/list").get("scopes", [])]


class TaskValues:
    # As Databricks documents it, in bytes of JSON.
    LARGEST = 48 << 10

    def __init__(self, known, own):
        self._known, self._own = known, own

    def set(self, key, value):
        text = json.dumps(value, allow_nan=False)
        if len(text) > self.LARGEST:
            raise ValueError(f"the task value {key} has {len(text)} bytes as JSON; at most {self.LARGEST} are allowed")
        # As it is now, whatever becomes of it.
        self._own[key] = json.loads(text)

    def get(self, taskKey, key, default=None, debugValue=None):
        value = self._known.get(taskKey, {}).get(key, default)
        if value is None:
            raise NotHere(f"the task {taskKey} has set no value {key}")
        return value


class Jobs:
    def __init__(self, known, own):
        self.taskValues = TaskValues(known, own)


class DbUtils:
    def __init__(self, task, own):
        self.widgets = Widgets(task["widgets"])
        self.notebook = Notebook()
        self.secrets = Secrets(task["address"])
        self.jobs = Jobs(task["values"], own)

    def __getattr__(self, name):
        raise NotHere(f"dbutils.{name} is not here")


def display(it, *_, **__):
    """Shows a table or a value, as text."""
    if hasattr(it, "show"):
        it.show(truncate=False)
    else:
        print(it)


def run_notebook(task, spark, own):
    """Runs a notebook in Databricks' source form, cell by cell."""
    scope = {
        "__name__": "__main__",
        "spark": spark,
        "dbutils": DbUtils(task, own),
        "display": display,
        "displayHTML": lambda *_: None,
        "sql": spark.sql,
    }
    sys.path.insert(0, os.path.dirname(task["file"]))
    sys.argv = [task["file"]]
    cells(task["file"], scope, spark, task["workspace"])


def cells(path, scope, spark, workspace):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    first, cell = 0, []
    for number, line in enumerate([*lines, "# COMMAND ----------"]):
        if re.fullmatch(r"#\s*COMMAND -+\s*", line) is None:
            cell.append(line)
            continue
        run_cell(cell, first, path, scope, spark, workspace)
        first, cell = number + 1, []


def run_cell(cell, first, path, scope, spark, workspace):
    magic = [it[len("# MAGIC") :].removeprefix(" ") for it in cell if it.startswith("# MAGIC")]
    if not any(it.startswith("%") for it in magic[:1]):
        # The empty lines before make the numbers in a trace those of the file.
        source = "\n" * first + "\n".join(cell)
        exec(compile(source, path, "exec"), scope)  # noqa: S102
        return
    word, _, rest = magic[0].partition(" ")
    text = "\n".join([rest, *magic[1:]]).strip()
    if word in ("%md", "%md-sandbox"):
        return
    if word == "%sql":
        for statement in filter(str.strip, text.split(";\n")):
            display(spark.sql(statement.strip().rstrip(";")))
    elif word == "%python":
        exec(compile("\n" * (first + 1) + text, path, "exec"), scope)  # noqa: S102
    elif word == "%run":
        other = text.split()[0].strip("\"'")
        base = workspace if other.startswith("/") else os.path.dirname(path)
        other = os.path.normpath(os.path.join(base, other.lstrip("/").removeprefix("Workspace/")))
        cells(other, scope, spark, workspace)
    else:
        raise NotHere(f"{word} is not here, in {os.path.basename(path)}, line {first + 1}")


def trace(err):
    """The trace of an error, from the first frame that is not of this file or of Python's own start."""
    own = (os.path.abspath(__file__), "<frozen runpy>", runpy.__file__, "<frozen importlib._bootstrap>")
    frame = err.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename in own:
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(err), err, frame))


def worded(err):
    """An error in a line, also one that cannot say what it is."""
    try:
        text = str(err)
    except Exception as why:  # noqa: BLE001
        text = f"<its text cannot be had: {type(why).__name__}>"
    return f"{type(err).__name__}: {text}"


def plain(it):
    """The same with texts that UTF-8 can hold: what is read wrongly has halves of letters in it."""
    if isinstance(it, str):
        return it.encode("utf-8", "replace").decode()
    if isinstance(it, dict):
        return {plain(key): plain(value) for key, value in it.items()}
    return [plain(value) for value in it] if isinstance(it, list) else it


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        task = json.load(file)
    result, own, spark = {}, {}, None
    try:
        for need in task["needs"]:
            name = re.split(r"[^A-Za-z0-9._-]", need)[0]
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                raise NotHere(f"the package {need} is not in the local environment, and none is downloaded") from None
        spark = session()
        builtins.spark = spark
        if task["kind"] == "wheel":
            run_wheel(task)
        elif task["kind"] == "script":
            run_script(task)
        else:
            run_notebook(task, spark, own)
    except NotebookExit as end:
        result["notebook_output"] = str(end)
    except SystemExit as end:
        if end.code not in (None, 0):
            result["error"] = f"SystemExit: {end.code}"
            result["error_trace"] = trace(end)
    except BaseException as err:  # noqa: BLE001
        result["error"] = worded(err)
        result["error_trace"] = trace(err)
        print(result["error_trace"], end="", file=sys.stderr)
    result["values"] = own
    path = task["result"]
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(plain(result), file)
    os.replace(f"{path}.new", path)
    sys.stdout.flush()
    sys.stderr.flush()
    if spark is not None:
        # A server that does not answer must not keep a task that is over.
        stop = threading.Thread(target=spark.stop, daemon=True)
        stop.start()
        stop.join(5)
    os._exit(1 if "error" in result else 0)


main()
