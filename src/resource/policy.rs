//! IAM policy documents: those that kinds write themselves, and one form in which any two can be compared.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Scope, key::Service};

/// The statement identifier under which buckets refuse what is not encrypted on its way.
const TLS_ONLY: &str = "RefuseWithoutTls";

/// Brings a policy document into the form in which equal permissions are equal values: IAM and people write one item
/// where a list is meant, in any order, and numbers where texts are meant.
pub(super) fn normal(document: &Value) -> Value {
    let Some(map) = document.as_object() else { return document.clone() };
    let mut out = Map::new();
    for (key, value) in map {
        let value = match key.as_str() {
            "Statement" => list(value).iter().map(statement).collect(),
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    Value::Object(out)
}

fn statement(statement: &Value) -> Value {
    let Some(map) = statement.as_object() else { return statement.clone() };
    let normal = |(key, value): (&String, &Value)| {
        let value = match key.as_str() {
            "Effect" | "Sid" => value.clone(),
            "Condition" => each(value, |it| each(it, set)),
            _ if value.is_object() => each(value, set),
            _ => set(value),
        };
        (key.clone(), value)
    };
    map.iter().map(normal).collect::<Map<_, _>>().into()
}

fn each(value: &Value, change: impl Fn(&Value) -> Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, it)| (key.clone(), change(it))).collect::<Map<_, _>>().into(),
        it => change(it),
    }
}

/// Sorts a list of texts; one text is a list of one.
fn set(value: &Value) -> Value {
    let text = |it: &Value| it.as_str().map_or_else(|| it.to_string(), str::to_owned);
    let mut texts: Vec<String> = list(value).iter().map(text).collect();
    texts.sort();
    texts.dedup();
    texts.into()
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        it => vec![it.clone()],
    }
}

/// Returns the policy that lets one AWS service assume a role, on behalf of this account only. Lambda does not say on
/// whose behalf it assumes an execution role, so it cannot be held to the account.
pub(super) fn trust(principal: &str, account: &str) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": { "Service": principal },
        "Action": "sts:AssumeRole",
    });
    if !principal.starts_with("lambda.") {
        statement["Condition"] = json!({ "StringEquals": { "aws:SourceAccount": account } });
    }
    json!({ "Version": "2012-10-17", "Statement": [statement] })
}

/// Returns a bucket's policy with the refusal of unencrypted requests added; the other statements stay.
pub(super) fn with_tls_only(policy: Option<&Value>, bucket_arn: &str) -> Value {
    let ours = json!({
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, format!("{bucket_arn}/*")],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    });
    let there = policy.map_or_else(Vec::new, |it| list(&it["Statement"]));
    let others = there.into_iter().filter(|it| it["Sid"] != TLS_ONLY && !it.is_null());
    json!({ "Version": "2012-10-17", "Statement": others.chain([ours]).collect::<Vec<_>>() })
}

/// Says whether a bucket's policy refuses unencrypted requests, in our words.
pub(super) fn is_tls_only(policy: Option<&Value>, bucket_arn: &str) -> bool {
    policy.is_some_and(|it| normal(it) == normal(&with_tls_only(Some(it), bucket_arn)))
}

/// Returns the policy of a topic: these services of AWS may publish, on behalf of this account only, and nothing arrives
/// unencrypted. Who may publish in the account besides, their own policies say.
pub(super) fn publishing(topic_arn: &str, account: &str, services: &[String]) -> Value {
    let refusal = json!({
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    });
    let allowed = (!services.is_empty()).then(|| {
        json!({
            "Sid": "Publish",
            "Effect": "Allow",
            "Principal": { "Service": services },
            "Action": "sns:Publish",
            "Resource": topic_arn,
            "Condition": { "StringEquals": { "aws:SourceAccount": account } },
        })
    });
    json!({ "Version": "2012-10-17", "Statement": allowed.into_iter().chain([refusal]).collect::<Vec<_>>() })
}

/// Returns which services may publish by a topic's policy; `None` where it says anything else than [`publishing`] would.
pub(super) fn publishers(policy: &Value, topic_arn: &str, account: &str) -> Option<Vec<String>> {
    let policy = normal(policy);
    let statements = policy["Statement"].as_array()?;
    let services = statements.iter().find(|it| it["Effect"] == "Allow").map(|it| it["Principal"]["Service"].clone());
    let services: Vec<String> = services.map_or_else(|| Some(Vec::new()), |it| serde_json::from_value(it).ok())?;
    let wanted = normal(&publishing(topic_arn, account, &services));
    let same = wanted["Statement"]
        .as_array()
        .is_some_and(|wanted| wanted.len() == statements.len() && wanted.iter().all(|it| statements.contains(it)));
    same.then_some(services)
}

/// Returns the policy of a key: the account's own policies say who may use it, as KMS's default has it, and these services of
/// AWS may in their own name, for what belongs to this stack or this account only. In the policy of a key, `*` is that key.
pub(super) fn encrypting(scope: &Scope, services: &BTreeSet<Service>) -> Value {
    let Scope { stack, account, region } = scope;
    let partition = scope.partition();
    let own = json!({
        "Sid": "Account",
        "Effect": "Allow",
        "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
        "Action": "kms:*",
        "Resource": "*",
    });
    let of_service = |it: &Service| match it {
        Service::Logs => json!({
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": { "Service": format!("logs.{region}.{}", if partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }) },
            "Action": ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Resource": "*",
            "Condition": { "ArnLike": { "kms:EncryptionContext:aws:logs:arn":
                format!("arn:{partition}:logs:{region}:{account}:log-group:/ecomctl/{stack}/*") } },
        }),
        Service::Cloudwatch => json!({
            "Sid": "Cloudwatch",
            "Effect": "Allow",
            "Principal": { "Service": "cloudwatch.amazonaws.com" },
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": { "StringEquals": { "aws:SourceAccount": account } },
        }),
    };
    let statements: Vec<Value> = std::iter::once(own).chain(services.iter().map(of_service)).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_permissions_are_equal() {
        let ours = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "s3:PutObject", "Resource": ["b", "a"],
            "Condition": { "NumericLessThan": { "s3:max-keys": 10 } },
        } });
        let theirs = json!({ "Statement": [{
            "Resource": ["a", "b"], "Action": ["s3:PutObject"], "Effect": "Allow",
            "Condition": { "NumericLessThan": { "s3:max-keys": ["10"] } },
        }], "Version": "2012-10-17" });
        assert_eq!(normal(&ours), normal(&theirs));
        let more = json!({ "Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": ["b", "a"],
        } });
        assert_ne!(normal(&ours), normal(&more));
    }

    #[test]
    fn principals_compare_by_kind() {
        let one = json!({ "Statement": [{ "Principal": { "Service": "lambda.amazonaws.com" } }] });
        let two = json!({ "Statement": [{ "Principal": { "Service": ["lambda.amazonaws.com"] } }] });
        let other = json!({ "Statement": [{ "Principal": { "AWS": "lambda.amazonaws.com" } }] });
        assert_eq!(normal(&one), normal(&two));
        assert_ne!(normal(&one), normal(&other));
    }

    #[test]
    fn refusal_without_tls_leaves_other_statements() {
        let theirs = json!({ "Version": "2012-10-17", "Statement": [{ "Sid": "Audit", "Effect": "Deny" }] });
        assert!(!is_tls_only(Some(&theirs), "arn:b"));
        assert!(!is_tls_only(None, "arn:b"));
        let both = with_tls_only(Some(&theirs), "arn:b");
        assert_eq!(both["Statement"][0]["Sid"], "Audit");
        assert!(is_tls_only(Some(&both), "arn:b"));
        assert!(!is_tls_only(Some(&both), "arn:other"), "the statement names the bucket");
        assert_eq!(with_tls_only(Some(&both), "arn:b"), both, "it is added once");
    }

    #[test]
    fn services_are_held_to_the_account_where_they_tell_it() {
        let condition = |it: &str| trust(it, "123456789012")["Statement"][0]["Condition"].clone();
        assert_eq!(condition("scheduler.amazonaws.com")["StringEquals"]["aws:SourceAccount"], "123456789012");
        assert_eq!(condition("lambda.amazonaws.com"), Value::Null);
    }

    #[test]
    fn who_may_publish_is_read_back() {
        let arn = "arn:aws:sns:r:1:t";
        let services = ["b.amazonaws.com".to_owned(), "a.amazonaws.com".to_owned()];
        let policy = publishing(arn, "1", &services);
        let sorted = vec!["a.amazonaws.com".to_owned(), "b.amazonaws.com".to_owned()];
        assert_eq!(publishers(&policy, arn, "1"), Some(sorted));
        assert_eq!(publishers(&publishing(arn, "1", &[]), arn, "1"), Some(Vec::new()));
        assert_eq!(publishers(&policy, arn, "2"), None, "another account's");
        let open = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sns:Publish", "Resource": arn },
        ] });
        assert_eq!(publishers(&open, arn, "1"), None);
    }
}
