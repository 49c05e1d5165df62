//! Notification destinations: the webhooks that jobs call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::call::{Answer, done, input, invalid, missing, no_such_api, ok};
use crate::local::{
    gateway::{
        call::{Call, Fault},
        record::Records,
    },
    guard,
};

/// All destinations, by identifier.
pub(super) type All = BTreeMap<String, Destination>;

/// A webhook under a name.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Destination {
    name: String,
    /// What is called.
    pub(super) webhook: Webhook,
}

/// What is called. Holds a password, so it is never shown.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// Where.
    pub(super) url: Option<String>,
    /// As whom, with HTTP's basic authentication.
    pub(super) username: Option<String>,
    /// And with which password.
    pub(super) password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    display_name: Option<String>,
    config: Option<Configuration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    generic_webhook: Option<Webhook>,
    // The other kinds need a service that is not here.
    email: Option<Value>,
    slack: Option<Value>,
    pagerduty: Option<Value>,
    microsoft_teams: Option<Value>,
}

/// The API of notification destinations.
pub(super) struct Destinations {
    records: Records<All>,
}

impl Destinations {
    /// Answers from what was kept.
    pub(super) fn new(records: Records<All>) -> Self {
        Self { records }
    }

    /// Looks a webhook up.
    pub(super) fn find(&self, id: &str) -> Option<Webhook> {
        self.records.now().get(id).map(|it| it.webhook.clone())
    }

    /// Answers a call beneath `/api/2.0/notification-destinations`.
    pub(super) async fn answer(&self, path: &[&str], call: &Call) -> Answer {
        match (call.method.as_str(), path) {
            ("POST", []) => {
                let it: Input = input(call)?;
                let name = it.display_name.ok_or_else(|| invalid("Missing required field: display_name"))?;
                let destination = Destination { name, webhook: webhook(it.config)?.unwrap_or_default() };
                if destination.webhook.url.is_none() {
                    return Err(invalid("Missing required field: config.generic_webhook.url"));
                }
                let id = Uuid::new_v4().to_string();
                self.records.change(|all| Ok(all.insert(id.clone(), destination.clone()))).await?;
                ok(destination.render(&id))
            }
            ("GET", []) => {
                let all = self.records.now();
                let all: Vec<Value> = all
                    .iter()
                    .map(|(id, it)| json!({ "id": id, "display_name": it.name, "destination_type": "WEBHOOK" }))
                    .collect();
                ok(json!({ "results": all }))
            }
            ("GET", [id]) => {
                let all = self.records.now();
                ok(all.get(*id).ok_or_else(|| not_there(id))?.render(id))
            }
            ("PATCH", [id]) => {
                let it: Input = input(call)?;
                let webhook = webhook(it.config)?;
                let change = |all: &mut All| {
                    let destination = all.get_mut(*id).ok_or_else(|| not_there(id))?;
                    destination.name = it.display_name.unwrap_or_else(|| destination.name.clone());
                    destination.webhook = webhook.unwrap_or_else(|| destination.webhook.clone());
                    Ok(destination.render(id))
                };
                ok(self.records.change(change).await?)
            }
            ("DELETE", [id]) => {
                self.records.change(|all| all.remove(*id).ok_or_else(|| not_there(id))).await?;
                done()
            }
            _ => Err(no_such_api(call)),
        }
    }
}

impl Destination {
    fn render(&self, id: &str) -> Value {
        let it = &self.webhook;
        json!({
            "id": id,
            "display_name": self.name,
            "destination_type": "WEBHOOK",
            "config": { "generic_webhook": {
                "url_set": it.url.is_some(),
                "username_set": it.username.is_some(),
                "password_set": it.password.is_some(),
            }},
        })
    }
}

fn webhook(config: Option<Configuration>) -> Result<Option<Webhook>, Fault> {
    let Some(it) = config else { return Ok(None) };
    if [&it.email, &it.slack, &it.pagerduty, &it.microsoft_teams].iter().any(|it| it.is_some()) {
        return Err(invalid("Only generic_webhook destinations are kept here."));
    }
    if let Some(url) = it.generic_webhook.as_ref().and_then(|it| it.url.as_deref())
        && !is_here(url)
    {
        return Err(invalid(
            "The local Databricks tells nobody beyond this machine: the url must begin with http:// and name \
             127.0.0.1, localhost, or a name that ends with .localhost.",
        ));
    }
    Ok(it.generic_webhook)
}

/// Says whether a URL leads to this machine, without TLS.
pub(super) fn is_here(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    uri.scheme_str() == Some("http") && uri.authority().is_some_and(|it| guard::is_local_name(it.host()))
}

fn not_there(id: &str) -> Fault {
    missing(format!("Notification destination {id} does not exist."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_this_machine() {
        for here in ["http://127.0.0.1:9/x", "http://localhost", "http://abc.lambda-url.us-east-1.localhost:4566/"] {
            assert!(is_here(here), "{here}");
        }
        for other in [
            "https://localhost/",
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "http://10.0.0.1/",
            "/x",
            "",
        ] {
            assert!(!is_here(other), "{other}");
        }
    }
}
