//! Permissions of the workspace's folders: what was granted on each, and what it has from those above. Nothing here enforces
//! them, as there is one user.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::local::{
    databricks::{
        call::{Answer, invalid, missing, no_such_api, ok},
        permission::{Entry, listed},
        workspace::{Kind, Workspace},
    },
    gateway::{call::Call, record::Records},
};

/// Who may do what, by folder.
pub(in crate::local::databricks) type All = BTreeMap<i64, Vec<Entry<Level>>>;

/// What may be done in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::enum_variant_names, reason = "the API's own words")]
pub(in crate::local::databricks) enum Level {
    CanRead,
    CanRun,
    CanEdit,
    CanManage,
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
                let changed = listed(call)?;
                let replace = method == "PUT";
                let change = |all: &mut All| {
                    let entries = all.entry(number).or_default();
                    entries.retain(|old| !replace && changed.iter().all(|new| new.who() != old.who()));
                    entries.extend(changed);
                    Ok(())
                };
                self.records.change(change).await?;
            }
            _ => return Err(no_such_api(call)),
        }
        let all = self.records.now();
        let own = all.get(&number).into_iter().flatten();
        let mut entries: Vec<Value> = own.map(|it| it.render(None)).collect();
        let above = path.match_indices('/').map(|(at, _)| &path[..at]).filter(|it| !it.is_empty());
        for (above, folder) in above.filter_map(|it| Some((it, self.workspace.find(it)?))) {
            let inherited = all.get(&folder.number()).into_iter().flatten();
            entries.extend(inherited.map(|it| it.render(Some(above))));
        }
        if path == "/Shared" || path.starts_with("/Shared/") {
            entries.push(Entry::of_group("users", Level::CanManage).render(Some("/Shared")));
        }
        entries.push(Entry::of_group("admins", Level::CanManage).render(Some("/")));
        ok(json!({
            "object_id": format!("/directories/{number}"), "object_type": "directory", "access_control_list": entries,
        }))
    }
}
