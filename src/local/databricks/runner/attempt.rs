//! One attempt at a task: a Python process that the launcher (`launch.py`) makes a cluster's driver of.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{process::Command, select, time::timeout};

use super::{Inner, Place, log, spark::Server, task, wheel};
use crate::local::{
    ACCOUNT, REGION,
    databricks::{
        call::now,
        job::settings::{Cluster, Settings, Source, Task},
        run::{
            record::{Life, Outcome, Run, State},
            value::{fill, fill_all, look_up, secret},
        },
        workspace::Kind,
    },
    exec::Identity,
    files,
};

/// What is written into the data folder, for Python to run and import.
const PROGRAMS: [(&str, &str); 2] =
    [("launch.py", include_str!("../launch.py")), ("kafka_source.py", include_str!("../kafka_source.py"))];
/// How long the log of a process that is gone may take to end.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The most that is kept of an error, and of a trace, in bytes.
const LONGEST_ERROR: usize = 64 << 10;
/// The most that is kept of what a notebook ends with, in bytes: as much as Databricks gives back.
const LONGEST_OUTPUT: usize = 5 << 20;

/// Runs it to its end. What goes wrong is the outcome's error.
pub(super) async fn run(inner: &Inner, id: i64, settings: &Settings, task: &Task, server: &Server<'_>) -> Outcome {
    let failed = |error: String| Outcome { error: Some(error), ..Outcome::default() };
    let Some(run) = inner.runs.find(id) else { return failed("The run's record is gone.".to_owned()) };
    let own = run.tasks.iter().find(|it| it.key == task.task_key);
    let Some(attempt) = own.and_then(|it| it.last()) else { return failed("The task's record is gone.".to_owned()) };
    let folder = inner.runs.folder(id).join(attempt.id.to_string());
    let outcome = execute(inner, &run, settings, task, server, &folder).await.unwrap_or_else(failed);
    // Only the log is of use afterwards.
    for it in ["work", "task.json", "result.json"] {
        files::remove(&folder.join(it)).ok();
    }
    bounded(outcome, |it| log::mask(it, &inner.secrets))
}

/// Masks what a task left, and cuts it: what is kept of a run is in memory, and goes whole to whoever asks.
fn bounded(outcome: Outcome, mask: impl Fn(&str) -> String) -> Outcome {
    let error = |it: Option<String>| it.map(|it| without_middle(&mask(&it), LONGEST_ERROR));
    let mut output = outcome.notebook_output.map(|it| mask(&it));
    let truncated = output.as_ref().is_some_and(|it| it.len() > LONGEST_OUTPUT);
    if let Some(it) = output.as_mut() {
        it.truncate(it.floor_char_boundary(LONGEST_OUTPUT));
    }
    Outcome {
        error: error(outcome.error),
        error_trace: error(outcome.error_trace),
        notebook_output: output,
        truncated,
        values: outcome.values,
    }
}

/// Leaves beginning and end of a text that is longer than so many bytes.
fn without_middle(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let (from, to) = (text.floor_char_boundary(most / 2), text.ceil_char_boundary(text.len() - most / 2));
    format!("{}\n[{} bytes are left out]\n{}", &text[..from], to - from, &text[to..])
}

async fn execute(
    inner: &Inner,
    run: &Run,
    settings: &Settings,
    task: &Task,
    server: &Server<'_>,
    folder: &Path,
) -> Result<Outcome, String> {
    let io = |err: io::Error| format!("The task cannot be started: {err}");
    let work = folder.join("work");
    fs::create_dir_all(&work).map_err(io)?;
    let variables = variables(inner, task.cluster(settings))?;
    let (libraries, named) = wheel::install(inner, &task.packages(settings)).await?;
    let mut order = order(inner, run, task)?;
    order["needs"] = named.into();
    order["result"] = folder.join("result.json").display().to_string().into();
    order["address"] = inner.place.address.clone().into();
    let path = folder.join("task.json");
    files::write_json(&path, &order).map_err(|err| err.to_string())?;
    let spark = server.get().await?;

    let mut command = python(&inner.place, &work, &libraries, &variables).map_err(io)?;
    command.arg(inner.place.data.join("python/launch.py")).arg(&path);
    command.env("SPARK_REMOTE", format!("sc://127.0.0.1:{}", spark.port));
    // The client looks for Spark's own scripts there, and needs none.
    command.env("SPARK_HOME", &work);
    let (reader, writer) = io::pipe().map_err(io)?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().map_err(io)?).stderr(writer);
    let begin = |it: &mut crate::local::databricks::run::record::Attempt| {
        it.state = State::new(Life::Running, "");
        it.running = Some(now());
    };
    task::change(inner, run.id, task, begin).await;
    let log = log::keep(reader, folder.join("log"), &inner.secrets).map_err(io)?;
    let name = format!("run {} {}", run.id, task.task_key);
    let mut process = inner.place.starter.start(name, command).await.map_err(io)?;
    let ended = select! {
        it = process.child.wait() => it.map_err(io)?,
        () = spark.gone.cancelled() => return Err(format!("Spark's server ended.\n{}", spark.last_words())),
    };
    // Whatever the task started itself must not outlive it, daemons included.
    drop(process);
    timeout(LAST_WORDS, log).await.ok();
    let result: Option<Outcome> = files::read_json(&folder.join("result.json")).map_err(|err| err.to_string())?;
    match result {
        Some(it) => Ok(it),
        None if ended.success() => Ok(Outcome::default()),
        None => Err(format!("The task's process ended ({ended}).")),
    }
}

/// Writes the programs that Python needs.
pub(super) fn write_programs(place: &Place) -> io::Result<()> {
    for (name, text) in PROGRAMS {
        files::write(&place.data.join("python").join(name), text.as_bytes()).map_err(io::Error::other)?;
    }
    Ok(())
}

/// A command that runs Python with nothing of this program's own environment, and ends with it.
pub(super) fn python(
    place: &Place,
    work: &Path,
    libraries: &[PathBuf],
    variables: &BTreeMap<String, String>,
) -> io::Result<Command> {
    let program = place.python.join("bin/python");
    // This very program, even when another build has taken its place on disk since.
    let mut command = Identity::Same.command(Path::new("/proc/self/exe"), Signal::KILL, &program);
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", place.python.join("bin").display());
    command.env_clear().env("PATH", path).env("LANG", "C.UTF-8").env("TZ", "UTC").env("HOME", work).env("TMPDIR", work);
    command.env("PYTHONUNBUFFERED", "1").env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONNOUSERSITE", "1");
    let own = place.data.join("python");
    let paths = std::iter::once(&own).chain(libraries);
    command.env("PYTHONPATH", std::env::join_paths(paths).map_err(io::Error::other)?);
    command.env("AWS_ENDPOINT_URL", &place.gateway).env("AWS_ALLOW_HTTP", "true");
    command.env("AWS_ACCESS_KEY_ID", ACCOUNT).env("AWS_SECRET_ACCESS_KEY", "local");
    command.env("AWS_REGION", REGION).env("AWS_DEFAULT_REGION", REGION);
    command.envs(variables).current_dir(work);
    Ok(command)
}

/// A cluster's environment variables, with the secrets that they refer to.
pub(super) fn variables(inner: &Inner, cluster: Option<&Cluster>) -> Result<BTreeMap<String, String>, String> {
    let Some(cluster) = cluster else { return Ok(BTreeMap::new()) };
    for text in cluster.spark_env_vars.values() {
        let lost = std::cell::RefCell::new(None);
        fill(text, &|name| {
            let (scope, key) = secret(name)?;
            if inner.secrets.value(scope, key).is_none() {
                lost.replace(Some((scope.to_owned(), key.to_owned())));
            }
            None
        });
        if let Some((scope, key)) = lost.into_inner() {
            return Err(format!("Secret does not exist with scope: {scope} and key: {key}"));
        }
    }
    Ok(fill_all(&cluster.spark_env_vars, &|name| secret(name).and_then(|(scope, key)| inner.secrets.value(scope, key))))
}

/// What the launcher is to do.
fn order(inner: &Inner, run: &Run, task: &Task) -> Result<Value, String> {
    let known = |name: &str| look_up(run, task, &inner.place.address, name);
    let list = |own: &[String]| -> Vec<String> {
        run.overrides.python_params.as_deref().unwrap_or(own).iter().map(|it| fill(it, &known)).collect()
    };
    let values: BTreeMap<_, _> =
        run.tasks.iter().filter_map(|it| Some((it.key.as_str(), &it.last()?.outcome.values))).collect();
    let mut order = json!({ "values": values, "parameters": [], "named": {}, "widgets": {} });
    if let Some(it) = &task.python_wheel_task {
        order["kind"] = "wheel".into();
        order["package"] = it.package_name.clone().into();
        order["entry_point"] = it.entry_point.clone().into();
        order["parameters"] = list(&it.parameters).into();
        let mut named = fill_all(&it.named_parameters, &known);
        if !named.is_empty() {
            // Named parameters take the job's parameters, too; a list does not.
            run.parameters.iter().for_each(|(name, it)| drop(named.insert(name.clone(), it.clone())));
        }
        named.extend(run.overrides.python_named_params.clone());
        order["named"] = json!(named);
    } else if let Some(it) = &task.spark_python_task {
        order["kind"] = "script".into();
        order["file"] = source(inner, &it.python_file, it.source, Kind::File)?.into();
        order["parameters"] = list(&it.parameters).into();
    } else if let Some(it) = &task.notebook_task {
        order["kind"] = "notebook".into();
        order["file"] = source(inner, &it.notebook_path, it.source, Kind::Notebook)?.into();
        order["workspace"] = inner.workspace.file("/").unwrap_or_default().display().to_string().into();
        let mut widgets = fill_all(&it.base_parameters, &known);
        widgets.extend(run.parameters.clone());
        widgets.extend(run.overrides.notebook_params.clone());
        order["widgets"] = json!(widgets);
    } else {
        return Err(format!("The local Databricks does not run a {}.", task.kinds().join(" or ")));
    }
    Ok(order)
}

/// The file that holds a task's code.
fn source(inner: &Inner, path: &str, source: Source, kind: Kind) -> Result<String, String> {
    if source == Source::Git {
        return Err("The local Databricks takes no code from Git: import it into the workspace.".to_owned());
    }
    match inner.workspace.find(path) {
        Some(it) if it.kind == kind => Ok(inner.workspace.file(path).unwrap_or_default().display().to_string()),
        Some(it) => Err(format!("{path} is a {:?}, not a {kind:?}.", it.kind).to_lowercase()),
        None => Err(format!("Unable to access the {kind:?} \"{path}\": it does not exist in the workspace.")),
    }
}

#[cfg(test)]
mod tests;
