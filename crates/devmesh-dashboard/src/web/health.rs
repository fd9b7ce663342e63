//! Whether the mesh answers, for whoever restarts what does not: no page, nothing secret, and an
//! error where something is wrong.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Web;
use crate::input::Input;
use crate::view::Vital;

/// How long the coordinator may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the coordinator, together with whoever asks at the same time, and says what is so then.
pub(super) async fn answer(State(web): State<Web>) -> Response {
    let mut vitals = web.0.ways.vitals.clone();
    let before = vitals.borrow().heard;
    let answered = tokio::time::timeout(PATIENCE, async {
        let asked = web.0.ways.door.send(Input::Wanted).await.is_ok();
        asked && vitals.wait_for(|now| now.heard != before).await.is_ok()
    });
    let fresh = answered.await == Ok(true);
    let Vital { log, decides, .. } = *web.0.ways.vitals.borrow();
    let decides = fresh && decides == Some(true);
    let ok = decides && log == "live";
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ok": ok, "log": log, "decides": decides });
    (status, [(CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}
