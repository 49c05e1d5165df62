//! Dashboards: kept as they are given, once they are such as CloudWatch takes. Nothing is drawn.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    CloudWatch, Refusal,
    alarm::{
        check::{self as tag, Tag},
        now, time,
    },
    input, invalid_value,
};
use crate::local::gateway::call::Fault;

mod check;

/// The most dashboards on one page.
const PAGE: usize = 100;

/// One dashboard. Dashboards belong to no region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Dashboard {
    /// The body, as it was given.
    body: String,
    /// When it was changed last.
    modified: Timestamp,
    /// Its tags.
    pub(super) tags: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    dashboard_name: String,
    dashboard_body: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    dashboard_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    dashboard_name_prefix: Option<String>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    dashboard_names: Vec<String>,
}

impl CloudWatch {
    /// `PutDashboard`.
    pub(super) async fn put_dashboard(&self, asked: Value) -> Result<Value, Refusal> {
        let asked: Put = input(asked)?;
        name(&asked.dashboard_name)?;
        let tags = tag::tags(&asked.tags)?;
        let found = check::body(&asked.dashboard_body);
        let listed = |all: &[check::Remark]| {
            all.iter().map(|it| json!({ "DataPath": it.path, "Message": it.message })).collect::<Vec<_>>()
        };
        if !found.mistakes.is_empty() {
            let words = found.mistakes.iter().map(|it| json!({ "dataPath": it.path, "message": it.message }));
            let message = format!(
                "The dashboard body is invalid, there are {} validation errors: {}",
                found.mistakes.len(),
                words.collect::<Value>()
            );
            let fault = Fault::new(400, "DashboardInvalidInputError", message);
            let more = Map::from_iter([("dashboardValidationMessages".to_owned(), json!(listed(&found.mistakes)))]);
            return Err(Refusal { fault, more });
        }
        self.records
            .change(|all| {
                let there = all.dashboards.get(&asked.dashboard_name);
                // Tags are for new dashboards only.
                let tags = there.map_or(tags, |it| it.tags.clone());
                let dashboard = Dashboard { body: asked.dashboard_body, modified: now(), tags };
                all.dashboards.insert(asked.dashboard_name, dashboard);
                Ok(())
            })
            .await?;
        Ok(json!({ "DashboardValidationMessages": listed(&found.warnings) }))
    }

    /// `GetDashboard`.
    pub(super) fn get_dashboard(&self, asked: Value) -> Result<Value, Fault> {
        let asked: Named = input(asked)?;
        let known = self.records.now();
        let found = known.dashboards.get(&asked.dashboard_name).ok_or_else(|| missing(&asked.dashboard_name))?;
        Ok(json!({
            "DashboardArn": self.arn(&asked.dashboard_name),
            "DashboardBody": found.body,
            "DashboardName": asked.dashboard_name,
        }))
    }

    /// `ListDashboards`. The token is the name of the last dashboard of the page before.
    pub(super) fn list_dashboards(&self, asked: Value) -> Result<Value, Fault> {
        let asked: List = input(asked)?;
        let known = self.records.now();
        let mut found = known.dashboards.iter().filter(|(name, _)| {
            asked.dashboard_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
                && asked.next_token.as_ref().is_none_or(|last| *name > last)
        });
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let entry = |(name, it): &(&String, &Dashboard)| {
            json!({
                "DashboardName": name,
                "DashboardArn": self.arn(name),
                "LastModified": time(it.modified),
                "Size": it.body.len(),
            })
        };
        let mut answer = json!({ "DashboardEntries": page.iter().map(entry).collect::<Vec<_>>() });
        if let (Some(_), Some(last)) = (found.next(), page.last()) {
            answer["NextToken"] = json!(last.0);
        }
        Ok(answer)
    }

    /// `DeleteDashboards`: all or none.
    pub(super) async fn delete_dashboards(&self, asked: Value) -> Result<Value, Fault> {
        let names = input::<Delete>(asked)?.dashboard_names;
        if names.is_empty() {
            return Err(invalid_value("The parameter DashboardNames must have at least one entry."));
        }
        self.records
            .change(|all| {
                if let Some(gone) = names.iter().find(|it| !all.dashboards.contains_key(*it)) {
                    return Err(missing(gone));
                }
                names.iter().for_each(|it| drop(all.dashboards.remove(it)));
                Ok(json!({}))
            })
            .await
    }

    fn arn(&self, name: &str) -> String {
        format!("arn:aws:cloudwatch::{}:dashboard/{name}", self.account)
    }
}

fn missing(name: &str) -> Fault {
    Fault::new(404, "DashboardNotFoundError", format!("Dashboard {name} does not exist"))
}

fn name(text: &str) -> Result<(), Fault> {
    let fits = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    if (1..=255).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    Err(invalid_value(format!(
        "The value {text} for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) \
         and underscore (_)."
    )))
}
