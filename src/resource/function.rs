//! A Lambda function that is built from this project.
//!
//! What serves is a published version, which the alias `live` names: triggers, schedules and subscriptions point at the
//! alias. A change is made to what is unpublished, then published, then the alias moves.

use std::collections::BTreeMap;

use aws_sdk_lambda::{
    primitives::Blob,
    types::{self, LastUpdateStatus, State},
};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Database, Desired, Error as KindError, Field, Flaw, Identity, LogGroup, Network, Outputs, Phase,
    Resource, Result, Role, Scope, Tags, alarm, log_group, network, touched,
};
use crate::{
    address::{Name, NameRef, OutputRef, Ref},
    artifact::{self, Build},
    client::Error,
    quantity::{Size, Span},
};

mod config;
mod live;
mod rollout;
mod url;
mod version;

pub use live::LiveFunction;
use live::standing;
use rollout::Note;
pub use rollout::Rollout;
pub use url::Url;
pub use version::LIVE;

/// A Lambda function, built from a package below `lambdas/`. Each change is published as a version, which then serves.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// The package below `lambdas/` to build.
    pub package: String,
    /// The processor to run on. Default: `arm64`.
    #[serde(default)]
    pub architecture: Architecture,
    /// The memory; processors come in proportion: `128MiB` to `10240MiB`. Default: `512MiB`.
    #[serde(default = "half_gibibyte")]
    pub memory: Size,
    /// The longest that one invocation may take, at most `15m`. Default: `30s`.
    #[serde(default = "half_minute")]
    pub timeout: Span,
    /// Variables of the environment. `STACK` is added, and `DATABASE_…` when there is a `database`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are outputs of other resources, such as `LAKE: bucket.lake.url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputRef>,
    /// The role that says what the function may do.
    pub role: Ref<Role>,
    /// Where the function logs to.
    pub log_group: NameRef<LogGroup>,
    /// How log lines look. Default: `json`.
    #[serde(default)]
    pub log_format: LogFormat,
    /// The database that the function connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Ref<Database>>,
    /// How many invocations may run at once, kept free for this function. Default: what the account has left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_concurrency: Option<u32>,
    /// An address in the internet at which the function can be called, and who may: `iam` or `anybody`. The function then gets calls
    /// over HTTP, and must find out itself who calls where anybody may. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// The network that the function lies in, which it reaches the database through. Instead of `subnets` and `security_groups`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Ref<Network>>,
    /// The subnets that the function reaches the database through. Default: none, outside any VPC.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// The security groups of the function, with `subnets`.
    #[serde(default)]
    pub security_groups: Vec<String>,
    /// What watches a new version when it goes live, and for how long. Default: nothing; it counts at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
}

/// The processor that a function runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Architecture {
    /// Graviton: cheaper for the same work.
    #[default]
    #[serde(rename = "arm64")]
    Arm64,
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86,
    /// That of the machine that runs `ecomctl`, so that nothing is built for another one.
    #[serde(rename = "native")]
    Native,
}

impl Architecture {
    const fn resolve(self) -> artifact::Architecture {
        match self {
            Self::Native if cfg!(target_arch = "aarch64") => artifact::Architecture::Arm64,
            Self::Arm64 => artifact::Architecture::Arm64,
            Self::X86 | Self::Native => artifact::Architecture::X86,
        }
    }
}

/// How a function's log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// Plain text.
    Text,
}

const fn half_gibibyte() -> Size {
    Size::mebibytes(512)
}

const fn half_minute() -> Span {
    Span::seconds(30)
}

impl Resource for Function {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("package", Field::WriteOnly),
        ("database", Field::WriteOnly),
        ("subnets", Field::Unordered),
        ("security_groups", Field::Unordered),
        ("tags", Field::Defaulted),
    ];
    const OUTPUTS: &'static [&'static str] = &["arn", "name", "url"];
    type Live = LiveFunction;

    fn build(&self) -> Option<Build> {
        Some(self.artifact())
    }

    fn check(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let whole = self.memory.as_bytes().is_multiple_of(1 << 20);
        if !(128..=10_240).contains(&self.memory.as_mebibytes()) || !whole {
            let flaw = Flaw::new("/memory", format!("a function cannot have {} of memory", self.memory));
            flaws.push(flaw.help("write `128MiB` to `10240MiB`, in whole MiB"));
        }
        let seconds = self.timeout.as_secs();
        if !(1..=900).contains(&seconds) || self.timeout != Span::seconds(seconds) {
            let flaw = Flaw::new("/timeout", format!("Lambda does not know a timeout of {}", self.timeout));
            flaws.push(flaw.help("write `1s` to `15m`, in whole seconds"));
        }
        let own = self.environment.keys().map(|it| ("environment", it));
        for (field, name) in own.chain(self.outputs.keys().map(|it| ("outputs", it))) {
            let at = format!("/{field}/{name}");
            let fits = name.starts_with(|it: char| it.is_ascii_alphabetic())
                && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
            if !fits {
                let flaw = Flaw::new(at, format!("`{name}` is no name of a variable to Lambda"));
                flaws.push(flaw.help("letters, digits and `_`, beginning with a letter"));
            } else if name == "STACK" || (self.database.is_some() && INJECTED.contains(&name.as_str())) {
                flaws.push(Flaw::new(at, format!("`{name}` is set by ecomctl")).help("leave it out"));
            } else if name.starts_with("AWS_LAMBDA_") || RESERVED.contains(&name.as_str()) {
                flaws.push(Flaw::new(at, format!("Lambda keeps `{name}` to itself")));
            } else if field == "outputs" && self.environment.contains_key(name) {
                flaws.push(Flaw::new(at, format!("`{name}` is in `environment` already")));
            }
        }
        let raw = !self.subnets.is_empty() || !self.security_groups.is_empty();
        flaws.extend(self.rollout.iter().flat_map(Rollout::flaws));
        flaws.extend(network::flaws(self.network.as_ref(), raw));
        if self.subnets.is_empty() != self.security_groups.is_empty() {
            let at = if self.subnets.is_empty() { "/security_groups" } else { "/subnets" };
            flaws.push(Flaw::new(at, "`subnets` and `security_groups` go together"));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        let fits = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if (1..=64).contains(&physical.len()) && physical.chars().all(fits) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for a function"));
        vec![flaw.help("Lambda allows 64 characters: letters, digits, `-` and `_`")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let desired = Desired::of(self)
            .tagged(cx)
            .without("outputs")
            .without("network")
            .without("rollout")
            .with("alias", LIVE)
            .with("architecture", self.architecture.resolve().to_string())
            .with("role", cx.scope.physical_of(&self.role))
            .with("log_group", log_group::name_in(&cx.scope, &self.log_group.0.name))
            .with("code", cx.artifact(&self.artifact())?.sha256.clone());
        let place = || self.place(cx);
        desired
            .with_result("environment", self.variables(cx).map(|it| json!(it)))?
            .with_result("subnets", place().map(|it| it.0))?
            .with_result("security_groups", place().map(|it| it.1))
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveFunction>>> {
        Ok(try_join_all(names.iter().map(|it| live::get(cx, it))).await?)
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.lambda().list_functions().into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("lambda", "ListFunctions"))?;
        let names = listed.iter().filter_map(|it| it.function_name());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    /// Tells of the version that serves; and of what differs from it and is not published.
    fn observed(live: &LiveFunction) -> Value {
        let mut observed = config::fields(live.serves.as_ref().unwrap_or(&live.newest));
        let more = [
            ("reserved_concurrency", json!(live.concurrency)),
            ("url", url::observed(live.url.as_ref())),
            ("tags", live.tags.observed()),
            ("alias", json!(live.alias.as_ref().map(standing))),
            ("unpublished", json!(live.unpublished())),
        ];
        observed.extend(more.map(|(field, it)| (field.to_owned(), it)));
        Value::Object(observed)
    }

    fn identity(live: &LiveFunction) -> Identity {
        Identity { id: live.newest.function_arn().map(str::to_owned), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveFunction) -> Phase {
        let it = &live.newest;
        let reason = |it: Option<&str>| it.unwrap_or("Lambda gives no reason").to_owned();
        match (it.state(), it.last_update_status()) {
            (Some(State::Pending), _) => Phase::Pending("Pending".into()),
            (Some(State::Failed), _) => Phase::Failed(reason(it.state_reason())),
            (_, Some(LastUpdateStatus::InProgress)) => Phase::Pending("InProgress".into()),
            (_, Some(LastUpdateStatus::Failed)) => Phase::Failed(reason(it.last_update_status_reason())),
            _ => live.version_phase(),
        }
    }

    /// The ARN is the alias': what others invoke.
    fn outputs(live: &LiveFunction) -> Outputs {
        let arn = live.newest.function_arn().map(|it| format!("{it}:{LIVE}"));
        let url = live.url.as_ref().map(|it| it.url.clone());
        let parts = [("arn", arn), ("name", live.newest.function_name().map(str::to_owned)), ("url", url)];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?))).collect()
    }

    /// Leaves the first version, the alias, its address and the reserved concurrency to updates: each has a request of its own.
    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let request = cx.aws.lambda().create_function().function_name(&name.physical);
        let request = request
            .runtime(types::Runtime::Providedal2023)
            .handler("bootstrap")
            .role(cx.live(&self.role)?.arn())
            .code(types::FunctionCode::builder().zip_file(self.zip(cx).await?).build())
            .architectures(self.architecture.resolve().to_string().as_str().into())
            .memory_size(self.mebibytes())
            .timeout(self.seconds())
            .environment(self.environment(cx)?)
            .logging_config(self.logging(&cx.scope))
            .set_vpc_config(Some(self.vpc(cx)?).filter(|it| !it.subnet_ids().is_empty()))
            .set_tags(Some(cx.tags(&name.owner).into_iter().collect()));
        let sent = request.send().await.map_err(Error::aws("lambda", "CreateFunction"));
        sent.map(|_| ()).map_err(|err| err.conflict_is_exists().into())
    }

    /// Lambda refuses a second change while one is under way: the settings go first, the code when called again, and what
    /// came of both is published last.
    async fn update(&self, cx: &Cx, name: &Name, live: &LiveFunction, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let lambda = cx.aws.lambda();
        if let Some(arn) = live.newest.function_arn()
            && touched.contains("tags")
        {
            let tags = live.tags.after(cx, name, changes).into_iter().collect();
            let sent = lambda.tag_resource().resource(arn).set_tags(Some(tags)).send().await;
            sent.map_err(Error::aws("lambda", "TagResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let sent = lambda.untag_resource().resource(arn).set_tag_keys(Some(gone)).send().await;
                sent.map_err(Error::aws("lambda", "UntagResource"))?;
            }
        }
        if touched.contains("reserved_concurrency") {
            self.reserve(cx, name).await?;
        }
        // The address is the alias'.
        if touched.contains("url") && live.alias.is_some() {
            url::put(cx, &name.physical, self.url, live.url.as_ref()).await?;
        }
        let (newest, wanted) = (config::fields(&live.newest), self.desired(cx)?.spec);
        let unpublished = live.unpublished();
        // What nobody asked for and was never published is put right before it would be.
        let open = |it: &&str| touched.contains(*it) || unpublished.contains_key(*it);
        let differs = |it: &&str| open(it) && !config::same(it, &newest[*it], &wanted[*it]);
        if config::SETTINGS.iter().any(differs) {
            let request = lambda.update_function_configuration().function_name(&name.physical);
            let request = request
                .role(cx.live(&self.role)?.arn())
                .memory_size(self.mebibytes())
                .timeout(self.seconds())
                .environment(self.environment(cx)?)
                .logging_config(self.logging(&cx.scope));
            let in_vpc = differs(&"subnets") || differs(&"security_groups");
            let sent = request.set_vpc_config(Some(self.vpc(cx)?).filter(|_| in_vpc)).send().await;
            sent.map_err(Error::aws("lambda", "UpdateFunctionConfiguration"))?;
        } else if config::CODE.iter().any(differs) {
            let request = lambda.update_function_code().function_name(&name.physical).zip_file(self.zip(cx).await?);
            let request = request.architectures(self.architecture.resolve().to_string().as_str().into());
            request.send().await.map_err(Error::aws("lambda", "UpdateFunctionCode"))?;
        } else if live.serves.is_none() || !unpublished.is_empty() || !live.is_published() {
            self.publish(cx, name, live).await?;
        } else if let Some(version) = live.version()
            && touched.contains("alias")
        {
            // A trial is over, or what is told of an earlier one.
            version::point(cx, &name.physical, live.alias.as_ref(), version, &Note::None).await?;
        }
        Ok(())
    }

    /// Lets the version before serve again.
    async fn revert(cx: &Cx, name: &Name, live: &LiveFunction) -> Result<()> {
        let Some((trial, ended)) = live.trial.as_ref().and_then(|it| it.ended_by().map(|by| (it, by))) else {
            return Ok(());
        };
        let note = Note::Back { from: live.version().unwrap_or_default().to_owned(), alarm: ended.name.clone() };
        Ok(version::point(cx, &name.physical, live.alias.as_ref(), &trial.before, &note).await?)
    }

    /// Takes versions and aliases along.
    async fn delete(cx: &Cx, name: &Name, _live: &LiveFunction) -> Result<()> {
        let sent = cx.aws.lambda().delete_function().function_name(&name.physical).send().await;
        Ok(Error::missing_is_done(sent.map_err(Error::aws("lambda", "DeleteFunction")))?)
    }
}

/// What a `database` sets.
const INJECTED: [&str; 4] = ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME", "DATABASE_SECRET_ARN"];
/// Variables that Lambda sets and refuses: "Defined runtime environment variables" in its developer guide.
const RESERVED: [&str; 7] = [
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_EXECUTION_ENV",
];

impl Function {
    fn artifact(&self) -> Build {
        Build::Lambda { package: self.package.clone(), architecture: self.architecture.resolve() }
    }

    async fn zip(&self, cx: &Cx) -> Result<Blob> {
        let path = &cx.artifact(&self.artifact())?.path;
        let bytes = tokio::fs::read(path).await;
        let bytes = bytes.map_err(|err| KindError::Unusable(format!("cannot read {}: {err}", path.display())))?;
        Ok(Blob::new(bytes))
    }

    /// Publishes what there is, lets it serve, on trial where alarms watch it, and deletes old versions.
    async fn publish(&self, cx: &Cx, name: &Name, live: &LiveFunction) -> Result<()> {
        let version = version::publish(cx, &name.physical, live.newest.code_sha256()).await?;
        // What is on trial itself is nothing to go back to.
        let before = live.trial.as_ref().map_or_else(|| live.version(), |it| Some(it.before.as_str()));
        let before = before.filter(|it| live.is_published() && *it != version);
        let note = self.rollout.as_ref().zip(before).map_or(Note::None, |(it, before)| it.begin(before));
        version::point(cx, &name.physical, live.alias.as_ref(), &version, &note).await?;
        let spared: Vec<&str> = before.into_iter().chain([version.as_str()]).collect();
        Ok(version::prune(cx, &name.physical, &spared).await?)
    }

    /// Returns all variables of the environment; not known before what they tell of is ready.
    fn variables(&self, cx: &Cx) -> Result<BTreeMap<String, String>> {
        let mut variables = self.environment.clone();
        variables.insert("STACK".into(), cx.scope.stack.clone());
        for (name, it) in &self.outputs {
            variables.insert(name.clone(), cx.output(&it.of, &it.output)?);
        }
        if let Some(database) = &self.database {
            let live = cx.live(database)?;
            let known = live.environment().ok_or_else(|| KindError::NotReady(database.address()))?;
            variables.extend(known.map(|(key, value)| (key.to_owned(), value)));
        }
        Ok(variables)
    }

    fn environment(&self, cx: &Cx) -> Result<types::Environment> {
        let variables = self.variables(cx)?.into_iter().collect();
        Ok(types::Environment::builder().set_variables(Some(variables)).build())
    }

    fn logging(&self, scope: &Scope) -> types::LoggingConfig {
        let format = match self.log_format {
            LogFormat::Json => types::LogFormat::Json,
            LogFormat::Text => types::LogFormat::Text,
        };
        let group = log_group::name_in(scope, &self.log_group.0.name);
        types::LoggingConfig::builder().log_format(format).log_group(group).build()
    }

    /// Returns its subnets and its security groups.
    fn place(&self, cx: &Cx) -> Result<(Vec<String>, Vec<String>)> {
        let Some(own) = &self.network else { return Ok((self.subnets.clone(), self.security_groups.clone())) };
        network::place(cx, own, "functions").map(|it| (it.subnets, vec![it.group]))
    }

    fn vpc(&self, cx: &Cx) -> Result<types::VpcConfig> {
        let (subnets, groups) = self.place(cx)?;
        let vpc = types::VpcConfig::builder().set_subnet_ids(Some(subnets));
        Ok(vpc.set_security_group_ids(Some(groups)).build())
    }

    async fn reserve(&self, cx: &Cx, name: &Name) -> Result<()> {
        let lambda = cx.aws.lambda();
        match self.reserved_concurrency {
            Some(reserved) => {
                let request = lambda.put_function_concurrency().function_name(&name.physical);
                let request = request.reserved_concurrent_executions(i32::try_from(reserved).unwrap_or(i32::MAX));
                request.send().await.map_err(Error::aws("lambda", "PutFunctionConcurrency"))?;
            }
            None => {
                let sent = lambda.delete_function_concurrency().function_name(&name.physical).send().await;
                Error::missing_is_done(sent.map_err(Error::aws("lambda", "DeleteFunctionConcurrency")))?;
            }
        }
        Ok(())
    }

    fn mebibytes(&self) -> i32 {
        i32::try_from(self.memory.as_mebibytes()).unwrap_or(i32::MAX)
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.timeout.as_secs()).unwrap_or(i32::MAX)
    }
}

/// Returns what others invoke of a function: `<name>:live`.
pub(super) fn live_name(scope: &Scope, function: &Ref<Function>) -> String {
    format!("{}:{LIVE}", scope.physical_of(function))
}

/// Returns the name of a function from its ARN, with what is named of it.
pub(super) fn name_in(arn: &str) -> Option<&str> {
    arn.splitn(7, ':').nth(6)
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::types::{AliasConfiguration, FunctionConfiguration};

    use super::*;
    use crate::resource::{Observation, Ownership};

    fn spec(value: Value) -> Function {
        let mut whole = json!({ "package": "ingest", "role": "ingest", "log_group": "ingest" });
        for (key, it) in value.as_object().into_iter().flatten() {
            whole[key] = it.clone();
        }
        serde_json::from_value(whole).expect("a spec")
    }

    #[test]
    fn flaws() {
        let at = |value| spec(value).check().into_iter().map(|it| it.at).collect::<Vec<_>>();
        assert_eq!(at(json!({})), Vec::<String>::new());
        assert_eq!(at(json!({ "memory": "64MiB", "timeout": "16m" })), ["/memory", "/timeout"]);
        assert_eq!(at(json!({ "timeout": "500ms" })), ["/timeout"]);
        assert_eq!(at(json!({ "environment": { "1A": "", "STACK": "", "AWS_REGION": "" } })).len(), 3);
        let own = json!({ "DATABASE_HOST": "", "DATABASE_SSLMODE": "" });
        assert_eq!(at(json!({ "environment": own })), Vec::<String>::new(), "its own database");
        assert_eq!(at(json!({ "environment": own, "database": "shop" })), ["/environment/DATABASE_HOST"]);
        assert_eq!(at(json!({ "subnets": ["a"] })), ["/subnets"]);
        let rollout = json!({ "rollout": { "alarms": [], "bake_time": "500ms" } });
        assert_eq!(at(rollout), ["/rollout/alarms", "/rollout/bake_time"]);
        let twice = json!({ "environment": { "A": "" }, "outputs": { "A": "bucket.lake.url", "STACK": "job.a.id" } });
        assert_eq!(at(twice), ["/outputs/A", "/outputs/STACK"]);
    }

    #[test]
    fn outputs_of_others_are_variables_once_they_are_known() {
        let spec = spec(json!({ "environment": { "A": "1" }, "outputs": { "LAKE": "bucket.lake.url" } }));
        let cx = crate::resource::testing::cx();
        let err = spec.variables(&cx).expect_err("not there yet");
        assert_eq!(err.to_string(), "bucket.lake is not ready, and this needs it");
        let observation = Observation {
            observed: Value::Null,
            identity: Identity { id: None, ownership: Ownership::Foreign },
            phase: Phase::Ready,
            outputs: Outputs::from([("url", "s3://lake".to_owned())]),
            live: std::sync::Arc::new(()),
        };
        cx.lives.set(&"bucket.lake".parse().expect("an address"), Some(observation));
        let wanted = [("A", "1"), ("LAKE", "s3://lake"), ("STACK", "s")].map(|(key, it)| (key.into(), it.into()));
        assert_eq!(spec.variables(&cx).expect("known"), BTreeMap::from(wanted));
    }

    #[test]
    fn native_is_the_processor_of_this_machine() {
        let spec = spec(json!({ "architecture": "native" }));
        let here = std::env::consts::ARCH.replace("aarch64", "arm64");
        assert_eq!(spec.architecture.resolve().to_string(), here);
        assert_eq!(spec.build().map(|it| it.to_string()), Some(format!("lambdas/ingest ({here})")));
    }

    fn live(newest: FunctionConfiguration) -> LiveFunction {
        LiveFunction {
            newest,
            serves: None,
            alias: None,
            trial: None,
            concurrency: None,
            url: None,
            tags: Tags::default(),
        }
    }

    #[test]
    fn phases() {
        let phase = |config| Function::phase(&live(config));
        let active = FunctionConfiguration::builder().state(State::Active);
        assert_eq!(
            phase(FunctionConfiguration::builder().state(State::Pending).build()),
            Phase::Pending("Pending".into())
        );
        assert_eq!(phase(active.clone().build()), Phase::Ready);
        let updating = active.clone().last_update_status(LastUpdateStatus::InProgress).build();
        assert_eq!(phase(updating), Phase::Pending("InProgress".into()));
        let failed = active.last_update_status(LastUpdateStatus::Failed).last_update_status_reason("no subnet").build();
        assert_eq!(phase(failed), Phase::Failed("no subnet".into()));
    }

    #[test]
    fn what_serves_is_what_is_observed() {
        let config = |memory| FunctionConfiguration::builder().state(State::Active).memory_size(memory).build();
        let mut live = live(config(512));
        assert_eq!(Function::observed(&live)["alias"], Value::Null, "no version was published yet");
        live.serves = Some(config(256));
        let alias = AliasConfiguration::builder().function_version("3");
        live.alias = Some(alias.clone().build());
        let observed = Function::observed(&live);
        assert_eq!((&observed["memory"], &observed["alias"]), (&json!("256MiB"), &json!("live")));
        assert_eq!(observed["unpublished"], json!({ "memory": "512MiB" }));
        let back = Note::Back { from: "4".into(), alarm: "s-errors".into() };
        let told = [
            (alias.clone().function_version("$LATEST").build(), "live, at $LATEST"),
            (alias.description(back.to_string()).build(), "live, moved back from version 4 by s-errors"),
        ];
        for (alias, text) in told {
            assert_eq!(standing(&alias), text);
        }
    }

    #[test]
    fn names_in_arns() {
        assert_eq!(name_in("arn:aws:lambda:eu-west-1:123456789012:function:s-a:live"), Some("s-a:live"));
        assert_eq!(name_in("arn:aws:lambda:eu-west-1:123456789012:function:s-a"), Some("s-a"));
        assert_eq!(name_in("s-a"), None);
    }
}
