//! The routes, mounted twice: `/api/v1`, and the deprecated `/api`.

pub mod events;
pub mod meta;
pub mod scans;
pub mod target;

use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route, guard};

use super::error::ApiError;

/// Registers every route.
pub fn configure(service: &mut ServiceConfig) {
    meta::configure(service);
    // The longer prefix first: the first scope that matches wins.
    service.service(
        web::scope("/api/v1")
            .configure(api)
            .default_service(web::to(no_route)),
    );
    service.service(
        web::scope("/api")
            .configure(api)
            .default_service(web::to(no_route)),
    );
}

fn api(service: &mut ServiceConfig) {
    scans::configure(service);
}

/// Says that there is no such route.
///
/// # Errors
/// Always.
pub async fn no_route() -> Result<&'static str, ApiError> {
    Err(ApiError::NoRoute)
}

/// Starts a resource that answers other methods with 405 and these.
fn resource(path: &str, allow: &'static str) -> Resource {
    web::resource(path).default_service(web::to(move || async move {
        Err::<&'static str, _>(ApiError::MethodNotAllowed { allow })
    }))
}

/// A route for GET, and for HEAD without the body.
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
