//! Whether a topic may invoke a function: a statement in the function's own policy.

use serde_json::Value;

use crate::{
    client::{Error, Reason, Result},
    resource::Cx,
};

/// Says whether the topic may.
pub(super) async fn is_allowed(cx: &Cx, function: &str, topic: &str) -> Result<bool> {
    let sent = cx.aws.lambda().get_policy().function_name(function).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetPolicy")))?;
    let policy = found.and_then(|it| serde_json::from_str::<Value>(it.policy()?).ok()).unwrap_or_default();
    Ok(allows(&policy, topic))
}

/// Lets the topic invoke the function. Doing so again does no harm.
pub(super) async fn allow(cx: &Cx, function: &str, topic: &str) -> Result<()> {
    let request = cx.aws.lambda().add_permission().function_name(function).statement_id(statement(topic));
    let request = request.action("lambda:InvokeFunction").principal("sns.amazonaws.com").source_arn(topic);
    match request.send().await.map_err(Error::aws("lambda", "AddPermission")) {
        // There is a statement of this name.
        Err(err) if err.reason == Reason::Busy => Ok(()),
        sent => sent.map(drop),
    }
}

/// Takes that back.
pub(super) async fn refuse(cx: &Cx, function: &str, topic: &str) -> Result<()> {
    let request = cx.aws.lambda().remove_permission().function_name(function).statement_id(statement(topic));
    Error::missing_is_done(request.send().await.map_err(Error::aws("lambda", "RemovePermission")))
}

fn statement(topic: &str) -> String {
    format!("sns-{}", topic.rsplit(':').next().unwrap_or(topic))
}

/// Reads a function's policy.
fn allows(policy: &Value, topic: &str) -> bool {
    let statements = policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    statements.iter().any(|it| {
        let from = ["ArnLike", "ArnEquals", "StringEquals"].map(|test| &it["Condition"][test]["AWS:SourceArn"]);
        it["Effect"] == "Allow"
            && it["Principal"]["Service"] == "sns.amazonaws.com"
            && from.into_iter().any(|it| it == topic)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_topics_own_statement_counts() {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Sid": "sns-t", "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" },
            "Action": "lambda:InvokeFunction", "Resource": "arn:f",
            "Condition": { "ArnLike": { "AWS:SourceArn": "arn:aws:sns:r:1:t" } },
        }] });
        assert!(allows(&policy, "arn:aws:sns:r:1:t"));
        assert!(!allows(&policy, "arn:aws:sns:r:1:other"));
        assert!(!allows(&Value::Null, "arn:aws:sns:r:1:t"));
        assert_eq!(statement("arn:aws:sns:r:1:t"), "sns-t");
    }
}
