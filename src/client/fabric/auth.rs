//! Tokens of a service principal: one for each API, renewed before it ends. A token for the one API is refused by the other.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    SERVICE,
    config::{Config, Hidden},
    fault,
    send::Api,
};
use crate::client::{Error, Reason, Result, http, patience};

/// A token counts as expired so long before it is.
const EARLY: Duration = Duration::from_mins(5);
/// The longest that an answer about tokens may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What authorizes requests.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    fabric: Mutex<Option<Token>>,
    powerbi: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    value: Hidden,
    until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Tokens {
    /// Returns a token for an API. One request at a time renews it.
    pub(super) async fn get(&self, http: &Client, config: &Config, api: Api) -> Result<Hidden> {
        let held = match api {
            Api::Fabric => &self.fabric,
            Api::PowerBi => &self.powerbi,
        };
        let mut held = held.lock().await;
        if let Some(it) = held.as_ref().filter(|it| Instant::now() < it.until) {
            return Ok(it.value.clone());
        }
        let token = grant(http, config, api).await?;
        let value = token.value.clone();
        *held = Some(token);
        Ok(value)
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self, api: Api) {
        match api {
            Api::Fabric => *self.fabric.lock().await = None,
            Api::PowerBi => *self.powerbi.lock().await = None,
        }
    }
}

async fn grant(client: &Client, config: &Config, api: Api) -> Result<Token> {
    const OPERATION: &str = "token";
    let Hidden(secret) = &config.secret;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", config.id.as_str()),
        ("client_secret", secret.as_str()),
        ("scope", api.scope()),
    ];
    let address = format!("{}/{}/oauth2/v2.0/token", config.authority, config.tenant);
    let unsent = |err| Error::new(SERVICE, OPERATION, Reason::Unavailable, http::unsent(err, "the authority"));
    let got = Instant::now();
    let answer = client.post(address).form(&form).timeout(patience::limit(PATIENCE)).send().await.map_err(unsent)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.map_err(unsent)?;
    if !status.is_success() {
        let mut err = fault::describe(OPERATION, status, &headers, &body);
        // OAuth answers 400 where the client is not known.
        if err.reason == Reason::Invalid {
            err.reason = Reason::Denied;
        }
        return Err(err);
    }
    // The parser's own words would quote the token.
    let wrong = |_| Error::new(SERVICE, OPERATION, Reason::Other, "the answer holds no token");
    let granted: Granted = serde_json::from_slice(&body).map_err(wrong)?;
    let life = Duration::from_secs(if granted.expires_in == 0 { 3600 } else { granted.expires_in });
    Ok(Token { value: Hidden(granted.access_token), until: got + life.saturating_sub(EARLY.min(life / 2)) })
}
