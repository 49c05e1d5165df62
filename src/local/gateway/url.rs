//! Functions at addresses of their own. The cloud behind the gateway keeps and answers them, under names of the internet that
//! lead nowhere from here; so they are told as addresses of the gateway, and calls there count as invocations.

use axum::body::Body;
use http::{Request, Response, uri::PathAndQuery};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{
    Gateway, LARGEST_CALL,
    call::Fault,
    upstream::{Unreachable, segment},
};

/// What the paths of addresses begin with. No bucket can have such a name, so nothing is hidden by it.
const BEGIN: &str = "/_ecomctl/url/";
/// Below it the cloud answers at addresses, by their identifiers.
const BEHIND: &str = "/_aws/lambda-url/";

/// A function's address, and what is asked for below it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    region: String,
    function: String,
    id: String,
    rest: String,
}

impl Address {
    /// Reads the path of a request; `None` where it is no address of a function.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix(BEGIN)?.splitn(4, '/');
        let (region, function, id) = (parts.next()?, parts.next()?, parts.next()?);
        let function = percent_decode_str(function).decode_utf8_lossy().into_owned();
        let rest = parts.next().unwrap_or_default().to_owned();
        Some(Self { region: region.to_owned(), function, id: id.to_owned(), rest })
    }
}

/// Returns the function whose address a request of the API is about: `/2021-10-31/functions/<name>/url` or `…/urls`.
pub(super) fn configured(path: &str) -> Option<String> {
    let (function, last) = path.strip_prefix("/2021-10-31/functions/")?.split_once('/')?;
    matches!(last.trim_end_matches('/'), "url" | "urls")
        .then(|| percent_decode_str(function).decode_utf8_lossy().into_owned())
}

impl Gateway {
    /// Passes a call on to where the cloud answers at this address, and counts the invocation.
    pub(super) async fn call(&self, at: Address, mut request: Request<Body>) -> Result<Response<Body>, Unreachable> {
        let query = request.uri().query().map(|it| format!("?{it}")).unwrap_or_default();
        let path: Result<PathAndQuery, _> = format!("{BEHIND}{}/{}{query}", at.id, at.rest).parse();
        let Ok(path) = path else {
            return Ok(Fault::new(400, "BadRequestException", "the path cannot be read").json());
        };
        *request.uri_mut() = path.into();
        let running = self.meter.begin(&at.region, &at.function);
        let response = self.upstream.pass(request).await?;
        running.end_call(response.status());
        Ok(response)
    }

    /// Passes a request about addresses on, and tells them as they are reached from here.
    pub(super) async fn tell_address(
        &self,
        region: String,
        function: &str,
        request: Request<Body>,
    ) -> Result<Response<Body>, Unreachable> {
        let response = self.upstream.pass(request).await?;
        let (mut head, body) = response.into_parts();
        let body = match axum::body::to_bytes(body, LARGEST_CALL).await {
            Ok(it) => it,
            Err(err) => return Ok(Fault::new(502, "ServiceException", err.to_string()).json()),
        };
        let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else {
            return Ok(Response::from_parts(head, Body::from(body)));
        };
        let base = format!("http://{}{BEGIN}{region}/{}/", self.address, segment(function));
        tell(&mut answer, &base);
        head.headers.remove(http::header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, Body::from(answer.to_string())))
    }
}

/// Replaces each address within an answer; `base` is what it begins with here.
fn tell(answer: &mut Value, base: &str) {
    if let Some(Value::Array(all)) = answer.get_mut("FunctionUrlConfigs") {
        all.iter_mut().for_each(|it| tell(it, base));
    }
    if let Some(Value::String(url)) = answer.get_mut("FunctionUrl")
        && let Some(id) = url.strip_prefix("https://").and_then(|it| it.split('.').next())
    {
        *url = format!("{base}{id}/");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_about_addresses_are_told_by_their_path() {
        assert_eq!(configured("/2021-10-31/functions/watch/url"), Some("watch".into()));
        assert_eq!(configured("/2021-10-31/functions/watch/urls"), Some("watch".into()));
        assert_eq!(configured("/2021-10-31/functions/watch/event-invoke-config"), None);
        assert_eq!(configured("/2015-03-31/functions/watch/invocations"), None);
    }

    #[test]
    fn an_address_that_is_told_leads_to_its_function() {
        let mut answer = json!({ "FunctionUrl": "https://abc.lambda-url.us-east-1.on.aws/", "AuthType": "NONE" });
        tell(&mut answer, "http://127.0.0.1:1/_ecomctl/url/us-east-1/watch/");
        assert_eq!(answer["FunctionUrl"], "http://127.0.0.1:1/_ecomctl/url/us-east-1/watch/abc/");
        let wanted =
            Address { region: "us-east-1".into(), function: "watch".into(), id: "abc".into(), rest: "runs/7".into() };
        assert_eq!(Address::of("/_ecomctl/url/us-east-1/watch/abc/runs/7"), Some(wanted));
        assert_eq!(Address::of("/_ecomctl/health"), None);
        assert_eq!(Address::of("/bucket/_ecomctl/url/a/b/c"), None);
        let mut all = json!({ "FunctionUrlConfigs": [answer, { "FunctionUrl": "https://d.lambda-url.r.on.aws/" }] });
        tell(&mut all, "http://h/");
        assert_eq!(all["FunctionUrlConfigs"][1]["FunctionUrl"], "http://h/d/");
        assert!(
            all["FunctionUrlConfigs"][0]["FunctionUrl"].as_str().is_some_and(|it| it.ends_with("/abc/")),
            "told already"
        );
    }
}
