//! The live stream of one scan, and tokens for browsers that cannot send a key.

use actix_web::http::header;
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use futures_util::stream::once;
use serde_json::json;

use super::scans::find;
use crate::actors::ask;
use crate::actors::event_hub::{Subscribe, SubscribeRefused, synthesised};
use crate::actors::key_store::{Authenticate, MintEventToken, VerifyEventToken};
use crate::config::Secret;
use crate::domain::{Principal, ScanId, Scope};
use crate::http::error::ApiError;
use crate::http::extract::{Caller, Read, presented_key};
use crate::http::query::Params;
use crate::http::{AppState, DEADLINE};

/// `GET /scans/{id}/events`.
pub(super) async fn stream(
    state: Data<AppState>,
    request: HttpRequest,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let scan_id = ScanId::new(scan_id.into_inner());
    let principal = listener(&state, &request, &scan_id).await?;
    if !principal.may(Scope::Read) {
        return Err(ApiError::Forbidden(Scope::Read));
    }
    let scan = find(&state, &scan_id).await?;
    let after = request
        .headers()
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse().ok());
    let subscribe = Subscribe {
        scan_id,
        after,
        ended: scan.status.is_terminal(),
    };
    match ask(&state.hub.events, subscribe, DEADLINE).await? {
        Ok(stream) => Ok(event_stream().streaming(stream)),
        Err(SubscribeRefused::Forgotten) => {
            let last = synthesised(scan.status).unwrap_or_default();
            Ok(event_stream().streaming(once(async move { Ok::<Bytes, ApiError>(last) })))
        }
        // 204 tells an EventSource to stop coming back.
        Err(SubscribeRefused::AllSeen) => Ok(HttpResponse::NoContent().finish()),
        Err(SubscribeRefused::Closing) => Err(ApiError::Busy("the server is shutting down".into())),
    }
}

/// A token in the query decides alone; otherwise the key does (contract/auth.md 3).
async fn listener(
    state: &AppState,
    request: &HttpRequest,
    scan_id: &ScanId,
) -> Result<Principal, ApiError> {
    let token = Params::of(request)
        .text("event_token")
        .filter(|token| !token.trim().is_empty());
    if let Some(token) = token {
        let verify = VerifyEventToken {
            token: Secret::new(token),
            scan_id: scan_id.clone(),
        };
        return Ok(ask(&state.hub.keys, verify, DEADLINE).await??);
    }
    let presented = presented_key(request);
    Ok(ask(&state.hub.keys, Authenticate { presented }, DEADLINE).await??)
}

fn event_stream() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        // Tells nginx not to buffer (C12).
        .insert_header(("x-accel-buffering", "no"));
    response
}

/// `POST /scans/{id}/event-token`.
pub(super) async fn mint(
    caller: Caller<Read>,
    state: Data<AppState>,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let scan_id = ScanId::new(scan_id.into_inner());
    find(&state, &scan_id).await?;
    let mint = MintEventToken {
        scan_id,
        principal: caller.principal,
    };
    let minted = ask(&state.hub.keys, mint, DEADLINE).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({"token": minted.token, "expires_in": minted.expires_in_secs})))
}
