//! A job as the API spells it: Jobs 2.2. Pure but for looking up what packages are.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Cluster, Job, Task,
    notice::{Called, Rule, Silence},
    start::{FileArrival, TableUpdate, Trigger},
};
use crate::{
    address::{Address, Ref},
    client::databricks,
    quantity::Span,
    resource::{Cx, Error, Package, Result, package::Uploaded},
};

/// The values of parameters, as far as they are known.
pub(super) type Parameters = BTreeMap<String, String>;

impl Job {
    /// Returns the values of all parameters: those of the file, and the outputs of other resources.
    pub(super) fn values(&self, cx: &Cx) -> Result<Parameters> {
        let mut values = self.parameters.clone();
        for (name, it) in &self.outputs {
            values.insert(name.clone(), cx.output(&it.of, &it.output)?);
        }
        Ok(values)
    }

    /// Returns the first destination that is not there yet of those that the job itself calls, and of those that its tasks do.
    pub(super) fn awaited(&self, cx: &Cx) -> [Option<Address>; 2] {
        let own = self.webhook_notifications.as_ref().and_then(|it| it.awaited(cx));
        let tasks = self.tasks.values().filter_map(|it| it.webhook_notifications.as_ref());
        [own, tasks.into_iter().find_map(|it| it.awaited(cx))]
    }

    /// Returns the settings to send, without name, tags and owner.
    pub(super) fn settings(&self, cx: &Cx, parameters: &Parameters) -> Result<Value> {
        let tasks: Vec<Value> = self.tasks.iter().map(|(key, it)| task(cx, key, it)).collect::<Result<_>>()?;
        let clusters: Vec<Value> = self.job_clusters.iter().map(|(key, it)| cluster(cx, key, it)).collect();
        let environments: Vec<Value> =
            self.environments.keys().map(|key| self.environment(cx, key)).collect::<Result<_>>()?;
        let parameters: Vec<Value> =
            parameters.iter().map(|(name, value)| json!({ "name": name, "default": value })).collect();
        let settings = json!({
            "description": self.description,
            "max_concurrent_runs": self.max_concurrent_runs,
            "timeout_seconds": self.timeout.map(Span::as_secs),
            "queue": { "enabled": self.queue },
            "parameters": parameters,
            "schedule": self.schedule.as_ref().map(|it| json!({
                "quartz_cron_expression": it.cron, "timezone_id": it.timezone, "pause_status": pause(it.paused),
            })),
            "trigger": self.trigger.as_ref().map(trigger),
            "continuous": self.continuous.as_ref().map(|it| json!({
                "pause_status": pause(it.paused), "task_retry_mode": upper(&it.task_retry_mode),
            })),
            "health": health(&self.health),
            "email_notifications": self.email_notifications.as_ref().map(|it| lists(&it.events(), |it| json!(it))),
            "webhook_notifications": self.webhook_notifications.as_ref().map(|it| lists(&it.events(), |it| id(cx, it))),
            "notification_settings": self.notification_settings.as_ref().map(silence),
            "run_as": self.run_as.as_ref().map(|it| principal(&it.into())),
            "job_clusters": clusters,
            "environments": environments,
            "tasks": tasks,
        });
        Ok(lean(settings))
    }

    /// An environment, with the wheels of this stack that tasks in it run.
    fn environment(&self, cx: &Cx, key: &str) -> Result<Value> {
        let it = &self.environments[key];
        let mut dependencies = it.dependencies.clone();
        for task in self.tasks.values().filter(|task| task.environment.as_deref() == Some(key)) {
            if let Some(("python_wheel_task", package)) = task.package() {
                let path = uploaded(cx, package)?.path;
                if !dependencies.contains(&path) {
                    dependencies.push(path);
                }
            }
        }
        let spec = json!({ "environment_version": it.environment_version, "dependencies": dependencies });
        Ok(json!({ "environment_key": key, "spec": spec }))
    }
}

fn task(cx: &Cx, key: &str, it: &Task) -> Result<Value> {
    let mut libraries = match serde_json::to_value(&it.libraries) {
        Ok(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let wheel = it.python_wheel_task.as_ref().and_then(|it| it.package.as_ref()).filter(|_| it.environment.is_none());
    if let Some(package) = wheel {
        libraries.push(json!({ "whl": uploaded(cx, package)?.path }));
    }
    if let Some((field, package)) = it.package() {
        suits(field, package, &uploaded(cx, package)?)?;
    }
    let path = |package: &Option<Ref<Package>>, other: &Option<String>| match package {
        Some(it) => uploaded(cx, it).map(|it| Some(it.path)),
        None => Ok(other.clone()),
    };
    let spark = match &it.spark_python_task {
        Some(it) => Some(json!({
            "python_file": path(&it.package, &it.python_file)?, "parameters": it.parameters,
        })),
        None => None,
    };
    let notebook = match &it.notebook_task {
        Some(it) => Some(json!({
            "notebook_path": path(&it.package, &it.notebook_path)?, "base_parameters": it.base_parameters,
            "source": "WORKSPACE",
        })),
        None => None,
    };
    Ok(json!({
        "task_key": key,
        "description": it.description,
        "depends_on": it.depends_on.iter().map(|it| json!({ "task_key": it })).collect::<Vec<_>>(),
        "run_if": upper(&it.run_if),
        "python_wheel_task": it.python_wheel_task.as_ref().map(|it| json!({
            "package_name": it.package_name, "entry_point": it.entry_point, "parameters": it.parameters,
            "named_parameters": it.named_parameters,
        })),
        "spark_python_task": spark,
        "notebook_task": notebook,
        "job_cluster_key": it.job_cluster,
        "environment_key": it.environment,
        "existing_cluster_id": it.existing_cluster_id,
        "libraries": libraries,
        "timeout_seconds": it.timeout.map(Span::as_secs),
        "max_retries": (it.max_retries != 0).then_some(it.max_retries),
        "min_retry_interval_millis": it.min_retry_interval.map(Span::as_millis),
        "retry_on_timeout": it.retry_on_timeout.then_some(true),
        "email_notifications": it.email_notifications.as_ref().map(|it| lists(&it.events(), |it| json!(it))),
        "webhook_notifications": it.webhook_notifications.as_ref().map(|it| lists(&it.events(), |it| id(cx, it))),
        "health": health(&it.health),
    }))
}

fn cluster(cx: &Cx, key: &str, it: &Cluster) -> Value {
    let mut variables = it.spark_env_vars.clone();
    for (name, secret) in &it.secrets {
        let scope = cx.scope.physical_of(&secret.scope);
        variables.insert(name.clone(), format!("{{{{secrets/{scope}/{}}}}}", secret.key));
    }
    let single = it.num_workers == Some(0);
    let scripts = it.init_scripts.iter().map(|path| {
        let place = match path.split_once(['/', ':']).map(|it| it.0) {
            Some("s3") => "s3",
            _ if path.starts_with("/Volumes/") => "volumes",
            _ => "workspace",
        };
        json!({ place: { "destination": path } })
    });
    let aws = it.aws_attributes.as_ref().map(|it| {
        json!({
            "instance_profile_arn": it.instance_profile_arn,
            "availability": it.availability.as_ref().map(upper),
            "first_on_demand": it.first_on_demand,
            "zone_id": it.zone_id,
            "spot_bid_price_percent": it.spot_bid_price_percent,
            "ebs_volume_type": it.ebs_volume_type.as_ref().map(upper),
            "ebs_volume_count": it.ebs_volume_count,
            "ebs_volume_size": it.ebs_volume_size,
        })
    });
    let new = json!({
        "spark_version": it.spark_version,
        "node_type_id": it.node_type_id,
        "driver_node_type_id": it.driver_node_type_id,
        "num_workers": it.num_workers.filter(|_| !single),
        // The only way to say so that does not need three settings of Spark to agree.
        "is_single_node": single.then_some(true),
        "kind": single.then_some("CLASSIC_PREVIEW"),
        "autoscale": it.autoscale,
        "spark_conf": it.spark_conf,
        "spark_env_vars": variables,
        "custom_tags": it.custom_tags,
        "aws_attributes": aws,
        "data_security_mode": it.data_security_mode.as_ref().map(upper),
        "single_user_name": it.single_user_name,
        "runtime_engine": it.runtime_engine.as_ref().map(upper),
        "instance_pool_id": it.instance_pool_id,
        "policy_id": it.policy_id,
        "enable_elastic_disk": it.enable_elastic_disk,
        "init_scripts": scripts.collect::<Vec<_>>(),
    });
    json!({ "job_cluster_key": key, "new_cluster": new })
}

fn trigger(it: &Trigger) -> Value {
    let seconds = |it: Option<Span>| it.map(Span::as_secs);
    let files = |it: &FileArrival| {
        json!({
            "url": it.url,
            "min_time_between_triggers_seconds": seconds(it.min_time_between_triggers),
            "wait_after_last_change_seconds": seconds(it.wait_after_last_change),
        })
    };
    let tables = |it: &TableUpdate| {
        json!({
            "table_names": it.table_names,
            "condition": upper(&it.condition),
            "min_time_between_triggers_seconds": seconds(it.min_time_between_triggers),
            "wait_after_last_change_seconds": seconds(it.wait_after_last_change),
        })
    };
    json!({
        "pause_status": pause(it.paused),
        "file_arrival": it.file_arrival.as_ref().map(files),
        "periodic": it.periodic.as_ref().map(|it| json!({ "interval": it.interval, "unit": upper(&it.unit) })),
        "table_update": it.table_update.as_ref().map(tables),
    })
}

fn health(rules: &[Rule]) -> Option<Value> {
    let rule = |it: &Rule| json!({ "metric": upper(&it.metric), "op": "GREATER_THAN", "value": it.greater_than });
    (!rules.is_empty()).then(|| json!({ "rules": rules.iter().map(rule).collect::<Vec<_>>() }))
}

fn silence(it: &Silence) -> Value {
    json!({
        "no_alert_for_skipped_runs": it.no_alert_for_skipped_runs,
        "no_alert_for_canceled_runs": it.no_alert_for_canceled_runs,
    })
}

fn lists<T>(events: &[(&'static str, &[T])], entry: impl Fn(&T) -> Value) -> Value {
    let filled = events.iter().filter(|it| !it.1.is_empty());
    filled.map(|(event, to)| ((*event).to_owned(), to.iter().map(&entry).collect())).collect::<Map<_, _>>().into()
}

/// One that is not there yet stands under its address: whoever sends this has looked for such before.
fn id(cx: &Cx, it: &Called) -> Value {
    json!({ "id": it.id(cx).unwrap_or_else(|_| it.to_string()) })
}

/// A principal as the API spells it.
fn principal(it: &databricks::Principal) -> Value {
    match it {
        databricks::Principal::User(it) => json!({ "user_name": it }),
        databricks::Principal::Group(it) => json!({ "group_name": it }),
        databricks::Principal::ServicePrincipal(it) => json!({ "service_principal_name": it }),
    }
}

fn pause(paused: bool) -> &'static str {
    if paused { "PAUSED" } else { "UNPAUSED" }
}

/// Spells a word as the API does.
fn upper(it: &impl Serialize) -> String {
    // Only enums without fields are passed, and these are texts.
    serde_json::to_value(it).ok().and_then(|it| it.as_str().map(str::to_uppercase)).unwrap_or_default()
}

/// Finds out where a package of this stack lies, from what is wanted of it: the job is planned before that is there.
fn uploaded(cx: &Cx, package: &Ref<Package>) -> Result<Uploaded> {
    cx.spec(package)?.uploaded(cx, &package.name)
}

/// Makes sure that a task runs what it can run.
fn suits(field: &str, package: &Ref<Package>, it: &Uploaded) -> Result<()> {
    let (fits, needs) = match field {
        "python_wheel_task" => (it.wheel, "a package with a `wheel`"),
        "notebook_task" => (it.notebook, "a package whose `file` begins with `# Databricks notebook source`"),
        _ => (!it.wheel && !it.notebook, "a package with a `file` that is no notebook"),
    };
    if fits {
        return Ok(());
    }
    Err(Error::Refused {
        message: format!("a `{field}` cannot run {}", package.address()),
        help: format!("it needs {needs}"),
    })
}

/// Leaves out what is not set.
pub(super) fn lean(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let full = map.into_iter().map(|(key, it)| (key, lean(it)));
            full.filter(|(_, it)| !is_nothing(it)).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.into_iter().map(lean).collect(),
        it => it,
    }
}

fn is_nothing(it: &Value) -> bool {
    it.is_null() || it.as_array().is_some_and(Vec::is_empty) || it.as_object().is_some_and(Map::is_empty)
}
