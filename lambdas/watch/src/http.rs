//! HTTP to Databricks and AWS: verified TLS, a deadline, and another attempt where the other side asks for one. Signs
//! nothing, and knows neither of the two.
//!
//! hyper and rustls are what the SDK of the other functions is built on, so that this client compiles nothing new.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header::RETRY_AFTER, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, sleep, timeout_at};

/// The longest that one attempt may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// The most attempts.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt, where none is asked for; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 2 } else { 300 });
/// The largest answer that is read.
const LARGEST: usize = 16 << 20;

/// Why there is no usable answer. Never holds a secret, nor what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}")]
pub struct Error {
    /// What was asked, such as `databricks runs/list`.
    pub what: String,
    /// What came of it.
    pub problem: String,
}

impl Error {
    /// Describes a failure.
    pub(crate) fn new(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { what: what.into(), problem: problem.into() }
    }
}

/// A client with its connections, shared by all that ask.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    plain: Client<HttpConnector, Full<Bytes>>,
    /// Made when it is first needed: reading all the platform's certificates takes a while.
    secure: Arc<OnceLock<Client<HttpsConnector<HttpConnector>, Full<Bytes>>>>,
}

/// An answer, read to its end, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Describes a refusal by its status and the beginning of its body.
    pub(crate) fn refusal(&self, what: &str) -> Error {
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.trim().chars().take(300).collect();
        Error::new(what, format!("{}: {}", self.status, if text.is_empty() { "no reason is given" } else { &text }))
    }
}

impl Http {
    /// Prepares connections. Sends nothing yet.
    pub(crate) fn new() -> Self {
        Self { plain: client(connector()), secure: Arc::default() }
    }

    /// Sends a request and reads the answer. Sends it again, made anew, when nobody answers, or when the answer says
    /// that it may pass later; as long as there is time.
    pub(crate) async fn send(
        &self,
        what: &str,
        end: Instant,
        make: impl Fn() -> Result<Request<Full<Bytes>>, Error>,
    ) -> Result<Answer, Error> {
        let mut attempt = 1;
        loop {
            let request = make()?;
            check(request.uri()).map_err(|problem| Error::new(what, problem))?;
            let (failure, pause) = match timeout_at(end.min(Instant::now() + PATIENCE), self.once(request)).await {
                Ok(Ok(answer)) if !is_passing(answer.status) => return Ok(answer),
                Ok(Ok(answer)) => (answer.refusal(what), retry_after(&answer.headers)),
                Ok(Err(problem)) => (Error::new(what, problem), None),
                Err(_) => (Error::new(what, "no answer in time"), None),
            };
            let pause = pause.unwrap_or(PAUSE * 2_u32.pow(attempt - 1));
            if attempt == ATTEMPTS || Instant::now() + pause >= end {
                return Err(failure);
            }
            tracing::info!("{failure}; again in {} ms", pause.as_millis());
            sleep(pause).await;
            attempt += 1;
        }
    }

    async fn once(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = match request.uri().scheme() {
            Some(it) if *it == Scheme::HTTPS => self.secure()?.request(request).await,
            _ => self.plain.request(request).await,
        };
        let (head, body) = answer.map_err(|err| chain(&err))?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(|err| err.to_string())?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// Returns the client that takes only servers whose certificates the platform trusts.
    fn secure(&self) -> Result<&Client<HttpsConnector<HttpConnector>, Full<Bytes>>, String> {
        if let Some(it) = self.secure.get() {
            return Ok(it);
        }
        let provider = rustls::crypto::ring::default_provider();
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let tls = tls.map_err(|err| format!("there are no certificates to trust: {err}"))?;
        let mut tcp = connector();
        tcp.enforce_http(false);
        Ok(self.secure.get_or_init(|| client(tls.https_only().enable_http1().wrap_connector(tcp))))
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Full<Bytes>> {
    let mut builder = Client::builder(TokioExecutor::new());
    // Lambda freezes the process between invocations; what was open then is seldom open after.
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(Duration::from_secs(20));
    builder.build(connector)
}

/// Refuses what would send credentials in the clear: plain HTTP to another machine.
fn check(uri: &Uri) -> Result<(), String> {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let is_here = host == "localhost" || address.is_ok_and(|it| it.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(()),
        Some("http") if is_here => Ok(()),
        _ => Err(format!("{host} would be sent credentials in the clear: its address must begin with https://")),
    }
}

/// Says whether the same request may pass later.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// Reads how long to wait, in seconds; a date, which neither side sends, counts as nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn chain(err: &dyn std::error::Error) -> String {
    match err.source() {
        Some(cause) => format!("{err}: {}", chain(cause)),
        None => err.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_in_the_clear_to_this_machine_alone() {
        let fits = |it: &str| check(&it.parse().unwrap()).is_ok();
        assert!(
            fits("https://dbc-1.cloud.databricks.com/api") && fits("http://127.0.0.1:9/x") && fits("http://[::1]/x")
        );
        assert!(!fits("http://dbc-1.cloud.databricks.com/api") && !fits("http://127.0.0.1.evil.com/") && !fits("/api"));
    }

    /// Serves TLS with a certificate that nobody has signed.
    fn stranger() -> u16 {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![key.cert.der().clone()], private).unwrap();
        let (listener, config) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(config));
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                // The client hangs up; that is what is tested.
                session.complete_io(&mut stream).ok();
            }
        });
        port
    }

    #[tokio::test]
    async fn a_server_that_nobody_vouches_for_is_told_nothing() {
        let url = format!("https://localhost:{}/api", stranger());
        let make = || Ok(Request::get(&url).body(Full::default()).unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        let said = Http::new().send("databricks", end, make).await.unwrap_err().to_string();
        assert!(said.contains("UnknownIssuer") || said.contains("certificate"), "{said}");
    }

    #[test]
    fn waits_as_long_as_it_is_asked_to() {
        let asked = |value: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]));
        assert_eq!(asked("3"), Some(Duration::from_secs(3)));
        assert_eq!(asked("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
