//! Secret scopes. Values go in and out through the API, and are nowhere else: not in logs, errors or run records.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    auth::Caller,
    call::{Answer, done, exists, input, invalid, missing, no_such_api, now, ok, required},
};
use crate::local::gateway::{
    call::{Call, Fault},
    record::Records,
};

/// The largest value, in bytes.
const LARGEST: usize = 128 << 10;
/// The most secrets of a scope.
const MOST: usize = 1000;

/// All scopes, by name.
pub(super) type Scopes = BTreeMap<String, Scope>;

/// A scope.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Scope {
    acls: BTreeMap<String, Permission>,
    secrets: BTreeMap<String, Secret>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Secret {
    /// The value, in base 64.
    value: String,
    updated: i64,
}

/// A value is never shown by accident.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a secret of {}", self.updated)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Permission {
    Read,
    Write,
    Manage,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    scope: String,
    initial_manage_principal: Option<String>,
    scope_backend_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    scope: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put {
    scope: String,
    key: String,
    string_value: Option<String>,
    bytes_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    scope: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutAcl {
    scope: String,
    principal: String,
    permission: Permission,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Principal {
    scope: String,
    principal: String,
}

/// The API of secrets.
pub(super) struct Secrets {
    records: Records<Scopes>,
}

impl Secrets {
    /// Answers from what was kept.
    pub(super) fn new(records: Records<Scopes>) -> Self {
        Self { records }
    }

    /// Answers a call beneath `/api/2.0/secrets`.
    pub(super) async fn answer(&self, path: &[&str], call: &Call, caller: Caller) -> Answer {
        match (call.method.as_str(), path) {
            ("POST", ["scopes", "create"]) => self.create(input(call)?, caller).await,
            ("POST", ["scopes", "delete"]) => {
                let it: Of = input(call)?;
                self.records.change(|all| all.remove(&it.scope).ok_or_else(|| no_scope(&it.scope))).await?;
                done()
            }
            ("GET", ["scopes", "list"]) => {
                let all = self.records.now();
                let all: Vec<_> = all.keys().map(|it| json!({ "name": it, "backend_type": "DATABRICKS" })).collect();
                ok(if all.is_empty() { json!({}) } else { json!({ "scopes": all }) })
            }
            ("POST", ["put"]) => self.put(input(call)?).await,
            ("POST", ["delete"]) => {
                let it: Key = input(call)?;
                let gone =
                    |scope: &mut Scope| scope.secrets.remove(&it.key).ok_or_else(|| no_secret(&it.scope, &it.key));
                self.change(&it.scope, gone).await?;
                done()
            }
            ("GET", ["get"]) => {
                let (scope, key) = (required(call, "scope")?, required(call, "key")?);
                let all = self.records.now();
                let scope_of = all.get(scope).ok_or_else(|| no_scope(scope))?;
                let secret = scope_of.secrets.get(key).ok_or_else(|| no_secret(scope, key))?;
                ok(json!({ "key": key, "value": secret.value }))
            }
            ("GET", ["list"]) => {
                let name = required(call, "scope")?;
                let all = self.records.now();
                let scope = all.get(name).ok_or_else(|| no_scope(name))?;
                let secrets = scope.secrets.iter();
                let secrets: Vec<_> =
                    secrets.map(|(key, it)| json!({ "key": key, "last_updated_timestamp": it.updated })).collect();
                ok(if secrets.is_empty() { json!({}) } else { json!({ "secrets": secrets }) })
            }
            (_, ["acls", verb]) => self.answer_acl(verb, call).await,
            _ => Err(no_such_api(call)),
        }
    }

    async fn answer_acl(&self, verb: &str, call: &Call) -> Answer {
        match (call.method.as_str(), verb) {
            ("POST", "put") => {
                let it: PutAcl = input(call)?;
                self.change(&it.scope, |scope| Ok(scope.acls.insert(it.principal, it.permission))).await?;
                done()
            }
            ("POST", "delete") => {
                let it: Principal = input(call)?;
                let gone = |scope: &mut Scope| scope.acls.remove(&it.principal).ok_or_else(|| no_acl(&it.principal));
                self.change(&it.scope, gone).await?;
                done()
            }
            ("GET", "get") => {
                let (name, principal) = (required(call, "scope")?, required(call, "principal")?);
                let all = self.records.now();
                let scope = all.get(name).ok_or_else(|| no_scope(name))?;
                let permission = scope.acls.get(principal).ok_or_else(|| no_acl(principal))?;
                ok(json!({ "principal": principal, "permission": permission }))
            }
            ("GET", "list") => {
                let name = required(call, "scope")?;
                let all = self.records.now();
                let scope = all.get(name).ok_or_else(|| no_scope(name))?;
                let items = scope.acls.iter();
                let items: Vec<_> =
                    items.map(|(principal, it)| json!({ "principal": principal, "permission": it })).collect();
                ok(json!({ "items": items }))
            }
            _ => Err(no_such_api(call)),
        }
    }

    async fn create(&self, it: Create, caller: Caller) -> Answer {
        check_name("Scope", &it.scope)?;
        if it.scope_backend_type.as_deref().is_some_and(|it| it != "DATABRICKS") {
            return Err(invalid("The scope's backend can only be DATABRICKS here."));
        }
        let (principal, permission) = match it.initial_manage_principal.as_deref() {
            None => (caller.name(), Permission::Manage),
            Some("users") => ("users", Permission::Manage),
            Some(other) => {
                return Err(invalid(format!("The initial manage principal can only be `users`, not `{other}`.")));
            }
        };
        let create = |all: &mut Scopes| {
            if all.contains_key(&it.scope) {
                return Err(exists(format!("Scope {} already exists!", it.scope)));
            }
            let acls = BTreeMap::from([(principal.to_owned(), permission)]);
            all.insert(it.scope, Scope { acls, secrets: BTreeMap::new() });
            Ok(())
        };
        self.records.change(create).await?;
        done()
    }

    async fn put(&self, it: Put) -> Answer {
        check_name("Key", &it.key)?;
        let value = match (it.string_value, it.bytes_value) {
            (Some(it), None) => it.into_bytes(),
            (None, Some(it)) => BASE64_STANDARD.decode(it).map_err(|_| invalid("bytes_value is not base 64."))?,
            _ => return Err(invalid("Exactly one of string_value and bytes_value is needed.")),
        };
        if value.len() > LARGEST {
            let message = format!("The secret of {} bytes exceeds the limit of {LARGEST} bytes.", value.len());
            return Err(invalid(message));
        }
        let put = |scope: &mut Scope| {
            if scope.secrets.len() >= MOST && !scope.secrets.contains_key(&it.key) {
                let message = format!("A scope cannot have more than {MOST} secrets.");
                return Err(Fault::new(400, "RESOURCE_LIMIT_EXCEEDED", message));
            }
            let secret = Secret { value: BASE64_STANDARD.encode(&value), updated: now() };
            scope.secrets.insert(it.key, secret);
            Ok(())
        };
        self.change(&it.scope, put).await?;
        done()
    }

    async fn change<R>(&self, name: &str, change: impl FnOnce(&mut Scope) -> Result<R, Fault>) -> Result<R, Fault> {
        self.records.change(|all| change(all.get_mut(name).ok_or_else(|| no_scope(name))?)).await
    }

    /// Looks a value up; none when there is none, or when it is no text.
    pub(super) fn value(&self, scope: &str, key: &str) -> Option<String> {
        text(&self.records.now().get(scope)?.secrets.get(key)?.value)
    }

    /// All values that are text, to be masked wherever they appear. What `ecomctl` notes beside values is no secret.
    pub(super) fn values(&self) -> Vec<String> {
        let all = self.records.now();
        let secrets = all.values().flat_map(|it| &it.secrets).filter(|it| !it.0.starts_with("ecomctl."));
        secrets.filter_map(|it| text(&it.1.value)).collect()
    }
}

fn text(value: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()
}

fn check_name(what: &str, name: &str) -> Result<(), Fault> {
    let is_fine = |it: char| it.is_ascii_alphanumeric() || "-_.@".contains(it);
    if name.is_empty() || name.len() > 128 || !name.chars().all(is_fine) {
        let rule = "has at most 128 letters, digits, `-`, `_`, `.` and `@`";
        return Err(invalid(format!("{what} name {name:?} is invalid: a name {rule}.")));
    }
    Ok(())
}

fn no_scope(name: &str) -> Fault {
    missing(format!("Scope {name} does not exist!"))
}

fn no_secret(scope: &str, key: &str) -> Fault {
    missing(format!("Failed to get secret {key} for scope {scope}."))
}

fn no_acl(principal: &str) -> Fault {
    missing(format!("Failed to get secret acl for principal {principal}."))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Method;
    use serde_json::Value;

    use super::{super::call::Reply, *};

    async fn ask(secrets: &Secrets, method: &str, path: &str, input: Value) -> Answer {
        let method: Method = method.parse().expect("method");
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let call = Call::new(method, path, query, Bytes::from(input.to_string()), String::new());
        secrets.answer(&path.split('/').collect::<Vec<_>>(), &call, Caller::User).await
    }

    #[tokio::test]
    async fn what_is_noted_beside_values_is_not_masked() {
        let dir = tempfile::tempdir().expect("directory");
        let secrets = Secrets::new(Records::open(dir.path().join("secrets.json")).expect("records"));
        ask(&secrets, "POST", "scopes/create", json!({ "scope": "shop" })).await.expect("create");
        for (key, value) in [("database", "geheim"), ("ecomctl.owner.s.secret_scope.shop.n", "owner")] {
            let put = json!({ "scope": "shop", "key": key, "string_value": value });
            ask(&secrets, "POST", "put", put).await.expect("put");
        }
        assert_eq!(secrets.values(), ["geheim"]);
    }

    #[tokio::test]
    async fn values_come_back_only_when_they_are_asked_for() {
        let dir = tempfile::tempdir().expect("directory");
        let secrets = Secrets::new(Records::open(dir.path().join("secrets.json")).expect("records"));
        let scope = json!({ "scope": "shop" });
        ask(&secrets, "POST", "scopes/create", scope.clone()).await.expect("create");
        let again = ask(&secrets, "POST", "scopes/create", scope.clone()).await.expect_err("again");
        assert_eq!(again.code, "RESOURCE_ALREADY_EXISTS");
        let put = json!({ "scope": "shop", "key": "database", "string_value": "geheim" });
        ask(&secrets, "POST", "put", put).await.expect("put");
        let Ok(Reply::Json(list)) = ask(&secrets, "GET", "list?scope=shop", json!({})).await else { panic!() };
        assert_eq!(list["secrets"][0]["key"], "database");
        assert!(!list.to_string().contains("geheim"));
        assert!(!format!("{:?}", secrets.records.now()).contains("Z2VoZWlt"));
        assert_eq!(secrets.value("shop", "database").as_deref(), Some("geheim"));
        let Ok(Reply::Json(acls)) = ask(&secrets, "GET", "acls/list?scope=shop", json!({})).await else { panic!() };
        assert_eq!(acls["items"][0], json!({ "principal": "local@localhost", "permission": "MANAGE" }));
        ask(&secrets, "POST", "scopes/delete", scope.clone()).await.expect("delete");
        let gone = ask(&secrets, "POST", "scopes/delete", scope).await.expect_err("gone");
        assert_eq!((gone.status, gone.code), (404, "RESOURCE_DOES_NOT_EXIST"));
    }

    #[tokio::test]
    async fn what_the_service_refuses_is_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let secrets = Secrets::new(Records::open(dir.path().join("secrets.json")).expect("records"));
        ask(&secrets, "POST", "scopes/create", json!({ "scope": "s" })).await.expect("create");
        let bad = [
            ("scopes/create", json!({ "scope": "a b" })),
            ("scopes/create", json!({ "scope": "x", "initial_manage_principal": "me" })),
            ("scopes/create", json!({ "scope": "x", "nonsense": 1 })),
            ("put", json!({ "scope": "s", "key": "k" })),
            ("put", json!({ "scope": "s", "key": "k", "string_value": "x".repeat(LARGEST + 1) })),
        ];
        for (path, input) in bad {
            let refused = ask(&secrets, "POST", path, input).await.expect_err(path);
            assert_eq!(refused.status, 400, "{refused}");
        }
    }
}
