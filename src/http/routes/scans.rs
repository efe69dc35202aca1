//! Scans and their findings (contract/http-api.md 7 and 8).

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload, ServiceConfig, delete, post};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::{events, get, resource, target};
use crate::actors::ask;
use crate::actors::rate_limiter::Acquire;
use crate::actors::scan_supervisor::{CancelScan, QueuePositions, SubmitScan};
use crate::domain::{Finding, Scan, ScanId, ScanStatus, ScanType};
use crate::engine::{compare, score};
use crate::http::error::{ApiError, not_deletable};
use crate::http::extract::{Caller, Read, Write, json_body};
use crate::http::query::Params;
use crate::http::validate::Fields;
use crate::http::views::{FindingView, ScanView, SummaryView};
use crate::http::{AppState, DEADLINE};
use crate::storage::findings::FindingFilter;
use crate::storage::scans::{DeleteOutcome, ScanFilter};
use crate::storage::{findings, scans};

/// Most findings or scans on a page that has a limit.
const PAGE_MOST: u32 = 10_000;

/// Registers the routes.
pub(super) fn configure(service: &mut ServiceConfig) {
    service
        .service(
            resource("/scans", "GET, HEAD, POST")
                .route(post().to(start))
                .route(get().to(list)),
        )
        .service(
            resource("/scans/compare", "GET, HEAD, DELETE")
                .route(get().to(compare_two))
                .route(delete().to(remove_compare)),
        )
        .service(resource("/scans/{id}/cancel", "POST").route(post().to(cancel)))
        .service(
            resource("/scans/{id}/events", "GET").route(actix_web::web::get().to(events::stream)),
        )
        .service(resource("/scans/{id}/event-token", "POST").route(post().to(events::mint)))
        .service(resource("/scans/{id}/findings", "GET, HEAD").route(get().to(list_findings)))
        .service(resource("/scans/{id}/summary", "GET, HEAD").route(get().to(summary)))
        .service(
            resource("/scans/{id}", "GET, HEAD, DELETE")
                .route(get().to(show))
                .route(delete().to(remove)),
        );
}

/// Reads a scan or says that there is none.
pub(super) async fn find(state: &AppState, scan_id: &ScanId) -> Result<Scan, ApiError> {
    let scan_id = scan_id.clone();
    let found = state
        .database
        .read(move |conn| scans::get(conn, &scan_id))
        .await?;
    found.ok_or(ApiError::NotFound("Scan"))
}

async fn queue(state: &AppState) -> Result<Arc<HashMap<ScanId, usize>>, ApiError> {
    Ok(ask(&state.hub.supervisor, QueuePositions, DEADLINE).await?)
}

async fn shown(state: &AppState, scan: &Scan) -> Result<HttpResponse, ApiError> {
    let queue = match scan.status {
        ScanStatus::Pending => queue(state).await?,
        _ => Arc::default(),
    };
    Ok(HttpResponse::Ok().json(ScanView::new(scan, &queue)))
}

async fn start(
    caller: Caller<Write>,
    state: Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let address = request
        .peer_addr()
        .map(|address| format!("ip:{}", address.ip()));
    let caller = match &caller.principal {
        crate::domain::Principal::Dev => address.unwrap_or_else(|| "anonymous".to_owned()),
        known => format!("key:{}", known.id()),
    };
    ask(&state.hub.limiter, Acquire { caller }, DEADLINE).await??;
    let mut fields = Fields::of(json_body(&request, payload).await?)?;
    let choices = ScanType::ALL.map(|kind| (kind.as_str(), kind));
    let sent_path = fields.required_text("target_path");
    let default_types = [ScanType::Code, ScanType::Dependency];
    let scan_types = fields.names("scan_types", &choices, &default_types);
    let target_url = fields.optional_text("target_url");
    let target_host = fields.optional_text("target_host");
    fields.finish()?;
    let settings = Arc::clone(&state.settings);
    let target_path =
        actix_web::web::block(move || target::validate(&sent_path, &settings.scans.targets))
            .await
            .map_err(|_pool_gone| ApiError::Busy("the server is shutting down".to_owned()))??;
    let mut scan = Scan::pending(ScanId::random(), target_path, scan_types);
    scan.target_url = target_url;
    scan.target_host = target_host;
    let accepted = ask(&state.hub.supervisor, SubmitScan { scan }, DEADLINE).await??;
    let place = HashMap::from([(accepted.scan.id.clone(), accepted.queue_position)]);
    Ok(HttpResponse::Ok().json(ScanView::new(&accepted.scan, &place)))
}

async fn list(
    _caller: Caller<Read>,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let mut params = Params::of(&request);
    let filter = ScanFilter {
        status: params.parsed(
            "status",
            |text| text.parse().ok(),
            "use pending, running, completed, failed or cancelled",
        ),
        target: params.text("target"),
        limit: params.number("limit", 1, PAGE_MOST),
        cursor: params.parsed("cursor", |text| text.parse().ok(), CURSOR_EXPECTED),
    };
    params.finish()?;
    let page = state
        .database
        .read(move |conn| scans::list(conn, &filter))
        .await?;
    if page.unreadable > 0 {
        slog::warn!(state.log, "rows of scans are unreadable and were left out"; "rows" => page.unreadable);
    }
    let waiting = page
        .scans
        .iter()
        .any(|scan| scan.status == ScanStatus::Pending);
    let queue = if waiting {
        queue(&state).await?
    } else {
        Arc::default()
    };
    let views: Vec<_> = page
        .scans
        .iter()
        .map(|scan| ScanView::new(scan, &queue))
        .collect();
    Ok(paged(&request, page.next.map(|next| next.to_string())).json(views))
}

const CURSOR_EXPECTED: &str = "use the cursor of the page before, unchanged";

/// Starts a response whose headers say where the next page is.
fn paged(request: &HttpRequest, next: Option<String>) -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    let Some(next) = next else { return response };
    let kept = request
        .query_string()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
        .map(|pair| format!("{pair}&"))
        .collect::<String>();
    let link = format!("<{}?{kept}cursor={next}>; rel=\"next\"", request.path());
    // Cursors are URL-safe; a query that is no header text costs the link, not the answer.
    response.insert_header(("x-next-cursor", next));
    if header::HeaderValue::from_str(&link).is_ok() {
        response.insert_header((header::LINK, link));
    }
    response
}

async fn show(
    _caller: Caller<Read>,
    state: Data<AppState>,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let scan = find(&state, &ScanId::new(scan_id.into_inner())).await?;
    shown(&state, &scan).await
}

async fn cancel(
    _caller: Caller<Write>,
    state: Data<AppState>,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let scan_id = ScanId::new(scan_id.into_inner());
    let cancel = CancelScan {
        scan_id: scan_id.clone(),
    };
    ask(&state.hub.supervisor, cancel, DEADLINE * 3).await??;
    shown(&state, &find(&state, &scan_id).await?).await
}

async fn remove(
    _caller: Caller<Write>,
    state: Data<AppState>,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    delete_scan(&state, ScanId::new(scan_id.into_inner())).await
}

/// Compat: contract/http-api.md 1; `DELETE /scans/compare` deletes the scan of that name.
async fn remove_compare(
    _caller: Caller<Write>,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    delete_scan(&state, ScanId::new("compare")).await
}

async fn delete_scan(state: &AppState, scan_id: ScanId) -> Result<HttpResponse, ApiError> {
    match state
        .database
        .write(move |conn| scans::delete(conn, &scan_id))
        .await?
    {
        DeleteOutcome::Deleted => Ok(HttpResponse::NoContent().finish()),
        DeleteOutcome::NotFound => Err(ApiError::NotFound("Scan")),
        DeleteOutcome::NotTerminal(status) => Err(not_deletable(status)),
    }
}

async fn list_findings(
    _caller: Caller<Read>,
    state: Data<AppState>,
    request: HttpRequest,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let mut params = Params::of(&request);
    let filter = FindingFilter {
        severity: params.text("severity"),
        scan_type: params.text("scan_type"),
        compliance: params.text("compliance"),
        limit: params.number("limit", 1, PAGE_MOST),
        cursor: params.parsed("cursor", |text| text.parse().ok(), CURSOR_EXPECTED),
    };
    params.finish()?;
    let scan_id = ScanId::new(scan_id.into_inner());
    let page = state
        .database
        .read(move |conn| match scans::status(conn, &scan_id)? {
            Some(_) => findings::list(conn, &scan_id, &filter).map(Some),
            None => Ok(None),
        })
        .await?
        .ok_or(ApiError::NotFound("Scan"))?;
    let views: Vec<_> = page
        .findings
        .iter()
        .map(|(finding, verdict)| FindingView::with_state(finding, verdict.as_ref()))
        .collect();
    Ok(paged(&request, page.next.map(|next| next.to_string())).json(views))
}

async fn summary(
    _caller: Caller<Read>,
    state: Data<AppState>,
    scan_id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let scan_id = ScanId::new(scan_id.into_inner());
    let summed = state
        .database
        .read(move |conn| {
            let Some(scan) = scans::get(conn, &scan_id)? else {
                return Ok(None);
            };
            let counts = findings::counts(conn, &scan_id)?;
            Ok(Some((
                scan,
                counts,
                findings::scanners_with_findings(conn, &scan_id)?,
            )))
        })
        .await?;
    let (scan, counts, scanners_run) = summed.ok_or(ApiError::NotFound("Scan"))?;
    Ok(HttpResponse::Ok().json(SummaryView {
        total_findings: counts.total(),
        critical: counts.critical,
        high: counts.high,
        medium: counts.medium,
        low: counts.low,
        info: counts.info,
        risk_score: scan.risk_score.unwrap_or(0.0),
        scanners_run,
    }))
}

async fn compare_two(
    _caller: Caller<Read>,
    state: Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let mut params = Params::of(&request);
    let (a, b) = (params.required("scan_a"), params.required("scan_b"));
    params.finish()?;
    let (scan_a, found_a) = with_findings(&state, a, "Scan A").await?;
    let (scan_b, found_b) = with_findings(&state, b, "Scan B").await?;
    let queue = queue(&state).await?;
    let compared = compare::compare(&found_a, &found_b);
    let views = |list: &[&Finding]| {
        json!(
            list.iter()
                .map(|finding| FindingView::new(finding))
                .collect::<Vec<_>>()
        )
    };
    Ok(HttpResponse::Ok().json(json!({
        "scan_a": ScanView::new(&scan_a, &queue),
        "scan_b": ScanView::new(&scan_b, &queue),
        "new_findings": views(&compared.new),
        "fixed_findings": views(&compared.fixed),
        "unchanged_findings": views(&compared.unchanged),
        "summary": {
            "new_count": compared.new.len(),
            "fixed_count": compared.fixed.len(),
            "unchanged_count": compared.unchanged.len(),
            "risk_delta": score::risk_delta(scan_a.risk_score, scan_b.risk_score),
        },
    })))
}

async fn with_findings(
    state: &AppState,
    scan_id: String,
    name: &'static str,
) -> Result<(Scan, Vec<Finding>), ApiError> {
    let scan_id = ScanId::new(scan_id);
    let found = state
        .database
        .read(move |conn| match scans::get(conn, &scan_id)? {
            Some(scan) => findings::all(conn, &scan_id).map(|findings| Some((scan, findings))),
            None => Ok(None),
        })
        .await?;
    found.ok_or(ApiError::NotFound(name))
}
