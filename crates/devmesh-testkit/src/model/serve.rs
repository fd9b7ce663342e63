//! From an HTTP request to an answer or a fault.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, decide};
use super::dialect::{Dialect, Event, Ids};
use super::gemini;
use super::record::{Recorder, Seen};
use super::request::Request;
use super::script::{Fault, FaultKind, Found, Script};
use super::wire::Cut;

/// No coding tool sends more than this.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What was seen.
    pub(super) recorder: Recorder,
    /// Scripts by name.
    pub(super) scenarios: Mutex<BTreeMap<String, Script>>,
    /// The scenario of a request that names none.
    pub(super) default: Option<String>,
    /// Where each request goes as a line of JSON.
    pub(super) log: Option<Mutex<std::fs::File>>,
    /// Ends hangs when the server stops.
    pub(super) stop: CancellationToken,
}

/// The scripted world of one request.
struct Scene {
    dialect: Dialect,
    request: Request,
    script: Script,
    found: Option<(Found, bool)>,
    key: String,
}

/// The server's only route: dialects are told apart by the end of the path.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    http: HttpRequest,
) -> Response {
    let (head, body) = http.into_parts();
    let path = head.uri.path().to_owned();
    let place = Place::of(&path);
    if head.method != Method::POST {
        return answer_get(&shared, &head.method, &path);
    }
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if path == "/__reset" {
        shared.recorder.reset();
        return Json(json!({ "ok": true })).into_response();
    }
    if path.ends_with("/messages/count_tokens") {
        return Json(json!({ "input_tokens": tokens(&body) })).into_response();
    }
    if gemini::is_count(&path) {
        return Json(json!({ "totalTokens": tokens(&body) })).into_response();
    }
    let Some(dialect) = Dialect::of_path(place.path) else {
        return unknown(&shared, &path);
    };
    match scene(&shared, dialect, &place, &body) {
        Ok(scene) => play(&shared, &scene, &path, &cut).await,
        Err(why) => {
            shared.recorder.note_unscripted();
            let message = Some(format!("scripted model: {why}"));
            let fault = Fault { status: 400, message, ..Fault::default() };
            error_response(dialect, &fault)
        }
    }
}

/// About as many as a real model would count.
fn tokens(body: &Bytes) -> usize {
    (body.len() / 4).max(1)
}

fn answer_get(shared: &Shared, method: &Method, path: &str) -> Response {
    if *method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    if path == "/__stats" {
        let recorder = &shared.recorder;
        return Json(json!({ "stats": recorder.stats(), "seen": recorder.seen() })).into_response();
    }
    if *method == Method::GET && path.ends_with("/models") {
        let model = json!({
            "id": "scripted", "object": "model", "type": "model", "display_name": "scripted",
            "created": 0, "owned_by": "devmesh",
        });
        return Json(json!({
            "object": "list", "data": [model], "models": [], "has_more": false,
        }))
        .into_response();
    }
    unknown(shared, path)
}

fn unknown(shared: &Shared, path: &str) -> Response {
    shared.recorder.note_unknown(path);
    let body = json!({ "error": { "type": "not_found", "message": format!("no {path} here") } });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

/// A path taken apart: `/s/NAME/k/KEY` before the provider's own path chooses the script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// The scenario named.
    pub(super) scenario: Option<&'a str>,
    /// The key named.
    pub(super) key: Option<&'a str>,
    /// The rest.
    pub(super) path: &'a str,
}

impl<'a> Place<'a> {
    /// Takes a path apart.
    pub(super) fn of(path: &'a str) -> Self {
        let whole = Self { scenario: None, key: None, path };
        let Some(rest) = path.strip_prefix("/s/") else { return whole };
        let Some(cut) = rest.find('/') else { return whole };
        let (scenario, rest) = rest.split_at(cut);
        let keyed = rest.strip_prefix("/k/").and_then(|rest| {
            let cut = rest.find('/')?;
            Some(rest.split_at(cut))
        });
        match keyed {
            Some((key, path)) => Self { scenario: Some(scenario), key: Some(key), path },
            None => Self { scenario: Some(scenario), key: None, path: rest },
        }
    }
}

fn scene(
    shared: &Shared,
    dialect: Dialect,
    place: &Place<'_>,
    body: &Bytes,
) -> Result<Scene, String> {
    let body: Value = serde_json::from_slice(body).map_err(|why| why.to_string())?;
    let request = dialect.parse(place.path, &body);
    let found = request.directive();
    let said = match &found {
        Some((found, _)) => Some(found.script.clone()?),
        None => None,
    };
    let name = said.as_ref().and_then(|script| script.scenario.clone());
    let name = name.or(place.scenario.map(str::to_owned)).or(shared.default.clone());
    let named = match &name {
        Some(name) => {
            let known = shared.scenarios.lock().unwrap_or_else(PoisonError::into_inner);
            let script = known.get(name).cloned();
            Some(script.ok_or_else(|| format!("no scenario is called {name:?}"))?)
        }
        None => None,
    };
    let script = match (said, named) {
        (Some(said), Some(named)) => said.over(named),
        (Some(script), None) | (None, Some(script)) => script,
        (None, None) if !request.is_work() => Script::default(),
        (None, None) => return Err("neither a directive nor a scenario".to_owned()),
    };
    let own = script.key.clone().or(place.key.map(str::to_owned));
    let raw = found.as_ref().map(|(found, _)| found.raw.clone());
    let key = own.or(raw).or(name).unwrap_or_default();
    Ok(Scene { dialect, request, script, found, key })
}

async fn play(shared: &Shared, scene: &Scene, path: &str, cut: &Cut) -> Response {
    let answer = decide(&scene.request, &scene.script, scene.found.as_ref());
    let fault = scene.script.fault.as_ref().filter(|fault| {
        (answer.step.is_some() || fault.aside)
            && fault.on_step.is_none_or(|step| answer.step == Some(step))
            && shared.recorder.take_fault(&scene.key, fault.first)
    });
    note(shared, scene, &answer, path, fault.is_some());
    if let Some(delay) = scene.script.delay_ms {
        wait(shared, Duration::from_millis(delay)).await;
    }
    let ids = Ids::fresh();
    let dialect = scene.dialect;
    match fault {
        Some(fault) => fail(shared, scene, &answer, fault, cut).await,
        None if scene.request.stream => {
            let events = dialect.events(&scene.request, &answer, &ids);
            sse(stream::iter(encoded(events)).map(Ok::<_, Infallible>))
        }
        None => Json(dialect.render(&scene.request, &answer, &ids)).into_response(),
    }
}

fn note(shared: &Shared, scene: &Scene, answer: &Answer, path: &str, faulted: bool) {
    let request = &scene.request;
    let seen = Seen {
        number: 0,
        dialect: scene.dialect,
        path: path.to_owned(),
        model: request.model.clone(),
        key: scene.key.clone(),
        step: answer.step,
        called: answer.call.as_ref().map(|call| call.name.clone()),
        text: answer.text.clone(),
        faulted,
        prompt: request.prompt().to_owned(),
        result: request.last_result().map(str::to_owned),
        tools: request.tools.iter().map(|tool| tool.name.clone()).collect(),
    };
    let seen = shared.recorder.note(seen, answer.unfit);
    if let Some(log) = &shared.log {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::to_string(&seen).expect("a note is plain data");
        // A full disk must not change what the model says.
        let _ = std::io::Write::write_all(&mut *log, format!("{line}\n").as_bytes());
    }
}

async fn fail(
    shared: &Shared,
    scene: &Scene,
    answer: &Answer,
    fault: &Fault,
    cut: &Cut,
) -> Response {
    let length = Duration::from_secs(fault.seconds);
    let opening = || {
        let events = scene.dialect.opening(&scene.request, answer, &Ids::fresh());
        stream::iter(encoded(events)).map(Ok::<_, std::io::Error>)
    };
    match fault.kind {
        FaultKind::Status => error_response(scene.dialect, fault),
        FaultKind::Hang => {
            wait(shared, length).await;
            cut.cut();
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        FaultKind::Drop => {
            cut.cut();
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        FaultKind::HangMidstream => {
            let stop = shared.stop.clone();
            let silence = stream::once(async move {
                let _ = tokio::time::timeout(length, stop.cancelled()).await;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            });
            sse(opening().chain(silence))
        }
        FaultKind::DropMidstream => {
            let end = async {
                // One turn, in which the beginning goes out.
                tokio::task::yield_now().await;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            };
            sse(opening().chain(stream::once(end)))
        }
    }
}

async fn wait(shared: &Shared, length: Duration) {
    // Whichever comes first; a stopping server owes nobody the rest of a delay.
    let _ = tokio::time::timeout(length, shared.stop.cancelled()).await;
}

fn encoded(events: Vec<Event>) -> Vec<Bytes> {
    events.iter().map(|event| Bytes::from(event.encode())).collect()
}

fn sse<S, E>(events: S) -> Response
where
    S: futures::Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<axum::BoxError> + 'static,
{
    let headers = [("content-type", "text/event-stream"), ("cache-control", "no-cache")];
    (headers, Body::from_stream(events)).into_response()
}

fn error_response(dialect: Dialect, fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut headers = HeaderMap::new();
    let wait = fault.retry_after.map(|wait| ("retry-after".to_owned(), wait.to_string()));
    for (name, value) in wait.into_iter().chain(fault.headers.clone()) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    (status, headers, Json(dialect.error(fault))).into_response()
}
