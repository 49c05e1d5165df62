//! The life of an instance between its states: made, changed and deleted step by step, and taken up again after a crash.

use std::time::Duration;

use uuid::Uuid;

use super::{
    DatabaseApi, broken, find_key, missing,
    record::{Instance, Snapshot, Status},
    secret,
};
use crate::local::gateway::call::Fault;

impl DatabaseApi {
    /// Takes up again what was under way when the gateway ended, and puts back secrets that the cloud lost.
    pub(crate) async fn resume(&self) {
        for (key, instance) in self.records.now().instances.clone() {
            if instance.status == Status::Creating && instance.secret.is_none() {
                // Its password was with the request that never got an answer: without a role, it never was.
                if self.server.has_role(&instance.user).await == Ok(false) {
                    let forgotten = self.records.change(|all| Ok(all.instances.remove(&key))).await;
                    if let Err(err) = forgotten {
                        tracing::warn!("{err}");
                    }
                    continue;
                }
            }
            if instance.status != Status::Available || instance.secret.is_some() {
                self.settle(key, None);
            }
        }
    }

    /// Remembers a new instance and makes its role; returns it as it is then.
    pub(super) async fn begin(&self, instance: Instance, password: &str, region: &str) -> Result<Instance, Fault> {
        let key = super::key_of(region, &instance.id);
        let new = instance.clone();
        self.records.change(|all| {
            if all.instances.contains_key(&key) {
                return Err(Fault::new(400, "DBInstanceAlreadyExists", "DB instance already exists"));
            }
            let shared = |what: &str, name: &str, other: &Instance| {
                super::invalid(format!(
                    "The {what} {name} belongs to the instance {}: all instances of the local cloud share one PostgreSQL. Choose another name.",
                    other.id
                ))
            };
            for other in all.instances.values() {
                if other.user == new.user {
                    return Err(shared("role", &new.user, other));
                }
                if let Some(name) = new.database.as_ref().filter(|it| other.database.as_ref() == Some(it)) {
                    return Err(shared("database", name, other));
                }
            }
            all.instances.insert(key.clone(), new);
            Ok(())
        }).await?;
        match self.equip(&key, &instance, password, region).await {
            Ok(it) => Ok(it),
            Err(err) => {
                // The caller is told that nothing was made, so nothing may stay.
                self.records.change(|all| Ok(all.instances.remove(&key))).await?;
                Err(err)
            }
        }
    }

    /// Makes the role and, where RDS looks after the password, the secret.
    async fn equip(&self, key: &str, instance: &Instance, password: &str, region: &str) -> Result<Instance, Fault> {
        self.server.role(&instance.user, password).await.map_err(broken)?;
        let Some(secret) = &instance.secret else { return Ok(instance.clone()) };
        let name = secret_name(instance);
        let role = (instance.user.as_str(), password);
        let arn = secret::write(&self.upstream, region, (&name, &secret.key), role, &instance.arn).await?;
        let changed = self.records.change(|all| {
            let instance = all.instances.get_mut(key).ok_or_else(|| missing(key))?;
            instance.secret.iter_mut().for_each(|it| it.arn.clone_from(&arn));
            Ok(instance.clone())
        });
        changed.await
    }

    /// Gives the role a new password and writes it into the secret; returns it.
    pub(super) async fn rotate(&self, key: &str, region: &str) -> Result<String, Fault> {
        let instance = find_key(&self.records.now(), key)?.clone();
        let password = secret::password();
        self.equip(key, &instance, &password, region).await?;
        Ok(password)
    }

    /// Brings an instance to where its status leads, in the background: as long as it takes. The password, where it is
    /// known, is used to see whether the role can log in.
    pub(super) fn settle(&self, key: String, password: Option<String>) {
        let api = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(api.pace).await;
            let mut told = String::new();
            while let Err(reason) = api.step(&key, password.as_deref()).await {
                if reason != told {
                    tracing::warn!("database {key}: {reason}");
                    told = reason;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        });
    }

    async fn step(&self, key: &str, password: Option<&str>) -> Result<(), String> {
        let Ok(instance) = find_key(&self.records.now(), key).cloned() else { return Ok(()) };
        let region = key.split('/').next().unwrap_or_default();
        match instance.status {
            Status::Creating => self.finish_creation(key, &instance, password, region).await,
            Status::Available => self.restore_secret(key, &instance, region).await,
            Status::Modifying => {
                let applied = self.records.change(|all| {
                    let instance = all.instances.get_mut(key).ok_or_else(|| missing(key))?;
                    let pending = std::mem::take(&mut instance.pending);
                    instance.fields.extend(pending);
                    instance.status = Status::Available;
                    Ok(())
                });
                applied.await.map_err(|err| err.message)
            }
            Status::Deleting => self.finish_deletion(key, &instance, region).await,
        }
    }

    async fn finish_creation(
        &self,
        key: &str,
        instance: &Instance,
        password: Option<&str>,
        region: &str,
    ) -> Result<(), String> {
        // After a crash, only a password that RDS looks after can be had again.
        let again = match (password, &instance.secret) {
            (None, Some(_)) => Some(self.rotate(key, region).await.map_err(|err| err.message)?),
            _ => None,
        };
        let database = instance.database.as_deref().unwrap_or("postgres");
        self.server.database(database, &instance.user).await?;
        if let Some(password) = password.or(again.as_deref())
            && !self.server.admits(database, &instance.user, password).await
        {
            return Err(format!("the role {} cannot log in to {database} yet", instance.user));
        }
        let available = self.records.change(|all| {
            // Deleted meanwhile: that stands.
            if let Some(it) = all.instances.get_mut(key).filter(|it| it.status == Status::Creating) {
                it.status = Status::Available;
            }
            Ok(())
        });
        available.await.map_err(|err| err.message)
    }

    /// The cloud keeps secrets in memory while it runs; one that a crash took is made again, with a new password.
    async fn restore_secret(&self, key: &str, instance: &Instance, region: &str) -> Result<(), String> {
        let Some(secret) = &instance.secret else { return Ok(()) };
        let there = match secret.arn.as_str() {
            // A crash came between the wish for a secret and the secret.
            "" => false,
            arn => secret::exists(&self.upstream, region, arn).await.map_err(|err| err.message)?,
        };
        if !there {
            self.rotate(key, region).await.map_err(|err| err.message)?;
            tracing::info!("database {key}: its secret was lost, and is made again");
        }
        Ok(())
    }

    async fn finish_deletion(&self, key: &str, instance: &Instance, region: &str) -> Result<(), String> {
        let mut snapshot = None;
        if let Some(id) = &instance.last_snapshot {
            let kept = instance.database.as_ref().map(|_| format!("snapshot-{}", instance.resource_id.to_lowercase()));
            if let (Some(name), Some(kept)) = (&instance.database, &kept) {
                self.server.archive(name, &instance.user, kept).await?;
            }
            snapshot = Some(Snapshot {
                id: id.clone(),
                arn: instance.arn.replacen(&format!(":db:{}", instance.id), &format!(":snapshot:{id}"), 1),
                instance: instance.id.clone(),
                created: jiff::Timestamp::now().to_string(),
                user: instance.user.clone(),
                database: kept,
                fields: instance.fields.clone(),
                tags: instance.tags.clone(),
            });
        } else if let Some(name) = &instance.database {
            self.server.drop_database(name).await?;
        }
        self.server.drop_role(&instance.user).await?;
        if let Some(secret) = instance.secret.as_ref().filter(|it| !it.arn.is_empty()) {
            secret::delete(&self.upstream, region, &secret.arn).await.map_err(|err| err.message)?;
        }
        let gone = self.records.change(|all| {
            all.instances.remove(key);
            if let Some(it) = snapshot {
                all.snapshots.insert(super::key_of(region, &it.id), it);
            }
            Ok(())
        });
        gone.await.map_err(|err| err.message)
    }
}

/// Names the secret as RDS does: the same at every attempt.
fn secret_name(instance: &Instance) -> String {
    let id = instance.resource_id.trim_start_matches("db-");
    let uuid = Uuid::try_parse(id).map_or_else(|_| id.to_lowercase(), |it| it.to_string());
    format!("rds!db-{uuid}")
}
