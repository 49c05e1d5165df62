//! Who may ask a server of this machine: programs, and no page of another site in somebody's browser.
//!
//! The servers listen on loopback and check no credentials worth the name, so a page that could reach them could do
//! whatever their user can. A browser says where a request comes from (`Origin`, Fetch Metadata), and by which name the
//! page knows the server (`Host`: another name that leads here is DNS rebinding). Programs say neither.

use axum::{
    body::Body,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{HOST, ORIGIN},
};

/// Refuses what a page of another site asks; for `axum::middleware::from_fn`.
pub(crate) async fn own(request: Request<Body>, next: Next) -> Response {
    match is_foreign(request.headers()) || !is_local(request.headers()) {
        true => {
            (StatusCode::FORBIDDEN, "programs of this machine may ask, pages of other sites may not").into_response()
        }
        false => next.run(request).await,
    }
}

/// Says whether a page of another site asks.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(ORIGIN) || site.is_some_and(|it| it != "same-origin" && it != "none")
}

/// Says whether a request names this machine: by its loopback address, or by a name that never leads elsewhere (RFC 6761).
fn is_local(headers: &HeaderMap) -> bool {
    let Some(named) = headers.get(HOST) else { return true };
    let named = named.to_str().unwrap_or("?");
    is_local_name(named.rsplit_once(':').map_or(named, |it| it.0))
}

/// Says whether a name without a port is one of this machine.
pub(crate) fn is_local_name(name: &str) -> bool {
    name == "127.0.0.1" || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_ask(headers: &[(&'static str, &str)]) -> bool {
        let headers: HeaderMap =
            headers.iter().map(|it| (it.0.parse().expect("a name"), it.1.parse().expect("a value"))).collect();
        !is_foreign(&headers) && is_local(&headers)
    }

    #[test]
    fn programs_may_ask_and_pages_of_other_sites_may_not() {
        for host in ["127.0.0.1:14566", "localhost:14566", "localhost", "bucket.s3.localhost:14566"] {
            assert!(may_ask(&[("host", host)]), "{host}");
        }
        assert!(may_ask(&[]), "old programs name nobody");
        assert!(may_ask(&[("host", "localhost:1"), ("sec-fetch-site", "none")]), "who types the address");
        for host in
            ["evil.example", "evil.example:14566", "127.0.0.1.evil.example:14566", "localhost.evil.example", "10.0.0.1"]
        {
            assert!(!may_ask(&[("host", host)]), "{host}");
        }
        for (name, value) in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
            assert!(!may_ask(&[("host", "localhost:14566"), (name, value)]), "{name}: {value}");
        }
    }
}
