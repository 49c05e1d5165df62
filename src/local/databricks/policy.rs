//! Cluster policies: kept and given back. Nothing here applies them, as there are no clusters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    auth::Caller,
    call::{Answer, done, exists, input, invalid, missing, no_such_api, now, ok, required},
};
use crate::local::gateway::{
    call::{Call, Fault},
    record::Records,
};

/// All policies, by identifier, as they are answered.
pub(super) type All = BTreeMap<String, Map<String, Value>>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
struct Policy {
    #[serde(skip_serializing)]
    policy_id: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    definition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    libraries: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_clusters_per_user: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_family_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_family_definition_overrides: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    policy_id: String,
}

/// The API of cluster policies.
pub(super) struct Policies {
    records: Records<All>,
}

impl Policies {
    /// Answers from what was kept.
    pub(super) fn new(records: Records<All>) -> Self {
        Self { records }
    }

    /// Answers a call beneath `/api/2.0/policies/clusters`.
    pub(super) async fn answer(&self, verb: &str, call: &Call, caller: Caller) -> Answer {
        match (call.method.as_str(), verb) {
            ("POST", "create") => {
                let id = Uuid::new_v4().simple().to_string();
                let mut policy = fields(&input(call)?)?;
                policy.insert("policy_id".to_owned(), id.clone().into());
                policy.insert("creator_user_name".to_owned(), caller.name().into());
                policy.insert("created_at_timestamp".to_owned(), now().into());
                self.records.change(|all| put(all, id.clone(), policy)).await?;
                ok(json!({ "policy_id": id }))
            }
            ("POST", "edit") => {
                let it: Policy = input(call)?;
                let id = it.policy_id.clone().ok_or_else(|| invalid("Missing required field: policy_id"))?;
                let mut policy = fields(&it)?;
                let edit = |all: &mut All| {
                    let before = all.get(&id).ok_or_else(|| not_there(&id))?;
                    for name in ["policy_id", "creator_user_name", "created_at_timestamp"] {
                        policy.insert(name.to_owned(), before.get(name).cloned().unwrap_or_default());
                    }
                    put(all, id, policy)
                };
                self.records.change(edit).await?;
                done()
            }
            ("POST", "delete") => {
                let id = input::<Delete>(call)?.policy_id;
                self.records.change(|all| all.remove(&id).ok_or_else(|| not_there(&id))).await?;
                done()
            }
            ("GET", "get") => {
                let id = required(call, "policy_id")?;
                ok(self.records.now().get(id).cloned().ok_or_else(|| not_there(id))?.into())
            }
            ("GET", "list") => {
                let all: Vec<Value> = self.records.now().values().cloned().map(Value::from).collect();
                ok(json!({ "total_count": all.len(), "policies": all }))
            }
            _ => Err(no_such_api(call)),
        }
    }
}

fn put(all: &mut All, id: String, policy: Map<String, Value>) -> Result<(), Fault> {
    if all.iter().any(|(other, it)| *other != id && it.get("name") == policy.get("name")) {
        return Err(exists("A policy of this name exists already."));
    }
    all.insert(id, policy);
    Ok(())
}

fn fields(policy: &Policy) -> Result<Map<String, Value>, Fault> {
    if let Some(text) = &policy.definition {
        let definition: Result<Map<String, Value>, _> = serde_json::from_str(text);
        definition.map_err(|err| invalid(format!("The definition is no JSON object: {err}")))?;
    }
    match serde_json::to_value(policy) {
        Ok(Value::Object(it)) => Ok(it),
        _ => Err(invalid("The policy is no JSON object.")),
    }
}

fn not_there(id: &str) -> Fault {
    missing(format!("Cluster policy {id} does not exist."))
}
