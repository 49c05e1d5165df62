//! Who is speaking: a personal access token as it is, or one that a service principal gets and renews.

use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use tokio::sync::{Mutex, OnceCell};

use super::{
    Hidden, SERVICE,
    config::{Config, Credentials},
    fault,
    send::unsent,
    unusable,
};
use crate::client::{Error, Reason, Result, patience};

/// A token counts as expired so long before it is.
const EARLY: Duration = Duration::from_secs(40);
/// A token that lives long is renewed so long before its end.
const RENEW: Duration = Duration::from_mins(20);
/// The longest that an answer about tokens may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What authorizes requests.
#[derive(Debug)]
pub(super) enum Authority {
    /// A token that was given.
    Given(Hidden),
    /// A service principal, and the token that it has now.
    Principal(Box<Principal>),
}

/// A service principal.
#[derive(Debug)]
pub(super) struct Principal {
    id: String,
    secret: Hidden,
    place: OnceCell<Place>,
    token: Mutex<Option<Token>>,
}

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Place {
    endpoint: String,
    workspace_id: Option<String>,
}

/// A token with its life.
#[derive(Debug)]
pub(super) struct Token {
    value: Hidden,
    got: Instant,
    life: Duration,
}

#[derive(Deserialize)]
struct Discovery {
    oidc_endpoint: Option<String>,
    workspace_id: Option<String>,
}

#[derive(Deserialize)]
struct Server {
    token_endpoint: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

impl Token {
    fn is_fresh(&self, now: Instant) -> bool {
        let spare = RENEW.min(self.life / 2).max(EARLY.min(self.life));
        now.duration_since(self.got) + spare < self.life
    }

    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.got) + EARLY < self.life
    }
}

impl Authority {
    pub(super) fn new(config: &Config) -> Self {
        match config.credentials.clone() {
            Credentials::Token(it) => Self::Given(it),
            Credentials::Principal { id, secret } => {
                let (place, token) = (OnceCell::new(), Mutex::new(None));
                Self::Principal(Box::new(Principal { id, secret, place, token }))
            }
        }
    }

    /// Returns the token to send, and the workspace's number where discovery told it. One request at a time renews it.
    pub(super) async fn token(&self, http: &Client, host: &str) -> Result<(Hidden, Option<&str>)> {
        match self {
            Self::Given(it) => Ok((it.clone(), None)),
            Self::Principal(it) => {
                let Principal { id, secret, place, token } = &**it;
                let place = place.get_or_try_init(|| discover(http, host)).await?;
                let mut held = token.lock().await;
                if let Some(it) = held.as_ref().filter(|it| it.is_fresh(Instant::now())) {
                    return Ok((it.value.clone(), place.workspace_id.as_deref()));
                }
                let got = grant(http, &place.endpoint, id, secret).await;
                // While the old one still lives, a failure to renew it is no failure.
                if got.is_ok() || held.as_ref().is_none_or(|it| !it.is_alive(Instant::now())) {
                    *held = Some(got?);
                }
                let value = held.as_ref().map(|it| it.value.clone());
                value.map(|it| (it, place.workspace_id.as_deref())).ok_or_else(|| unusable("there is no token"))
            }
        }
    }
}

/// Asks the workspace where tokens come from; where it does not say, they come from where they always did.
async fn discover(http: &Client, host: &str) -> Result<Place> {
    let fallback = |workspace_id| Place { endpoint: format!("{host}/oidc/v1/token"), workspace_id };
    let about: Option<Discovery> = ask(http.get(format!("{host}/.well-known/databricks-config"))).await?;
    let Some(Discovery { oidc_endpoint: Some(oidc), workspace_id }) = about else { return Ok(fallback(None)) };
    let oidc = oidc.trim_end_matches('/');
    let server: Option<Server> = ask(http.get(format!("{oidc}/.well-known/oauth-authorization-server"))).await?;
    Ok(match server {
        Some(it) => Place { endpoint: it.token_endpoint, workspace_id },
        None => fallback(workspace_id),
    })
}

/// Asks for a document; `None` where there is none of use.
async fn ask<T: for<'de> Deserialize<'de>>(request: RequestBuilder) -> Result<Option<T>> {
    let answer = request.timeout(patience::limit(PATIENCE)).send().await.map_err(|err| unsent("discovery", err))?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    Ok(answer.json().await.ok())
}

async fn grant(http: &Client, endpoint: &str, id: &str, Hidden(secret): &Hidden) -> Result<Token> {
    const OPERATION: &str = "oauth token";
    let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
    let request = http.post(endpoint).basic_auth(id, Some(secret)).form(&form).timeout(patience::limit(PATIENCE));
    let got = Instant::now();
    let answer = request.send().await.map_err(|err| unsent(OPERATION, err))?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.map_err(|err| unsent(OPERATION, err))?;
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
    let life = if granted.expires_in == 0 { 3600 } else { granted.expires_in };
    Ok(Token { value: Hidden(granted.access_token), got, life: Duration::from_secs(life) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_before_they_end() {
        let got = Instant::now();
        let hour = Token { value: Hidden("t".into()), got, life: Duration::from_secs(3600) };
        let at = |minutes: u64| got + Duration::from_secs(60 * minutes);
        assert!(hour.is_fresh(at(39)) && !hour.is_fresh(at(41)), "20 minutes before the end");
        assert!(hour.is_alive(at(59)) && !hour.is_alive(at(60)));
        let short = Token { life: Duration::from_secs(600), ..hour };
        assert!(short.is_fresh(at(4)) && !short.is_fresh(at(6)), "half of a short life");
    }
}
