//! `leadmill serve`: all routes behind one listener, and its graceful stop.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::api;
use crate::app::App;
use crate::console;
use crate::database;
use crate::intake;
use crate::stop::Stop;
use crate::telemetry;
use crate::web::{layers, view};

/// Everything that `leadmill serve` answers.
pub fn router(app: App) -> Router {
    let mut routes = health(app.db.pool().clone(), app.stop.clone())
        .merge(intake::router())
        .merge(api::router())
        .merge(view::router())
        .merge(console::router(&app));
    if app.config.http.metrics {
        routes = routes.merge(metrics());
    }
    let routes = routes.fallback(not_found);
    layers::around(routes, &app.config.http, &app.views).with_state(app)
}

/// `/healthz` and `/readyz`, the same for every role.
pub fn health<S: Clone + Send + Sync + 'static>(pool: PgPool, stop: Stop) -> Router<S> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(Health { pool, stop })
}

/// What readiness is measured by.
#[derive(Clone)]
struct Health {
    pool: PgPool,
    stop: Stop,
}

/// `/metrics` in the text format of Prometheus.
pub fn metrics<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(
        "/metrics",
        get(async || {
            let kind = [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )];
            (kind, telemetry::metrics())
        }),
    )
}

/// Answers on `listener` until the process is to stop, then gives what was begun `grace` to finish. The process stops with
/// it: one that no longer listens looks dead to whoever watches it.
pub async fn run(listener: TcpListener, routes: Router, stop: Stop, grace: Duration) -> Result<()> {
    stop.ask_after(answer(listener, routes, &stop, grace)).await
}

async fn answer(listener: TcpListener, routes: Router, stop: &Stop, grace: Duration) -> Result<()> {
    let address = listener
        .local_addr()
        .context("reading the listener's address")?;
    info!("Listening on http://{address}");

    let asked = stop.clone();
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    let server =
        axum::serve(listener, service).with_graceful_shutdown(async move { asked.asked().await });
    tokio::select! {
        ended = server.into_future() => ended.context("serving HTTP")?,
        () = stop.out_of_time(grace) => warn!("Dropped the requests still running"),
    }
    Ok(())
}

/// Ready as long as the database answers and can be written to, and the process is not on its way out.
async fn ready(State(health): State<Health>) -> Response {
    if health.stop.is_asked() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match database::readiness(&health.pool).await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn not_found(State(app): State<App>, headers: HeaderMap) -> Response {
    console::nowhere(&app, &headers)
}
