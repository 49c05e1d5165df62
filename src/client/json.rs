//! AWS's JSON protocol (1.1) for the services whose requests are declared here. Knows no service.

use std::borrow::Cow;

use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Error, Reason, Result,
    raw::{Again, Refusal, Sent, Service},
};

/// Sends a request; `prefix` is what the protocol calls the service, such as `AWSGlue`.
pub(super) async fn call<O: DeserializeOwned>(
    service: &Service,
    prefix: &str,
    operation: &'static str,
    input: &Value,
) -> Result<O> {
    let target = ("x-amz-target", format!("{prefix}.{operation}"));
    let headers = vec![("content-type", "application/x-amz-json-1.1".to_owned()), target];
    let sent = Sent { headers, body: input.to_string() };
    let answer = service.call(operation, sent, response, Again::Yes).await?;
    serde_json::from_slice(&answer).map_err(unreadable(service.name(), operation))
}

/// Returns an adapter for `map_err` that describes an answer of another shape.
pub(super) fn unreadable(service: &'static str, operation: &'static str) -> impl Fn(serde_json::Error) -> Error {
    move |err| Error::new(service, operation, Reason::Other, format!("the answer cannot be read: {err}"))
}

fn response(response: &HttpResponse) -> std::result::Result<Vec<u8>, OrchestratorError<Refusal>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(if body.is_empty() { b"{}".to_vec() } else { body.to_vec() });
    }
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let header = response.headers().get("x-amzn-errortype");
    let code = header.or_else(|| said["__type"].as_str().or_else(|| said["code"].as_str()));
    let message = said["message"].as_str().or_else(|| said["Message"].as_str());
    let message = message.map_or_else(|| String::from_utf8_lossy(body), Cow::Borrowed);
    Err(OrchestratorError::operation(Refusal::new(code.map(plain).unwrap_or_default(), &message)))
}

/// Takes the name of an error out of `prefix#Name:http://…`, as AWS's JSON protocol allows it to come.
fn plain(code: &str) -> &str {
    let code = code.split(':').next().unwrap_or(code);
    code.rsplit('#').next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::{client::orchestrator::HttpResponse, http::StatusCode};
    use aws_smithy_types::{body::SdkBody, error::metadata::ProvideErrorMetadata as _};

    use super::*;

    #[test]
    fn an_errors_name_is_found_wherever_it_stands() {
        let answer = |body: &str, header: Option<&str>| {
            let status = StatusCode::try_from(400).expect("a status");
            let mut it = HttpResponse::new(status, SdkBody::from(body));
            if let Some(header) = header {
                it.headers_mut().insert("x-amzn-errortype", header.to_owned());
            }
            let err = response(&it).expect_err("a refusal");
            let meta = err.as_operation_error().expect("the service's own");
            (meta.code().unwrap_or_default().to_owned(), meta.message().unwrap_or_default().to_owned())
        };
        let missing = ("EntityNotFoundException".to_owned(), "no such table".to_owned());
        let body = r#"{"__type": "com.amazonaws.glue#EntityNotFoundException", "Message": "no such table"}"#;
        assert_eq!(answer(body, None), missing);
        let header = "EntityNotFoundException:http://internal.amazon.com/coral/";
        assert_eq!(answer(r#"{"message": "no such table"}"#, Some(header)), missing);
        assert_eq!(answer("<html>", None), (String::new(), "<html>".to_owned()));
    }
}
