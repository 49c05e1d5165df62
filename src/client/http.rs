//! What the clients of REST APIs have in common: one way to speak HTTP, to wait before speaking again, to get tokens.

use std::time::Duration;

use rand::RngExt as _;
use reqwest::Client;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt as _;

mod send;
#[cfg(test)]
pub(crate) mod testing;
mod token;

pub(super) use send::{Answer, Ask, Terms, send};
pub(super) use token::{Authority, Hidden, Kept, PATIENCE as TOKEN_PATIENCE, Token, grant};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest pause that is our own choice.
const LONGEST: Duration = Duration::from_secs(8);
/// The first pause; short in unit tests.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 500 });

/// Makes a client for these addresses: over TLS, or in the clear where all are on this machine.
///
/// # Errors
/// Says which address would send credentials in the clear, or why no client can be made.
pub(super) fn client(addresses: &[&str]) -> Result<Client, String> {
    let mut http =
        Client::builder().user_agent(concat!("ecomctl/", env!("CARGO_PKG_VERSION"))).connect_timeout(CONNECT);
    let (plain, secure): (Vec<&str>, Vec<&str>) = addresses.iter().partition(|it| it.starts_with("http://"));
    // Only plain HTTP, and to this machine alone: nothing else may see a token.
    let is_open = |it: &&&str| !is_loopback(it.trim_start_matches("http://").split('/').next().unwrap_or_default());
    if let Some(it) = plain.iter().find(is_open) {
        return Err(format!("{it} would send credentials in the clear: use https://"));
    }
    http = match (plain.is_empty(), secure.is_empty()) {
        (false, true) => http.no_proxy().tls_backend_preconfigured(without_roots()?),
        (false, false) => return Err("some addresses are on this machine and some are not".to_owned()),
        (true, _) => {
            let tls = tls()?.with_platform_verifier().map_err(|err| broken(&err))?.with_no_client_auth();
            http.tls_backend_preconfigured(tls).https_only(true)
        }
    };
    // Redirects would carry the token elsewhere; the APIs have none.
    http.redirect(reqwest::redirect::Policy::none()).build().map_err(|err| broken(&err))
}

/// Describes a request without an answer. The address is left out: it may hold what was asked for.
pub(super) fn unsent(err: reqwest::Error, whom: &str) -> String {
    let host = err.url().and_then(|it| it.host_str()).unwrap_or(whom).to_owned();
    let err = err.without_url();
    let mut text = err.to_string();
    let mut source = std::error::Error::source(&err);
    while let Some(err) = source {
        text = format!("{text}: {err}");
        source = err.source();
    }
    format!("no answer from {host}: {text}")
}

/// Waits longer each time, and not in step with others.
pub(super) fn backoff(attempt: u32) -> Duration {
    let base = PAUSE.saturating_mul(1 << attempt.min(6).saturating_sub(1)).min(LONGEST);
    base + base.mul_f64(rand::rng().random_range(0.0..0.3))
}

/// How long a service asks to wait.
pub(super) fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn broken(err: &dyn std::fmt::Display) -> String {
    format!("no client can be made: {err}")
}

/// TLS with ring, as everywhere here.
fn tls() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    builder.with_safe_default_protocol_versions().map_err(|err| broken(&err))
}

/// TLS that trusts nobody: for plain HTTP, without looking for the system's certificates.
fn without_roots() -> Result<ClientConfig, String> {
    Ok(tls()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|it| it.1.bytes().all(|it| it.is_ascii_digit())).map_or(host, |it| it.0);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|it| it.is_loopback())
}

#[cfg(test)]
mod tests;
