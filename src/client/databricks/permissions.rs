//! Who may do what with a job.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Databricks, read};
use crate::client::Result;

/// Who may do something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// A user, by the name they log in with.
    User(String),
    /// A group, by its name.
    Group(String),
    /// A service principal, by its application's identifier.
    ServicePrincipal(String),
}

/// What somebody may do with a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Who.
    pub to: Principal,
    /// What: `IS_OWNER`, `CAN_MANAGE`, `CAN_MANAGE_RUN` or `CAN_VIEW`.
    pub level: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    user_name: Option<String>,
    #[serde(default)]
    group_name: Option<String>,
    #[serde(default)]
    service_principal_name: Option<String>,
    #[serde(default)]
    all_permissions: Vec<Level>,
}

#[derive(Deserialize)]
struct Level {
    permission_level: String,
    #[serde(default)]
    inherited: bool,
}

impl Principal {
    /// The field of the API that names it.
    const fn field(&self) -> &'static str {
        match self {
            Self::User(_) => "user_name",
            Self::Group(_) => "group_name",
            Self::ServicePrincipal(_) => "service_principal_name",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::User(it) | Self::Group(it) | Self::ServicePrincipal(it) => it,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(it) => write!(f, "user {it}"),
            Self::Group(it) => write!(f, "group {it}"),
            Self::ServicePrincipal(it) => write!(f, "service principal {it}"),
        }
    }
}

impl Databricks {
    /// Lists what is granted on a job itself, without what is inherited.
    ///
    /// # Errors
    /// That of the request.
    pub async fn job_grants(&self, id: i64) -> Result<Vec<Grant>> {
        const OPERATION: &str = "permissions/get";
        let mut answer = self.get(OPERATION, &format!("/api/2.0/permissions/jobs/{id}"), Vec::new()).await?;
        let list = answer.get_mut("access_control_list").map(Value::take);
        let entries: Vec<Entry> = list.map_or(Ok(Vec::new()), |it| read(OPERATION, it))?;
        let mut grants: Vec<Grant> = entries.into_iter().flat_map(own).collect();
        grants.sort();
        Ok(grants)
    }

    /// Replaces what is granted on a job. Exactly one must be `IS_OWNER`.
    ///
    /// # Errors
    /// That of the request.
    pub async fn put_job_grants(&self, id: i64, grants: &[Grant]) -> Result<()> {
        let entry = |it: &Grant| json!({ it.to.field(): it.to.name(), "permission_level": it.level });
        let body = json!({ "access_control_list": grants.iter().map(entry).collect::<Vec<_>>() });
        self.put("permissions/set", Method::PUT, &format!("/api/2.0/permissions/jobs/{id}"), body).await.map(drop)
    }
}

fn own(entry: Entry) -> Vec<Grant> {
    let to = match entry {
        Entry { user_name: Some(it), .. } => Principal::User(it),
        Entry { group_name: Some(it), .. } => Principal::Group(it),
        Entry { service_principal_name: Some(it), .. } => Principal::ServicePrincipal(it),
        _ => return Vec::new(),
    };
    let own = entry.all_permissions.into_iter().filter(|it| !it.inherited);
    own.map(|it| Grant { to: to.clone(), level: it.permission_level }).collect()
}
