//! Who gets the messages of a topic.

use aws_sdk_sns::types::Subscription as Subscribed;
use pbkdf2::pbkdf2_hmac_array;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{KindError, Result, Scope};
use crate::{
    address::Ref,
    resource::{Function, function},
};

/// What makes a guess at an address behind a hash costly: each takes milliseconds.
const ROUNDS: u32 = 10_000;
/// What SNS says in place of an ARN until the receiver has agreed.
const PENDING: &str = "PendingConfirmation";

/// Who gets the messages.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Subscription {
    /// A person, by address. SNS asks there first whether the mails are wanted.
    Email(String),
    /// A function of this stack, which then lets the topic invoke it.
    Function(Ref<Function>),
    /// A queue of SQS, by its ARN. Its policy must let the topic send.
    Queue(String),
    /// A web address, such as a chat's webhook: the name of the environment variable that holds it where `ecomctl` runs.
    /// It is read anew each time, and never shown or kept. The receiver must confirm what SNS sends it first.
    WebhookFrom(String),
}

/// Where messages go. The address of a webhook is a secret.
pub(super) struct Endpoint {
    pub(super) protocol: &'static str,
    pub(super) address: String,
}

impl Subscription {
    /// Says what is wrong, and what to do.
    pub(super) fn flaw(&self) -> Option<(String, String)> {
        match self {
            Self::Email(it) if !it.split_once('@').is_some_and(|(who, at)| !who.is_empty() && at.contains('.')) => {
                Some((format!("`{it}` is no address of a mailbox"), "it looks like `oncall@example.com`".to_owned()))
            }
            Self::Queue(it) if !(it.starts_with("arn:") && it.split(':').nth(2) == Some("sqs")) => {
                Some((format!("`{it}` is no ARN of a queue"), "it looks like `arn:aws:sqs:…:queue`".to_owned()))
            }
            // Whoever puts the address here has told it to everybody who can read the file.
            Self::WebhookFrom(it) if it.contains("://") => Some((
                "the address of a webhook is a secret, and has no place in a stack's file".to_owned(),
                "keep it in an environment variable, and name that, such as `ONCALL_WEBHOOK`".to_owned(),
            )),
            Self::WebhookFrom(it) if it.is_empty() || it.contains('=') => Some((
                format!("`{it}` is no name of an environment variable"),
                "name the one that holds the address, such as `ONCALL_WEBHOOK`".to_owned(),
            )),
            _ => None,
        }
    }

    /// Returns where messages go.
    pub(super) fn endpoint(&self, scope: &Scope) -> Result<Endpoint> {
        let endpoint = |protocol, address| Ok(Endpoint { protocol, address });
        match self {
            Self::Email(it) => endpoint("email", it.clone()),
            Self::Queue(it) => endpoint("sqs", it.clone()),
            Self::Function(it) => {
                let (partition, name) = (scope.partition(), function::live_name(scope, it));
                let Scope { account, region, .. } = scope;
                endpoint("lambda", format!("arn:{partition}:lambda:{region}:{account}:function:{name}"))
            }
            Self::WebhookFrom(name) => {
                let address = std::env::var(name).ok().filter(|it| !it.is_empty());
                let address = address.ok_or_else(|| KindError::Refused {
                    message: format!("the address of a webhook comes from the variable {name}, which is not set"),
                    help: "provide it where `ecomctl` runs; it is read anew each time and never stored".into(),
                })?;
                let known = [("https://", "https"), ("http://", "http")];
                let protocol = known.into_iter().find(|it| address.starts_with(it.0)).map(|it| it.1);
                let protocol = protocol.ok_or_else(|| KindError::Refused {
                    message: format!("the variable {name} holds no web address"),
                    help: "it begins with `https://`".into(),
                })?;
                endpoint(protocol, address)
            }
        }
    }
}

impl Endpoint {
    /// Returns what tells this subscription from others and can be shown to anybody.
    pub(super) fn key(&self, scope: &Scope) -> String {
        key(&scope.account, &scope.region, self.protocol, &self.address)
    }

    /// Takes the address out of a text where it is a secret.
    pub(super) fn hide(&self, text: &str) -> String {
        match self.protocol {
            "http" | "https" => text.replace(&self.address, "…"),
            _ => text.to_owned(),
        }
    }
}

/// Returns what tells a subscription that there is from others.
pub(super) fn key_of(it: &Subscribed) -> Option<String> {
    let mut topic = it.topic_arn()?.split(':').skip(3);
    let (region, account) = (topic.next()?, topic.next()?);
    Some(key(account, region, it.protocol()?, it.endpoint()?))
}

/// Says whether the receiver has yet to agree.
pub(super) fn is_pending(it: &Subscribed) -> bool {
    it.subscription_arn().is_none_or(|it| it == PENDING)
}

fn key(account: &str, region: &str, protocol: &str, address: &str) -> String {
    match protocol {
        "http" | "https" => {
            let salt = format!("{account}/{region}/{protocol}");
            let hash: [u8; 8] = pbkdf2_hmac_array::<Sha256, 8>(address.as_bytes(), salt.as_bytes(), ROUNDS);
            format!("{protocol} {}", hash.iter().map(|it| format!("{it:02x}")).collect::<String>())
        }
        _ => format!("{protocol} {address}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn subscription(it: Value) -> Subscription {
        serde_json::from_value(it).expect("a subscription")
    }

    fn scope(account: &str) -> Scope {
        Scope { stack: "prod".into(), account: account.into(), region: "eu-central-1".into() }
    }

    #[test]
    fn addresses_that_cannot_be_right() {
        for good in [
            json!({ "email": "oncall@example.com" }),
            json!({ "queue": "arn:aws:sqs:eu-central-1:123456789012:alarms" }),
            json!({ "webhook_from": "ONCALL_WEBHOOK" }),
            json!({ "function": "watch" }),
        ] {
            assert_eq!(subscription(good).flaw(), None);
        }
        let told = |it| subscription(it).flaw().expect("a flaw").0;
        assert!(told(json!({ "email": "oncall" })).contains("no address"));
        assert!(told(json!({ "queue": "arn:aws:sns:eu-central-1:123456789012:alarms" })).contains("no ARN of a queue"));
        let leak = told(json!({ "webhook_from": "https://chat.example.com/T0/secret" }));
        assert!(leak.contains("is a secret") && !leak.contains("chat.example.com"), "{leak}");
    }

    #[test]
    fn a_webhook_shows_as_a_salted_hash() {
        let webhook = Endpoint { protocol: "https", address: "https://chat.example.com/T0/secret".into() };
        let key = webhook.key(&scope("123456789012"));
        assert!(key.starts_with("https ") && key.len() == 6 + 16 && !key.contains("chat"), "{key}");
        assert_ne!(key, webhook.key(&scope("210987654321")), "nobody can make one table of hashes for all");
        let live = Subscribed::builder().topic_arn("arn:aws:sns:eu-central-1:123456789012:prod-people");
        let live = live.protocol("https").endpoint(&webhook.address).build();
        assert_eq!(key_of(&live), Some(key));
        assert!(is_pending(&live));
        assert_eq!(webhook.hide("bad endpoint https://chat.example.com/T0/secret!"), "bad endpoint …!");
    }

    #[test]
    fn a_function_is_known_by_its_arn() {
        let scope = scope("123456789012");
        let endpoint = subscription(json!({ "function": "watch" })).endpoint(&scope).expect("known");
        assert_eq!(endpoint.key(&scope), "lambda arn:aws:lambda:eu-central-1:123456789012:function:prod-watch:live");
    }
}
