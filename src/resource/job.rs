//! A Databricks job: tasks that run after one another, when asked or by themselves.
//!
//! Jobs have numbers, and names that need not be unique. So a job is found by its number where that is known, else by its
//! name and the tags that say whose it is; should a request that was thought lost have made a second one, that is seen as
//! drift, and removed.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{try_join, try_join_all};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Outputs, Ownership, Resource, Result, Tags, touched,
};
use crate::{
    address::{Name, OutputRef},
    client::{Error, databricks},
    quantity::Span,
};

mod check;
mod compute;
mod normal;
mod notice;
mod period;
mod render;
mod start;
mod task;

pub use compute::{Cluster, Environment};
use notice::{Emails, Rule, Silence, Webhooks};
use start::{Continuous, Permissions, Principal, Schedule, Trigger};
pub use task::Task;

/// The most tags that a job can have.
const TAGS: usize = 25;

/// A Databricks job. Every field can be changed in place; runs under way go on as they began.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the job is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The tasks, by their keys.
    pub tasks: BTreeMap<String, Task>,
    /// Clusters that are started for a run, by keys that tasks name.
    #[serde(default)]
    pub job_clusters: BTreeMap<String, Cluster>,
    /// Serverless environments, by keys that tasks name.
    #[serde(default)]
    pub environments: BTreeMap<String, Environment>,
    /// Parameters with their values, which a run may override. Tasks use them as `{{job.parameters.<name>}}`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Parameters whose values are outputs of other resources, such as `lake_root: bucket.lake.url`.
    #[serde(default)]
    pub outputs: BTreeMap<String, OutputRef>,
    /// Runs at certain times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Runs when something happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
    /// Always runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continuous: Option<Continuous>,
    /// How long a run may take. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// How many runs may be under way at once. Default: 1.
    #[serde(default = "one")]
    pub max_concurrent_runs: u32,
    /// Whether a run waits when too many are under way, instead of being skipped. Default: `true`.
    #[serde(default = "yes")]
    pub queue: bool,
    /// As whom the job runs. Default: its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as: Option<Principal>,
    /// Whose the job is: a user or a service principal. Default: whoever made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Principal>,
    /// Who may do what with it. Default: nothing is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Permissions>,
    /// What is not healthy.
    #[serde(default)]
    pub health: Vec<Rule>,
    /// Whom to write to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_notifications: Option<Emails>,
    /// What to call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_notifications: Option<Webhooks>,
    /// When to be silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification_settings: Option<Silence>,
    /// Tags, beside the stack's. Clusters of the job get them too.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

const fn one() -> u32 {
    1
}

const fn yes() -> bool {
    true
}

/// A job as the workspace has it.
#[derive(Debug)]
pub struct LiveJob {
    job: databricks::jobs::Job,
    grants: Vec<databricks::Grant>,
    /// Other jobs that carry the same owner's tags.
    twins: Vec<i64>,
    /// Its name, where that is not what it should be.
    misnamed: Option<String>,
    url: String,
}

impl Resource for Job {
    const FIELDS: &'static [(&'static str, Field)] = &[
        // What a file does not say of a cluster comes from policies, pools and the service.
        ("job_clusters", Field::Defaulted),
        // Settings without it leave it as it was.
        ("run_as", Field::Defaulted),
        ("owner", Field::Defaulted),
        ("permissions", Field::Defaulted),
        ("tags", Field::Defaulted),
    ];
    const RENAMES: bool = true;
    const OUTPUTS: &'static [&'static str] = &["id", "name", "url", "workspace"];
    type Live = LiveJob;

    fn check(&self) -> Vec<Flaw> {
        check::flaws(self)
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        match physical.len() {
            4097.. => vec![Flaw::new("", "Databricks allows 4096 bytes for the name of a job")],
            _ => Vec::new(),
        }
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let mut tags = cx.tags.clone();
        tags.extend(self.tags.clone());
        if tags.len() > TAGS - 3 {
            return Err(KindError::Refused {
                message: format!(
                    "a job can have {TAGS} tags, three of which are ecomctl's, and this has {} more",
                    tags.len()
                ),
                help: "take some of the stack's or the job's away".into(),
            });
        }
        let spec = normal::normal(&self.settings(cx, &self.parameters)?);
        let mut desired = Desired { spec: Value::Object(spec), unknown: BTreeMap::new() };
        if let Some(it) = &self.run_as {
            desired = desired.with("run_as", databricks::Principal::from(it).to_string());
        }
        if let Some(it) = &self.owner {
            desired = desired.with("owner", databricks::Principal::from(it).to_string());
        }
        if let Some(it) = &self.permissions {
            let grants: Vec<_> = it.grants().map(|it| it.2).collect();
            desired = desired.with("permissions", told(grants.iter()));
        }
        for (field, awaited) in ["webhook_notifications", "tasks"].into_iter().zip(self.awaited(cx)) {
            if let Some(it) = awaited {
                desired = desired.with_result(field, Err::<Value, _>(KindError::NotReady(it)))?;
            }
        }
        desired.with("tags", json!(tags)).with_result("parameters", self.values(cx).map(|it| json!(it)))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveJob>>> {
        try_join_all(names.iter().map(|it| read_one(cx, it))).await
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.databricks.jobs().await?;
        let names = listed.iter().filter_map(|it| it.settings["name"].as_str());
        let mut names: Vec<String> = names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect();
        // The name of one may be that of another.
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn observed(live: &LiveJob) -> Value {
        let mut fields = normal::normal(&live.job.settings);
        let owner = live.grants.iter().find(|it| it.level == OWNER).map(|it| it.to.to_string());
        fields.insert("owner".into(), json!(owner));
        fields.insert("permissions".into(), told(live.grants.iter().filter(|it| it.level != OWNER)));
        fields.insert("run_as".into(), json!(runner(&live.job.settings["run_as"])));
        fields.insert("tags".into(), live.tags().observed());
        // Only there when something is wrong.
        fields.insert("name".into(), json!(live.misnamed));
        let twins: Vec<String> = live.twins.iter().map(ToString::to_string).collect();
        fields.insert("duplicates".into(), json!(twins));
        Value::Object(fields)
    }

    fn identity(live: &LiveJob) -> Identity {
        Identity { id: Some(live.job.job_id.to_string()), ownership: live.tags().ownership() }
    }

    fn outputs(live: &LiveJob) -> Outputs {
        let name = live.job.settings["name"].as_str().unwrap_or_default().to_owned();
        // The address of the workspace, for what is to ask it about the job.
        let workspace = live.url.split("/jobs/").next().unwrap_or_default().to_owned();
        let url = live.url.clone();
        Outputs::from([("id", live.job.job_id.to_string()), ("name", name), ("url", url), ("workspace", workspace)])
    }

    /// Leaves owner and permissions to the first update: they have a request of their own.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let tags = self.tagged(cx.tags(&name.owner));
        cx.databricks.create_job(self.whole(cx, name, &tags)?).await?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveJob, changes: &[Change]) -> Result<()> {
        let mut touched = touched(changes);
        let id = live.job.job_id;
        if touched.remove("duplicates") {
            try_join_all(live.twins.iter().map(|it| delete_one(cx, *it))).await?;
        }
        let granted = touched.remove("owner") | touched.remove("permissions");
        if !touched.is_empty() {
            let tags = self.tagged(live.tags().after(cx, name, changes));
            cx.databricks.reset_job(id, self.whole(cx, name, &tags)?).await?;
        }
        if granted {
            cx.databricks.put_job_grants(id, &self.grants(&live.grants)?).await?;
        }
        Ok(())
    }

    async fn delete(cx: &Cx, _name: &Name, live: &LiveJob) -> Result<()> {
        try_join_all(live.twins.iter().chain([&live.job.job_id]).map(|it| delete_one(cx, *it))).await?;
        Ok(())
    }
}

/// The level of the one who owns a job.
const OWNER: &str = "IS_OWNER";

impl LiveJob {
    fn tags(&self) -> Tags {
        tags_of(&self.job)
    }
}

impl Job {
    /// Returns everything to send.
    fn whole(&self, cx: &Cx, name: &Name, tags: &BTreeMap<String, String>) -> Result<Value> {
        if let Some(it) = self.awaited(cx).into_iter().flatten().next() {
            return Err(KindError::NotReady(it));
        }
        let mut settings = self.settings(cx, &self.values(cx)?)?;
        settings["name"] = json!(name.physical);
        settings["tags"] = json!(tags);
        Ok(settings)
    }

    fn tagged(&self, mut tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
        tags.extend(self.tags.clone());
        tags
    }

    /// Returns what shall be granted: exactly one owner, who is the present one where the file names none.
    fn grants(&self, live: &[databricks::Grant]) -> Result<Vec<databricks::Grant>> {
        let owner = self.owner.as_ref().map(|it| databricks::Grant { to: it.into(), level: OWNER.to_owned() });
        let owner = owner.or_else(|| live.iter().find(|it| it.level == OWNER).cloned());
        let owner = owner.ok_or_else(|| KindError::Refused {
            message: "the job has no owner".to_owned(),
            help: "name one in the stack file: `owner: {user: …}` or `owner: {service_principal: …}`".to_owned(),
        })?;
        let others = match &self.permissions {
            Some(it) => it.grants().map(|it| it.2).collect(),
            None => live.iter().filter(|it| it.level != OWNER).cloned().collect::<Vec<_>>(),
        };
        let others = others.into_iter().filter(|it| it.to != owner.to);
        Ok(others.chain([owner.clone()]).collect())
    }
}

/// Tells grants in one text each, sorted.
fn told<'a>(grants: impl Iterator<Item = &'a databricks::Grant>) -> Value {
    let told: BTreeSet<String> = grants.map(|it| format!("{} {}", it.level.to_lowercase(), it.to)).collect();
    json!(told)
}

fn runner(run_as: &Value) -> Option<String> {
    let name = |field: &str| run_as[field].as_str().map(str::to_owned);
    let user = name("user_name").map(databricks::Principal::User);
    let principal = || name("service_principal_name").map(databricks::Principal::ServicePrincipal);
    let group = || name("group_name").map(databricks::Principal::Group);
    user.or_else(principal).or_else(group).map(|it| it.to_string())
}

fn tags_of(job: &databricks::jobs::Job) -> Tags {
    let tags = job.settings["tags"].as_object().into_iter().flatten();
    tags.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
}

/// Deletes a job. Its runs are stopped first: they would go on without it, and write to what is deleted next.
async fn delete_one(cx: &Cx, id: i64) -> Result<()> {
    Error::missing_is_done(cx.databricks.cancel_runs(id).await)?;
    Ok(Error::missing_is_done(cx.databricks.delete_job(id).await)?)
}

async fn read_one(cx: &Cx, name: &Name) -> Result<Option<LiveJob>> {
    let known = name.id.as_ref().and_then(|it| it.parse().ok());
    let by_number = async {
        match known {
            Some(id) => Error::missing_is_none(cx.databricks.job(id).await),
            None => Ok(None),
        }
    };
    let (found, named) = try_join(by_number, cx.databricks.jobs_named(&name.physical)).await?;
    let owned = |it: &databricks::jobs::Job| match tags_of(it).ownership() {
        Ownership::Tagged(owner) => owner.stack == name.owner.stack && owner.address == name.owner.address,
        _ => false,
    };
    let mut ours: Vec<&databricks::jobs::Job> = named.iter().filter(|it| owned(it)).collect();
    ours.sort_by_key(|it| (it.created_time, it.job_id));
    // A stranger's job of this name is in the way of a first attempt; it is not what is left of one of ours.
    let stranger = named.first().filter(|_| name.id.is_none());
    let chosen = ours.first().copied().or(stranger).map(|it| it.job_id);
    let job = match (found, chosen) {
        (Some(it), _) => it,
        // What is gone since it was listed is gone.
        (None, Some(id)) => match Error::missing_is_none(cx.databricks.job(id).await)? {
            Some(it) => it,
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let Some(grants) = Error::missing_is_none(cx.databricks.job_grants(job.job_id).await)? else { return Ok(None) };
    let twins = match owned(&job) {
        true => ours.iter().map(|it| it.job_id).filter(|it| *it != job.job_id).collect(),
        false => Vec::new(),
    };
    let called = job.settings["name"].as_str().unwrap_or_default();
    let misnamed = (called != name.physical).then(|| called.to_owned());
    let url = format!("{}/jobs/{}", cx.databricks.host().await?, job.job_id);
    Ok(Some(LiveJob { job, grants, twins, misnamed, url }))
}

#[cfg(test)]
mod tests;
