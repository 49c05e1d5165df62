//! How a request to the monitoring API says what it wants, and how its answer is written: rpcv2 CBOR or AWS JSON. Pure.
//!
//! The query protocol of older clients is not spoken. Errors carry their names as the SDKs look for them: in the body,
//! in a header, and in the header of services that once spoke the query protocol.

use std::io::Read as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::cbor;
use crate::local::gateway::call::{Call, Fault};

/// The service's name in both protocols.
const SERVICE: &str = "GraniteServiceVersion20100801";
/// The largest body, unpacked.
const LARGEST: u64 = 8 << 20;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Smithy's rpcv2 with CBOR.
    Cbor,
    /// AWS JSON 1.0.
    Json,
}

/// A request, as far as it can be read without knowing the operation.
#[derive(Debug)]
pub(super) struct Asked {
    /// The protocol.
    pub(super) format: Format,
    /// The operation's name.
    pub(super) operation: String,
}

/// Says which operation a request asks for; `None` where it speaks neither protocol.
pub(super) fn asked(headers: &HeaderMap, call: &Call) -> Option<Asked> {
    if let ("POST", ["service", SERVICE, "operation", operation]) = (call.method.as_str(), &segments(call)[..]) {
        return Some(Asked { format: Format::Cbor, operation: (*operation).to_owned() });
    }
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    let operation = target.strip_prefix(SERVICE)?.strip_prefix('.')?;
    Some(Asked { format: Format::Json, operation: operation.to_owned() })
}

fn segments(call: &Call) -> Vec<&str> {
    call.path.iter().map(String::as_str).collect()
}

/// Reads the input of an operation; an empty body counts as an empty one.
pub(super) fn input(format: Format, headers: &HeaderMap, body: &Bytes) -> Result<Value, Fault> {
    let wrong = |message: String| Fault::new(400, "SerializationException", message);
    let packed = headers.get("content-encoding").is_some_and(|it| it.as_bytes() == b"gzip");
    let unpacked;
    let body = if packed {
        let mut bytes = Vec::new();
        let read = GzDecoder::new(&body[..]).take(LARGEST).read_to_end(&mut bytes);
        read.map_err(|err| wrong(format!("the body is not valid gzip: {err}")))?;
        unpacked = bytes;
        &unpacked[..]
    } else {
        &body[..]
    };
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    match format {
        Format::Cbor => cbor::read(body).map_err(wrong),
        Format::Json => serde_json::from_slice(body).map_err(|err| wrong(err.to_string())),
    }
}

/// Writes an answer.
pub(super) fn reply(format: Format, document: &Value) -> Response<Body> {
    render(format, 200, document)
}

/// Writes a refusal, whose code is the name of the error's shape; `more` are the members that it has besides a message.
pub(super) fn refusal(format: Format, fault: &Fault, more: Map<String, Value>) -> Response<Body> {
    let mut body = Map::new();
    body.insert("__type".to_owned(), json!(format!("com.amazonaws.cloudwatch#{}", fault.code)));
    // Shapes disagree on the spelling; clients read what they know.
    body.insert("message".to_owned(), json!(fault.message));
    body.insert("Message".to_owned(), json!(fault.message));
    body.extend(more);
    let mut response = render(format, fault.status, &Value::Object(body));
    let side = if fault.status < 500 { "Sender" } else { "Receiver" };
    header(&mut response, "x-amzn-query-error", &format!("{};{side}", code(fault.code)));
    response
}

/// Returns the code that the query protocol had for an error, by which the SDKs still tell errors apart.
fn code(shape: &str) -> &str {
    match shape {
        "DashboardInvalidInputError" => "InvalidParameterInput",
        "DashboardNotFoundError" => "ResourceNotFound",
        "InternalServiceFault" => "InternalServiceError",
        "InvalidFormatFault" => "InvalidFormat",
        "InvalidParameterCombinationException" => "InvalidParameterCombination",
        "InvalidParameterValueException" => "InvalidParameterValue",
        "LimitExceededFault" => "LimitExceeded",
        "MissingRequiredParameterException" => "MissingParameter",
        it => it,
    }
}

fn render(format: Format, status: u16, document: &Value) -> Response<Body> {
    let (kind, body) = match format {
        Format::Cbor => ("application/cbor", cbor::write(document)),
        Format::Json => ("application/x-amz-json-1.0", document.to_string().into_bytes()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    header(&mut response, "x-amzn-requestid", &Uuid::new_v4().to_string());
    if format == Format::Cbor {
        header(&mut response, "smithy-protocol", "rpc-v2-cbor");
    }
    response
}

fn header(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn call(path: &str) -> Call {
        Call::new(Method::POST, path, "", Bytes::new(), "us-east-1".into())
    }

    #[test]
    fn both_protocols_name_the_operation() {
        let cbor = asked(&HeaderMap::new(), &call("/service/GraniteServiceVersion20100801/operation/ListMetrics"));
        assert!(cbor.is_some_and(|it| it.format == Format::Cbor && it.operation == "ListMetrics"));
        let mut headers = HeaderMap::new();
        assert!(asked(&headers, &call("/")).is_none(), "the query protocol");
        headers.insert("x-amz-target", HeaderValue::from_static("GraniteServiceVersion20100801.PutMetricData"));
        assert!(
            asked(&headers, &call("/")).is_some_and(|it| it.format == Format::Json && it.operation == "PutMetricData")
        );
    }

    #[test]
    fn a_packed_body_is_unpacked() {
        use std::io::Write as _;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(br#"{"Namespace":"Shop"}"#).expect("memory");
        let body = Bytes::from(packer.finish().expect("memory"));
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        assert_eq!(input(Format::Json, &headers, &body), Ok(json!({ "Namespace": "Shop" })));
        let plain = Bytes::from_static(b"{}");
        assert_eq!(input(Format::Json, &headers, &plain).expect_err("not packed").code, "SerializationException");
    }

    #[test]
    fn an_error_is_named_for_new_and_old_clients() {
        let fault = Fault::new(404, "DashboardNotFoundError", "no such dashboard");
        let response = refusal(Format::Json, &fault, Map::new());
        assert_eq!(response.headers()["x-amzn-query-error"], "ResourceNotFound;Sender");
        assert_eq!(response.status(), 404);
    }
}
