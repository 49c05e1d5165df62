//! The Databricks workspace, read only: runs of jobs, and when a job was made. `CAN_VIEW` on the jobs is enough for it.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use crate::{
    aws::Aws,
    http::{Error, Http},
    run::{Ending, Run},
};

/// The most runs that `runs/list` gives at once.
const PAGE: &str = "25";
/// The most pages that are read of one list.
const PAGES: usize = 80;
/// How long before its end a token counts as ended.
const EARLY: Duration = Duration::from_secs(60);

/// A workspace, as a principal whose credentials are in a secret.
#[derive(Debug)]
pub(crate) struct Workspace {
    http: Http,
    host: String,
    secret: String,
    token: Mutex<Option<Token>>,
}

/// Credentials as the secret holds them.
enum Login {
    /// A personal access token.
    Token(String),
    /// A service principal with its OAuth secret.
    Client { id: String, secret: String },
}

/// What authorizes requests.
struct Token {
    value: String,
    /// When a new one is needed; none for one that was given.
    until: Option<Instant>,
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: u64,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    runs: Vec<Run>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Job {
    created_time: i64,
}

/// Which runs are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    /// Those that are not over.
    Active,
    /// Those that are over and were triggered at or after this time, in milliseconds since 1970.
    Completed { from: i64 },
}

impl Workspace {
    /// Prepares to ask; sends nothing.
    pub(crate) fn new(http: Http, host: &str, secret: &str) -> Self {
        let host = if host.contains("://") { host.to_owned() } else { format!("https://{host}") };
        let host = host.trim_end_matches('/').to_owned();
        Self { http, host, secret: secret.to_owned(), token: Mutex::new(None) }
    }

    /// Lists runs of a job, newest first.
    pub(crate) async fn runs(&self, aws: &Aws, job: i64, which: Which, end: Instant) -> Result<Vec<Run>, Error> {
        let filter = match which {
            Which::Active => "active_only=true".to_owned(),
            Which::Completed { from } => format!("completed_only=true&start_time_from={from}"),
        };
        let mut found = Vec::new();
        let mut token = String::new();
        for _ in 0..PAGES {
            let page: Page = self.get(aws, "jobs/runs/list", &list(job, &filter, &token), end).await?;
            found.extend(page.runs);
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(found);
            }
        }
        Err(Error::new("databricks jobs/runs/list", format!("job {job} has more than {} runs since", found.len())))
    }

    /// Finds the newest successful run, looking at no more than so many pages of runs that are over.
    pub(crate) async fn last_success(
        &self,
        aws: &Aws,
        job: i64,
        pages: usize,
        end: Instant,
    ) -> Result<Option<Run>, Error> {
        let mut token = String::new();
        for _ in 0..pages {
            let page: Page = self.get(aws, "jobs/runs/list", &list(job, "completed_only=true", &token), end).await?;
            let mut successes = page.runs.into_iter().filter(|it| it.ending().is_some_and(Ending::is_success));
            if let Some(newest) = successes.next() {
                return Ok(Some(newest));
            }
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// Reads one run.
    pub(crate) async fn run(&self, aws: &Aws, id: i64, end: Instant) -> Result<Run, Error> {
        self.get(aws, "jobs/runs/get", &format!("run_id={id}"), end).await
    }

    /// Says when a job was made, in milliseconds since 1970.
    pub(crate) async fn created(&self, aws: &Aws, job: i64, end: Instant) -> Result<i64, Error> {
        Ok(self.get::<Job>(aws, "jobs/get", &format!("job_id={job}"), end).await?.created_time)
    }

    async fn get<T: DeserializeOwned>(&self, aws: &Aws, api: &str, query: &str, end: Instant) -> Result<T, Error> {
        let what = format!("databricks {api}");
        let url = format!("{}/api/2.2/{api}?{query}", self.host);
        let mut is_fresh = false;
        loop {
            let token = self.token(aws, end).await?;
            let make = || {
                let request = Request::get(&url).header(AUTHORIZATION, format!("Bearer {token}"));
                request.body(Full::default()).map_err(|_| Error::new(&*what, "the address or the token is malformed"))
            };
            let answer = self.http.send(&what, end, make).await?;
            match answer.status {
                StatusCode::OK => {
                    let read = serde_json::from_slice(&answer.body);
                    return read.map_err(|err| Error::new(what, format!("the answer is not as documented: {err}")));
                }
                // The secret may have been changed since it was read.
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !is_fresh => {
                    *self.token.lock().await = None;
                    is_fresh = true;
                }
                _ => return Err(answer.refusal(&what)),
            }
        }
    }

    /// Returns a token that is good for a while.
    async fn token(&self, aws: &Aws, end: Instant) -> Result<String, Error> {
        let mut held = self.token.lock().await;
        if let Some(it) = held.as_ref().filter(|it| it.until.is_none_or(|until| Instant::now() < until)) {
            return Ok(it.value.clone());
        }
        let fresh = match login(&aws.secret(&self.secret, end).await?) {
            Some(Login::Token(value)) => Token { value, until: None },
            Some(Login::Client { id, secret }) => self.grant(&id, &secret, end).await?,
            None => {
                let problem = "is neither a token nor JSON with `client_id` and `client_secret`";
                return Err(Error::new(format!("secret {}", self.secret), problem));
            }
        };
        Ok(held.insert(fresh).value.clone())
    }

    /// Gets a token for a service principal (RFC 6749, 4.4).
    async fn grant(&self, id: &str, secret: &str, end: Instant) -> Result<Token, Error> {
        const WHAT: &str = "databricks oauth token";
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
        let make = || {
            let request = Request::post(format!("{}/oidc/v1/token", self.host)).header(AUTHORIZATION, &basic);
            let body = Bytes::from_static(b"grant_type=client_credentials&scope=all-apis");
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Full::new(body));
            request.map_err(|_| Error::new(WHAT, "the address or the credentials are malformed"))
        };
        let answer = self.http.send(WHAT, end, make).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal(WHAT));
        }
        // The parser's own words would quote the token.
        let granted: Result<Granted, _> = serde_json::from_slice(&answer.body);
        let granted = granted.map_err(|_| Error::new(WHAT, "the answer holds no token"))?;
        let life = Duration::from_secs(if granted.expires_in == 0 { 3600 } else { granted.expires_in });
        Ok(Token { value: granted.access_token, until: Some(Instant::now() + life.saturating_sub(EARLY)) })
    }
}

fn list(job: i64, filter: &str, token: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(format!("job_id={job}&limit={PAGE}&{filter}"));
    if !token.is_empty() {
        query.append_pair("page_token", token);
    }
    query.finish()
}

/// Reads the secret's text: a token by itself, JSON with `token`, or JSON with `client_id` and `client_secret`.
fn login(text: &str) -> Option<Login> {
    let text = text.trim();
    let Ok(Value::Object(it)) = serde_json::from_str(text) else {
        return Some(Login::Token(text.to_owned())).filter(|_| !text.is_empty() && !text.contains(char::is_whitespace));
    };
    let field = |name: &str| it.get(name).and_then(Value::as_str).map(str::to_owned);
    let client = || Some(Login::Client { id: field("client_id")?, secret: field("client_secret")? });
    client().or_else(|| field("token").map(Login::Token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_holds_a_token_or_a_client() {
        let token = |text| matches!(login(text), Some(Login::Token(it)) if it == "dapi1");
        assert!(token("dapi1\n") && token(r#"{"token": "dapi1"}"#));
        let client = login(r#"{"client_id": "i", "client_secret": "s"}"#);
        assert!(matches!(client, Some(Login::Client { id, secret }) if id == "i" && secret == "s"));
        for wrong in ["", "two words", r#"{"client_id": "i"}"#, "{}"] {
            assert!(login(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_page_token_is_encoded() {
        assert_eq!(list(7, "active_only=true", ""), "job_id=7&limit=25&active_only=true");
        assert_eq!(list(7, "x=1", "a=b&c"), "job_id=7&limit=25&x=1&page_token=a%3Db%26c");
    }
}
