//! The one door through which errors leave as HTTP responses.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde_json::{Value, json};

use crate::actors::AskError;
use crate::actors::key_store::{AuthRefused, TokenRefused};
use crate::actors::rate_limiter::LimitExceeded;
use crate::actors::scan_supervisor::{CancelRefused, SubmitRefused};
use crate::domain::{ScanStatus, Scope};
use crate::storage::StorageError;

/// Everything that a route can answer instead of what was asked for. `Display` is what the client
/// reads; causes go to the log.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request makes no sense to this route.
    #[error("{0}")]
    BadRequest(String),
    /// Parameters or body do not have the right shape; the items of `detail`.
    #[error("validation failed")]
    Invalid(Vec<Value>),
    /// The body is larger than allowed.
    #[error("Request body is larger than {limit} bytes")]
    TooLarge {
        /// `SECURESCAN_MAX_BODY_BYTES`.
        limit: usize,
    },
    /// The body did not arrive in time or was cut off.
    #[error("The request body could not be read")]
    BodyCutOff,
    /// No such thing.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// No such route.
    #[error("Not Found")]
    NoRoute,
    /// The route has other methods.
    #[error("Method Not Allowed")]
    MethodNotAllowed {
        /// Value of the `Allow` header.
        allow: &'static str,
    },
    /// The thing is in a state that forbids it.
    #[error("{0}")]
    Conflict(String),
    /// The caller is not known.
    #[error(transparent)]
    Unauthenticated(#[from] AuthRefused),
    /// The token opens nothing.
    #[error(transparent)]
    TokenRefused(#[from] TokenRefused),
    /// The caller may not.
    #[error("Requires scope: {0}")]
    Forbidden(Scope),
    /// The caller starts scans too often.
    #[error(transparent)]
    RateLimited(#[from] LimitExceeded),
    /// Try again soon.
    #[error("{0}; try again in a moment")]
    Busy(String),
    /// Not now, and a retry will not help by itself.
    #[error("{0}")]
    Unavailable(String),
    /// The server is not ready; the body says why.
    #[error("not ready")]
    NotReady(Value),
    /// Our fault.
    #[error("Internal Server Error")]
    Internal(String),
}

impl ApiError {
    /// Returns what the log should know and the client should not.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Internal(cause) => Some(cause),
            _ => None,
        }
    }

    fn body(&self) -> Value {
        match self {
            Self::Invalid(items) => json!({ "detail": items }),
            Self::NotReady(state) => json!({ "detail": state }),
            Self::RateLimited(limit) => {
                json!({"detail": self.to_string(), "retry_after": limit.retry_after_secs})
            }
            other => json!({ "detail": other.to_string() }),
        }
    }

    fn headers(&self, response: &mut HttpResponseBuilder) {
        match self {
            Self::MethodNotAllowed { allow } => {
                response.insert_header((header::ALLOW, *allow));
            }
            Self::Unauthenticated(AuthRefused::KeyRequired | AuthRefused::InvalidKey) => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Self::RateLimited(limit) => {
                response.insert_header((header::RETRY_AFTER, limit.retry_after_secs));
            }
            Self::Busy(_) => {
                response.insert_header((header::RETRY_AFTER, 1));
            }
            _ => {}
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BodyCutOff => StatusCode::BAD_REQUEST,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound(_) | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unauthenticated(AuthRefused::KeyRequired | AuthRefused::InvalidKey)
            | Self::TokenRefused(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unauthenticated(AuthRefused::NoCredentials | AuthRefused::Unavailable)
            | Self::Busy(_)
            | Self::Unavailable(_)
            | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        self.headers(&mut response);
        response.json(self.body())
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Busy => Self::Busy("the server is busy".to_owned()),
            AskError::Gone => Self::Internal("an actor has stopped".to_owned()),
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Busy => Self::Busy("the database is locked".to_owned()),
            StorageError::DiskFull => Self::Unavailable("the database's disk is full".to_owned()),
            other => Self::Internal(crate::telemetry::chain(&other)),
        }
    }
}

impl From<SubmitRefused> for ApiError {
    fn from(refused: SubmitRefused) -> Self {
        match refused {
            SubmitRefused::Draining | SubmitRefused::QueueFull(_) => {
                Self::Busy(refused.to_string())
            }
            SubmitRefused::Storage(error) => error.into(),
        }
    }
}

impl From<CancelRefused> for ApiError {
    fn from(refused: CancelRefused) -> Self {
        match refused {
            CancelRefused::NotFound => Self::NotFound("Scan"),
            CancelRefused::AlreadyEnded(_) => Self::Conflict(refused.to_string()),
            CancelRefused::Storage(error) => error.into(),
        }
    }
}

/// Says that a scan cannot be deleted yet.
#[must_use]
pub fn not_deletable(status: ScanStatus) -> ApiError {
    ApiError::Conflict(format!(
        "Cannot delete scan in '{status}' state; cancel it first"
    ))
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;

    use super::*;

    #[actix::test]
    async fn every_error_has_its_status_and_body() {
        let table = [
            (
                ApiError::BadRequest("Path does not exist: x".into()),
                400,
                r#"{"detail":"Path does not exist: x"}"#,
            ),
            (
                ApiError::BodyCutOff,
                400,
                r#"{"detail":"The request body could not be read"}"#,
            ),
            (
                ApiError::Invalid(vec![json!({"type": "missing"})]),
                422,
                r#"{"detail":[{"type":"missing"}]}"#,
            ),
            (
                ApiError::TooLarge { limit: 5 },
                413,
                r#"{"detail":"Request body is larger than 5 bytes"}"#,
            ),
            (
                ApiError::NotFound("Scan"),
                404,
                r#"{"detail":"Scan not found"}"#,
            ),
            (ApiError::NoRoute, 404, r#"{"detail":"Not Found"}"#),
            (
                ApiError::MethodNotAllowed { allow: "GET" },
                405,
                r#"{"detail":"Method Not Allowed"}"#,
            ),
            (
                not_deletable(ScanStatus::Running),
                409,
                r#"{"detail":"Cannot delete scan in 'running' state; cancel it first"}"#,
            ),
            (
                AuthRefused::KeyRequired.into(),
                401,
                r#"{"detail":"X-API-Key header required"}"#,
            ),
            (
                AuthRefused::InvalidKey.into(),
                401,
                r#"{"detail":"Invalid API key"}"#,
            ),
            (
                AuthRefused::NoCredentials.into(),
                503,
                r#"{"detail":"Auth required but no credentials configured"}"#,
            ),
            (
                AuthRefused::Unavailable.into(),
                503,
                r#"{"detail":"authentication is unavailable"}"#,
            ),
            (
                TokenRefused::OtherScan.into(),
                401,
                r#"{"detail":"Token does not match scan id"}"#,
            ),
            (
                ApiError::Forbidden(Scope::Write),
                403,
                r#"{"detail":"Requires scope: write"}"#,
            ),
            (
                LimitExceeded {
                    retry_after_secs: 20,
                }
                .into(),
                429,
                r#"{"detail":"Rate limit exceeded","retry_after":20}"#,
            ),
            (
                AskError::Busy.into(),
                503,
                r#"{"detail":"the server is busy; try again in a moment"}"#,
            ),
            (
                ApiError::Unavailable("no".into()),
                503,
                r#"{"detail":"no"}"#,
            ),
            (
                ApiError::NotReady(json!({"status": "not_ready"})),
                503,
                r#"{"detail":{"status":"not_ready"}}"#,
            ),
            (
                ApiError::Internal("secret path".into()),
                500,
                r#"{"detail":"Internal Server Error"}"#,
            ),
        ];
        for (error, status, body) in table {
            let response = error.error_response();
            assert_eq!(response.status().as_u16(), status, "{error:?}");
            assert_eq!(
                to_bytes(response.into_body()).await.unwrap(),
                body,
                "{error:?}"
            );
        }
    }
}
