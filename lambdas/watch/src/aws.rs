//! The few requests that go to AWS: objects in S3, one secret, one message to SNS. No policy.
//!
//! The SDK's crates for S3 and SNS take longer to compile, and to start, than this whole function. So the requests are
//! written here, as the API references have them; the SDK's own library signs them.

use std::{fmt, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use bytes::Bytes;
use http::{
    Method, Request, StatusCode,
    header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH},
};
use http_body_util::Full;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::Instant;

use crate::http::{Answer, Error, Http};

/// What stands in a path as it is, slashes included.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// AWS, as this function may speak to it.
#[derive(Clone)]
pub(crate) struct Aws {
    http: Http,
    region: String,
    endpoint: Option<String>,
    credentials: Credentials,
}

impl fmt::Debug for Aws {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Aws").field("region", &self.region).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// An object's name, and when it was written, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) written: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Item>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    key: String,
    last_modified: String,
}

impl Aws {
    /// Takes region, endpoint and credentials from what Lambda puts into the environment.
    pub(crate) fn new(http: Http, lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let text = |name| lookup(name).unwrap_or_default();
        let (key, secret) = (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
        let credentials = Credentials::new(key, secret, lookup("AWS_SESSION_TOKEN"), None, "lambda");
        let region = lookup("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned());
        Self { http, region, endpoint: lookup("AWS_ENDPOINT_URL").filter(|it| !it.is_empty()), credentials }
    }

    /// Reads an object and its tag; `None` where there is none.
    pub(crate) async fn object(&self, bucket: &str, key: &str, end: Instant) -> Result<Option<(Bytes, String)>, Error> {
        let what = format!("s3 GetObject {key}");
        let answer = self.s3(&what, end, Method::GET, bucket, key, "", &[], Bytes::new()).await?;
        match answer.status {
            StatusCode::OK => Ok(Some((answer.body.clone(), tag(&answer)))),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(answer.refusal(&what)),
        }
    }

    /// Replaces the object that has this tag, or makes it where `tag` is none. Returns whether it did: somebody else may
    /// have been faster.
    pub(crate) async fn replace(
        &self,
        bucket: &str,
        key: &str,
        tag: Option<&str>,
        body: Bytes,
        end: Instant,
    ) -> Result<bool, Error> {
        let what = format!("s3 PutObject {key}");
        let condition = tag.map_or((IF_NONE_MATCH.as_str(), "*"), |it| (IF_MATCH.as_str(), it));
        let headers = [(CONTENT_TYPE.as_str(), "application/json"), condition];
        let answer = self.s3(&what, end, Method::PUT, bucket, key, "", &headers, body).await?;
        match answer.status.as_u16() {
            200 => Ok(true),
            // Somebody else wrote it: before, or at the same moment; or the object is gone.
            412 | 409 | 404 => Ok(false),
            _ => Err(answer.refusal(&what)),
        }
    }

    /// Lists the objects whose keys begin with `prefix`, and come after another key.
    pub(crate) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        end: Instant,
    ) -> Result<Vec<Object>, Error> {
        let what = format!("s3 ListObjectsV2 {prefix}");
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            // In the order in which they are signed.
            query.extend_pairs(token.iter().map(|it| ("continuation-token", it)));
            query.append_pair("list-type", "2").append_pair("prefix", prefix);
            query.extend_pairs(after.iter().map(|it| ("start-after", it)));
            let query = query.finish().replace('+', "%20");
            let answer = self.s3(&what, end, Method::GET, bucket, "", &query, &[], Bytes::new()).await?;
            if answer.status != StatusCode::OK {
                return Err(answer.refusal(&what));
            }
            let unreadable = |err: String| Error::new(&*what, format!("the answer cannot be read: {err}"));
            let text = String::from_utf8_lossy(&answer.body);
            let page: Page = quick_xml::de::from_str(&text).map_err(|err| unreadable(err.to_string()))?;
            for it in page.contents {
                let written = OffsetDateTime::parse(&it.last_modified, &Rfc3339);
                let written = written.map_err(|err| unreadable(err.to_string()))?.unix_timestamp_nanos() / 1_000_000;
                found.push(Object { key: it.key, written: i64::try_from(written).unwrap_or(i64::MAX) });
            }
            match page.next_continuation_token.filter(|it| !it.is_empty()) {
                Some(next) => token = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// Reads a secret's current text.
    pub(crate) async fn secret(&self, arn: &str, end: Instant) -> Result<String, Error> {
        let what = format!("secretsmanager GetSecretValue {arn}");
        let url = self.url("secretsmanager");
        let body = Bytes::from(json!({ "SecretId": arn }).to_string());
        let headers =
            [(CONTENT_TYPE.as_str(), "application/x-amz-json-1.1"), ("x-amz-target", "secretsmanager.GetSecretValue")];
        let make = || self.signed("secretsmanager", &Method::POST, &url, &headers, &body);
        let answer = self.http.send(&what, end, make).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.refusal(&what));
        }
        // The parser's own words could quote the secret.
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = document["SecretString"].as_str().map(str::to_owned);
        text.ok_or_else(|| Error::new(what, "the secret has no text"))
    }

    /// Publishes a message that has a text of its own for some protocols.
    pub(crate) async fn publish(&self, topic: &str, subject: &str, texts: &Value, end: Instant) -> Result<(), Error> {
        let what = format!("sns Publish {topic}");
        let url = self.url("sns");
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", "Publish").append_pair("Version", "2010-03-31").append_pair("TopicArn", topic);
        form.append_pair("Subject", subject).append_pair("MessageStructure", "json");
        let body = Bytes::from(form.append_pair("Message", &texts.to_string()).finish());
        let headers = [(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded")];
        let answer = self.http.send(&what, end, || self.signed("sns", &Method::POST, &url, &headers, &body)).await?;
        if answer.status == StatusCode::OK { Ok(()) } else { Err(answer.refusal(&what)) }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a part of one request")]
    async fn s3(
        &self,
        what: &str,
        end: Instant,
        method: Method,
        bucket: &str,
        key: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Error> {
        let key = utf8_percent_encode(key, &PATH);
        let mut url = match &self.endpoint {
            Some(it) => format!("{it}/{bucket}/{key}"),
            None => format!("https://{bucket}.s3.{}.{}/{key}", self.region, self.domain()),
        };
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        self.http.send(what, end, || self.signed("s3", &method, &url, headers, &body)).await
    }

    fn url(&self, service: &str) -> String {
        let own = || format!("https://{service}.{}.{}", self.region, self.domain());
        format!("{}/", self.endpoint.clone().unwrap_or_else(own))
    }

    /// China has a domain of its own.
    fn domain(&self) -> &'static str {
        if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    fn signed(
        &self,
        service: &str,
        method: &Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &Bytes,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let unsigned = |err: String| Error::new(service, format!("the request cannot be signed: {err}"));
        let mut settings = SigningSettings::default();
        if service == "s3" {
            // What S3 alone wants: see "Signing AWS requests" in its API reference.
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder().identity(&identity).region(&self.region).name(service);
        let params = params.time(SystemTime::now()).settings(settings).build();
        let params = params.map_err(|err| unsigned(err.to_string()))?.into();
        let signable = SignableRequest::new(method.as_str(), url, headers.iter().copied(), SignableBody::Bytes(body));
        let signed = sign(signable.map_err(|err| unsigned(err.to_string()))?, &params);
        let (instructions, _) = signed.map_err(|err| unsigned(err.to_string()))?.into_parts();
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(url), |it, (name, value)| it.header(*name, *value));
        let mut request = request.body(Full::new(body.clone())).map_err(|err| unsigned(err.to_string()))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

fn tag(answer: &Answer) -> String {
    answer.headers.get(ETAG).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_list_is_read() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>true</IsTruncated>
            <Contents><Key>gold/a b</Key><LastModified>2026-03-01T12:00:00.000Z</LastModified><Size>1</Size></Contents>
            <Contents><Key>gold/c</Key><LastModified>2026-03-01T12:00:01.000Z</LastModified></Contents>
            <NextContinuationToken>t</NextContinuationToken></ListBucketResult>"#;
        let page: Page = quick_xml::de::from_str(text).unwrap();
        let keys: Vec<&str> = page.contents.iter().map(|it| it.key.as_str()).collect();
        assert_eq!((keys, page.next_continuation_token.as_deref()), (vec!["gold/a b", "gold/c"], Some("t")));
        let empty = "<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>";
        assert!(quick_xml::de::from_str::<Page>(empty).unwrap().contents.is_empty());
    }

    #[test]
    fn nothing_shows_a_credential() {
        let lookup = |name: &str| Some(format!("{name}-value"));
        let aws = Aws::new(Http::new(), &lookup);
        assert!(!format!("{aws:?}").contains("SECRET_ACCESS_KEY"), "{aws:?}");
    }
}
