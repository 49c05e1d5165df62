//! The one error type of all clients.
//!
//! Code may match on [`Reason`] alone, never on the text.

use std::fmt;

use aws_smithy_runtime_api::{
    client::{orchestrator::HttpResponse, result::SdkError},
    http::StatusCode,
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// What went wrong, as far as a caller may act upon it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The thing asked for is not there.
    Missing,
    /// The thing to be made is there already.
    Exists,
    /// The caller may not do this.
    Denied,
    /// Too many requests.
    Throttled,
    /// Something it depends on is still changing; the same request may pass later.
    Busy,
    /// The request itself is wrong.
    Invalid,
    /// No answer, or one that does not say whether the request took effect.
    Unavailable,
    /// None of these.
    Other,
}

/// A request that failed.
#[derive(Clone, Debug)]
pub struct Error {
    /// The service that was asked, such as `lambda`.
    pub service: &'static str,
    /// The operation, as the service calls it, such as `CreateFunction`.
    pub operation: &'static str,
    /// What went wrong, as far as a caller may act upon it.
    pub reason: Reason,
    /// The service's own words.
    pub message: String,
    /// The service's identifier of the request.
    pub request_id: Option<String>,
}

impl Error {
    /// Describes a failure that no SDK reported.
    pub fn new(service: &'static str, operation: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { service, operation, reason, message: message.into(), request_id: None }
    }

    /// Returns an adapter for `map_err` that describes a failure reported by an AWS SDK.
    pub fn aws<E>(service: &'static str, operation: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        move |err| {
            let status = err.raw_response().map(HttpResponse::status);
            let reason = classify(err.code(), err.message(), status);
            let message = match (err.code(), err.message()) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (Some(code), None) => code.to_owned(),
                (None, Some(message)) => message.to_owned(),
                (None, None) => chain(&err),
            };
            let request_id = err
                .raw_response()
                .and_then(|it| it.headers().get("x-amzn-requestid").or_else(|| it.headers().get("x-amz-request-id")))
                .map(str::to_owned);
            Self { service, operation, reason, message, request_id }
        }
    }

    /// What failed and why, without the number of the request: the same words each time the same thing fails.
    pub fn words(&self) -> String {
        format!("{} {}: {}", self.service, self.operation, self.message)
    }

    /// Turns a conflict into "is there already": what it means when an API that has no code of its own for that refuses
    /// to create something.
    #[must_use]
    pub fn conflict_is_exists(mut self) -> Self {
        if self.reason == Reason::Busy {
            self.reason = Reason::Exists;
        }
        self
    }

    /// Turns "is missing" into `None`.
    pub fn missing_is_none<T>(result: Result<T, Self>) -> Result<Option<T>, Self> {
        match result {
            Ok(it) => Ok(Some(it)),
            Err(err) if err.reason == Reason::Missing => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Turns "is missing" into success: what had to go is gone.
    pub fn missing_is_done<T>(result: Result<T, Self>) -> Result<(), Self> {
        Self::missing_is_none(result).map(|_| ())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words())?;
        match &self.request_id {
            Some(it) => write!(f, " (request {it})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Joins an error with its causes, which hold what went wrong on the wire.
fn chain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(err) = source {
        text = format!("{text}: {err}");
        source = err.source();
    }
    text
}

/// Sorts an error code that came within an answer.
pub(super) fn sort(code: &str) -> Reason {
    classify(Some(code), None, StatusCode::try_from(400).ok())
}

/// Sorts the services' error codes; each code is spelled as the service's API reference spells it.
fn classify(code: Option<&str>, message: Option<&str>, status: Option<StatusCode>) -> Reason {
    let code = code.unwrap_or_default();
    // IAM is eventually consistent: Lambda refuses a new role for some seconds, with a code that otherwise means a mistake.
    if code == "InvalidParameterValueException"
        && message
            .is_some_and(|it| it.contains("cannot be assumed by Lambda") || it.contains("The provided execution role"))
    {
        return Reason::Busy;
    }
    // So does EventBridge Scheduler, with the code that it has for all mistakes.
    if code == "ValidationException"
        && message.is_some_and(|it| it.contains("must allow AWS EventBridge Scheduler to assume the role"))
    {
        return Reason::Busy;
    }
    // Athena has one code for every request that cannot be met; only the words tell what is wrong with a workgroup.
    if code == "InvalidRequestException" {
        match message.unwrap_or_default() {
            it if it.contains("not found") => return Reason::Missing,
            it if it.contains("already exists") || it.contains("already created") => return Reason::Exists,
            _ => (),
        }
    }
    // EC2 has a code for each kind of thing, and the same endings for all of them.
    match code.rsplit_once('.').map(|it| it.1) {
        Some("NotFound" | "NotAttached") => return Reason::Missing,
        Some("Duplicate" | "AlreadyExists" | "AlreadyAssociated" | "Conflict") => return Reason::Exists,
        Some("InUse") => return Reason::Busy,
        _ => (),
    }
    match code {
        "NoSuchKey"
        | "NoSuchBucket"
        | "NotFound"
        | "NoSuchEntity"
        | "EntityNotFoundException"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "DBInstanceNotFound"
        | "DBInstanceNotFoundFault"
        | "DBSubnetGroupNotFoundFault"
        | "DBParameterGroupNotFound"
        | "DBParameterGroupNotFoundFault"
        | "NatGatewayNotFound"
        | "NoSuchTagSet"
        | "NoSuchLifecycleConfiguration"
        | "NoSuchPublicAccessBlockConfiguration"
        | "ServerSideEncryptionConfigurationNotFoundError"
        | "NoSuchBucketPolicy"
        | "UnknownTopicOrPartition"
        | "UnknownTopicOrPartitionException" => Reason::Missing,
        "BucketAlreadyExists"
        | "BucketAlreadyOwnedByYou"
        | "EntityAlreadyExists"
        | "AlreadyExistsException"
        | "ResourceExistsException"
        | "ResourceAlreadyExistsException"
        | "DBInstanceAlreadyExists"
        | "DBInstanceAlreadyExistsFault"
        | "DBSnapshotAlreadyExists"
        | "DBSubnetGroupAlreadyExists"
        | "DBSubnetGroupAlreadyExistsFault"
        | "DBParameterGroupAlreadyExists"
        | "DBParameterGroupAlreadyExistsFault"
        | "RouteAlreadyExists"
        | "TopicExistsException" => Reason::Exists,
        "ConflictException"
        | "ResourceConflictException"
        | "OperationAbortedException"
        | "OperationAborted"
        | "InvalidDBInstanceState"
        | "InvalidDBInstanceStateFault"
        | "InvalidDBSubnetGroupStateFault"
        | "InvalidDBParameterGroupState"
        | "InvalidDBParameterGroupStateFault"
        | "DependencyViolation"
        | "IncorrectState"
        | "ResourceInUseException"
        | "DeleteConflict"
        | "ConcurrentModification" => Reason::Busy,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "ForbiddenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnauthorizedException" => Reason::Denied,
        "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "LimitExceededException" => Reason::Throttled,
        _ => match status.map(StatusCode::as_u16) {
            Some(404) => Reason::Missing,
            Some(401 | 403) => Reason::Denied,
            Some(409) => Reason::Busy,
            Some(429) => Reason::Throttled,
            Some(400..=499) => Reason::Invalid,
            Some(_) | None => Reason::Unavailable,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_has_not_propagated_is_not_a_mistake() {
        let code = Some("InvalidParameterValueException");
        let propagating = Some("The role defined for the function cannot be assumed by Lambda.");
        assert_eq!(classify(code, propagating, StatusCode::try_from(400).ok()), Reason::Busy);
        assert_eq!(classify(code, Some("bad memory"), StatusCode::try_from(400).ok()), Reason::Invalid);
        let code = Some("ValidationException");
        let propagating =
            Some("The execution role you provide must allow AWS EventBridge Scheduler to assume the role.");
        assert_eq!(classify(code, propagating, StatusCode::try_from(400).ok()), Reason::Busy);
        assert_eq!(classify(code, Some("bad rate"), StatusCode::try_from(400).ok()), Reason::Invalid);
    }

    #[test]
    fn a_conflict_means_what_the_request_was_for() {
        let conflict = |reason| Error::new("lambda", "CreateFunction", reason, "").conflict_is_exists().reason;
        assert_eq!(conflict(Reason::Busy), Reason::Exists);
        assert_eq!(conflict(Reason::Throttled), Reason::Throttled);
    }

    #[test]
    fn forbidden_is_never_gone() {
        assert_eq!(classify(None, None, StatusCode::try_from(403).ok()), Reason::Denied);
        assert_eq!(classify(Some("AccessDenied"), None, StatusCode::try_from(404).ok()), Reason::Denied);
        assert_eq!(classify(None, None, None), Reason::Unavailable);
    }
}
