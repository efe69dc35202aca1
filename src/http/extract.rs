//! Who calls, as types that a handler names in its parameters: a route without one does not compile
//! into anything that reaches data.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde_json::Value;

use super::error::ApiError;
use super::json_syntax;
use super::validate::{missing_body, not_an_object};
use super::{AppState, DEADLINE};
use crate::actors::ask;
use crate::actors::key_store::Authenticate;
use crate::config::Secret;
use crate::domain::{Principal, Scope};

/// A scope as a type.
pub trait Needs: 'static {
    /// The scope.
    const SCOPE: Scope;
}

/// Time for a body to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);

/// `read`.
pub struct Read;
/// `write`.
pub struct Write;

impl Needs for Read {
    const SCOPE: Scope = Scope::Read;
}

impl Needs for Write {
    const SCOPE: Scope = Scope::Write;
}

/// An authenticated caller who has the scope.
pub struct Caller<S> {
    /// Who.
    pub principal: Principal,
    scope: PhantomData<S>,
}

impl<S: Needs> FromRequest for Caller<S> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let presented = presented_key(request);
        let state = request.app_data::<Data<AppState>>().cloned();
        Box::pin(async move {
            let state = state.ok_or_else(|| ApiError::Internal("no application state".into()))?;
            let principal = ask(&state.hub.keys, Authenticate { presented }, DEADLINE).await??;
            if principal.may(S::SCOPE) {
                Ok(Self {
                    principal,
                    scope: PhantomData,
                })
            } else {
                Err(ApiError::Forbidden(S::SCOPE))
            }
        })
    }
}

/// Returns the key of `X-API-Key`, else of `Authorization: Bearer` (contract/auth.md 1).
#[must_use]
pub fn presented_key(request: &HttpRequest) -> Option<Secret> {
    let header_text = |name: header::HeaderName| {
        // Bytes that are no text cannot match any key; replaced, they still count as presented.
        request
            .headers()
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
    };
    let own = header_text(header::HeaderName::from_static("x-api-key"));
    if let Some(key) = own.filter(|key| !key.is_empty()) {
        return Some(Secret::new(key));
    }
    let authorization = header_text(header::AUTHORIZATION)?;
    let (scheme, key) = authorization.split_once(char::is_whitespace)?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| Secret::new(key))
}

/// Reads a body as JSON, whatever its shape.
///
/// A function and no extractor: actix polls the extractors of a handler side by side, and nobody's
/// body is read before it is known who sends it and that they may.
///
/// # Errors
/// When the body is too large, cut off, missing, or no JSON.
pub async fn json_body(
    request: &HttpRequest,
    mut payload: web::Payload,
) -> Result<Value, ApiError> {
    let limit = request
        .app_data::<Data<AppState>>()
        .map_or(1024 * 1024, |state| state.settings.server.max_body_bytes);
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(ApiError::TooLarge { limit });
    }
    let mut body = BytesMut::new();
    let read = async {
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_cut_off| ApiError::BodyCutOff)?;
            if body.len() + chunk.len() > limit {
                return Err(ApiError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    tokio::time::timeout(BODY_DEADLINE, read)
        .await
        .unwrap_or(Err(ApiError::BodyCutOff))?;
    parse(&body, is_json(request))
}

/// `application/json` or `application/<anything>+json` (contract/http-api.md 5).
fn is_json(request: &HttpRequest) -> bool {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_ascii_lowercase())
        .unwrap_or_default();
    content_type
        .strip_prefix("application/")
        .is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}

fn parse(body: &[u8], is_json: bool) -> Result<Value, ApiError> {
    let unreadable = || ApiError::BadRequest("There was an error parsing the body".to_owned());
    if body.is_empty() {
        return Err(missing_body());
    }
    let text = std::str::from_utf8(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    if !is_json {
        return Err(not_an_object(
            String::from_utf8_lossy(body).into_owned().into(),
        ));
    }
    let text = text.map_err(|_not_utf8| unreadable())?;
    serde_json::from_str(text).map_err(|_syntax| match json_syntax::find(text) {
        Some(error) => ApiError::Invalid(vec![serde_json::json!({
            "type": "json_invalid",
            "loc": ["body", error.offset],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.message},
        })]),
        None => unreadable(),
    })
}
