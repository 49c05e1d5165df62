use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// What the launcher imports of Spark, with nothing behind it.
const SPARK: [(&str, &str); 5] = [
    ("pyspark/__init__.py", ""),
    (
        "pyspark/sql.py",
        "class Session:\n    sql = dataSource = None\n    def stop(self): pass\n\
         class Sources:\n    def register(self, _): pass\n\
         Session.dataSource = Sources()\n\
         class SparkSession:\n    class builder:\n        getOrCreate = Session\n",
    ),
    ("pysail/__init__.py", ""),
    ("pysail/spark/__init__.py", ""),
    ("pysail/spark/datasource/jdbc.py", "JdbcDataSource = None\n"),
];

/// Runs a notebook by the launcher and returns what it leaves, and whether it ended well.
fn launched(notebook: &str) -> (Outcome, bool) {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    for (name, text) in SPARK.iter().chain(&PROGRAMS[..1]) {
        fs::create_dir_all(path(name).parent().expect("a folder")).expect("made");
        fs::write(path(name), text).expect("written");
    }
    fs::write(path("notebook.py"), notebook).expect("written");
    let order = json!({
        "kind": "notebook", "needs": [], "file": path("notebook.py"), "workspace": folder.path(), "widgets": {},
        "values": {}, "address": "", "result": path("result.json"), "parameters": [], "named": {},
    });
    fs::write(path("task.json"), order.to_string()).expect("written");
    let mut python = std::process::Command::new("python3");
    python.arg(path("launch.py")).arg(path("task.json")).env("PYTHONPATH", folder.path()).stdin(Stdio::null());
    let ended = python.output().expect("python3 runs");
    let outcome: Option<Outcome> = files::read_json(&path("result.json"))
        .unwrap_or_else(|err| panic!("{err}: {}", String::from_utf8_lossy(&ended.stderr)));
    (outcome.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&ended.stderr))), ended.status.success())
}

#[test]
fn whatever_a_notebook_leaves_can_be_read() {
    let (it, well) = launched("raise Exception('bad \\ud800 text')");
    assert_eq!((it.error.as_deref(), well), (Some("Exception: bad ? text"), false));
    assert!(it.error_trace.expect("a trace").contains("notebook.py\", line 1"));
    let (it, well) = launched("dbutils.notebook.exit('bye \\ud800')");
    assert_eq!((it.notebook_output.as_deref(), well), (Some("bye ?"), true));
    let (it, _) = launched("class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd()");
    assert_eq!(it.error.as_deref(), Some("Odd: <its text cannot be had: ZeroDivisionError>"));
    assert!(it.error_trace.expect("a trace").contains("line 3"));
}

#[test]
fn values_of_tasks_are_json_of_a_size() {
    let (it, well) = launched("a = [1]\ndbutils.jobs.taskValues.set('x', a)\na.append(a)");
    assert_eq!((it.values.get("x"), well), (Some(&json!([1])), true), "as it was when it was set");
    let (it, well) = launched("dbutils.jobs.taskValues.set('x', float('nan'))");
    assert!(!well && it.error.as_deref().is_some_and(|it| it.starts_with("ValueError: ")), "{:?}", it.error);
    let (it, _) = launched("dbutils.jobs.taskValues.set('x', 'y' * 50000)");
    let told = "ValueError: the task value x has 50002 bytes as JSON; at most 49152 are allowed";
    assert_eq!(it.error.as_deref(), Some(told));
}

#[test]
fn what_is_kept_has_a_bound() {
    let long = |size: usize| Some("é".repeat(size / 2));
    let outcome = Outcome {
        error: long(1 << 20),
        error_trace: Some("short".into()),
        notebook_output: long(6 << 20),
        ..Outcome::default()
    };
    let kept = bounded(outcome, str::to_owned);
    let error = kept.error.expect("an error");
    assert!(error.len() < LONGEST_ERROR + 100 && error.contains(" bytes are left out]") && error.ends_with('é'));
    assert_eq!(kept.error_trace.as_deref(), Some("short"));
    assert_eq!((kept.notebook_output.map(|it| it.len()), kept.truncated), (Some(LONGEST_OUTPUT), true));
    let kept =
        bounded(Outcome { notebook_output: Some("x".into()), ..Outcome::default() }, |_| "[REDACTED]".to_owned());
    assert_eq!((kept.notebook_output.as_deref(), kept.truncated), (Some("[REDACTED]"), false));
}
