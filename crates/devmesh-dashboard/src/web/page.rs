//! The page's own files, built in. A request is answered from this table or not at all.

use axum::extract::{RawQuery, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Web;

/// A file of the page.
pub(super) struct File {
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! script {
    ($name:literal) => {
        File {
            path: concat!("/", $name),
            kind: SCRIPT,
            text: include_str!(concat!("../../page/", $name)),
        }
    };
}

/// Everything that is served beside the page itself. None of it is secret.
pub(super) static FILES: &[File] = &[
    script!("main.js"),
    script!("link.js"),
    script!("rows.js"),
    script!("plain.js"),
    script!("dom.js"),
    script!("tasks.js"),
    script!("closely.js"),
    script!("side.js"),
    script!("add.js"),
    File {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("../../page/style.css"),
    },
    File { path: "/icon.svg", kind: "image/svg+xml", text: include_str!("../../page/icon.svg") },
];

const INDEX: &str = include_str!("../../page/index.html");
const SIGN_IN: &str = include_str!("../../page/sign_in.html");

/// One of the files.
pub(super) fn answer(file: &'static File) -> Response {
    ([(CONTENT_TYPE, file.kind)], file.text).into_response()
}

/// The page; the sign-in where the link brings a ticket; how to sign in for everybody else.
pub(super) async fn index(
    State(web): State<Web>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let gate = &web.0.gate;
    let mut pairs = query.as_deref().unwrap_or_default().split('&');
    if let Some(ticket) = pairs.find_map(|pair| pair.strip_prefix("token=")) {
        if let Some(cookie) = gate.sign_in(ticket) {
            return (StatusCode::SEE_OTHER, [(SET_COOKIE, cookie)], [(LOCATION, "/")])
                .into_response();
        }
        if gate.knows(&headers) {
            // Its link was used already, by itself.
            return (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response();
        }
    } else if gate.knows(&headers) {
        return ([(CONTENT_TYPE, HTML)], INDEX).into_response();
    }
    (StatusCode::UNAUTHORIZED, [(CONTENT_TYPE, HTML)], SIGN_IN).into_response()
}

pub(super) async fn nowhere() -> Response {
    (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response()
}

pub(super) async fn wrong_method() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET, HEAD")], "Only GET.\n").into_response()
}
