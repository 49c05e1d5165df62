//! AWS's JSON protocol, version 1.1, for services whose requests are declared here: which operation stands in a header, and
//! errors are known by their names. What is sent and how is [`super::raw`]'s.

use std::borrow::Cow;

use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Error, Reason, Result,
    fence::Gate,
    raw::{Again, Refusal, Sent, Service},
};

/// A service that speaks JSON.
#[derive(Debug)]
pub(super) struct Json {
    service: Service,
    name: &'static str,
    /// What the header puts before the operation, such as `AWSGlue`.
    target: &'static str,
}

impl Json {
    /// Prepares a client. Sends nothing.
    pub(super) fn new(name: &'static str, target: &'static str, config: &SdkConfig, gate: Gate) -> Self {
        Self { service: Service::new(name, config, gate), name, target }
    }

    /// Sends a request and reads the answer.
    pub(super) async fn call<O: DeserializeOwned>(
        &self,
        operation: &'static str,
        input: &Value,
        again: Again,
    ) -> Result<O> {
        let target = ("x-amz-target", format!("{}.{operation}", self.target));
        let headers = vec![("content-type", "application/x-amz-json-1.1".to_owned()), target];
        let sent = Sent { headers, body: input.to_string() };
        let answer = self.service.call(operation, sent, response, again).await?;
        serde_json::from_slice(&answer).map_err(|err| self.unreadable(operation, &err))
    }

    /// Asks for page after page of a list, which changes nothing. `next` is the field of an answer that says where the next page
    /// begins, and `from` that of the request that takes it.
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        mut input: Value,
        list: &'static str,
        (next, from): (&'static str, &'static str),
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        loop {
            let mut page: Value = self.call(operation, &input, Again::Yes).await?;
            let items: Vec<T> =
                serde_json::from_value(page[list].take()).map_err(|err| self.unreadable(operation, &err))?;
            all.extend(items);
            match page[next].take() {
                Value::String(it) if !it.is_empty() => input[from] = it.into(),
                _ => return Ok(all),
            }
        }
    }

    /// Describes an answer that is not as the API reference has it.
    pub(super) fn unreadable(&self, operation: &'static str, err: &serde_json::Error) -> Error {
        Error::new(self.name, operation, Reason::Other, format!("the answer cannot be read: {err}"))
    }
}

/// Reads `null` as nothing: what was never set is sometimes left out and sometimes null.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    d: D,
) -> std::result::Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
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
