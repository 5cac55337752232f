//! The listener: connections come in, with or without TLS, within bounds of number, size and time.
//!
//! The rule: whatever a peer does, or leaves undone, it holds one of a bounded number of connections for a bounded time. One
//! task owns all of them, and ends with them.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_service::Service;

use super::problem::Problem;
use super::settings::Settings;
use super::tls::{LOOK_AGAIN, Tls};
use crate::unblocked::Unblocked;

/// After the system has refused a connection, for want of file handles say.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves the routes until something comes from `stop` or it closes, then ends each connection after its request.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    mut tls: Option<Tls>,
    mut stop: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(settings.connections));
    let bounds = Bounds::of(settings);
    let mut connections = JoinSet::new();
    let mut look = tokio::time::interval(LOOK_AGAIN);
    loop {
        let next = tokio::select! {
            biased;
            _ = stop.changed() => break,
            _ = look.tick(), if tls.is_some() => {
                tls = reloaded(tls).await;
                continue;
            }
            next = accept(&listener, &places) => next,
        };
        while connections.try_join_next().is_some() {}
        let Some((stream, place)) = next else { continue };
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
        connections.spawn(connection(stream, place, acceptor, router.clone(), bounds, stop.clone()));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "the API could not take a connection");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// Looks at the files of the certificate. What is wrong with them is told, once, and changes nothing.
async fn reloaded(tls: Option<Tls>) -> Option<Tls> {
    let before = tls.clone();
    let looked = tokio::task::spawn_blocking(move || {
        let mut tls = tls?;
        match tls.reload() {
            Ok(false) => {}
            Ok(true) => tracing::info!("the API has a new certificate"),
            Err(error) => {
                tracing::error!(%error, "the API's new certificate is refused: it goes on with the one before");
            }
        }
        Some(tls)
    });
    looked.await.unwrap_or(before)
}

/// What bounds one connection.
#[derive(Clone, Copy)]
struct Bounds {
    longest_headers: usize,
    most_headers: usize,
    headers_timeout: Duration,
    request_timeout: Duration,
}

impl Bounds {
    fn of(settings: &Settings) -> Self {
        /// hyper panics on a smaller one.
        const LEAST: usize = 8 * 1024;
        Self {
            longest_headers: settings.longest_headers.max(LEAST),
            most_headers: settings.most_headers,
            headers_timeout: settings.headers_timeout,
            request_timeout: settings.request_timeout,
        }
    }
}

async fn connection(
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    bounds: Bounds,
    stop: watch::Receiver<()>,
) {
    // Without it answers are late by a moment; that is no reason to refuse somebody.
    let _ = stream.set_nodelay(true);
    match acceptor {
        None => talk(stream, router, bounds, stop).await,
        Some(acceptor) => match timeout(bounds.headers_timeout, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, router, bounds, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the API failed"),
            Err(_) => tracing::debug!("a TLS handshake with the API did not end in time"),
        },
    }
}

/// Answers requests until the peer has no more of them, goes over a bound, or the gateway stops.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    router: Router,
    bounds: Bounds,
    mut stop: watch::Receiver<()>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        async move {
            let answer = router.call(request.map(Body::new));
            let answer = timeout(bounds.request_timeout, answer).await;
            Ok::<Response, Infallible>(answer.map_or_else(|_| too_slow(), |Ok(answer)| answer))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers_timeout)
        .max_buf_size(bounds.longest_headers)
        .max_headers(bounds.most_headers)
        .serve_connection(Unblocked::new(TokioIo::new(stream), bounds.request_timeout), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API ended");
    }
}

fn too_slow() -> Response {
    let detail = "the request did not come, or could not be answered, in time: ask again";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "not in time", detail).into_response()
}
