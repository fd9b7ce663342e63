//! What browsers say: greetings, commands, questions.

use devmesh_bus::client::mint;
use devmesh_domain::look::look;
use devmesh_protocol::command::Encoding;
use devmesh_protocol::query::Query;
use devmesh_protocol::{Code, Command, Rejection, Reply};
use serde_json::{Map, Value};

use super::show;
use crate::effect::{Effect, Request};
use crate::view::{Health, View};
use crate::wire::{self, FromPage, VERBS};

/// Requests of one browser that may be under way at once.
pub(super) const IN_FLIGHT_MAX: usize = 16;
/// Frames that cannot be read, after which a browser is let go.
pub(super) const BAD_MAX: u32 = 16;
/// Characters of a refusal that repeats what was said.
const ECHO_MAX: usize = 80;

pub(super) fn said(view: &mut View, browser: u64, text: &str, out: &mut Vec<Effect>) {
    let Some(speaker) = view.browsers.get_mut(&browser) else { return };
    let said: FromPage = match serde_json::from_str(text) {
        Ok(said) => said,
        Err(error) => {
            speaker.bad += 1;
            if speaker.bad >= BAD_MAX {
                return out.push(Effect::Close { browser });
            }
            let error: String = error.to_string().chars().take(ECHO_MAX).collect();
            let error =
                Rejection::new(Code::BadRequest, format!("the frame is not valid: {error}"));
            return out.push(Effect::Send { browser, frame: wire::unreadable(&error) });
        }
    };
    match said {
        FromPage::Hello { boot, rev } => hello(view, browser, boot.as_deref(), rev, out),
        FromPage::Do { n, verb, body } => {
            let request = command(view, &verb, body);
            ask(view, browser, n, request, out);
        }
        FromPage::Ask { n, what, body } => match question(view, &what, body) {
            Ok(Question::Here(reply)) => {
                out.push(Effect::Send { browser, frame: wire::reply(n, &reply) });
            }
            Ok(Question::There(request)) => ask(view, browser, n, Ok(request), out),
            Err(error) => ask(view, browser, n, Err(error), out),
        },
    }
}

fn hello(view: &mut View, browser: u64, boot: Option<&str>, rev: u64, out: &mut Vec<Effect>) {
    let had = (boot == Some(view.boot.as_str())).then_some(rev);
    let Some(speaker) = view.browsers.get_mut(&browser) else { return };
    if speaker.greeted {
        // Said twice it is a wish for everything anew.
        speaker.had = None;
        return if view.log == Health::Live {
            show(view, browser, out)
        };
    }
    (speaker.greeted, speaker.had) = (true, had);
    let frame = wire::hello(&view.boot, view.mesh.as_str(), view.actor.as_str());
    out.push(Effect::Send { browser, frame });
    out.push(Effect::Send { browser, frame: view.health() });
    if view.log != Health::Loading {
        show(view, browser, out);
    }
    if !view.listening {
        view.listening = true;
        out.push(Effect::Listen);
    }
}

/// Sends a request on, or its refusal back.
fn ask(
    view: &mut View,
    browser: u64,
    n: u64,
    request: Result<Request, Rejection>,
    out: &mut Vec<Effect>,
) {
    let Some(speaker) = view.browsers.get_mut(&browser) else { return };
    let request = request.and_then(|request| {
        if speaker.in_flight >= IN_FLIGHT_MAX {
            let text = format!("{IN_FLIGHT_MAX} requests of this page are under way; wait for one");
            return Err(Rejection::new(Code::LimitExceeded, text));
        }
        speaker.in_flight += 1;
        Ok(request)
    });
    out.push(match request {
        Ok(request) => Effect::Ask { browser, n, request },
        Err(error) => Effect::Send { browser, frame: wire::refused(n, error) },
    });
}

/// A command as it goes out. What its body lacks is told here already; whether it may happen is
/// the coordinator's to say.
fn command(view: &View, verb: &str, body: Map<String, Value>) -> Result<Request, Rejection> {
    if !VERBS.contains(&verb) {
        return Err(Rejection::unknown_verb(verb));
    }
    if body.contains_key("session") {
        return Err(Rejection::bad_field("session", "a page acts for a person, who has none"));
    }
    let body = Value::Object(body).to_string();
    let (actor, encoding) = (view.actor.clone(), Encoding::Json);
    let command = Command::parse(actor, verb, body.as_bytes(), encoding, mint)?;
    Ok(Request::Command(Box::new(command)))
}

enum Question {
    /// The fold knows.
    Here(Reply),
    /// The coordinator does.
    There(Request),
}

fn question(view: &View, what: &str, body: Map<String, Value>) -> Result<Question, Rejection> {
    let what = match what {
        // Its texts are the coordinator's to fill in.
        "task" => return Ok(Question::There(Request::Query { what: "task", body: body.into() })),
        "why" => what,
        _ => {
            let text = "a page asks for `task` or `why`";
            return Err(Rejection::new(Code::UnknownVerb, text));
        }
    };
    let body = Value::Object(body).to_string();
    let query = Query::parse(view.actor.clone(), what, body.as_bytes(), Encoding::Json)?;
    let state = view.reader.state();
    let result = look(state, &query.what)?;
    Ok(Question::Here(Reply::Ok { seq: Some(state.seq), result }))
}
