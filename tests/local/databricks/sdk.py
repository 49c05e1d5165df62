"""What the official SDK sees of the local Databricks. Its arguments: the URL, a wheel, and what to look at.

Prints one JSON document, which the test asserts on; never asserts itself.
"""

import base64
import io
import json
import os
import sys
import time

from databricks.sdk import WorkspaceClient
from databricks.sdk.config import Config
from databricks.sdk.errors import DatabricksError
from databricks.sdk.service import compute, jobs
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.settings import Config as Destination
from databricks.sdk.service.settings import GenericWebhookConfig
from databricks.sdk.service.workspace import AclPermission, ExportFormat, ImportFormat, Language

URL, WHEEL, WHAT = sys.argv[1:4]
FOLDER = "/Workspace/Shared/test"
# Nothing of the machine's own configuration may matter.
QUIET = {"config_file": "/nonexistent", "retry_timeout_seconds": 20}


def client(**how):
    return WorkspaceClient(config=Config(host=URL, **(how or {"token": "local"}), **QUIET))


def refused(call, *args, **more):
    """How a call was refused, as the SDK understands it."""
    try:
        call(*args, **more)
    except DatabricksError as err:
        return [type(err).__name__, err.error_code, str(err)]
    return None


def auth():
    user = client()
    machine = client(client_id="local", client_secret="local")
    wrong = client(token="wrong")
    return {
        "user": user.current_user.me().user_name,
        "machine": machine.current_user.me().user_name,
        "workspace": machine.get_workspace_id(),
        "wrong": refused(wrong.current_user.me)[:2],
        "wrong machine": failed(client(client_id="local", client_secret="x").current_user.me),
    }


def failed(call):
    """How a call failed, which the SDK tells of in many types when it comes to signing in."""
    try:
        call()
    except Exception as err:
        return f"{type(err).__name__}: {err}"
    return None


def workspace():
    w = client().workspace
    seen = {"no parent": refused(w.upload, f"{FOLDER}/new/a.txt", io.BytesIO(b"x"), format=ImportFormat.AUTO)}
    w.mkdirs(f"{FOLDER}/new")
    w.upload(f"{FOLDER}/new/a.txt", io.BytesIO(b"one"), format=ImportFormat.AUTO)
    seen["again"] = refused(w.upload, f"{FOLDER}/new/a.txt", io.BytesIO(b"two"), format=ImportFormat.AUTO)
    before = w.get_status(f"{FOLDER}/new/a.txt")
    w.upload(f"{FOLDER}/new/a.txt", io.BytesIO(b"three"), format=ImportFormat.AUTO, overwrite=True)
    after = w.get_status(f"{FOLDER}/new/a.txt")
    seen["kept its id"] = before.object_id == after.object_id
    seen["size"] = after.size
    seen["content"] = w.download(f"{FOLDER}/new/a.txt").read().decode()
    source = b"# Databricks notebook source\nprint(1)\n"
    w.upload(f"{FOLDER}/new/n.py", io.BytesIO(source), format=ImportFormat.AUTO)
    text = base64.b64encode(source).decode()
    w.import_(f"{FOLDER}/new/m", content=text, format=ImportFormat.SOURCE, language=Language.PYTHON)
    exported = w.export(f"{FOLDER}/new/m", format=ExportFormat.SOURCE)
    seen["exported"] = base64.b64decode(exported.content).decode()
    large = bytes(12 << 20)
    w.upload(f"{FOLDER}/new/large", io.BytesIO(large), format=ImportFormat.AUTO)
    seen["large"] = w.get_status(f"{FOLDER}/new/large").size
    seen["objects"] = sorted([it.path, it.object_type.value] for it in w.list(f"{FOLDER}/new"))
    seen["not empty"] = refused(w.delete, f"{FOLDER}/new")
    w.delete(f"{FOLDER}/new", recursive=True)
    seen["gone"] = refused(w.get_status, f"{FOLDER}/new")
    return seen


def task(key, *needs, **more):
    more = more or {"notebook_task": jobs.NotebookTask(notebook_path=f"{FOLDER}/none")}
    return jobs.Task(task_key=key, depends_on=[jobs.TaskDependency(it) for it in needs], **more)


def crud():
    w = client()
    seen = {}
    big = w.jobs.create(name="big", tasks=[task(f"t{it:03}") for it in range(230)]).job_id
    seen["id is large"] = big > 1 << 53
    read = w.jobs.get(big)
    seen["tasks"] = len({it.task_key for it in read.settings.tasks})
    seen["by name"] = [it.job_id == big for it in w.jobs.list(name="BIG")]
    for it in range(5):
        w.jobs.create(name=f"small {it}")
    seen["in pages"] = len({it.job_id for it in w.jobs.list(limit=2)})
    settings = read.settings
    settings.tasks = settings.tasks[:3]
    settings.tags = {"team": "shop"}
    w.jobs.reset(big, new_settings=settings)
    w.jobs.update(big, new_settings=jobs.JobSettings(tasks=[task("new")]), fields_to_remove=["tasks/t000"])
    read = w.jobs.get(big).settings
    seen["after"] = [sorted(it.task_key for it in read.tasks), read.tags]
    cron = jobs.CronSchedule(quartz_cron_expression="0 6 * * *", timezone_id="UTC")
    seen["bad cron"] = refused(w.jobs.create, name="x", schedule=cron)
    cron.quartz_cron_expression = "0 0 6 * * ?"
    seen["two triggers"] = refused(w.jobs.create, name="x", schedule=cron, continuous=jobs.Continuous())
    seen["cycle"] = refused(w.jobs.create, name="x", tasks=[task("a", "b"), task("b", "a")])
    seen["tags"] = refused(w.jobs.create, name="x", tags={str(it): "" for it in range(26)})
    path = "/api/2.2/jobs/create"
    seen["unknown"] = refused(w.api_client.do, "POST", path, body={"name": "x", "nonsense": 1})
    for it in w.jobs.list():
        w.jobs.delete(it.job_id)
    seen["left"] = len(list(w.jobs.list()))
    seen["no job"] = refused(w.jobs.get, big)
    seen["no run"] = refused(w.jobs.get_run, 1)
    seen["no api"] = refused(w.api_client.do, "GET", "/api/2.0/nonsense")
    return seen


def permissions():
    w = client()
    job = w.jobs.create(name="owned").job_id

    def entry(level, **who):
        return AccessControlRequest(permission_level=PermissionLevel(level), **who)

    def levels(it):
        all_of = it.access_control_list
        return sorted([a.user_name or a.group_name, a.all_permissions[0].permission_level.value] for a in all_of)

    seen = {"at first": levels(w.permissions.get("jobs", str(job)))}
    owner = entry("IS_OWNER", user_name="a@b")
    seen["none"] = refused(w.permissions.set, "jobs", str(job), access_control_list=[])
    two = [owner, entry("IS_OWNER", user_name="c@d")]
    seen["two"] = refused(w.permissions.set, "jobs", str(job), access_control_list=two)
    w.permissions.set("jobs", str(job), access_control_list=[owner])
    w.permissions.update("jobs", str(job), access_control_list=[entry("CAN_VIEW", group_name="users")])
    seen["after"] = levels(w.permissions.get("jobs", str(job)))
    w.jobs.delete(job)
    seen["no job"] = refused(w.permissions.get, "jobs", str(job))
    w.workspace.mkdirs("/own/folder")
    folder = str(w.workspace.get_status("/own/folder").object_id)
    w.permissions.update("directories", folder, access_control_list=[entry("CAN_READ", group_name="users")])
    seen["folder"] = levels(w.permissions.get("directories", folder))
    w.workspace.mkdirs("/Shared/folder")
    shared = str(w.workspace.get_status("/Shared/folder").object_id)
    seen["shared"] = levels(w.permissions.get("directories", shared))
    return seen


def secrets():
    w = client().secrets
    w.create_scope("shop")
    seen = {"again": refused(w.create_scope, "shop")}
    w.put_secret("shop", "database", string_value="geheim")
    w.put_secret("shop", "database", string_value="geheimer")
    seen["keys"] = [it.key for it in w.list_secrets("shop")]
    seen["value"] = base64.b64decode(w.get_secret("shop", "database").value).decode()
    w.put_acl("shop", "users", AclPermission.READ)
    seen["acls"] = sorted([it.principal, it.permission.value] for it in w.list_acls("shop"))
    w.delete_secret("shop", "database")
    seen["gone"] = refused(w.get_secret, "shop", "database")
    w.delete_scope("shop")
    seen["no scope"] = refused(w.delete_scope, "shop")
    return seen


SCRIPT = """
import os, subprocess, sys
from pyspark.sql import SparkSession
subprocess.Popen(["sleep", "DAEMON"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
spark = SparkSession.builder.getOrCreate()
rows = spark.range(10).selectExpr("sum(id) as total").collect()
print("args", sys.argv[1:], "total", rows[0]["total"], "password", os.environ["PASSWORD"])
"""
NOTEBOOK = """# Databricks notebook source
dbutils.widgets.text("day", "none")
day = dbutils.widgets.get("day")

# COMMAND ----------

# MAGIC %md
# MAGIC # Not code

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT 6 * 7 AS answer

# COMMAND ----------

dbutils.jobs.taskValues.set("day", day)
dbutils.notebook.exit(day + " " + str(spark.sql("select 2").first()[0]) + " " + dbutils.secrets.get("runs", "pw"))
"""
FAILS = "def broken():\n    raise ValueError('no such order: hush-hush')\n\n\nprint('before')\nbroken()\n"


def upload(w, name, text):
    data = text if isinstance(text, bytes) else text.encode()
    w.workspace.upload(f"{FOLDER}/{name}", io.BytesIO(data), format=ImportFormat.AUTO, overwrite=True)
    return f"{FOLDER}/{name}"


def prepare(w):
    w.workspace.mkdirs(FOLDER)
    if not any(it.name == "runs" for it in w.secrets.list_scopes()):
        w.secrets.create_scope("runs")
    w.secrets.put_secret("runs", "pw", string_value="hush-hush")
    variables = {"PASSWORD": "{{secrets/runs/pw}}"}
    cluster = compute.ClusterSpec(spark_version="16.4.x-scala2.12", num_workers=0, spark_env_vars=variables)
    return [jobs.JobCluster(job_cluster_key="main", new_cluster=cluster)]


def wheel_task(w, key, *needs, **more):
    with open(WHEEL, "rb") as file:
        path = upload(w, WHEEL.rsplit("/", 1)[-1], file.read())
    wheel = jobs.PythonWheelTask(package_name="tiny-wheel", entry_point="tiny", **more)
    return task(key, *needs, job_cluster_key="main", libraries=[compute.Library(whl=path)], python_wheel_task=wheel)


def script_task(w, key, text, *needs, parameters=None, **more):
    path = upload(w, f"{key}.py", text)
    script = jobs.SparkPythonTask(python_file=path, parameters=parameters)
    return task(key, *needs, job_cluster_key="main", spark_python_task=script, **more)


def until(w, run, done=None, limit=180):
    """Waits for a run; by default until it is over."""
    over = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
    deadline = time.monotonic() + limit
    while True:
        it = w.jobs.get_run(run)
        if (done or (lambda it: it.state.life_cycle_state.value in over))(it):
            return it
        if time.monotonic() > deadline:
            raise TimeoutError(json.dumps(it.as_dict()))
        time.sleep(0.05)


def state(it):
    state = it.state
    return [state.life_cycle_state.value, state.result_state and state.result_state.value]


def states(run):
    return {it.task_key: state(it) for it in run.tasks}


def output(w, run, key):
    task = next(it for it in run.tasks if it.task_key == key)
    return w.jobs.get_run_output(task.run_id)


def runs():
    w = client()
    # How long it sleeps tells it from all others.
    daemon = str(86400 + os.getpid())
    clusters = prepare(w)
    upload(w, "notebook.py", NOTEBOOK)
    notebook = jobs.NotebookTask(notebook_path=f"{FOLDER}/notebook", base_parameters={"other": "{{job.id}}"})
    last = "import sys\nprint(sys.argv[1])\n"
    tasks = [
        wheel_task(w, "wheel", parameters=["--day", "{{job.parameters.day}}", "--run", "{{job.run_id}}"]),
        script_task(w, "script", SCRIPT.replace("DAEMON", daemon), "wheel", parameters=["{{task.name}}", "{{nothing}}"]),
        task("notebook", "wheel", notebook_task=notebook),
        script_task(w, "last", last, "notebook", parameters=["{{tasks.notebook.values.day}}"]),
    ]
    parameters = [jobs.JobParameterDefinition(name="day", default="monday")]
    job = w.jobs.create(name="runs", tasks=tasks, job_clusters=clusters, parameters=parameters).job_id
    began = time.monotonic()
    first = w.jobs.run_now(job, idempotency_token="once", job_parameters={"day": "friday"}).run_id
    again = w.jobs.run_now(job, idempotency_token="once", job_parameters={"day": "friday"}).run_id
    run = until(w, first)
    seen = {"seconds": round(time.monotonic() - began, 1), "same": first == again, "run": state(run), "daemon": daemon}
    seen["tasks"] = states(run)
    seen["run id"] = str(first)
    for key in ("wheel", "script", "last"):
        seen[key] = output(w, run, key).logs
    seen["notebook"] = output(w, run, "notebook").notebook_output.result
    seen["parent"] = refused(w.jobs.get_run_output, first)
    seen["status"] = [run.status.state.value, run.status.termination_details.code.value]
    seen["listed"] = [it.run_id == first for it in w.jobs.list_runs(job_id=job, completed_only=True)]
    seen["active"] = len(list(w.jobs.list_runs(job_id=job, active_only=True)))
    w.jobs.delete_run(first)
    seen["deleted"] = refused(w.jobs.get_run, first)
    w.jobs.delete(job)
    return seen


def failures():
    w = client()
    clusters = prepare(w)
    slow = "import time\nprint('slow', flush=True)\ntime.sleep(600)\n"
    seen = {}
    tasks = [
        script_task(w, "fails", FAILS, max_retries=1),
        script_task(w, "after", "print('after')", "fails"),
        script_task(w, "anyway", "print('anyway')", "fails", run_if=jobs.RunIf.ALL_DONE),
    ]
    job = w.jobs.create(name="fails", tasks=tasks, job_clusters=clusters).job_id
    run = until(w, w.jobs.run_now(job).run_id)
    seen["run"], seen["message"], seen["tasks"] = state(run), run.state.state_message, states(run)
    seen["attempts"] = [it.attempt_number for it in run.tasks]
    bad = output(w, run, "fails")
    seen["error"], seen["trace"], seen["logs"] = bad.error, bad.error_trace, bad.logs
    upload(w, "fails.py", "print('mended')")
    w.jobs.repair_run(run.run_id, rerun_all_failed_tasks=True)
    run = until(w, run.run_id)
    seen["repaired"] = [state(run), states(run)]

    tasks = [script_task(w, "slow", slow, timeout_seconds=3), script_task(w, "quick", "1", "slow")]
    job = w.jobs.create(name="slow", tasks=tasks, job_clusters=clusters).job_id
    run = until(w, w.jobs.run_now(job).run_id)
    seen["timed out"] = [state(run), states(run)]

    slow = [script_task(w, "slow", slow)]
    job = w.jobs.create(name="slow", tasks=slow, job_clusters=clusters, timeout_seconds=3).job_id
    run = until(w, w.jobs.run_now(job).run_id)
    seen["job timed out"] = [state(run), states(run)]

    job = w.jobs.create(name="slow", tasks=slow, job_clusters=clusters).job_id
    run = w.jobs.run_now(job).run_id
    until(w, run, lambda it: "slow" in (output(w, it, "slow").logs or ""))
    over = w.jobs.run_now(job).run_id
    seen["one too many"] = state(w.jobs.get_run(over))
    queued = w.jobs.run_now(job, queue=jobs.QueueSettings(enabled=True)).run_id
    seen["queued"] = state(w.jobs.get_run(queued))
    seen["delete"] = refused(w.jobs.delete_run, run)
    w.jobs.cancel_run(queued)
    seen["queued, cancelled"] = state(until(w, queued))
    w.jobs.cancel_run(run)
    run = until(w, run)
    seen["cancelled"] = [state(run), states(run), run.status.termination_details.code.value]
    for it in w.jobs.list():
        w.jobs.delete(it.job_id)
    return seen


def schedules():
    """A job that a schedule runs each second, with a webhook; the webhook's URL is the fourth argument."""
    w = client()
    clusters = prepare(w)
    webhook = GenericWebhookConfig(url=sys.argv[4], username="u", password="p")
    destination = w.notification_destinations.create(display_name="hook", config=Destination(generic_webhook=webhook))
    told = [jobs.Webhook(destination.id)]
    cron = jobs.CronSchedule(quartz_cron_expression="* * * * * ?", timezone_id="Europe/Berlin")
    notifications = jobs.WebhookNotifications(on_start=told, on_success=told, on_failure=told)
    job = w.jobs.create(
        name="each second",
        tasks=[script_task(w, "tick", "print('tick')")],
        job_clusters=clusters,
        schedule=cron,
        webhook_notifications=notifications,
    ).job_id
    deadline = time.monotonic() + 120
    while not (done := list(w.jobs.list_runs(job_id=job, completed_only=True))) and time.monotonic() < deadline:
        time.sleep(0.1)
    cron.pause_status = jobs.PauseStatus.PAUSED
    w.jobs.update(job, new_settings=jobs.JobSettings(schedule=cron))
    first = [it for it in done if it.state.result_state.value == "SUCCESS"]
    return {"trigger": [it.trigger.value for it in first[:1]], "job": str(job), "run": [str(it.run_id) for it in first]}


def arrivals():
    """A job that runs when files arrive; the fourth argument is where."""
    trigger = jobs.TriggerSettings(file_arrival=jobs.FileArrivalTriggerConfiguration(url=sys.argv[4]))
    return {"job": str(client().jobs.create(name="on arrival", trigger=trigger).job_id)}


def arrived():
    """Waits until a job, the fourth argument, has had as many runs as the fifth says, and tells what began them."""
    w = client()
    job, count = int(sys.argv[4]), int(sys.argv[5])
    deadline = time.monotonic() + 90
    while len(runs := list(w.jobs.list_runs(job_id=job))) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    return {"triggers": [it.trigger.value for it in runs]}


def begin():
    """Begins a run that does not end, and leaves it."""
    w = client()
    clusters = prepare(w)
    text = "import time\nprint('under way', flush=True)\ntime.sleep(600)\n"
    job = w.jobs.create(name="left", tasks=[script_task(w, "left", text)], job_clusters=clusters).job_id
    run = w.jobs.run_now(job).run_id
    until(w, run, lambda it: "under way" in (output(w, it, "left").logs or ""))
    queued = w.jobs.run_now(job, queue=jobs.QueueSettings(enabled=True)).run_id
    return {"run": str(run), "queued": str(queued)}


def look():
    """Looks at the run that was left, then cancels the one behind it."""
    w = client()
    left, queued = (int(it) for it in sys.argv[4:6])
    run = w.jobs.get_run(left)
    seen = {"run": state(run), "message": run.state.state_message, "tasks": states(run)}
    until(w, queued, lambda it: "under way" in (output(w, it, "left").logs or ""))
    seen["next"] = state(w.jobs.get_run(queued))
    w.jobs.cancel_run(queued)
    seen["cancelled"] = state(until(w, queued))
    return seen


def as_sent(settings):
    """Settings without what the service says of each job and task by itself."""
    echoed = {"format": "MULTI_TASK", "email_notifications": {}, "webhook_notifications": {}}
    sent = {key: value for key, value in settings.items() if echoed.get(key) != value}
    return sent | {"tasks": [as_sent(task) for task in sent["tasks"]]} if "tasks" in sent else sent


def rendered():
    """All jobs: what the workspace has of each, and what is left of it by the types of the SDK and of the bundles."""
    from databricks.bundles.jobs import Job

    w = client()
    seen = {}
    for job in w.jobs.list():
        plain = w.api_client.do("GET", "/api/2.2/jobs/get", query={"job_id": job.job_id})["settings"]
        assert plain["name"] not in seen, f"two jobs are named {plain['name']}"
        sdk = w.jobs.get(job.job_id).settings.as_dict()
        sent = as_sent(plain)
        seen[plain["name"]] = {"plain": plain, "sdk": sdk, "sent": sent, "bundles": Job.from_dict(sent).as_dict()}
    return seen


print(json.dumps(globals()[WHAT]()))
