//! Where a bucket lies and whose it is, with a stand-in for S3.

use std::sync::Mutex;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

use super::*;
use crate::client::aws::{Aws, Target};

/// Where the bucket of the stand-in lies.
const HOME: &str = "eu-west-1";

/// What was asked: the region that it was signed for, and the owner that was expected.
type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// Answers for a bucket that lies elsewhere, in one of the two ways in which S3 says so.
async fn scene(says_so: fn() -> Response) -> (Aws, Asked) {
    let asked = Asked::default();
    let heard = Arc::clone(&asked);
    let answer = move |headers: &HeaderMap| {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
        let region = text("authorization").and_then(|it| it.split('/').nth(2).map(str::to_owned)).expect("signed");
        let away = region != HOME;
        heard.lock().expect("not poisoned").push((region, text("x-amz-expected-bucket-owner")));
        if away { says_so() } else { ([(header::ETAG, "\"v\"")], "{}").into_response() }
    };
    let app = Router::new().fallback(move |headers: HeaderMap| std::future::ready(answer(&headers)));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = Some(format!("http://{}", listener.local_addr().expect("an address")));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let keys = Some(("a".to_owned(), "b".to_owned()));
    (Aws::connect(&Target { region: "us-east-1".into(), endpoint, keys }).await, asked)
}

fn redirected() -> Response {
    let body = "<Error><Code>PermanentRedirect</Code><Message>Use the right endpoint.</Message></Error>";
    let mut answer = (StatusCode::MOVED_PERMANENTLY, body).into_response();
    answer.headers_mut().insert("x-amz-bucket-region", HeaderValue::from_static(HOME));
    answer
}

fn malformed() -> Response {
    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region \
                'us-east-1' is wrong; expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>";
    (StatusCode::BAD_REQUEST, body).into_response()
}

#[tokio::test]
async fn a_bucket_in_another_region_is_found_there_once_and_for_all() {
    for says_so in [redirected as fn() -> Response, malformed] {
        let (aws, asked) = scene(says_so).await;
        let objects = aws.objects("states", "team").owned_by(Some("123456789012"));
        assert_eq!(objects.get("state.json").await.expect("found"), Some((b"{}".to_vec(), "\"v\"".to_owned())));
        objects.put("state.json", b"{}".to_vec(), Only::IfNone).await.expect("written");
        objects.clone().remove("state.json").await.expect("removed");
        let asked = asked.lock().expect("not poisoned");
        let regions: Vec<&str> = asked.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(regions, ["us-east-1", HOME, HOME, HOME]);
        assert!(asked.iter().all(|it| it.1.as_deref() == Some("123456789012")), "{asked:?}");
    }
}

#[tokio::test]
async fn what_says_no_other_region_is_an_error_and_not_asked_again() {
    let (aws, asked) = scene(|| StatusCode::FORBIDDEN.into_response()).await;
    let err = aws.objects("states", "team").get("state.json").await.expect_err("refused");
    assert_eq!(err.reason, Reason::Denied, "{err}");
    assert_eq!(*asked.lock().expect("not poisoned"), [("us-east-1".to_owned(), None)]);
}
