//! Whose a request is: read from the scope that it was signed for, and from its path. Pure.

use http::{HeaderMap, Uri, header::AUTHORIZATION};

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Clusters and topics (MSK).
    Kafka,
    /// Database instances (RDS).
    Database,
    /// Event source mappings and their tags (Lambda).
    Trigger,
    /// Queries (Athena).
    Query,
    /// Statements (Redshift's Data API).
    Statement,
    /// Schedules (EventBridge Scheduler).
    Schedule,
    /// Metrics, alarms and dashboards (CloudWatch).
    Monitor,
    /// The gateway's own account of itself.
    Health,
    /// Everything else goes on as it came.
    Upstream,
}

/// The part of a SigV4 signature that says what it was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The region, such as `us-east-1`.
    pub(crate) region: String,
    /// The service as SigV4 calls it, such as `kafka`.
    pub(crate) service: String,
}

impl Scope {
    /// Reads `AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request, …`.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let credential = header.split_once("Credential=")?.1.split([',', ' ']).next()?;
        let mut parts = credential.rsplit('/');
        parts.next().filter(|it| *it == "aws4_request")?;
        let service = parts.next()?.to_owned();
        Some(Self { region: parts.next()?.to_owned(), service })
    }
}

/// Says who answers.
pub(crate) fn owner(uri: &Uri, scope: Option<&Scope>) -> Owner {
    let path = uri.path();
    // No bucket can have such a name, so nothing is hidden by it.
    if path == "/_ecomctl/health" {
        return Owner::Health;
    }
    match scope.map(|it| it.service.as_str()) {
        Some("kafka") => Owner::Kafka,
        Some("rds") => Owner::Database,
        Some("athena") => Owner::Query,
        Some("redshift-data") => Owner::Statement,
        Some("scheduler") => Owner::Schedule,
        Some("monitoring") => Owner::Monitor,
        // Unsigned requests are told apart by paths that only one service has.
        Some("lambda") | None if is_trigger(path) => Owner::Trigger,
        None if path.starts_with("/api/v2/clusters") || path.starts_with("/v1/clusters") => Owner::Kafka,
        _ => Owner::Upstream,
    }
}

fn is_trigger(path: &str) -> bool {
    path.starts_with("/2015-03-31/event-source-mappings")
        || path.strip_prefix("/2017-03-31/tags/").is_some_and(|arn| arn.contains("event-source-mapping"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, service: Option<&str>) -> Owner {
        let mut headers = HeaderMap::new();
        if let Some(service) = service {
            let text = format!(
                "AWS4-HMAC-SHA256 Credential=AKIA/20260102/eu-central-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
            );
            headers.insert(AUTHORIZATION, text.parse().expect("a header"));
        }
        owner(&path.parse().expect("a path"), Scope::of(&headers).as_ref())
    }

    #[test]
    fn the_signature_decides_before_the_path() {
        assert_eq!(asked("/v1/clusters", Some("kafka")), Owner::Kafka);
        assert_eq!(asked("/v1/clusters", Some("s3")), Owner::Upstream);
        assert_eq!(asked("/", Some("rds")), Owner::Database);
        assert_eq!(asked("/tags/arn%3Aaws%3Ascheduler", Some("scheduler")), Owner::Schedule);
        assert_eq!(asked("/", Some("monitoring")), Owner::Monitor);
        assert_eq!(asked("/2015-03-31/functions", Some("lambda")), Owner::Upstream);
        assert_eq!(asked("/2015-03-31/event-source-mappings/x", Some("lambda")), Owner::Trigger);
        assert_eq!(asked("/2017-03-31/tags/arn%3Aaws%3Alambda%3A%3Afunction%3Af", Some("lambda")), Owner::Upstream);
        assert_eq!(asked("/bucket/_ecomctl/health", None), Owner::Upstream);
        assert_eq!(asked("/_ecomctl/health", None), Owner::Health);
        assert_eq!(asked("/_ecomctl/health", Some("s3")), Owner::Health);
    }

    #[test]
    fn the_scope_names_region_and_service() {
        let mut headers = HeaderMap::new();
        assert_eq!(Scope::of(&headers), None);
        headers.insert(AUTHORIZATION, "Bearer abc".parse().expect("a header"));
        assert_eq!(Scope::of(&headers), None);
        let text = "AWS4-HMAC-SHA256 Credential=a/b/20260102/eu-west-1/s3/aws4_request,SignedHeaders=host,Signature=0";
        headers.insert(AUTHORIZATION, text.parse().expect("a header"));
        assert_eq!(Scope::of(&headers), Some(Scope { region: "eu-west-1".into(), service: "s3".into() }));
    }
}
