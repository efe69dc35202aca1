//! What surrounds every request: its id, its log line, and the headers that every response has.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, ResponseError};

use super::AppState;
use super::error::ApiError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken from a client.
const REQUEST_ID_CHARS: usize = 128;
/// End of the unversioned mount (contract/http-api.md 2.4).
const SUNSET: &str = "Wed, 31 Dec 2026 23:59:59 GMT";

/// Runs the inner service between a request id and a log line.
///
/// # Errors
/// Those of the inner service, as a response that has the headers too.
pub async fn surround(
    state: Data<AppState>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let request_id = request_id(&request);
    let method = request.method().to_string();
    let path = request.path().to_owned();
    // The request is not kept: the router must be its only holder, or it panics.
    let mut answered = next
        .call(request)
        .await
        .map(ServiceResponse::map_into_boxed_body)
        .map_err(|error| (error.error_response(), error));
    let (status, headers, cause) = match &mut answered {
        Ok(response) => {
            let cause = response.response().error().and_then(cause_of);
            (response.status(), response.headers_mut(), cause)
        }
        Err((response, error)) => (response.status(), response.headers_mut(), cause_of(error)),
    };
    complete(headers, &request_id, &path);
    if let Some(cause) = cause {
        slog::error!(state.log, "request failed"; "request_id" => &request_id, "error" => cause);
    }
    let latency_ms = (began.elapsed().as_secs_f64() * 100_000.0).round() / 100.0;
    slog::info!(state.log, "request";
        "request_id" => request_id, "method" => method, "path" => path,
        "status" => status.as_u16(), "latency_ms" => latency_ms);
    answered.map_err(|(response, error)| InternalError::from_response(error, response).into())
}

/// Adds what every response has.
fn complete(headers: &mut HeaderMap, request_id: &str, path: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(successor) = successor(path) {
        headers.insert(
            HeaderName::from_static("deprecation"),
            HeaderValue::from_static("true"),
        );
        // Beside a link to the next page, if there is one.
        headers.append(HeaderName::from_static("link"), successor);
        headers.insert(
            HeaderName::from_static("sunset"),
            HeaderValue::from_static(SUNSET),
        );
    }
}

fn cause_of(error: &Error) -> Option<String> {
    if let Some(error) = error.as_error::<ApiError>() {
        return error.cause().map(str::to_owned);
    }
    // Whatever else failed with a 5xx is a panic that was caught or a defect of the framework.
    let error: &dyn ResponseError = error.as_response_error();
    error
        .status_code()
        .is_server_error()
        .then(|| error.to_string())
}

/// Takes the client's id when it is sane, else makes one (C13).
fn request_id(request: &ServiceRequest) -> String {
    let sane = |id: &&str| {
        !id.is_empty()
            && id.len() <= REQUEST_ID_CHARS
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte))
    };
    request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(sane)
        .map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Returns the link to the versioned mount for a path of the legacy one. The path is sent as the
/// client escaped it.
fn successor(path: &str) -> Option<HeaderValue> {
    let rest = path.strip_prefix("/api/")?;
    if rest == "v1" || rest.starts_with("v1/") {
        return None;
    }
    HeaderValue::from_str(&format!("</api/v1/{rest}>; rel=\"successor-version\"")).ok()
}
