//! Permissions of jobs. Exactly one owner; nothing here enforces the rest, as there is one user.

pub(super) mod directory;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
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
pub(super) type All = BTreeMap<i64, Vec<Entry<Level>>>;

/// Who may do one thing; how much, is `L`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<L> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal_name: Option<String>,
    permission_level: L,
}

/// What may be done with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Level {
    CanView,
    CanManageRun,
    CanManage,
    IsOwner,
}

/// What a list of permissions is written with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "L: DeserializeOwned")]
struct Input<L> {
    #[serde(default)]
    access_control_list: Vec<Entry<L>>,
}

impl<L: Copy + Serialize> Entry<L> {
    /// Lets a group do it, as every workspace has it from the beginning.
    fn of_group(name: &str, level: L) -> Self {
        Self {
            user_name: None,
            group_name: Some(name.to_owned()),
            service_principal_name: None,
            permission_level: level,
        }
    }

    fn who(&self) -> [&Option<String>; 3] {
        [&self.user_name, &self.group_name, &self.service_principal_name]
    }

    /// Shows an entry; `from` is the object above that it comes from.
    fn render(&self, from: Option<&str>) -> Value {
        let mut permission = json!({ "permission_level": self.permission_level, "inherited": from.is_some() });
        if let Some(it) = from {
            permission["inherited_from_object"] = json!([it]);
        }
        let mut entry = json!({ "all_permissions": [permission] });
        for (name, value) in ["user_name", "group_name", "service_principal_name"].into_iter().zip(self.who()) {
            if let Some(value) = value {
                entry[name] = value.clone().into();
                entry["display_name"] = value.clone().into();
            }
        }
        entry
    }
}

impl Entry<Level> {
    fn owner(caller: Caller) -> Self {
        let name = || Some(caller.name().to_owned());
        let (user_name, service_principal_name) = match caller {
            Caller::User => (name(), None),
            Caller::Principal => (None, name()),
        };
        Self { user_name, group_name: None, service_principal_name, permission_level: Level::IsOwner }
    }

    fn owns(&self) -> bool {
        self.permission_level == Level::IsOwner
    }
}

/// Reads a list of permissions, each of one user, group or principal.
fn listed<L: Copy + Serialize + DeserializeOwned>(call: &Call) -> Result<Vec<Entry<L>>, Fault> {
    let it: Input<L> = input(call)?;
    of_one_each(&it.access_control_list)?;
    Ok(it.access_control_list)
}

fn of_one_each<L: Copy + Serialize>(entries: &[Entry<L>]) -> Result<(), Fault> {
    match entries.iter().all(|it| it.who().iter().filter(|it| it.is_some()).count() == 1) {
        true => Ok(()),
        false => {
            Err(invalid("Exactly one of user_name, group_name and service_principal_name is needed in each entry."))
        }
    }
}

/// Checks a new job's list, which must name one owner.
pub(super) fn check(entries: Vec<Entry<Level>>, caller: Caller) -> Result<Vec<Entry<Level>>, Fault> {
    of_one_each(&entries)?;
    no_group_owns(&entries)?;
    // It need not name its owner, who is the caller.
    let entries = match entries.iter().any(Entry::owns) {
        true => entries,
        false => [vec![Entry::owner(caller)], entries].concat(),
    };
    one_owner(&entries)?;
    Ok(entries)
}

fn no_group_owns(entries: &[Entry<Level>]) -> Result<(), Fault> {
    match entries.iter().any(|it| it.owns() && it.group_name.is_some()) {
        true => Err(invalid("Groups can't be owners of a job.")),
        false => Ok(()),
    }
}

fn one_owner(entries: &[Entry<Level>]) -> Result<(), Fault> {
    match entries.iter().filter(|it| it.owns()).count() {
        1 => Ok(()),
        _ => Err(invalid("The job must have exactly one owner.")),
    }
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
    pub(super) async fn begin(
        &self,
        job: i64,
        entries: Option<Vec<Entry<Level>>>,
        caller: Caller,
    ) -> Result<(), Fault> {
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
                let entries = listed(call)?;
                no_group_owns(&entries)?;
                one_owner(&entries)?;
                self.records.change(|all| Ok(all.insert(job, entries))).await?;
            }
            ("PATCH", []) => {
                let changed = listed(call)?;
                no_group_owns(&changed)?;
                let merge = |all: &mut All| {
                    let mut entries = all.get(&job).cloned().unwrap_or_else(|| vec![Entry::owner(caller)]);
                    for new in changed {
                        // A new owner takes the place of the old one.
                        entries.retain(|old| old.who() != new.who() && !(new.owns() && old.owns()));
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
        let mut rendered: Vec<Value> = entries.iter().map(|it| it.render(None)).collect();
        rendered.push(Entry::of_group("admins", Level::CanManage).render(Some("/jobs/")));
        ok(json!({ "object_id": format!("/jobs/{job}"), "object_type": "job", "access_control_list": rendered }))
    }
}
