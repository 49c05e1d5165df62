//! Tokens of a service principal: one for each API, as a token for the one is refused by the other.

use reqwest::Client;

use super::{SERVICE, config::Config, fault, send::Api};
use crate::client::{
    Result,
    http::{self, Hidden, Kept},
};

/// What authorizes requests.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    fabric: Kept,
    powerbi: Kept,
}

impl Tokens {
    /// Returns a token for an API.
    pub(super) async fn get(&self, http: &Client, config: &Config, api: Api) -> Result<Hidden> {
        self.of(api).get(grant(http, config, api)).await
    }

    /// Forgets a token that was refused.
    pub(super) async fn forget(&self, api: Api) {
        self.of(api).forget().await;
    }

    const fn of(&self, api: Api) -> &Kept {
        match api {
            Api::Fabric => &self.fabric,
            Api::PowerBi => &self.powerbi,
        }
    }
}

async fn grant(client: &Client, config: &Config, api: Api) -> Result<http::Token> {
    let Hidden(secret) = &config.secret;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", config.id.as_str()),
        ("client_secret", secret.as_str()),
        ("scope", api.scope()),
    ];
    let address = format!("{}/{}/oauth2/v2.0/token", config.authority, config.tenant);
    let of = http::Authority { service: SERVICE, operation: "token", whom: "the authority", refusal: fault::describe };
    http::grant(client.post(address).form(&form), of).await
}
