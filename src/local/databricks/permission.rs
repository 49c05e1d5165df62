//! Permissions of jobs. Exactly one owner; nothing here enforces the rest, as there is one user.

pub(super) mod directory;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    auth::Caller,
    call::{Answer, input, invalid, missing, no_such_api, ok},
    job::Jobs,
};
use crate::local::gateway::{
    call::{Call, Fault},
    record::Records,
};

/// Who may do what, by job.
pub(super) type All = BTreeMap<i64, Vec<Entry>>;

/// Who may do one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal_name: Option<String>,
    permission_level: Level,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Level {
    #[default]
    CanView,
    CanManageRun,
    CanManage,
    IsOwner,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    access_control_list: Vec<Entry>,
}

impl Entry {
    fn who(&self) -> [&Option<String>; 3] {
        [&self.user_name, &self.group_name, &self.service_principal_name]
    }

    fn owner(caller: Caller) -> Self {
        let mut it = Self { permission_level: Level::IsOwner, ..Self::default() };
        match caller {
            Caller::User => it.user_name = Some(caller.name().to_owned()),
            Caller::Principal => it.service_principal_name = Some(caller.name().to_owned()),
        }
        it
    }

    fn render(&self) -> Value {
        let mut it = json!({ "all_permissions": [{ "permission_level": self.permission_level, "inherited": false }] });
        for (name, value) in ["user_name", "group_name", "service_principal_name"].into_iter().zip(self.who()) {
            if let Some(value) = value {
                it[name] = value.clone().into();
                it["display_name"] = value.clone().into();
            }
        }
        it
    }
}

/// Checks a whole list, which must name one owner.
pub(super) fn check(entries: Vec<Entry>, caller: Caller) -> Result<Vec<Entry>, Fault> {
    check_entries(&entries)?;
    match entries.iter().filter(|it| it.permission_level == Level::IsOwner).count() {
        1 => Ok(entries),
        // A new job's list need not name its owner, who is the caller.
        0 => Ok([vec![Entry::owner(caller)], entries].concat()),
        _ => Err(invalid("The job must have exactly one owner.")),
    }
}

fn check_entries(entries: &[Entry]) -> Result<(), Fault> {
    for it in entries {
        if it.who().iter().filter(|it| it.is_some()).count() != 1 {
            return Err(invalid(
                "Exactly one of user_name, group_name and service_principal_name is needed in each entry.",
            ));
        }
        if it.permission_level == Level::IsOwner && it.group_name.is_some() {
            return Err(invalid("Groups can't be owners of a job."));
        }
    }
    Ok(())
}

/// The API of permissions.
pub(super) struct Permissions {
    records: Records<All>,
    jobs: Arc<Jobs>,
}

impl Permissions {
    /// Answers from what was kept.
    pub(super) fn new(records: Records<All>, jobs: Arc<Jobs>) -> Self {
        Self { records, jobs }
    }

    /// Notes who may do what with a new job: by default, its maker owns it.
    pub(super) async fn begin(&self, job: i64, entries: Option<Vec<Entry>>, caller: Caller) -> Result<(), Fault> {
        let entries = entries.unwrap_or_else(|| vec![Entry::owner(caller)]);
        self.records.change(|all| Ok(all.insert(job, entries))).await?;
        Ok(())
    }

    /// Answers a call beneath `/api/2.0/permissions/jobs`.
    pub(super) async fn answer(&self, id: &str, rest: &[&str], call: &Call, caller: Caller) -> Answer {
        let not_there = || missing(format!("Job {id} does not exist."));
        let job: i64 = id.parse().map_err(|_| invalid(format!("{id:?} is no job's identifier.")))?;
        self.jobs.find(job).ok_or_else(not_there)?;
        match (call.method.as_str(), rest) {
            ("GET", []) => {}
            ("GET", ["permissionLevels"]) => {
                let levels = [Level::CanView, Level::CanManageRun, Level::CanManage, Level::IsOwner];
                let levels = levels.map(|it| json!({ "permission_level": it, "description": "" }));
                return ok(json!({ "permission_levels": levels }));
            }
            ("PUT", []) => {
                let it: Input = input(call)?;
                check_entries(&it.access_control_list)?;
                one_owner(&it.access_control_list)?;
                self.records.change(|all| Ok(all.insert(job, it.access_control_list))).await?;
            }
            ("PATCH", []) => {
                let it: Input = input(call)?;
                check_entries(&it.access_control_list)?;
                let merge = |all: &mut All| {
                    let mut entries = all.get(&job).cloned().unwrap_or_else(|| vec![Entry::owner(caller)]);
                    for new in it.access_control_list {
                        // A new owner takes the place of the old one.
                        entries.retain(|old| {
                            old.who() != new.who()
                                && !(new.permission_level == Level::IsOwner && old.permission_level == Level::IsOwner)
                        });
                        entries.push(new);
                    }
                    one_owner(&entries)?;
                    all.insert(job, entries);
                    Ok(())
                };
                self.records.change(merge).await?;
            }
            _ => return Err(no_such_api(call)),
        }
        let entries = self.records.now().get(&job).cloned().unwrap_or_else(|| vec![Entry::owner(caller)]);
        let mut rendered: Vec<Value> = entries.iter().map(Entry::render).collect();
        rendered.push(json!({
            "group_name": "admins",
            "all_permissions": [
                { "permission_level": Level::CanManage, "inherited": true, "inherited_from_object": ["/jobs/"] },
            ],
        }));
        ok(json!({ "object_id": format!("/jobs/{job}"), "object_type": "job", "access_control_list": rendered }))
    }
}

fn one_owner(entries: &[Entry]) -> Result<(), Fault> {
    match entries.iter().filter(|it| it.permission_level == Level::IsOwner).count() {
        1 => Ok(()),
        _ => Err(invalid("The job must have exactly one owner.")),
    }
}
