//! The server, with made-up numbers: what it answers to whom, and how.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

use super::*;

/// What `ecomctl dashboard --json` says of a made-up shop; made by `tests/dashboard/fixture.py`.
const NUMBERS: &str = include_str!("../../../tests/dashboard/numbers.json");

struct Place {
    url: String,
    asked: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves the page with a source that counts how often it is asked.
async fn serve(source: impl Fn() -> Result<String, String> + Send + Sync + 'static) -> Place {
    let library = tempfile::tempdir().expect("a folder");
    std::fs::write(library.path().join("index.js"), "export const echarts = {};").expect("written");
    std::fs::write(library.path().join("README"), "no script").expect("written");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let source: Source = Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let it = source();
        Box::pin(async move { it })
    });
    let dashboard = Dashboard::bind(Some(0), 0, library.path(), source).await.expect("listens");
    let (url, stop) = (dashboard.url(), CancellationToken::new());
    tokio::spawn(dashboard.serve(stop.clone()));
    Place { url, asked, stop }
}

impl Place {
    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let mut request =
            Request::builder().method(method).uri(format!("{}{}", self.url, path.trim_start_matches('/')));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let answer = client.request(request.body(Empty::new()).expect("a request")).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        self.send(Method::GET, path, headers).await
    }
}

#[tokio::test]
async fn every_answer_is_guarded() {
    let place = serve(|| Ok(NUMBERS.to_owned())).await;
    for path in [
        "/",
        "/page.js",
        "/page.css",
        "/views.js",
        "/charts.js",
        "/format.js",
        "/echarts/index.js",
        "/api/numbers",
        "/no",
    ] {
        let (status, headers, body) = place.get(path, &[]).await;
        assert_eq!(status, if path == "/no" { StatusCode::NOT_FOUND } else { StatusCode::OK }, "{path}");
        assert!(!body.is_empty(), "{path}");
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin", "{path}");
    }
    // Only scripts of the library are served, and no path leads out of its folder.
    for path in ["/echarts/README", "/echarts/../page.rs", "/echarts/%2e%2e/numbers.json", "/dashboard/index.html"] {
        assert_eq!(place.get(path, &[]).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

/// What the policy forbids, no browser would do; so nothing of it may be in the page.
#[test]
fn the_page_holds_no_inline_script_or_style_and_names_no_other_host() {
    let (_, _, html) = FILES[0];
    assert_eq!(html.matches("<script").count(), html.matches("<script type=\"module\" src=\"/").count());
    for word in ["<style", " style=", " onclick", " onload", "javascript:"] {
        assert!(!html.contains(word), "{word}");
    }
    for (path, _, text) in FILES {
        let hosts: Vec<_> =
            text.match_indices("://").map(|(at, _)| &text[at.saturating_sub(5)..(at + 16).min(text.len())]).collect();
        // The name of SVG's namespace is asked of nobody.
        assert!(hosts.iter().all(|it| it.contains("path://") || it.contains("//www.w3.org")), "{path}: {hosts:?}");
        for word in ["innerHTML =", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(word), "{path}: {word}");
        }
    }
}

#[tokio::test]
async fn other_names_other_sites_and_other_methods_are_refused() {
    let place = serve(|| Ok(NUMBERS.to_owned())).await;
    let port = place.url.trim_end_matches('/').rsplit(':').next().expect("a port").to_owned();
    for host in
        ["evil.example", &format!("evil.example:{port}"), "127.0.0.1", &format!("127.0.0.1.evil.example:{port}")]
    {
        for path in ["/", "/api/numbers"] {
            assert_eq!(place.get(path, &[("host", host)]).await.0, StatusCode::FORBIDDEN, "{host}{path}");
        }
    }
    assert_eq!(place.get("/", &[("host", &format!("localhost:{port}"))]).await.0, StatusCode::OK);
    for site in ["cross-site", "same-site"] {
        assert_eq!(place.get("/api/numbers", &[("sec-fetch-site", site)]).await.0, StatusCode::FORBIDDEN, "{site}");
    }
    assert!(place.asked.load(Ordering::SeqCst) <= 1, "nobody who was refused caused a query; only the start did");
    assert_eq!(place.get("/api/numbers", &[("sec-fetch-site", "same-origin")]).await.0, StatusCode::OK);
    let (status, headers, _) = place.send(Method::POST, "/api/numbers", &[]).await;
    assert_eq!((status, headers[ALLOW].to_str().expect("text")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    let (status, _, body) = place.send(Method::HEAD, "/", &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn scripts_are_sent_once() {
    let place = serve(|| Ok(NUMBERS.to_owned())).await;
    let (_, headers, _) = place.get("/echarts/index.js", &[]).await;
    let tag = headers[ETAG].to_str().expect("text").to_owned();
    let (status, headers, body) = place.get("/echarts/index.js", &[("if-none-match", &tag)]).await;
    assert_eq!(
        (status, body.as_str(), headers[ETAG].to_str().expect("text")),
        (StatusCode::NOT_MODIFIED, "", tag.as_str())
    );
    assert_eq!(headers[CACHE_CONTROL], "no-cache");
    assert_eq!(place.get("/echarts/index.js", &[("if-none-match", "\"other\"")]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn ten_pages_cost_one_set_of_queries() {
    let place = serve(|| Ok(NUMBERS.to_owned())).await;
    let answers = futures::future::join_all((0..10).map(|_| place.get("/api/numbers", &[]))).await;
    for (status, headers, body) in answers {
        assert_eq!((status, headers[CONTENT_TYPE].to_str().expect("text")), (StatusCode::OK, JSON));
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        let numbers: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(numbers["tiles"].as_array().map(Vec::len), Some(5));
        assert!(numbers["visuals"].as_array().is_some_and(|it| it.iter().all(|it| it["answer"]["rows"].is_array())));
    }
    assert_eq!(place.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_source_that_fails_says_why_and_is_asked_again() {
    let place = serve(|| Err("the local cloud does not run".to_owned())).await;
    for _ in 0..3 {
        let (status, headers, body) = place.get("/api/numbers", &[]).await;
        assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "the local cloud does not run"));
        assert!(headers.contains_key(RETRY_AFTER));
    }
    assert!(place.asked.load(Ordering::SeqCst) >= 3, "a failure is not kept");
}

#[tokio::test]
async fn a_taken_port_is_told_and_a_preferred_one_only_preferred() {
    let library = tempfile::tempdir().expect("a folder");
    let source: Source = Arc::new(|| Box::pin(async { Ok(String::new()) }));
    let bind = |port, preferred| Dashboard::bind(port, preferred, library.path(), source.clone());
    assert!(matches!(bind(Some(0), 0).await, Err(Error::Library { .. })), "there is no library yet");
    std::fs::write(library.path().join("index.js"), "").expect("written");
    let first = bind(Some(0), 0).await.expect("any port");
    let port = first.address.port();
    assert!(matches!(bind(Some(port), 0).await, Err(Error::Listen { port: it, .. }) if it == port));
    let second = bind(None, port).await.expect("another port");
    assert_ne!(second.address.port(), port);
    assert!(second.address.ip().is_loopback());
}
