//! Who calls: a user with a personal access token, or a service principal by OAuth (machine to machine).

use http::{HeaderMap, header::AUTHORIZATION};
use serde_json::json;

use super::call::{Answer, Reply, ok};
use crate::local::gateway::call::{Call, Fault};

/// The workspace's identifier.
pub(super) const WORKSPACE: &str = "1000000000000001";
/// The personal access token; also the client's identifier and its secret.
const TOKEN: &str = "local";
/// The token that a client gets. It is always the same one, so that it outlives the server.
const CLIENT_TOKEN: &str = "local-client";
/// How long a client may use its token, in seconds.
const LIFETIME: u32 = 3600;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// The workspace's one user.
    User,
    /// The service principal of the client `local`.
    Principal,
}

impl Caller {
    /// The name, as jobs and permissions show it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "local@localhost",
            Self::Principal => TOKEN,
        }
    }

    /// Says who it is, as SCIM does.
    pub(super) fn me(self) -> Answer {
        ok(json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "1000000000000002",
            "userName": self.name(),
            "displayName": self.name(),
            "active": true,
            "groups": [{ "display": "admins", "type": "direct", "value": "1000000000000003" }],
        }))
    }
}

/// Finds out who calls.
pub(super) fn caller(headers: &HeaderMap) -> Result<Caller, Fault> {
    let header = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    match header.and_then(|it| it.strip_prefix("Bearer ")).map(str::trim) {
        Some(TOKEN) => Ok(Caller::User),
        Some(CLIENT_TOKEN) => Ok(Caller::Principal),
        Some(_) => Err(Fault::new(403, "PERMISSION_DENIED", "Invalid access token: the local one is `local`.")),
        None => {
            let message = "Credential was not sent or was of an unsupported type for this API.";
            Err(Fault::new(401, "UNAUTHENTICATED", message))
        }
    }
}

/// Answers what is asked before anybody has a token; none when something else is asked.
pub(super) fn discover(call: &Call, headers: &HeaderMap) -> Option<Answer> {
    let host = headers.get("host").and_then(|it| it.to_str().ok()).unwrap_or("127.0.0.1");
    let (method, path) = call.route();
    Some(match (method, &path[..]) {
        ("GET", [".well-known", "databricks-config"]) => ok(json!({
            "oidc_endpoint": format!("http://{host}/oidc"),
            "workspace_id": WORKSPACE,
            "cloud": "AWS",
        })),
        ("GET", ["oidc", ".well-known", "oauth-authorization-server"]) => ok(json!({
            "issuer": format!("http://{host}/oidc"),
            "authorization_endpoint": format!("http://{host}/oidc/v1/authorize"),
            "token_endpoint": format!("http://{host}/oidc/v1/token"),
            "grant_types_supported": ["client_credentials"],
        })),
        ("POST", ["oidc", "v1", "token"]) => Ok(token(call, headers)),
        _ => return None,
    })
}

/// Gives a client its token (RFC 6749, 4.4).
fn token(call: &Call, headers: &HeaderMap) -> Reply {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let form: Vec<(String, String)> = form_urlencoded::parse(&call.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|it| it.0 == name).map(|it| it.1.clone());
    let basic = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.and_then(|it| String::from_utf8(BASE64_STANDARD.decode(it).ok()?).ok());
    let client = basic.or_else(|| Some(format!("{}:{}", field("client_id")?, field("client_secret")?)));
    if field("grant_type").as_deref() != Some("client_credentials") {
        let words = "only client_credentials is granted";
        return Reply::Refusal(400, json!({ "error": "unsupported_grant_type", "error_description": words }));
    }
    if client != Some(format!("{TOKEN}:{TOKEN}")) {
        let words = "Client authentication failed";
        return Reply::Refusal(401, json!({ "error": "invalid_client", "error_description": words }));
    }
    let scope = field("scope").unwrap_or_else(|| "all-apis".to_owned());
    Reply::Json(json!({ "access_token": CLIENT_TOKEN, "token_type": "Bearer", "expires_in": LIFETIME, "scope": scope }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;

    use super::*;

    fn ask(method: Method, path: &str, body: &'static str, authorization: &'static str) -> Answer {
        let call = Call::new(method, path, "", Bytes::from_static(body.as_bytes()), String::new());
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:7".parse().expect("host"));
        headers.insert(AUTHORIZATION, authorization.parse().expect("authorization"));
        discover(&call, &headers).expect("an answer")
    }

    #[test]
    fn only_the_right_client_gets_a_token() {
        let grant = "grant_type=client_credentials&scope=all-apis";
        let right = ask(Method::POST, "/oidc/v1/token", grant, "Basic bG9jYWw6bG9jYWw=");
        let Ok(Reply::Json(token)) = right else { panic!("{right:?}") };
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", token["access_token"].as_str().expect("a token"));
        headers.insert(AUTHORIZATION, bearer.parse().expect("header"));
        assert_eq!(caller(&headers), Ok(Caller::Principal));
        let wrong = ask(Method::POST, "/oidc/v1/token", grant, "Basic bG9jYWw6eA==");
        assert!(matches!(wrong, Ok(Reply::Refusal(401, _))), "{wrong:?}");
        let wrong = ask(Method::POST, "/oidc/v1/token", "grant_type=password", "Basic bG9jYWw6bG9jYWw=");
        assert!(matches!(wrong, Ok(Reply::Refusal(400, _))), "{wrong:?}");
    }

    #[test]
    fn endpoints_are_found_under_the_host_that_was_asked() {
        let Ok(Reply::Json(config)) = ask(Method::GET, "/.well-known/databricks-config", "", "") else { panic!() };
        assert_eq!(config["oidc_endpoint"], "http://127.0.0.1:7/oidc");
    }

    #[test]
    fn no_token_and_a_wrong_one_differ() {
        assert_eq!(caller(&HeaderMap::new()).expect_err("none").status, 401);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, "Bearer x".parse().expect("header"))]);
        assert_eq!(caller(&headers).expect_err("wrong").status, 403);
    }
}
