//! One browser's socket: frames in, frames out, and an end for whoever does not keep up.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use devmesh_protocol::limits::REQUEST_BYTES_MAX;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Web;
use crate::input::Input;

/// Bytes of one frame from a browser: a request, and the words around it.
const FRAME_BYTES_MAX: usize = REQUEST_BYTES_MAX + 16 * 1024;
/// How long one frame to a browser may take.
const SEND_MAX: Duration = Duration::from_secs(10);
/// Between two signs of life; the connection behind it ends after three without an answer.
const PING: Duration = Duration::from_secs(15);

/// Opens a socket for a browser that has signed in. Where it comes from was checked before.
pub(super) async fn upgrade(
    State(web): State<Web>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Response {
    if !web.0.gate.knows(&headers) {
        return (StatusCode::UNAUTHORIZED, "Sign in first.\n").into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return refused.into_response(),
    };
    let Ok(seat) = web.0.seats.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "Too many browsers look on.\n").into_response();
    };
    upgrade
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(move |socket| serve(web, socket, seat))
}

async fn serve(web: Web, mut socket: WebSocket, _seat: OwnedSemaphorePermit) {
    let browser = web.next_browser();
    let (waiting, gone) = web.0.ways.queues.open(browser);
    let door = &web.0.ways.door;
    if door.send(Input::Joined { browser }).await.is_err() {
        return web.0.ways.queues.close(browser);
    }
    let end = tokio::select! {
        end = converse(&web, &mut socket, browser, waiting) => end,
        () = gone.cancelled() => End::Slow,
        () = web.0.stop.cancelled() => End::Stop,
    };
    web.0.ways.queues.close(browser);
    // The loop may have ended already.
    let _ = door.send(Input::Left { browser }).await;
    say_goodbye(&mut socket, end).await;
}

/// Why a socket ends.
enum End {
    /// The browser went.
    Gone,
    /// It sent what is no text.
    NotText,
    /// It did not keep up, or sent nonsense too often.
    Slow,
    /// The process ends.
    Stop,
}

async fn say_goodbye(socket: &mut WebSocket, end: End) {
    let (code, reason) = match end {
        End::Gone => return,
        End::NotText => (close_code::UNSUPPORTED, "text only"),
        End::Slow => (close_code::AGAIN, "come back"),
        End::Stop => (close_code::AWAY, "the dashboard ends"),
    };
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    // A browser that does not read does not read this either.
    let _ = timeout(Duration::from_millis(200), socket.send(Message::Close(Some(frame)))).await;
}

async fn converse(
    web: &Web,
    socket: &mut WebSocket,
    browser: u64,
    mut waiting: mpsc::Receiver<Utf8Bytes>,
) -> End {
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let frame = tokio::select! {
            frame = waiting.recv() => match frame {
                Some(text) => Message::Text(text),
                None => return End::Slow,
            },
            _ = ping.tick() => Message::Ping(Default::default()),
            said = socket.recv() => match said {
                Some(Ok(Message::Text(text))) => {
                    let said = Input::Said { browser, text };
                    if web.0.ways.door.send(said).await.is_err() {
                        return End::Stop;
                    }
                    continue;
                }
                Some(Ok(Message::Binary(_))) => return End::NotText,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
            },
        };
        match timeout(SEND_MAX, socket.send(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Gone,
            Err(_) => return End::Slow,
        }
    }
}
