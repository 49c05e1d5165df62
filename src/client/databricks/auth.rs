//! Who is speaking: a personal access token as it is, or one that a service principal gets and renews.

use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use tokio::sync::OnceCell;

use super::{
    SERVICE, WHOM,
    config::{Config, Credentials},
    fault,
};
use crate::client::{
    Error, Reason, Result,
    http::{self, Hidden, Kept},
    patience,
};

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
    token: Kept,
}

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Place {
    endpoint: String,
    workspace_id: Option<String>,
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

impl Authority {
    pub(super) fn new(config: &Config) -> Self {
        match config.credentials.clone() {
            Credentials::Token(it) => Self::Given(it),
            Credentials::Principal { id, secret } => {
                let (place, token) = (OnceCell::new(), Kept::default());
                Self::Principal(Box::new(Principal { id, secret, place, token }))
            }
        }
    }

    /// Returns the token to send, and the workspace's number where discovery told it. One request at a time renews it.
    pub(super) async fn token(&self, http: &Client, host: &str) -> Result<(Hidden, Option<&str>)> {
        match self {
            Self::Given(it) => Ok((it.clone(), None)),
            Self::Principal(it) => {
                let place = it.place.get_or_try_init(|| discover(http, host)).await?;
                let token = it.token.get(grant(http, &place.endpoint, &it.id, &it.secret)).await?;
                Ok((token, place.workspace_id.as_deref()))
            }
        }
    }

    /// Forgets a token that was refused; says whether there will be another one.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::Given(_) => false,
            Self::Principal(it) => {
                it.token.forget().await;
                true
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
    let lost = |err| Error::new(SERVICE, "discovery", Reason::Unavailable, http::unsent(err, WHOM));
    let answer = request.timeout(patience::limit(http::TOKEN_PATIENCE)).send().await.map_err(lost)?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    Ok(answer.json().await.ok())
}

async fn grant(client: &Client, endpoint: &str, id: &str, Hidden(secret): &Hidden) -> Result<http::Token> {
    let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
    let request = client.post(endpoint).basic_auth(id, Some(secret)).form(&form);
    let of = http::Authority { service: SERVICE, operation: "oauth token", whom: WHOM, refusal: fault::describe };
    http::grant(request, of).await
}
