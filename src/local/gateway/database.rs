//! Databases: RDS instances of PostgreSQL. Each is a database and a role of the one PostgreSQL of this machine.
//!
//! An instance is available once its role can log in. Class, storage and the like are remembered and shown. As all
//! instances share one server, a second instance cannot have a database or a role that another one has. A final
//! snapshot keeps the database itself, under another name. Other operations of RDS pass on to the cloud.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Postgres,
    call::{Call, Fault, Reply},
    cloudwatch::source::DatabaseWatched as Watched,
    record::Records,
    upstream::Upstream,
};

mod check;
mod form;
mod lifecycle;
mod record;
mod secret;
mod server;
mod xml;

use check::{combination, invalid};
use form::Form;
pub(crate) use record::Databases;
use record::{Instance, Secret, Status};
pub(crate) use server::Server;

/// The most entries on one page.
const PAGE: usize = 100;

/// The instances of this machine.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseApi {
    records: Arc<Records<Databases>>,
    server: Arc<dyn Server>,
    upstream: Upstream,
    endpoint: (Arc<str>, u16),
    superuser: Arc<str>,
    account: String,
    pace: Duration,
}

impl DatabaseApi {
    /// Serves these records. Changes take at least `pace` to settle.
    pub(crate) fn new(
        records: Records<Databases>,
        server: Arc<dyn Server>,
        postgres: &Postgres,
        upstream: Upstream,
        account: &str,
        pace: Duration,
    ) -> Self {
        Self {
            records: Arc::new(records),
            server,
            upstream,
            endpoint: (postgres.host.as_str().into(), postgres.port),
            superuser: postgres.user.as_str().into(),
            account: account.to_owned(),
            pace,
        }
    }

    /// Lists the instances that can be used.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        let now = self.records.now();
        let usable = now.instances.iter().filter(|(_, it)| matches!(it.status, Status::Available | Status::Modifying));
        let watched = |(key, it): (&String, &Instance)| Watched {
            region: key.split('/').next().unwrap_or_default().to_owned(),
            id: it.id.clone(),
            database: it.database.clone(),
            user: it.user.clone(),
            storage: it.number("AllocatedStorage"),
        };
        usable.map(watched).collect()
    }

    /// Answers a request of the RDS API; [`Reply::Pass`] where it concerns something else, such as a subnet group.
    pub(crate) async fn answer(&self, call: &Call) -> Reply {
        let form = Form::parse(&call.body);
        let answer = match form.text("Action").unwrap_or_default() {
            "CreateDBInstance" => self.create(&form, &call.region).await,
            "DescribeDBInstances" => self.describe(&form, &call.region),
            "ModifyDBInstance" => self.modify(&form, &call.region).await,
            "DeleteDBInstance" => self.delete(&form, &call.region).await,
            "DescribeDBSnapshots" => self.describe_snapshots(&form, &call.region),
            "DeleteDBSnapshot" => self.delete_snapshot(&form, &call.region).await,
            action @ ("AddTagsToResource" | "RemoveTagsFromResource" | "ListTagsForResource")
                if form.text("ResourceName").is_some_and(|it| it.contains(":db:")) =>
            {
                self.tags(action, &form, &call.region).await
            }
            _ => Ok(Reply::Pass),
        };
        if let Err(fault) = &answer {
            tracing::info!("rds {}: {fault}", form.text("Action").unwrap_or_default());
        }
        answer.unwrap_or_else(|fault| xml::refusal(&fault))
    }

    async fn create(&self, form: &Form, region: &str) -> Result<Reply, Fault> {
        let id = check::identifier("DBInstanceIdentifier", form.required("DBInstanceIdentifier")?)?;
        let fields = check::fields(form)?;
        let managed = check::credentials(form)?;
        let user = form.required("MasterUsername")?.to_owned();
        if *user == *self.superuser {
            return Err(invalid(format!(
                "MasterUsername {user} is the superuser of the local PostgreSQL; choose another one"
            )));
        }
        let resource_id = format!("db-{}", Uuid::new_v4().simple().to_string().to_uppercase());
        let major = fields.get("EngineVersion").and_then(|it| it.split('.').next()).unwrap_or_default();
        let list = |name| form.list(name).unwrap_or_default();
        let key = self.key(form, region);
        let instance = Instance {
            arn: format!("arn:aws:rds:{region}:{}:db:{id}", self.account),
            resource_id,
            created: jiff::Timestamp::now().to_string(),
            status: Status::Creating,
            database: form.text("DBName").map(str::to_owned),
            secret: managed.then(|| Secret { arn: String::new(), key }),
            security_groups: list("VpcSecurityGroupIds.VpcSecurityGroupId"),
            log_exports: list("EnableCloudwatchLogsExports.member"),
            subnet_group: form.text("DBSubnetGroupName").map(str::to_owned),
            parameter_group: form
                .text("DBParameterGroupName")
                .map_or_else(|| format!("default.postgres{major}"), str::to_owned),
            tags: form.tags(),
            pending: BTreeMap::new(),
            last_snapshot: None,
            user,
            fields,
            id,
        };
        let password = match form.text("MasterUserPassword") {
            Some(it) if !managed => it.to_owned(),
            _ => secret::password(),
        };
        let instance = self.begin(instance, &password, region).await?;
        let shown = xml::answer("CreateDBInstance", |it| instance.show(it, self.endpoint()))?;
        self.settle(key_of(region, &instance.id), Some(password));
        Ok(shown)
    }

    fn describe(&self, form: &Form, region: &str) -> Result<Reply, Fault> {
        let records = self.records.now();
        if let Some(given) = form.text("DBInstanceIdentifier") {
            let instance = find(&records, region, given)?;
            return xml::answer("DescribeDBInstances", |it| {
                it.nest("DBInstances", |it| instance.show(it, self.endpoint()))
            });
        }
        // A filter narrows the list, and what it names need not be there; only the identifier itself must.
        let wanted = match form.text("Filters.Filter.1.Name") {
            Some("db-instance-id") => Some(form.list("Filters.Filter.1.Values.Value").unwrap_or_default()),
            Some(it) => return Err(invalid(format!("Unrecognized filter name: {it}"))),
            None => None,
        };
        let is_wanted = |it: &Instance| wanted.as_ref().is_none_or(|ids| ids.contains(&it.id) || ids.contains(&it.arn));
        let own = records.instances.iter().filter(|(key, _)| key.starts_with(&format!("{region}/")));
        let all: Vec<_> = own.map(|(_, it)| it).filter(|it| is_wanted(it)).collect();
        let (page, next) = page(form, &all)?;
        xml::answer("DescribeDBInstances", |it| {
            it.nest("DBInstances", |it| page.iter().try_for_each(|instance| instance.show(it, self.endpoint())))?;
            next.iter().try_for_each(|next| it.text("Marker", next))
        })
    }

    async fn modify(&self, form: &Form, region: &str) -> Result<Reply, Fault> {
        let key = key_of(region, form.required("DBInstanceIdentifier")?);
        let before = find_key(&self.records.now(), &key)?.clone();
        let password = form.text("MasterUserPassword");
        let managed = form.text("ManageMasterUserPassword").map(|it| it == "true");
        if let Some(it) = password {
            check::password(it)?;
            if managed.unwrap_or(before.secret.is_some()) {
                return Err(combination("You can't give a master password to an instance whose password is managed."));
            }
        } else if managed == Some(false) && before.secret.is_some() {
            return Err(combination("MasterUserPassword is required when the password is no longer managed."));
        }
        let at_once = form.is_true("ApplyImmediately");
        let rotates = form.is_true("RotateMasterUserPassword");
        let begins = managed == Some(true) && before.secret.is_none();
        if rotates && (before.secret.is_none() || !at_once) {
            return Err(combination("RotateMasterUserPassword needs a managed password and ApplyImmediately."));
        }
        let after = self.records.change(|all| {
            let instance = all.instances.get_mut(&key).ok_or_else(|| missing(&key))?;
            if instance.status != Status::Available {
                return Err(wrong_state(instance));
            }
            let changes = check::changes(form, instance)?;
            instance.fields.extend(changes.now);
            instance.pending.extend(changes.later);
            if let Some(it) = form.list("VpcSecurityGroupIds.VpcSecurityGroupId") {
                instance.security_groups = it;
            }
            if begins {
                instance.secret = Some(Secret { arn: String::new(), key: self.key(form, region) });
            } else if managed == Some(false) {
                instance.secret = None;
            }
            if let Some(it) = form.text("DBParameterGroupName") {
                it.clone_into(&mut instance.parameter_group);
            }
            if let Some(it) = form.list("CloudwatchLogsExportConfiguration.DisableLogTypes.member") {
                instance.log_exports.retain(|log| !it.contains(log));
            }
            if let Some(it) = form.list("CloudwatchLogsExportConfiguration.EnableLogTypes.member") {
                instance.log_exports.extend(it);
                instance.log_exports.sort();
                instance.log_exports.dedup();
            }
            if at_once && !instance.pending.is_empty() {
                instance.status = Status::Modifying;
            }
            Ok(instance.clone())
        });
        let mut after = after.await?;
        if let Some(it) = password {
            self.server.role(&after.user, it).await.map_err(broken)?;
        }
        if rotates || begins {
            self.rotate(&key, region).await?;
            after = find_key(&self.records.now(), &key)?.clone();
        }
        if let Some(it) = before.secret.filter(|_| managed == Some(false)) {
            secret::delete(&self.upstream, region, &it.arn).await?;
        }
        if after.status == Status::Modifying {
            self.settle(key, None);
        }
        xml::answer("ModifyDBInstance", |it| after.show(it, self.endpoint()))
    }

    async fn delete(&self, form: &Form, region: &str) -> Result<Reply, Fault> {
        let key = key_of(region, form.required("DBInstanceIdentifier")?);
        let skip = form.is_true("SkipFinalSnapshot");
        let snapshot = form.text("FinalDBSnapshotIdentifier");
        let changed = self.records.change(|all| {
            let taken = |id: &str| all.snapshots.contains_key(&key_of(region, id));
            let snapshot = match (skip, snapshot) {
                (true, Some(_)) => {
                    return Err(combination(
                        "FinalDBSnapshotIdentifier can't be specified when SkipFinalSnapshot is enabled.",
                    ));
                }
                (false, None) => {
                    return Err(combination(
                        "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
                    ));
                }
                (false, Some(it)) if taken(it) => {
                    let message =
                        format!("Cannot create the snapshot because one with the identifier {it} already exists.");
                    return Err(Fault::new(400, "DBSnapshotAlreadyExists", message));
                }
                (_, it) => it.map(|it| check::identifier("FinalDBSnapshotIdentifier", it)).transpose()?,
            };
            let instance = all.instances.get_mut(&key).ok_or_else(|| missing(&key))?;
            if instance.status == Status::Deleting || (snapshot.is_some() && instance.status == Status::Creating) {
                return Err(wrong_state(instance));
            }
            if instance.field("DeletionProtection") == "true" {
                let message = "Cannot delete protected DB Instance, please disable deletion protection and try again.";
                return Err(combination(message));
            }
            instance.status = Status::Deleting;
            instance.last_snapshot = snapshot;
            Ok(instance.clone())
        });
        let instance = changed.await?;
        self.settle(key, None);
        xml::answer("DeleteDBInstance", |it| instance.show(it, self.endpoint()))
    }

    fn describe_snapshots(&self, form: &Form, region: &str) -> Result<Reply, Fault> {
        let records = self.records.now();
        let (id, of) = (form.text("DBSnapshotIdentifier"), form.text("DBInstanceIdentifier"));
        let found = records.snapshots.iter().filter(|(key, it)| {
            key.starts_with(&format!("{region}/"))
                && id.is_none_or(|id| id.eq_ignore_ascii_case(&it.id))
                && of.is_none_or(|of| of.eq_ignore_ascii_case(&it.instance))
        });
        let found: Vec<_> = found.map(|(_, it)| it).collect();
        if let Some(id) = id.filter(|_| found.is_empty()) {
            return Err(Fault::new(404, "DBSnapshotNotFound", format!("DBSnapshot {id} not found.")));
        }
        let (page, next) = page(form, &found)?;
        xml::answer("DescribeDBSnapshots", |it| {
            it.nest("DBSnapshots", |it| page.iter().try_for_each(|snapshot| snapshot.show(it)))?;
            next.iter().try_for_each(|next| it.text("Marker", next))
        })
    }

    async fn delete_snapshot(&self, form: &Form, region: &str) -> Result<Reply, Fault> {
        let id = form.required("DBSnapshotIdentifier")?;
        let key = key_of(region, id);
        let gone = || Fault::new(404, "DBSnapshotNotFound", format!("DBSnapshot {id} not found."));
        let snapshot = self.records.now().snapshots.get(&key).cloned().ok_or_else(gone)?;
        if let Some(database) = &snapshot.database {
            self.server.drop_database(database).await.map_err(broken)?;
        }
        self.records.change(|all| Ok(all.snapshots.remove(&key))).await?;
        xml::answer("DeleteDBSnapshot", |it| snapshot.show(it))
    }

    async fn tags(&self, action: &str, form: &Form, region: &str) -> Result<Reply, Fault> {
        let key = key_of(region, form.required("ResourceName")?);
        if action == "ListTagsForResource" {
            let records = self.records.now();
            let instance = find_key(&records, &key)?;
            return xml::answer(action, |it| record::show_tags(it, &instance.tags));
        }
        let changed = self.records.change(|all| {
            let instance = all.instances.get_mut(&key).ok_or_else(|| missing(&key))?;
            match form.list("TagKeys.member") {
                Some(keys) if action == "RemoveTagsFromResource" => instance.tags.retain(|it, _| !keys.contains(it)),
                _ => instance.tags.extend(form.tags()),
            }
            Ok(())
        });
        changed.await?;
        xml::answer(action, |_| Ok(()))
    }

    /// Returns the key that a secret is encrypted with.
    fn key(&self, form: &Form, region: &str) -> String {
        let default = || format!("arn:aws:kms:{region}:{}:alias/aws/secretsmanager", self.account);
        form.text("MasterUserSecretKmsKeyId").map_or_else(default, str::to_owned)
    }

    fn endpoint(&self) -> (&str, u16) {
        (&self.endpoint.0, self.endpoint.1)
    }
}

/// Returns the key of an instance or a snapshot, given by its identifier or its ARN.
fn key_of(region: &str, given: &str) -> String {
    format!("{region}/{}", given.rsplit(':').next().unwrap_or(given).to_lowercase())
}

fn find<'a>(records: &'a Databases, region: &str, given: &str) -> Result<&'a Instance, Fault> {
    find_key(records, &key_of(region, given))
}

fn find_key<'a>(records: &'a Databases, key: &str) -> Result<&'a Instance, Fault> {
    records.instances.get(key).ok_or_else(|| missing(key))
}

/// Cuts a list into the page that a request asks for; returns it with the marker of the next one.
fn page<'a, T>(form: &Form, all: &[&'a T]) -> Result<(Vec<&'a T>, Option<usize>), Fault> {
    let size = match form.number("MaxRecords")? {
        Some(it @ 20..=100) => usize::try_from(it).unwrap_or(PAGE),
        Some(it) => return Err(invalid(format!("Invalid value {it} for MaxRecords. Must be between 20 and 100"))),
        None => PAGE,
    };
    let from = usize::try_from(form.number("Marker")?.unwrap_or(0)).unwrap_or(0);
    let next = (from + size < all.len()).then_some(from + size);
    Ok((all.iter().skip(from).take(size).copied().collect(), next))
}

fn missing(key: &str) -> Fault {
    let id = key.rsplit('/').next().unwrap_or(key);
    Fault::new(404, "DBInstanceNotFound", format!("DBInstance {id} not found."))
}

fn wrong_state(instance: &Instance) -> Fault {
    let message = format!("Instance {} is {}: it must be available.", instance.id, instance.status.word());
    Fault::new(400, "InvalidDBInstanceState", message)
}

fn broken(reason: String) -> Fault {
    Fault::new(500, "InternalFailure", reason)
}
