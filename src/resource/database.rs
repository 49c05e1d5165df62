//! A PostgreSQL database in Amazon RDS: encrypted, never public, its password kept by RDS itself.

use std::time::Duration;

use aws_sdk_rds::types::{self, DbInstance};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Change, Cx, Desired, Error as KindError, Field, Flaw, Identity, Key, Network, Objection, Outputs, ParameterGroup,
    Phase, Resource, Result, Tags, key, network, touched,
};
use crate::{
    address::{Name, Ref},
    client::{Error, Reason},
    quantity::{Size, Span},
};

mod password;
mod window;

use password::{Password, Version};

/// The tag that remembers whether deletion takes a last snapshot: deletion knows no spec.
const FINAL_SNAPSHOT: &str = "ecomctl:final-snapshot";
/// The one log of PostgreSQL that is exported, as RDS calls it.
const LOG: &str = "postgresql";

/// A PostgreSQL instance in Amazon RDS. It is encrypted and not public, and RDS keeps and rotates the password of its
/// main user in Secrets Manager.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line of the stack's file")]
pub struct Database {
    /// The major version of PostgreSQL, such as `17`. RDS applies minor versions by itself.
    pub engine_version: String,
    /// The size of the instance, such as `db.m7g.large`.
    pub instance_class: String,
    /// The volume, in whole GiB. It can grow, and not shrink. Default: `20GiB`.
    #[serde(default = "smallest")]
    pub storage: Size,
    /// Up to where RDS lets the volume grow by itself when it fills up. `storage` is then what it begins with. Default: it
    /// does not grow by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_storage: Option<Size>,
    /// The kind of volume. Default: `gp3`.
    #[serde(default = "gp3")]
    pub storage_type: String,
    /// The name of the database within the instance. Cannot be changed.
    pub name: String,
    /// The main user. Cannot be changed. Default: `ecomctl`.
    #[serde(default = "user")]
    pub username: String,
    /// How long daily backups are kept, in whole days: `1d` to `35d`, or `0s` for none. Default: `7d`.
    #[serde(default = "week")]
    pub backup_retention: Span,
    /// Whether a standby in another availability zone takes over when the instance fails. Default: `false`.
    #[serde(default)]
    pub multi_az: bool,
    /// Whether RDS refuses to delete the instance. Default: `true`.
    #[serde(default = "yes")]
    pub deletion_protection: bool,
    /// Whether deletion leaves a last snapshot behind. Default: `true`.
    #[serde(default = "yes")]
    pub final_snapshot: bool,
    /// The settings of PostgreSQL. Default: RDS's own, which demand TLS from version 15 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_group: Option<Ref<ParameterGroup>>,
    /// Whether RDS keeps what PostgreSQL was busy with, for 7 days, which costs nothing. Default: `true`.
    #[serde(default = "yes")]
    pub insights: bool,
    /// When backups are made, in UTC, such as `02:00-02:30`. Default: RDS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_window: Option<String>,
    /// When RDS may apply minor versions and mend the machine, in UTC, such as `sun:03:00-sun:03:30`. Default: RDS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_window: Option<String>,
    /// Whether PostgreSQL's log goes to `CloudWatch`, where `ecomctl logs` reads it. Default: `true`.
    #[serde(default = "yes")]
    pub export_log: bool,
    /// The network that the instance lies in. Instead of `subnet_group` and `security_groups`. Cannot be changed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Ref<Network>>,
    /// The group of subnets that the instance lies in. Default: the VPC's own. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet_group: Option<String>,
    /// The security groups of the instance. Default: the VPC's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<Vec<String>>,
    /// The authority that signs the server's certificate, such as `rds-ca-rsa2048-g1`. Default: the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// The ARN of the KMS key that encrypts the volume. Default: the account's key for RDS. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// The key of this stack that encrypts the volume, its backups, and the secret that the password is kept in. Instead of `kms_key`. Cannot be changed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Ref<Key>>,
}

/// An instance as RDS has it.
#[derive(Debug)]
pub struct LiveDatabase {
    instance: DbInstance,
    tags: Tags,
    /// What is known of the password, where one may ask.
    password: Password,
}

impl LiveDatabase {
    /// What functions need in order to connect: `DATABASE_HOST`, `_PORT`, `_NAME` and `_SECRET_ARN`; `None` while the
    /// instance is not there yet.
    pub fn environment(&self) -> Option<[(&'static str, String); 4]> {
        let endpoint = self.instance.endpoint()?;
        let secret = self.instance.master_user_secret()?.secret_arn()?;
        Some([
            ("DATABASE_HOST", endpoint.address()?.to_owned()),
            ("DATABASE_PORT", endpoint.port()?.to_string()),
            ("DATABASE_NAME", self.instance.db_name()?.to_owned()),
            ("DATABASE_SECRET_ARN", secret.to_owned()),
        ])
    }

    /// The stack that its tags name: whose its schemas are.
    pub fn stack(&self) -> Option<String> {
        self.tags.stack()
    }
}

const fn smallest() -> Size {
    Size::gibibytes(20)
}

fn gp3() -> String {
    "gp3".into()
}

fn user() -> String {
    "ecomctl".into()
}

const fn week() -> Span {
    Span::seconds(7 * 86_400)
}

const fn yes() -> bool {
    true
}

/// Says whether RDS takes this as a name: its rule is the same for all that it names, but for the length.
pub(super) fn is_rds_name(physical: &str, longest: usize) -> bool {
    physical.len() <= longest
        && physical.starts_with(|it: char| it.is_ascii_lowercase())
        && !physical.ends_with('-')
        && !physical.contains("--")
        && physical.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-')
}

impl Resource for Database {
    const FIELDS: &'static [(&'static str, Field)] = &[
        ("storage", Field::Grows("RDS cannot shrink a volume. Keep {live}.")),
        ("storage", Field::Defaulted),
        ("parameter_group", Field::Defaulted),
        ("backup_window", Field::Defaulted),
        ("maintenance_window", Field::Defaulted),
        ("name", Field::Immutable),
        ("username", Field::Immutable),
        ("encrypted", Field::Immutable),
        ("subnet_group", Field::Defaulted),
        ("security_groups", Field::Defaulted),
        ("ca", Field::Defaulted),
        ("kms_key", Field::Defaulted),
        ("secret_key", Field::Defaulted),
        ("tags", Field::Defaulted),
    ];
    const DATA_BEARING: bool = true;
    const PATIENCE: Duration = Duration::from_secs(40 * 60);
    const USUAL: Option<Duration> = Some(Duration::from_secs(10 * 60));
    const INTERRUPTS: &'static [(&'static str, &'static str)] = &[
        ("instance_class", "restarts the instance: away for some minutes, with a standby for about one"),
        ("engine_version", "upgrades and restarts the instance, away for 10 minutes or more, and cannot be undone"),
        ("ca", "may restart the instance"),
        ("parameter_group", "counts in full only once the instance was restarted, which is left to you"),
    ];
    const OUTPUTS: &'static [&'static str] =
        &["arn", "host", "port", "name", "jdbc_url", "username", "secret_arn", "secret_version", "secret_key_arn"];
    type Live = LiveDatabase;

    fn check(&self) -> Vec<Flaw> {
        let mut flaws: Vec<Flaw> = key::flaw(self.key.as_ref(), self.kms_key.as_ref()).into_iter().collect();
        if self.engine_version.is_empty() || !self.engine_version.chars().all(|it| it.is_ascii_digit()) {
            let flaw = Flaw::new("/engine_version", format!("`{}` is no major version", self.engine_version));
            flaws.push(flaw.help("write it like \"17\", in quotes: RDS applies minor versions by itself"));
        }
        if !self.instance_class.starts_with("db.") {
            let flaw = Flaw::new("/instance_class", format!("`{}` is no class of RDS", self.instance_class));
            flaws.push(flaw.help("it looks like `db.m7g.large`"));
        }
        if self.storage < smallest() || !self.storage.as_bytes().is_multiple_of(1 << 30) {
            let flaw = Flaw::new("/storage", format!("a PostgreSQL volume cannot be {}", self.storage));
            flaws.push(flaw.help("write `20GiB` or more, in whole GiB"));
        }
        if let Some(most) = self.max_storage
            && (most.as_bytes() * 10 < self.storage.as_bytes() * 11 || !most.as_bytes().is_multiple_of(1 << 30))
        {
            let flaw = Flaw::new("/max_storage", format!("a volume of {} cannot grow up to {most}", self.storage));
            flaws.push(flaw.help("write whole GiB, at least a tenth more than `storage`"));
        }
        let days = self.backup_retention.as_days();
        if days > 35 || self.backup_retention != Span::seconds(days * 86_400) {
            let flaw = Flaw::new("/backup_retention", format!("RDS cannot keep backups for {}", self.backup_retention));
            flaws.push(flaw.help("write whole days from `1d` to `35d`, or `0s` for no backups"));
        }
        for (field, name) in [("name", &self.name), ("username", &self.username)] {
            let fits = name.starts_with(|it: char| it.is_ascii_lowercase())
                && name.len() <= 63
                && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_');
            if !fits {
                let flaw = Flaw::new(format!("/{field}"), format!("`{name}` is no name in PostgreSQL on RDS"));
                flaws.push(flaw.help("up to 63 small letters, digits and `_`, beginning with a letter"));
            }
        }
        for (field, window, weekly) in
            [("backup_window", &self.backup_window, false), ("maintenance_window", &self.maintenance_window, true)]
        {
            if let Some(it) = window.as_ref().filter(|it| !window::is(it, weekly)) {
                let flaw = Flaw::new(format!("/{field}"), format!("`{it}` is no such window"));
                let example = if weekly { "sun:03:00-sun:03:30" } else { "02:00-02:30" };
                flaws.push(flaw.help(format!("write it like `{example}`, in UTC, at least half an hour")));
            }
        }
        let raw = self.subnet_group.is_some() || self.security_groups.is_some();
        flaws.extend(network::flaws(self.network.as_ref(), raw));
        if ["admin", "postgres", "rdsadmin"].contains(&self.username.as_str()) && self.username != "postgres" {
            flaws.push(Flaw::new("/username", format!("RDS keeps `{}` to itself", self.username)));
        }
        flaws
    }

    fn check_name(physical: &str) -> Vec<Flaw> {
        if is_rds_name(physical, 63) {
            return Vec::new();
        }
        let flaw = Flaw::new("", format!("`{physical}` is no name for an RDS instance"));
        vec![flaw.help("up to 63 small letters, digits and single hyphens, beginning with a letter")]
    }

    fn desired(&self, cx: &Cx) -> Result<Desired> {
        let mut desired = Desired::of(self).tagged(cx).without("network").with("public", false).with("encrypted", true);
        desired = key::named(desired, "kms_key", cx, self.key.as_ref())?;
        desired = key::named(desired, "secret_key", cx, self.key.as_ref())?;
        if let Some(group) = &self.parameter_group {
            desired = desired.with("parameter_group", cx.scope.physical_of(group));
        }
        if self.max_storage.is_some() {
            // Where it has grown to by now is RDS's to say.
            desired = desired.without("storage");
        }
        if let Some(own) = &self.network {
            let place = || network::place(cx, own, "database");
            let desired = desired.with_result("subnet_group", place().map(|it| it.subnet_group))?;
            return desired.with_result("security_groups", place().map(|it| vec![it.group]));
        }
        Ok(match self.security_groups.clone() {
            Some(mut groups) => {
                groups.sort();
                desired.with("security_groups", groups)
            }
            None => desired,
        })
    }

    async fn read(cx: &Cx, names: &[Name]) -> Result<Vec<Option<LiveDatabase>>> {
        let found = find(cx, names.iter().map(|it| it.physical.clone()).collect()).await?;
        let versioned = found.into_iter().map(|it| async {
            let Some(mut live) = it else { return Ok(None) };
            live.password = Password::ask(cx, &live.instance).await?;
            Ok(Some(live))
        });
        try_join_all(versioned).await
    }

    async fn candidates(cx: &Cx) -> Result<Vec<String>> {
        let listed = cx.aws.rds().describe_db_instances().into_paginator().items().send();
        let listed: Vec<_> = listed.try_collect().await.map_err(Error::aws("rds", "DescribeDBInstances"))?;
        let names = listed.iter().filter_map(|it: &DbInstance| it.db_instance_identifier());
        Ok(names.filter(|it| cx.scope.may_have(it)).map(str::to_owned).collect())
    }

    fn observed(live: &LiveDatabase) -> Value {
        let it = &live.instance;
        // What was asked for and is not done yet counts as there: asking again would change nothing.
        let pending = it.pending_modified_values();
        let version = pending.and_then(|it| it.engine_version()).or(it.engine_version());
        let storage = pending.and_then(types::PendingModifiedValues::allocated_storage).or(it.allocated_storage());
        let storage = storage.and_then(|it| u64::try_from(it).ok()).map(Size::gibibytes);
        // Up to where it is already means that it does not grow.
        let most = it.max_allocated_storage().and_then(|it| u64::try_from(it).ok()).map(Size::gibibytes);
        let most = most.filter(|it| Some(*it) != storage);
        let backup = pending.and_then(|it| it.backup_retention_period()).or(it.backup_retention_period());
        let backup = backup.and_then(|it| u64::try_from(it).ok()).map(|it| Span::seconds(it * 86_400));
        let groups = it.vpc_security_groups().iter().filter_map(|it| it.vpc_security_group_id());
        let mut groups: Vec<_> = groups.collect();
        groups.sort_unstable();
        json!({
            "engine_version": version.and_then(|it| it.split('.').next()),
            "instance_class": pending.and_then(|it| it.db_instance_class()).or(it.db_instance_class()),
            "storage": storage,
            "max_storage": most,
            "parameter_group": it.db_parameter_groups().first().and_then(|it| it.db_parameter_group_name()),
            "insights": it.performance_insights_enabled().unwrap_or(false),
            "backup_window": it.preferred_backup_window(),
            "maintenance_window": it.preferred_maintenance_window(),
            "storage_type": pending.and_then(|it| it.storage_type()).or(it.storage_type()),
            "name": it.db_name(),
            "username": it.master_username(),
            "backup_retention": backup,
            "multi_az": pending.and_then(types::PendingModifiedValues::multi_az).or(it.multi_az()),
            "deletion_protection": it.deletion_protection().unwrap_or(false),
            "final_snapshot": live.tags.setting(FINAL_SNAPSHOT) != Some("false"),
            "subnet_group": it.db_subnet_group().and_then(|it| it.db_subnet_group_name()),
            "security_groups": groups,
            "ca": pending.and_then(|it| it.ca_certificate_identifier()).or(it.ca_certificate_identifier()),
            "kms_key": it.kms_key_id(),
            "secret_key": it.master_user_secret().and_then(|it| it.kms_key_id()),
            "export_log": it.enabled_cloudwatch_logs_exports().iter().any(|it| it == LOG),
            "public": it.publicly_accessible().unwrap_or(false),
            "encrypted": it.storage_encrypted().unwrap_or(false),
            "tags": live.tags.observed(),
        })
    }

    fn identity(live: &LiveDatabase) -> Identity {
        Identity { id: live.instance.db_instance_arn().map(str::to_owned), ownership: live.tags.ownership() }
    }

    fn phase(live: &LiveDatabase) -> Phase {
        // The words are those of "Viewing DB instance status" in the RDS user guide.
        match live.instance.db_instance_status().unwrap_or("unknown") {
            "available" | "storage-optimization" | "storage-config-upgrade" => {
                match (live.environment(), &live.password.version) {
                    (None, _) => Phase::Pending("available, without an address or a password yet".into()),
                    (Some(_), Version::Unseen) => Phase::Pending("available, without a password to be seen yet".into()),
                    (Some(_), Version::Known(_) | Version::Hidden(_)) => Phase::Ready,
                }
            }
            "deleting" => Phase::Deleting,
            it @ ("failed"
            | "stopped"
            | "storage-full"
            | "restore-error"
            | "incompatible-network"
            | "incompatible-option-group"
            | "incompatible-parameters"
            | "incompatible-restore"
            | "inaccessible-encryption-credentials") => Phase::Failed(it.to_owned()),
            it => Phase::Pending(it.to_owned()),
        }
    }

    fn outputs(live: &LiveDatabase) -> Outputs {
        let it = &live.instance;
        let endpoint = it.endpoint();
        let address = endpoint.and_then(|it| Some((it.address()?, it.port()?))).zip(it.db_name());
        let jdbc = address.map(|((host, port), name)| format!("jdbc:postgresql://{host}:{port}/{name}"));
        let parts = [
            ("arn", it.db_instance_arn().map(str::to_owned)),
            ("host", endpoint.and_then(|it| it.address()).map(str::to_owned)),
            ("port", endpoint.and_then(types::Endpoint::port).map(|it| it.to_string())),
            ("name", it.db_name().map(str::to_owned)),
            ("jdbc_url", jdbc),
            ("username", it.master_username().map(str::to_owned)),
            ("secret_arn", it.master_user_secret().and_then(|it| it.secret_arn()).map(str::to_owned)),
            ("secret_version", live.password.version.known().map(str::to_owned)),
            ("secret_key_arn", live.password.key.clone()),
        ];
        parts.into_iter().filter_map(|(key, it)| Some((key, it?))).collect()
    }

    fn leaves_behind(name: &Name, live: &LiveDatabase) -> Option<String> {
        let kept = live.tags.setting(FINAL_SNAPSHOT) != Some("false");
        kept.then(|| format!("a last snapshot, {}, which costs money until somebody deletes it", snapshot(name)))
    }

    fn objections(&self, _cx: &Cx, live: &LiveDatabase, changes: &[Change]) -> Vec<Objection> {
        let now =
            live.instance.engine_version().and_then(|it| it.split('.').next()).and_then(|it| it.parse::<u32>().ok());
        let object = |it: &Change| {
            let (reason, help) = match it.field.as_str() {
                "kms_key" => (
                    "RDS cannot change the key that encrypts a volume".to_owned(),
                    "put it back; to move, restore a copy of a snapshot that the other key encrypts".to_owned(),
                ),
                "secret_key" => (
                    "RDS cannot change the key of the secret that it keeps the password in".to_owned(),
                    "put it back; a new instance, restored from a snapshot, can have another".to_owned(),
                ),
                "subnet_group" => (
                    "RDS moves an instance to other subnets only with an interruption that `up` does not risk"
                        .to_owned(),
                    "put it back; to move, restore a snapshot into the other group".to_owned(),
                ),
                "engine_version" if self.engine_version.parse().ok() < now => (
                    format!("PostgreSQL cannot go back from {} to {}", now.unwrap_or(0), self.engine_version),
                    format!("keep {}", now.unwrap_or(0)),
                ),
                _ => return None,
            };
            Some(Objection { field: it.field.clone(), reason, help })
        };
        changes.iter().filter_map(object).collect()
    }

    async fn create(&self, cx: &Cx, name: &Name) -> Result<()> {
        let (subnet_group, security_groups) = self.place(cx)?;
        let secret_key = key::arn(cx, self.key.as_ref(), None)?;
        let request = cx.aws.rds().create_db_instance().db_instance_identifier(&name.physical).engine("postgres");
        let request = request
            .engine_version(&self.engine_version)
            .db_instance_class(&self.instance_class)
            .allocated_storage(gibibytes(self.storage))
            .set_max_allocated_storage(self.max_storage.map(gibibytes))
            .set_db_parameter_group_name(self.parameters(cx))
            .enable_performance_insights(self.insights)
            .set_preferred_backup_window(self.backup_window.clone())
            .set_preferred_maintenance_window(self.maintenance_window.clone())
            .storage_type(&self.storage_type)
            .db_name(&self.name)
            .master_username(&self.username)
            .manage_master_user_password(true)
            .backup_retention_period(days(self.backup_retention))
            .multi_az(self.multi_az)
            .deletion_protection(self.deletion_protection)
            .storage_encrypted(true)
            .publicly_accessible(false)
            .auto_minor_version_upgrade(true)
            .copy_tags_to_snapshot(true)
            .set_enable_cloudwatch_logs_exports(self.export_log.then(|| vec![LOG.to_owned()]))
            .set_db_subnet_group_name(subnet_group)
            .set_vpc_security_group_ids(security_groups)
            .set_ca_certificate_identifier(self.ca.clone())
            .set_kms_key_id(secret_key.clone().or_else(|| self.kms_key.clone()))
            .set_master_user_secret_kms_key_id(secret_key)
            .set_tags(Some(self.tags(cx.tags(&name.owner))));
        request.send().await.map_err(Error::aws("rds", "CreateDBInstance"))?;
        Ok(())
    }

    async fn update(&self, cx: &Cx, name: &Name, live: &LiveDatabase, changes: &[Change]) -> Result<()> {
        let touched = touched(changes);
        let rds = cx.aws.rds();
        if let Some(arn) = live.instance.db_instance_arn()
            && (touched.contains("tags") || touched.contains("final_snapshot"))
        {
            let tags = self.tags(live.tags.after(cx, name, changes));
            let request = rds.add_tags_to_resource().resource_name(arn).set_tags(Some(tags));
            request.send().await.map_err(Error::aws("rds", "AddTagsToResource"))?;
            let gone = Tags::removed(changes);
            if !gone.is_empty() {
                let request = rds.remove_tags_from_resource().resource_name(arn).set_tag_keys(Some(gone));
                request.send().await.map_err(Error::aws("rds", "RemoveTagsFromResource"))?;
            }
        }
        if touched.iter().all(|it| ["tags", "final_snapshot"].contains(it)) {
            return Ok(());
        }
        let mut request = rds.modify_db_instance().db_instance_identifier(&name.physical).apply_immediately(true);
        for field in touched {
            request = match field {
                "engine_version" => request.engine_version(&self.engine_version).allow_major_version_upgrade(true),
                "instance_class" => request.db_instance_class(&self.instance_class),
                // RDS wants the size along with the kind of volume.
                "storage" | "storage_type" => {
                    request.allocated_storage(gibibytes(self.storage)).storage_type(&self.storage_type)
                }
                // The same as the storage means that it does not grow.
                "max_storage" => {
                    let now = live.instance.allocated_storage();
                    request.set_max_allocated_storage(self.max_storage.map(gibibytes).or(now))
                }
                "parameter_group" => request.set_db_parameter_group_name(self.parameters(cx)),
                "insights" => request.enable_performance_insights(self.insights),
                "backup_window" => request.set_preferred_backup_window(self.backup_window.clone()),
                "maintenance_window" => request.set_preferred_maintenance_window(self.maintenance_window.clone()),
                "backup_retention" => request.backup_retention_period(days(self.backup_retention)),
                "multi_az" => request.multi_az(self.multi_az),
                "deletion_protection" => request.deletion_protection(self.deletion_protection),
                "security_groups" => request.set_vpc_security_group_ids(self.place(cx)?.1),
                "ca" => request.set_ca_certificate_identifier(self.ca.clone()),
                "export_log" => {
                    let exports = types::CloudwatchLogsExportConfiguration::builder();
                    request.cloudwatch_logs_export_configuration(match self.export_log {
                        true => exports.enable_log_types(LOG).build(),
                        false => exports.disable_log_types(LOG).build(),
                    })
                }
                "public" => request.publicly_accessible(false),
                _ => request,
            };
        }
        request.send().await.map_err(Error::aws("rds", "ModifyDBInstance"))?;
        Ok(())
    }

    async fn delete(cx: &Cx, name: &Name, live: &LiveDatabase) -> Result<()> {
        if live.instance.db_instance_status() == Some("deleting") {
            return Ok(());
        }
        if live.instance.deletion_protection() == Some(true) {
            return Err(KindError::Refused {
                message: format!("the deletion protection of {} is on", name.physical),
                help: "set `deletion_protection: false`, run `ecomctl up`, and then try again".into(),
            });
        }
        let request = cx.aws.rds().delete_db_instance().db_instance_identifier(&name.physical);
        let request = match live.tags.setting(FINAL_SNAPSHOT) {
            Some("false") => request.skip_final_snapshot(true),
            _ => request.final_db_snapshot_identifier(snapshot(name)),
        };
        let sent = request.send().await.map_err(Error::aws("rds", "DeleteDBInstance"));
        match Error::missing_is_done(sent) {
            // The snapshot is there when a run before, whose answer was lost, asked for the deletion.
            Err(err) if err.reason == Reason::Exists => {
                match find(cx, vec![name.physical.clone()]).await?.pop().flatten() {
                    Some(it) if Self::phase(&it) != Phase::Deleting => Err(err.into()),
                    _ => Ok(()),
                }
            }
            sent => Ok(sent?),
        }
    }
}

impl Database {
    /// Returns its group of subnets and its security groups.
    fn place(&self, cx: &Cx) -> Result<(Option<String>, Option<Vec<String>>)> {
        let Some(own) = &self.network else { return Ok((self.subnet_group.clone(), self.security_groups.clone())) };
        network::place(cx, own, "database").map(|it| (Some(it.subnet_group), Some(vec![it.group])))
    }

    /// Returns the name of its settings.
    fn parameters(&self, cx: &Cx) -> Option<String> {
        self.parameter_group.as_ref().map(|it| cx.scope.physical_of(it))
    }

    fn tags(&self, tags: impl IntoIterator<Item = (String, String)>) -> Vec<types::Tag> {
        let last = (FINAL_SNAPSHOT.to_owned(), self.final_snapshot.to_string());
        let tag = |(key, value)| types::Tag::builder().key(key).value(value).build();
        tags.into_iter().filter(|it| it.0 != FINAL_SNAPSHOT).chain([last]).map(tag).collect()
    }
}

/// Finds instances by name, in order, in one request.
pub(super) async fn find(cx: &Cx, names: Vec<String>) -> crate::client::Result<Vec<Option<LiveDatabase>>> {
    let filter = types::Filter::builder().name("db-instance-id").set_values(Some(names.clone())).build();
    let pages = cx.aws.rds().describe_db_instances().filters(filter).into_paginator().items().send();
    let found: Result<Vec<_>, _> = pages.try_collect().await.map_err(Error::aws("rds", "DescribeDBInstances"));
    let mut found = Error::missing_is_none(found)?.unwrap_or_default();
    let pick = |name: String| {
        let at = found.iter().position(|it| it.db_instance_identifier() == Some(&name))?;
        let instance = found.swap_remove(at);
        let tags = instance.tag_list().iter().filter_map(|it| Some((it.key()?, it.value()?))).collect();
        Some(LiveDatabase { instance, tags, password: Password::UNSEEN })
    };
    Ok(names.into_iter().map(pick).collect())
}

/// Names the last snapshot after the attempt to create the instance: the same on every try, another for a new instance.
fn snapshot(name: &Name) -> String {
    let attempt: String = name.owner.nonce.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{}-final-{attempt}", name.physical).trim_end_matches('-').to_owned()
}

fn gibibytes(size: Size) -> i32 {
    i32::try_from(size.as_gibibytes()).unwrap_or(i32::MAX)
}

fn days(span: Span) -> i32 {
    i32::try_from(span.as_days()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
