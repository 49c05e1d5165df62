//! A job's settings, as Jobs 2.2 has them. Typed as far as this machine needs them; what only a cloud needs is kept as
//! it came. Fields that the API does not have are refused.

#![expect(dead_code, reason = "what only a cloud needs is known here, so that what nobody knows is refused")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

/// The settings of a job, or of a run that was submitted without one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    description: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) max_concurrent_runs: Option<u32>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) queue: Option<Queue>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) run_as: Option<RunAs>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) continuous: Option<Continuous>,
    pub(crate) trigger: Option<Trigger>,
    pub(crate) health: Option<Health>,
    pub(crate) email_notifications: Option<EmailNotifications>,
    pub(crate) webhook_notifications: Option<WebhookNotifications>,
    notification_settings: Option<Value>,
    pub(crate) job_clusters: Vec<JobCluster>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) tasks: Vec<Task>,
    edit_mode: Option<EditMode>,
    deployment: Option<Deployment>,
    format: Option<Format>,
    git_source: Option<Value>,
    budget_policy_id: Option<String>,
    usage_policy_id: Option<String>,
    performance_target: Option<String>,
    parent_path: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) enabled: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) default: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunAs {
    pub(crate) user_name: Option<String>,
    pub(crate) service_principal_name: Option<String>,
    pub(crate) group_name: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Pause {
    #[default]
    Unpaused,
    Paused,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    pub(crate) quartz_cron_expression: String,
    pub(crate) timezone_id: String,
    #[serde(default)]
    pub(crate) pause_status: Pause,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Continuous {
    #[serde(default)]
    pub(crate) pause_status: Pause,
    task_retry_mode: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trigger {
    #[serde(default)]
    pub(crate) pause_status: Pause,
    pub(crate) periodic: Option<Periodic>,
    pub(crate) file_arrival: Option<FileArrival>,
    pub(crate) table_update: Option<Value>,
    pub(crate) model: Option<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Periodic {
    pub(crate) interval: u32,
    pub(crate) unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Unit {
    Minutes,
    Hours,
    Days,
    Weeks,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileArrival {
    pub(crate) url: String,
    pub(crate) min_time_between_triggers_seconds: Option<u64>,
    pub(crate) wait_after_last_change_seconds: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    metric: Metric,
    op: Comparison,
    value: i64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Metric {
    RunDurationSeconds,
    StreamingBacklogBytes,
    StreamingBacklogFiles,
    StreamingBacklogRecords,
    StreamingBacklogSeconds,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Comparison {
    GreaterThan,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EmailNotifications {
    on_start: Vec<String>,
    on_success: Vec<String>,
    on_failure: Vec<String>,
    on_duration_warning_threshold_exceeded: Vec<String>,
    on_streaming_backlog_exceeded: Vec<String>,
    no_alert_for_skipped_runs: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct WebhookNotifications {
    pub(crate) on_start: Vec<WebhookId>,
    pub(crate) on_success: Vec<WebhookId>,
    pub(crate) on_failure: Vec<WebhookId>,
    pub(crate) on_duration_warning_threshold_exceeded: Vec<WebhookId>,
    pub(crate) on_streaming_backlog_exceeded: Vec<WebhookId>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookId {
    pub(crate) id: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobCluster {
    pub(crate) job_cluster_key: String,
    pub(crate) new_cluster: Cluster,
}

/// A cluster's specification. This machine takes its environment variables from it, and nothing else.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cluster {
    pub(crate) spark_env_vars: BTreeMap<String, String>,
    pub(crate) spark_version: Option<String>,
    apply_policy_default_values: Option<bool>,
    autoscale: Option<Value>,
    autotermination_minutes: Option<i64>,
    aws_attributes: Option<Value>,
    azure_attributes: Option<Value>,
    cluster_log_conf: Option<Value>,
    cluster_name: Option<String>,
    custom_tags: BTreeMap<String, String>,
    data_security_mode: Option<String>,
    docker_image: Option<Value>,
    driver_instance_pool_id: Option<String>,
    driver_node_type_id: Option<String>,
    driver_node_type_flexibility: Option<Value>,
    enable_elastic_disk: Option<bool>,
    enable_local_disk_encryption: Option<bool>,
    gcp_attributes: Option<Value>,
    init_scripts: Vec<Value>,
    instance_pool_id: Option<String>,
    is_single_node: Option<bool>,
    kind: Option<String>,
    node_type_id: Option<String>,
    num_workers: Option<u32>,
    policy_id: Option<String>,
    remote_disk_throughput: Option<i64>,
    runtime_engine: Option<String>,
    single_user_name: Option<String>,
    spark_conf: BTreeMap<String, String>,
    ssh_public_keys: Vec<String>,
    total_initial_remote_disk_size: Option<i64>,
    use_ml_runtime: Option<bool>,
    worker_node_type_flexibility: Option<Value>,
    workload_type: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Environment {
    pub(crate) environment_key: String,
    #[serde(default)]
    pub(crate) spec: EnvironmentSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EnvironmentSpec {
    pub(crate) dependencies: Vec<String>,
    client: Option<String>,
    environment_version: Option<String>,
    base_environment: Option<String>,
    java_dependencies: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum EditMode {
    UiLocked,
    Editable,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    kind: String,
    metadata_file_path: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Format {
    SingleTask,
    MultiTask,
}

/// One task of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Task {
    pub(crate) task_key: String,
    description: Option<String>,
    #[serde(default)]
    pub(crate) depends_on: Vec<Dependency>,
    #[serde(default)]
    pub(crate) run_if: RunIf,
    #[serde(default)]
    pub(crate) disabled: bool,
    pub(crate) spark_python_task: Option<SparkPythonTask>,
    pub(crate) notebook_task: Option<NotebookTask>,
    pub(crate) python_wheel_task: Option<PythonWheelTask>,
    // These are kept, and fail when they are run here.
    pub(crate) ai_runtime_task: Option<Value>,
    pub(crate) alert_task: Option<Value>,
    pub(crate) clean_rooms_notebook_task: Option<Value>,
    pub(crate) condition_task: Option<Value>,
    pub(crate) dashboard_task: Option<Value>,
    pub(crate) dbt_cloud_task: Option<Value>,
    pub(crate) dbt_platform_task: Option<Value>,
    pub(crate) dbt_task: Option<Value>,
    pub(crate) for_each_task: Option<Value>,
    pub(crate) gen_ai_compute_task: Option<Value>,
    pub(crate) pipeline_task: Option<Value>,
    pub(crate) power_bi_task: Option<Value>,
    pub(crate) python_operator_task: Option<Value>,
    pub(crate) run_job_task: Option<Value>,
    pub(crate) spark_jar_task: Option<Value>,
    pub(crate) spark_submit_task: Option<Value>,
    pub(crate) sql_task: Option<Value>,
    pub(crate) job_cluster_key: Option<String>,
    pub(crate) new_cluster: Option<Cluster>,
    pub(crate) existing_cluster_id: Option<String>,
    pub(crate) environment_key: Option<String>,
    compute: Option<Value>,
    #[serde(default)]
    pub(crate) libraries: Vec<Library>,
    pub(crate) max_retries: Option<i32>,
    pub(crate) min_retry_interval_millis: Option<u64>,
    pub(crate) retry_on_timeout: Option<bool>,
    pub(crate) timeout_seconds: Option<u64>,
    health: Option<Health>,
    disable_auto_optimization: Option<bool>,
    email_notifications: Option<EmailNotifications>,
    notification_settings: Option<Value>,
    pub(crate) webhook_notifications: Option<WebhookNotifications>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dependency {
    pub(crate) task_key: String,
    outcome: Option<String>,
}

/// When a task runs, by how the tasks before it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RunIf {
    #[default]
    AllSuccess,
    AllDone,
    AllFailed,
    AtLeastOneFailed,
    AtLeastOneSuccess,
    NoneFailed,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SparkPythonTask {
    pub(crate) python_file: String,
    #[serde(default)]
    pub(crate) parameters: Vec<String>,
    #[serde(default)]
    pub(crate) source: Source,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotebookTask {
    pub(crate) notebook_path: String,
    #[serde(default)]
    pub(crate) base_parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) source: Source,
    warehouse_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PythonWheelTask {
    pub(crate) package_name: String,
    pub(crate) entry_point: String,
    #[serde(default)]
    pub(crate) parameters: Vec<String>,
    #[serde(default)]
    pub(crate) named_parameters: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Source {
    #[default]
    Workspace,
    Git,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Library {
    pub(crate) whl: Option<String>,
    pub(crate) pypi: Option<Pypi>,
    pub(crate) requirements: Option<String>,
    pub(crate) egg: Option<String>,
    // Spark's server here needs none of these.
    jar: Option<String>,
    maven: Option<Value>,
    cran: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pypi {
    pub(crate) package: String,
    repo: Option<String>,
}

impl Task {
    /// The names of what it is to do; a sound task has one.
    pub(crate) fn kinds(&self) -> Vec<&'static str> {
        let known = [
            ("spark_python_task", self.spark_python_task.is_some()),
            ("notebook_task", self.notebook_task.is_some()),
            ("python_wheel_task", self.python_wheel_task.is_some()),
        ];
        let others = [
            ("ai_runtime_task", &self.ai_runtime_task),
            ("alert_task", &self.alert_task),
            ("clean_rooms_notebook_task", &self.clean_rooms_notebook_task),
            ("condition_task", &self.condition_task),
            ("dashboard_task", &self.dashboard_task),
            ("dbt_cloud_task", &self.dbt_cloud_task),
            ("dbt_platform_task", &self.dbt_platform_task),
            ("dbt_task", &self.dbt_task),
            ("for_each_task", &self.for_each_task),
            ("gen_ai_compute_task", &self.gen_ai_compute_task),
            ("pipeline_task", &self.pipeline_task),
            ("power_bi_task", &self.power_bi_task),
            ("python_operator_task", &self.python_operator_task),
            ("run_job_task", &self.run_job_task),
            ("spark_jar_task", &self.spark_jar_task),
            ("spark_submit_task", &self.spark_submit_task),
            ("sql_task", &self.sql_task),
        ];
        let others = others.map(|(name, it)| (name, it.is_some()));
        known.into_iter().chain(others).filter(|it| it.1).map(|it| it.0).collect()
    }

    /// The cluster that it runs on, when it is not serverless.
    pub(crate) fn cluster<'a>(&'a self, settings: &'a Settings) -> Option<&'a Cluster> {
        let shared = self.job_cluster_key.as_ref();
        let shared = shared.and_then(|key| settings.job_clusters.iter().find(|it| it.job_cluster_key == *key));
        self.new_cluster.as_ref().or(shared.map(|it| &it.new_cluster))
    }

    /// The Python packages that it asks for: paths of wheels, and names.
    pub(crate) fn packages<'a>(&'a self, settings: &'a Settings) -> Vec<&'a str> {
        let key = self.environment_key.as_ref();
        let environment = key.and_then(|key| settings.environments.iter().find(|it| it.environment_key == *key));
        let serverless = environment.into_iter().flat_map(|it| it.spec.dependencies.iter().map(String::as_str));
        let classic = self.libraries.iter().filter_map(|it| {
            let named = it.pypi.as_ref().map(|it| it.package.as_str());
            it.whl.as_deref().or(named).or(it.requirements.as_deref()).or(it.egg.as_deref())
        });
        classic.chain(serverless).collect()
    }
}

impl WebhookNotifications {
    /// Each event with who is told of it.
    pub(crate) fn events(&self) -> [(&'static str, &[WebhookId]); 5] {
        [
            ("on_start", &self.on_start),
            ("on_success", &self.on_success),
            ("on_failure", &self.on_failure),
            ("on_duration_warning_threshold_exceeded", &self.on_duration_warning_threshold_exceeded),
            ("on_streaming_backlog_exceeded", &self.on_streaming_backlog_exceeded),
        ]
    }
}

impl Settings {
    /// The tasks that no other task waits for: they decide how a run ended.
    pub(crate) fn leaves(&self) -> BTreeSet<&str> {
        let awaited: BTreeSet<&str> =
            self.tasks.iter().flat_map(|it| &it.depends_on).map(|it| it.task_key.as_str()).collect();
        self.tasks.iter().map(|it| it.task_key.as_str()).filter(|it| !awaited.contains(it)).collect()
    }
}
