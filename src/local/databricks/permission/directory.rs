//! Permissions of the workspace's folders: what was granted on each, and what it has from those above. Nothing here enforces
//! them, as there is one user.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::local::{
    databricks::{
        call::{Answer, input, invalid, missing, no_such_api, ok},
        workspace::{Kind, Workspace},
    },
    gateway::{call::Call, record::Records},
};

/// Who may do what, by folder.
pub(in crate::local::databricks) type All = BTreeMap<i64, Vec<Entry>>;

/// Who may do one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::local::databricks) struct Entry {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_principal_name: Option<String>,
    permission_level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "the API's own words")]
enum Level {
    CanRead,
    CanRun,
    CanEdit,
    CanManage,
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
}

/// The API of the permissions of folders.
pub(in crate::local::databricks) struct Directories {
    records: Records<All>,
    workspace: Arc<Workspace>,
}

impl Directories {
    /// Answers from what was kept.
    pub(in crate::local::databricks) fn new(records: Records<All>, workspace: Arc<Workspace>) -> Self {
        Self { records, workspace }
    }

    /// Answers a call beneath `/api/2.0/permissions/directories`.
    pub(in crate::local::databricks) async fn answer(&self, id: &str, rest: &[&str], call: &Call) -> Answer {
        let number: i64 = id.parse().map_err(|_| invalid(format!("{id:?} is no folder's identifier.")))?;
        let found = self.workspace.path_of(number).filter(|it| it.1 == Kind::Directory);
        let (path, _) = found.ok_or_else(|| missing(format!("Directory {id} does not exist.")))?;
        match (call.method.as_str(), rest) {
            ("GET", []) => {}
            (method @ ("PUT" | "PATCH"), []) => {
                let it: Input = input(call)?;
                if it.access_control_list.iter().any(|it| it.who().iter().filter(|it| it.is_some()).count() != 1) {
                    return Err(invalid(
                        "Exactly one of user_name, group_name and service_principal_name is needed in each entry.",
                    ));
                }
                let replace = method == "PUT";
                let change = |all: &mut All| {
                    let entries = all.entry(number).or_default();
                    entries.retain(|old| !replace && it.access_control_list.iter().all(|new| new.who() != old.who()));
                    entries.extend(it.access_control_list);
                    Ok(())
                };
                self.records.change(change).await?;
            }
            _ => return Err(no_such_api(call)),
        }
        let all = self.records.now();
        let own = all.get(&number).into_iter().flatten();
        let mut entries: Vec<Value> = own.map(|it| render(it.who(), it.permission_level, None)).collect();
        let above = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|it| !it.is_empty());
        for (above, folder) in above.filter_map(|it| Some((it, self.workspace.find(it)?))) {
            let inherited = all.get(&folder.number()).into_iter().flatten();
            entries.extend(inherited.map(|it| render(it.who(), it.permission_level, Some(above))));
        }
        let group = |name: &str| [None, Some(name.to_owned()), None];
        if path == "/Shared" || path.starts_with("/Shared/") {
            entries.push(render(group("users").each_ref(), Level::CanManage, Some("/Shared")));
        }
        entries.push(render(group("admins").each_ref(), Level::CanManage, Some("/")));
        ok(json!({
            "object_id": format!("/directories/{number}"), "object_type": "directory", "access_control_list": entries,
        }))
    }
}

fn render(who: [&Option<String>; 3], level: Level, from: Option<&str>) -> Value {
    let mut permission = json!({ "permission_level": level, "inherited": from.is_some() });
    if let Some(it) = from {
        permission["inherited_from_object"] = json!([it]);
    }
    let mut entry = json!({ "all_permissions": [permission] });
    for (name, value) in ["user_name", "group_name", "service_principal_name"].into_iter().zip(who) {
        if let Some(value) = value {
            entry[name] = value.clone().into();
            entry["display_name"] = value.clone().into();
        }
    }
    entry
}
