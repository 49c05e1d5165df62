//! Tokens of service principals, as OAuth 2.0 grants them for client credentials (RFC 6749, section 4.4): kept, and renewed
//! before they end.

use std::{
    fmt,
    time::{Duration, Instant},
};

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::unsent;
use crate::client::{Error, Reason, Result, patience};

/// A token counts as expired so long before it is.
const EARLY: Duration = Duration::from_secs(40);
/// A token that lives long is renewed so long before its end.
const RENEW: Duration = Duration::from_mins(20);
/// The longest that an answer about tokens may take.
pub(in crate::client) const PATIENCE: Duration = Duration::from_secs(15);

/// A text that never shows.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::client) struct Hidden(pub(in crate::client) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A token with its life.
#[derive(Debug)]
pub(in crate::client) struct Token {
    value: Hidden,
    got: Instant,
    life: Duration,
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

/// A token that is kept. One request at a time renews it.
#[derive(Debug, Default)]
pub(in crate::client) struct Kept(Mutex<Option<Token>>);

impl Kept {
    /// Returns the token, asked for anew where it is about to end.
    ///
    /// # Errors
    /// Why there is none; while the old one still lives, a failure to renew it is no failure.
    pub(in crate::client) async fn get(&self, grant: impl Future<Output = Result<Token>>) -> Result<Hidden> {
        let mut held = self.0.lock().await;
        if let Some(it) = held.as_ref().filter(|it| it.is_fresh(Instant::now())) {
            return Ok(it.value.clone());
        }
        let got = match (grant.await, held.take().filter(|it| it.is_alive(Instant::now()))) {
            (Ok(it), _) | (Err(_), Some(it)) => it,
            (Err(err), None) => return Err(err),
        };
        Ok(held.insert(got).value.clone())
    }

    /// Forgets a token that was refused.
    pub(in crate::client) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

/// Whom a token is asked of, and how what it says is read.
#[derive(Clone, Copy)]
pub(in crate::client) struct Authority {
    /// What errors call the service.
    pub(in crate::client) service: &'static str,
    /// What errors call the request.
    pub(in crate::client) operation: &'static str,
    /// Who answers, for people: `the workspace`.
    pub(in crate::client) whom: &'static str,
    /// Describes an answer that is no success.
    pub(in crate::client) refusal: fn(&'static str, StatusCode, &HeaderMap, &[u8]) -> Error,
}

/// Asks for a token by this request.
///
/// # Errors
/// Says who refused, or that there is no answer; never what was sent.
pub(in crate::client) async fn grant(request: RequestBuilder, of: Authority) -> Result<Token> {
    let lost = |err| Error::new(of.service, of.operation, Reason::Unavailable, unsent(err, of.whom));
    let got = Instant::now();
    let answer = request.timeout(patience::limit(PATIENCE)).send().await.map_err(lost)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await.map_err(lost)?;
    if !status.is_success() {
        let mut err = (of.refusal)(of.operation, status, &headers, &body);
        // OAuth answers 400 where the client is not known.
        if err.reason == Reason::Invalid {
            err.reason = Reason::Denied;
        }
        return Err(err);
    }
    // The parser's own words would quote the token.
    let wrong = |_| Error::new(of.service, of.operation, Reason::Other, "the answer holds no token");
    let granted: Granted = serde_json::from_slice(&body).map_err(wrong)?;
    let life = if granted.expires_in == 0 { 3600 } else { granted.expires_in };
    Ok(Token { value: Hidden(granted.access_token), got, life: Duration::from_secs(life) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(value: &str, life: u64) -> Token {
        Token { value: Hidden(value.to_owned()), got: Instant::now(), life: Duration::from_secs(life) }
    }

    #[test]
    fn tokens_are_renewed_before_they_end() {
        let hour = token("t", 3600);
        let at = |minutes: u64| hour.got + Duration::from_secs(60 * minutes);
        assert!(hour.is_fresh(at(39)) && !hour.is_fresh(at(41)), "20 minutes before the end");
        assert!(hour.is_alive(at(59)) && !hour.is_alive(at(60)));
        let short = Token { got: hour.got, ..token("t", 600) };
        assert!(short.is_fresh(at(4)) && !short.is_fresh(at(6)), "half of a short life");
        assert!(!format!("{hour:?}").contains('"'), "no token shows");
    }

    /// A token that was got so many seconds ago.
    fn aged(value: &str, seconds: u64) -> Token {
        let got = Instant::now().checked_sub(Duration::from_secs(seconds)).expect("this machine runs for minutes");
        Token { got, ..token(value, 100) }
    }

    #[tokio::test]
    async fn a_failure_to_renew_what_still_lives_is_none() {
        let refused = || async { Err(Error::new("s", "token", Reason::Unavailable, "no answer")) };
        let kept = Kept::default();
        kept.get(refused()).await.expect_err("there is none yet");
        *kept.0.lock().await = Some(aged("a", 50));
        assert_eq!(kept.get(refused()).await.expect("it lives on"), Hidden("a".into()));
        assert_eq!(kept.get(async { Ok(token("b", 3600)) }).await.expect("renewed"), Hidden("b".into()));
        assert_eq!(kept.get(refused()).await.expect("fresh: nobody is asked"), Hidden("b".into()));
        kept.forget().await;
        kept.get(refused()).await.expect_err("forgotten");
        *kept.0.lock().await = Some(aged("c", 90));
        kept.get(refused()).await.expect_err("over, but for some seconds");
    }
}
