//! Routes that are no part of the API: the root document and the probes (contract/http-api.md 6).

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use serde_json::json;

use super::{get, resource};
use crate::actors::ask;
use crate::actors::scan_supervisor::CurrentLoad;
use crate::actors::webhook_dispatcher::Backlog;
use crate::http::error::ApiError;
use crate::http::{AppState, DEADLINE};
use crate::storage::health;

const READS: &str = "GET, HEAD";

/// Registers the routes.
pub fn configure(service: &mut ServiceConfig) {
    service
        .service(resource("/", READS).route(get().to(root)))
        .service(resource("/health", READS).route(get().to(alive)))
        .service(resource("/ready", READS).route(get().to(ready)));
}

async fn root() -> HttpResponse {
    HttpResponse::Ok().json(
        json!({"name": "SecureScan API", "status": "ok", "docs": "/docs", "health": "/health"}),
    )
}

/// Liveness: no I/O, no actor (C11).
async fn alive() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"status":"ok"}"#)
}

/// Readiness: the database answers, the actors answer.
async fn ready(state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let database = state.database.run(health::ping).await;
    let load = ask(&state.hub.supervisor, CurrentLoad, DEADLINE).await;
    let backlog = ask(&state.hub.dispatcher, Backlog, DEADLINE).await;
    let failed = |error: String| json!({"status": "fail", "error": error});
    let checks = json!({
        "db": match &database {
            Ok(()) => json!({"status": "ok"}),
            Err(error) => failed(error.to_string()),
        },
        "scanners": {"status": "ok", "count": state.registry.all().len()},
        "queue": match &load {
            Ok(load) => json!({"status": "ok", "queued": load.queued, "running": load.running}),
            Err(error) => failed(error.to_string()),
        },
        "webhooks": match &backlog {
            Ok(owed) => json!({"status": "ok", "owed": owed}),
            Err(error) => failed(error.to_string()),
        },
    });
    if database.is_ok() && load.is_ok() && backlog.is_ok() {
        Ok(HttpResponse::Ok().json(json!({"status": "ready", "checks": checks})))
    } else {
        Err(ApiError::NotReady(
            json!({"status": "not_ready", "checks": checks}),
        ))
    }
}
