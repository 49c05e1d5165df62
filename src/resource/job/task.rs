//! The tasks of a job: what runs, on what, after what.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notice::{Emails, Rule, Webhooks};
use crate::{address::Ref, quantity::Span, resource::Package};

/// One task of a job. It has exactly one of `python_wheel_task`, `spark_python_task` and `notebook_task`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What the task is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tasks that come first, by their keys.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// When to run, after those it depends on. Default: `all_success`.
    #[serde(default)]
    pub run_if: RunIf,
    /// An entry point of a Python wheel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python_wheel_task: Option<PythonWheelTask>,
    /// A Python file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark_python_task: Option<SparkPythonTask>,
    /// A notebook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook_task: Option<NotebookTask>,
    /// The cluster to run on, by its key in `job_clusters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_cluster: Option<String>,
    /// The serverless environment to run in, by its key in `environments`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The identifier of a cluster that somebody else keeps, to run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_cluster_id: Option<String>,
    /// What else is installed on the cluster. Serverless tasks take the `dependencies` of their environment instead.
    #[serde(default)]
    pub libraries: Vec<Library>,
    /// How long one attempt may take. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How often to try again after a failure; -1 for ever. Default: 0.
    #[serde(default)]
    pub max_retries: i32,
    /// How long to wait before that. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_retry_interval: Option<Span>,
    /// Whether a timeout is a failure to try again after. Default: `false`.
    #[serde(default)]
    pub retry_on_timeout: bool,
    /// Whom to write to about the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_notifications: Option<Emails>,
    /// What to call about the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_notifications: Option<Webhooks>,
    /// What is not healthy about the task.
    #[serde(default)]
    pub health: Vec<Rule>,
}

/// When a task runs, after those that it depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunIf {
    /// All succeeded.
    #[default]
    AllSuccess,
    /// At least one succeeded.
    AtLeastOneSuccess,
    /// None failed.
    NoneFailed,
    /// All ended.
    AllDone,
    /// At least one failed.
    AtLeastOneFailed,
    /// All failed.
    AllFailed,
}

/// An entry point of a Python wheel.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonWheelTask {
    /// The package of this stack that is the wheel; installed by itself. Default: none, where `libraries` or the
    /// environment hold it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Ref<Package>>,
    /// The name of the Python package within, such as `ecom_pipeline`.
    pub package_name: String,
    /// The entry point within, such as `bronze`.
    pub entry_point: String,
    /// Its command line. `{{job.parameters.<name>}}` stands for a parameter or an output of the job.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// Its command line as `--name=value`, instead of `parameters`.
    #[serde(default)]
    pub named_parameters: BTreeMap<String, String>,
}

/// A Python file.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SparkPythonTask {
    /// The package of this stack that is the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Ref<Package>>,
    /// Where the file lies, instead of `package`: `/Workspace/…`, `/Volumes/…` or `s3://…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python_file: Option<String>,
    /// Its command line.
    #[serde(default)]
    pub parameters: Vec<String>,
}

/// A notebook.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotebookTask {
    /// The package of this stack that is the notebook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Ref<Package>>,
    /// Where the notebook lies, instead of `package`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook_path: Option<String>,
    /// The values of its widgets.
    #[serde(default)]
    pub base_parameters: BTreeMap<String, String>,
}

/// Something that is installed on a cluster.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Library {
    /// A package of Python's index.
    Pypi(Pypi),
    /// A package of a Maven repository.
    Maven(Maven),
    /// The path of a wheel.
    Whl(String),
    /// The path of a jar.
    Jar(String),
    /// The path of a `requirements.txt`.
    Requirements(String),
}

/// A package of Python's index.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pypi {
    /// Its name with its version, such as `simplejson==3.8.0`.
    pub package: String,
    /// The index to take it from. Default: the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
}

/// A package of a Maven repository.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maven {
    /// Its coordinates, such as `org.jsoup:jsoup:1.7.2`.
    pub coordinates: String,
    /// The repository to take it from. Default: the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// What of its dependencies to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<String>,
}

impl Task {
    /// Returns the package of this stack that the task runs, and the field that names it.
    pub(super) fn package(&self) -> Option<(&'static str, &Ref<Package>)> {
        let wheel = self.python_wheel_task.as_ref().and_then(|it| Some(("python_wheel_task", it.package.as_ref()?)));
        let file = self.spark_python_task.as_ref().and_then(|it| Some(("spark_python_task", it.package.as_ref()?)));
        let notebook = self.notebook_task.as_ref().and_then(|it| Some(("notebook_task", it.package.as_ref()?)));
        wheel.or(file).or(notebook)
    }
}
