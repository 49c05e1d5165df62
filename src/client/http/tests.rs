use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use reqwest::{Client, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::json;

use super::{
    testing::{Answer, Server},
    *,
};
use crate::client::{Error, Reason, Result, fence::Gate};

/// A request of a client whose service says all by its status.
struct Plain {
    http: Client,
    host: String,
    twice: bool,
    reads: bool,
    /// How many tokens there are besides the first.
    tokens: AtomicU32,
}

impl Plain {
    fn new(server: &Server, twice: bool, reads: bool) -> Self {
        let http = client(&[&server.host]).expect("a client");
        Self { http, host: server.host.clone(), twice, reads, tokens: AtomicU32::new(0) }
    }

    async fn ask(&self) -> Result<()> {
        send(self, &Gate::default()).await.map(drop)
    }
}

impl Ask for Plain {
    fn terms(&self) -> Terms {
        Terms { service: "plain", operation: "ask", whom: "the place", twice: self.twice, reads: self.reads }
    }

    async fn request(&self) -> Result<RequestBuilder> {
        Ok(self.http.post(&self.host))
    }

    fn refusal(&self, status: StatusCode, _headers: &HeaderMap, _body: &[u8]) -> Error {
        let reason = match status.as_u16() {
            401 | 403 => Reason::Denied,
            404 => Reason::Missing,
            409 => Reason::Busy,
            429 => Reason::Throttled,
            408 | 500.. => Reason::Unavailable,
            _ => Reason::Invalid,
        };
        Error::new("plain", "ask", reason, status.to_string())
    }

    async fn forget(&self) -> bool {
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1)).is_ok()
    }
}

fn status(it: u16) -> Answer {
    Answer::With(it, "x: y", "")
}

#[tokio::test]
async fn what_is_sent_again_and_what_is_not() {
    let page = || Answer::With(200, "content-type: text/html", "<html>sign in</html>");
    // What comes first; how many requests that makes of what may arrive twice, and of what may not; how it ends when it is
    // not sent again.
    let table = [
        (status(429), [2, 2], None),
        (status(503), [2, 1], Some(Reason::Unavailable)),
        (status(500), [2, 1], Some(Reason::Unavailable)),
        (status(502), [2, 1], Some(Reason::Unavailable)),
        (status(504), [2, 1], Some(Reason::Unavailable)),
        (status(408), [2, 1], Some(Reason::Unavailable)),
        (Answer::Cut, [2, 1], Some(Reason::Unavailable)),
        (page(), [2, 1], Some(Reason::Unavailable)),
        (status(409), [1, 1], Some(Reason::Busy)),
        (status(401), [1, 1], Some(Reason::Denied)),
        (status(403), [1, 1], Some(Reason::Denied)),
        (status(404), [1, 1], Some(Reason::Missing)),
        (status(400), [1, 1], Some(Reason::Invalid)),
    ];
    for (first, requests, end) in table {
        for (twice, requests) in [true, false].into_iter().zip(requests) {
            let told = format!("{first:?}, twice: {twice}");
            let server = Server::scripted(vec![first.clone(), Answer::Json(200, json!({}))]).await;
            let result = Plain::new(&server, twice, false).ask().await;
            assert_eq!(result.err().map(|it| it.reason), end.filter(|_| requests == 1), "{told}");
            assert_eq!(server.asked().len(), requests, "{told}");
        }
    }
}

#[tokio::test]
async fn attempts_are_bounded_and_the_service_says_when() {
    let server = Server::scripted(vec![status(503)]).await;
    assert_eq!(Plain::new(&server, true, true).ask().await.expect_err("never").reason, Reason::Unavailable);
    assert_eq!(server.asked().len(), 5);

    let server = Server::scripted(vec![Answer::With(429, "Retry-After: 1", ""), Answer::Json(200, json!({}))]).await;
    let begun = Instant::now();
    Plain::new(&server, true, true).ask().await.expect("the second time");
    assert!(begun.elapsed().as_millis() >= 1000, "{:?}", begun.elapsed());
}

#[test]
fn who_reads_waits_until_a_service_has_time_again() {
    let terms = |reads| Terms { service: "plain", operation: "ask", whom: "the place", twice: true, reads };
    let longest = |reads, failure| super::send::longest(terms(reads), failure).as_secs();
    assert!(longest(true, Some(Reason::Throttled)) > 60, "services count by the minute");
    assert_eq!([longest(true, None), longest(true, Some(Reason::Unavailable))], [40; 2]);
    assert_eq!([longest(false, None), longest(false, Some(Reason::Throttled))], [40; 2], "a run's hold ends");
}

#[tokio::test]
async fn who_asks_to_wait_too_long_is_not_awaited() {
    for (reads, asked) in [(true, "Retry-After: 120"), (false, "Retry-After: 60")] {
        let server = Server::scripted(vec![Answer::With(429, asked, ""), Answer::Json(200, json!({}))]).await;
        let err = Plain::new(&server, true, reads).ask().await.expect_err("not now: the caller waits, not the client");
        assert_eq!((err.reason, server.asked().len()), (Reason::Throttled, 1));
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once() {
    for (tokens, requests, end) in [(0, 1, Some(Reason::Denied)), (1, 2, None), (5, 2, None)] {
        let server = Server::scripted(vec![status(401), Answer::Json(200, json!({}))]).await;
        let plain = Plain { tokens: AtomicU32::new(tokens), ..Plain::new(&server, false, false) };
        assert_eq!(plain.ask().await.err().map(|it| it.reason), end);
        assert_eq!(server.asked().len(), requests);
    }
    let server = Server::scripted(vec![status(401)]).await;
    let plain = Plain { tokens: AtomicU32::new(5), ..Plain::new(&server, true, true) };
    assert_eq!(plain.ask().await.expect_err("not for ever").reason, Reason::Denied);
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn credentials_leave_this_machine_over_tls_alone() {
    let open = client(&["http://example.com"]).expect_err("in the clear");
    assert!(open.contains("in the clear"), "{open}");
    client(&["http://127.0.0.1:1/x", "http://localhost"]).expect("here");
    client(&["http://127.0.0.1:1", "https://example.com"]).expect_err("mixed");
}
