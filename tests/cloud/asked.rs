//! What a request asks for, read from the wire as AWS's protocols and Databricks' have it.

use std::{collections::BTreeMap, fmt};

use axum::http::{Method, header::AUTHORIZATION, request::Parts};
use serde_json::Value;
use uuid::Uuid;

/// What names a resource in the body of a request, in the services that are used.
const NAMES: [&str; 20] = [
    "clusterName",
    "topicName",
    "FunctionName",
    "Topics",
    "logGroupName",
    "logGroupNamePrefix",
    "logGroupIdentifier",
    "resourceArn",
    "SecretId",
    "Name",
    "DBInstanceIdentifier",
    "DBInstanceIdentifierFilter",
    "Filters.Filter.1.Values.Value.1",
    "ResourceName",
    "ResourceArn",
    "TopicArn",
    "RoleName",
    "PolicyName",
    "Marker",
    "nextToken",
];

/// What a request asks for. Identifiers that the cloud makes up are replaced by what they stand for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Asked {
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) resource: String,
    pub(crate) mutating: bool,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mutating { '!' } else { ' ' };
        write!(f, "{sign} {} {} {}", self.service, self.operation, self.resource)
    }
}

impl Asked {
    /// Reads a request to AWS, or to the Databricks workspace.
    pub(crate) fn read(head: &Parts, body: &[u8], workspace: bool, names: &BTreeMap<String, String>) -> Self {
        if workspace {
            return Self::of_databricks(head, body);
        }
        let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let scope = header(AUTHORIZATION.as_str()).split("Credential=").nth(1).unwrap_or_default();
        let service = scope.split('/').nth(3).unwrap_or("unsigned").to_owned();
        let path = percent_encoding::percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
        let query = head.uri.query().unwrap_or_default();
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let form: BTreeMap<String, String> = match header("content-type") {
            it if it.starts_with("application/x-www-form-urlencoded") => {
                form_urlencoded::parse(body).into_owned().collect()
            }
            _ => BTreeMap::new(),
        };
        let target = header("x-amz-target").rsplit_once('.').map(|it| it.1);
        // CloudWatch's bodies are CBOR, and are not read: there are too many alarms to die once for each.
        let (path, called) = match path.split_once("/operation/") {
            Some((_, operation)) => ("/".to_owned(), Some(operation.to_owned())),
            None => (path, None),
        };
        let (operation, mutating) = match target.or(form.get("Action").or(called.as_ref()).map(String::as_str)) {
            Some(it) => (it.to_owned(), !["Get", "List", "Describe", "Filter"].iter().any(|verb| it.starts_with(verb))),
            None if path.ends_with("/invocations") => {
                let action = json["action"].as_str().unwrap_or("?");
                (format!("Invoke {action}"), action != "status")
            }
            None => {
                // Which version of a cluster it is, MSK makes up.
                let made_up = ["x-id=", "currentVersion="];
                let told = |it: &&str| !it.is_empty() && !made_up.iter().any(|other| it.starts_with(other));
                let parts: Vec<_> = query.split('&').filter(told).collect();
                let sub = if parts.is_empty() { String::new() } else { format!(" ?{}", parts.join("&")) };
                (
                    format!("{}{}", head.method, plain(&sub, names)),
                    head.method != Method::GET && head.method != Method::HEAD,
                )
            }
        };
        let named = NAMES.iter().filter_map(|it| match (&json[*it], form.get(*it)) {
            (Value::String(it), _) => Some(it.clone()),
            (Value::Array(it), _) => Some(it.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
            (_, it) => it.cloned(),
        });
        let path = Some(path).filter(|it| it != "/");
        let resource = path.into_iter().chain(named).collect::<Vec<_>>().join(" ");
        Self { service, operation, resource: plain(&resource, names), mutating }
    }

    fn of_databricks(head: &Parts, body: &[u8]) -> Self {
        let path = percent_encoding::percent_decode_str(head.uri.path()).decode_utf8_lossy().into_owned();
        let query = head.uri.query().unwrap_or_default();
        let query = percent_encoding::percent_decode_str(query).decode_utf8_lossy().into_owned();
        let text = String::from_utf8_lossy(body);
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let fields = ["name", "path", "scope", "key", "principal"].map(|it| json[it].as_str().map(str::to_owned));
        // A file comes as a form, whose fields stand before it.
        let field = text.split_once("name=\"path\"\r\n\r\n").and_then(|it| it.1.split("\r\n").next());
        let named = fields.into_iter().flatten().chain(field.map(str::to_owned));
        let resource = Some(query).filter(|it| !it.is_empty()).into_iter().chain(named).collect::<Vec<_>>().join(" ");
        Self {
            service: "databricks".to_owned(),
            operation: format!("{} {}", head.method, numberless(&path)),
            resource: numberless(&resource),
            mutating: head.method != Method::GET,
        }
    }

    /// Reads from an answer what identifiers it tells of, and what they stand for: event source mappings only, as all
    /// others stand beside a name.
    pub(crate) fn names(body: &[u8]) -> BTreeMap<String, String> {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let one = std::slice::from_ref(&json);
        let mappings = json["EventSourceMappings"].as_array().map_or(one, Vec::as_slice);
        let pair = |it: &Value| Some((it["UUID"].as_str()?.to_owned(), format!("<{}>", it["Topics"][0].as_str()?)));
        mappings.iter().filter_map(pair).collect()
    }
}

/// Replaces the numbers that Databricks gives to jobs and runs.
fn numberless(text: &str) -> String {
    let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    let parts = text.split_inclusive(['/', '=', '&', ' ']).map(|part| {
        let word = part.trim_end_matches(['/', '=', '&', ' ']);
        // The keys that say whose a secret scope is and which version a value has end with something made up.
        if let Some((key, _)) = word.rsplit_once('.').filter(|it| it.0.starts_with("ecomctl.")) {
            return format!("{key}.<id>{}", &part[word.len()..]);
        }
        if is_number(word) { format!("<n>{}", &part[word.len()..]) } else { part.to_owned() }
    });
    parts.collect()
}

/// Replaces every UUID, and what Secrets Manager puts behind a secret's name: a hyphen and six characters at random.
fn plain(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut found = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match rest.get(..36).filter(|it| Uuid::try_parse(it).is_ok()) {
            Some(it) => {
                found.push_str(names.get(it).map_or("<id>", String::as_str));
                let random = rest.get(36..43).filter(|_| text.contains(":secretsmanager:") && rest.len() == 43);
                36 + random.filter(|it| it.starts_with('-')).map_or(0, str::len)
            }
            None => {
                found.push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    found
}
