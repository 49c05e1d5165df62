//! The address of a function, which leads to what serves (the alias), and the statements in its policy without which nobody reaches it there.
//!
//! Source: "Control access to Lambda function URLs" in the Lambda developer guide: whoever calls needs
//! `lambda:InvokeFunctionUrl`, and `lambda:InvokeFunction` for calls through the address.

use aws_sdk_lambda::types::FunctionUrlAuthType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::LIVE;
use crate::{
    client::{Error, Result},
    resource::Cx,
};

/// Who may call a function at its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Url {
    /// Whom IAM lets.
    Iam,
    /// Everybody, so the function itself must find out who calls.
    Anybody,
}

/// An address as Lambda has it.
#[derive(Debug)]
pub(super) struct LiveUrl {
    /// The address.
    pub(super) url: String,
    /// Whether Lambda lets everybody pass.
    is_open: bool,
    /// Whether the function's policy does as well, and for nothing but this.
    is_allowed: bool,
}

/// The statements that let everybody call the address: nobody can use them to invoke the function past it.
const STATEMENTS: [(&str, &str, &str, &str, &str); 2] = [
    ("open-call", "lambda:InvokeFunctionUrl", "StringEquals", "lambda:FunctionUrlAuthType", "NONE"),
    ("open-invoke", "lambda:InvokeFunction", "Bool", "lambda:InvokedViaFunctionUrl", "true"),
];

/// Reads the address of a function; `None` where it has none.
pub(super) async fn read(cx: &Cx, function: &str) -> Result<Option<LiveUrl>> {
    let lambda = cx.aws.lambda();
    let sent = lambda.get_function_url_config().function_name(function).qualifier(LIVE).send().await;
    let found = Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetFunctionUrlConfig")))?;
    let Some(found) = found else { return Ok(None) };
    let is_open = *found.auth_type() == FunctionUrlAuthType::None;
    let mut policy = Value::Null;
    if is_open {
        let sent = lambda.get_policy().function_name(function).qualifier(LIVE).send().await;
        let found = Error::missing_is_none(sent.map_err(Error::aws("lambda", "GetPolicy")))?;
        policy = found.and_then(|it| serde_json::from_str(it.policy()?).ok()).unwrap_or_default();
    }
    Ok(Some(LiveUrl { url: found.function_url, is_open, is_allowed: allows(&policy) }))
}

/// Tells who may call, in the words of the spec; in others where that is nothing that a spec can say.
pub(super) fn observed(live: Option<&LiveUrl>) -> Value {
    match live {
        None => Value::Null,
        Some(it) if !it.is_open => json!(Url::Iam),
        Some(it) if it.is_allowed => json!(Url::Anybody),
        Some(_) => json!("nobody"),
    }
}

/// Makes, changes or takes away an address. What was cut short is done again.
pub(super) async fn put(cx: &Cx, function: &str, wanted: Option<Url>, live: Option<&LiveUrl>) -> Result<()> {
    let lambda = cx.aws.lambda();
    let auth = match wanted {
        Some(Url::Anybody) => FunctionUrlAuthType::None,
        Some(Url::Iam) => FunctionUrlAuthType::AwsIam,
        None => {
            // As long as there is an address, this is seen as still to do.
            refuse(cx, function).await?;
            let sent = lambda.delete_function_url_config().function_name(function).qualifier(LIVE).send().await;
            return Error::missing_is_done(sent.map_err(Error::aws("lambda", "DeleteFunctionUrlConfig")));
        }
    };
    if live.is_some() {
        let sent =
            lambda.update_function_url_config().function_name(function).qualifier(LIVE).auth_type(auth).send().await;
        sent.map_err(Error::aws("lambda", "UpdateFunctionUrlConfig"))?;
    } else {
        let sent =
            lambda.create_function_url_config().function_name(function).qualifier(LIVE).auth_type(auth).send().await;
        sent.map_err(Error::aws("lambda", "CreateFunctionUrlConfig"))?;
    }
    // Also one of these names that says something else.
    refuse(cx, function).await?;
    match wanted {
        Some(Url::Anybody) => allow(cx, function).await,
        _ => Ok(()),
    }
}

async fn allow(cx: &Cx, function: &str) -> Result<()> {
    for (id, action, ..) in STATEMENTS {
        let request = cx.aws.lambda().add_permission().function_name(function).qualifier(LIVE).statement_id(id);
        let request = request.action(action).principal("*");
        let request = match action {
            "lambda:InvokeFunction" => request.invoked_via_function_url(true),
            _ => request.function_url_auth_type(FunctionUrlAuthType::None),
        };
        request.send().await.map_err(Error::aws("lambda", "AddPermission"))?;
    }
    Ok(())
}

async fn refuse(cx: &Cx, function: &str) -> Result<()> {
    for (id, ..) in STATEMENTS {
        let sent =
            cx.aws.lambda().remove_permission().function_name(function).qualifier(LIVE).statement_id(id).send().await;
        Error::missing_is_done(sent.map_err(Error::aws("lambda", "RemovePermission")))?;
    }
    Ok(())
}

/// Says whether a function's policy lets everybody call its address, and invoke it by no other way.
fn allows(policy: &Value) -> bool {
    let statements = policy["Statement"].as_array().map(Vec::as_slice).unwrap_or_default();
    let everybody = |it: &&Value| {
        let principal = &it["Principal"];
        it["Effect"] == "Allow" && (*principal == "*" || principal["AWS"] == "*")
    };
    let is_ours = |it: &Value, (_, action, test, key, value): (&str, &str, &str, &str, &str)| {
        it["Action"] == action && it["Condition"][test][key] == value
    };
    let open: Vec<&Value> = statements.iter().filter(everybody).collect();
    STATEMENTS.iter().all(|ours| open.iter().any(|it| is_ours(it, *ours)))
        && open.iter().all(|it| STATEMENTS.iter().any(|ours| is_ours(it, *ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(action: &str, condition: Value) -> Value {
        json!({ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": action, "Condition": condition })
    }

    #[test]
    fn everybody_may_call_the_address_and_nothing_else() {
        let call =
            statement("lambda:InvokeFunctionUrl", json!({ "StringEquals": { "lambda:FunctionUrlAuthType": "NONE" } }));
        let invoke = statement("lambda:InvokeFunction", json!({ "Bool": { "lambda:InvokedViaFunctionUrl": "true" } }));
        let topic = json!({ "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "lambda:InvokeFunction" });
        let policy = |them: &[&Value]| json!({ "Statement": them });
        assert!(allows(&policy(&[&call, &topic, &invoke])));
        assert!(!allows(&policy(&[&call])), "Lambda asks for both since October 2025");
        assert!(!allows(&policy(&[&invoke])));
        assert!(!allows(&Value::Null));
        let wide = statement("lambda:InvokeFunction", Value::Null);
        assert!(!allows(&policy(&[&call, &invoke, &wide])), "whoever can sign could invoke it past the address");
    }

    #[test]
    fn what_a_spec_cannot_say_differs_from_all_it_can() {
        let live = |is_open, is_allowed| LiveUrl { url: "https://a/".into(), is_open, is_allowed };
        assert_eq!(observed(None), Value::Null);
        assert_eq!(observed(Some(&live(false, false))), "iam");
        assert_eq!(observed(Some(&live(true, true))), "anybody");
        assert_eq!(observed(Some(&live(true, false))), "nobody");
    }
}
