//! Judgement: a function of what is known and one input, which says what to do.

mod say;

use axum::extract::ws::Utf8Bytes;
use devmesh_bus::log::Entry;
use serde_json::{Value, json};

use crate::effect::Effect;
use crate::input::{Heard, Input};
use crate::view::pushed::lists;
use crate::view::{Browser, Health, View, mirror};
use crate::wire;

/// Takes one step.
pub fn step(view: &mut View, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    match input {
        Input::Ends { stream_seq } => {
            view.history = Some(stream_seq);
            catch_up(view, &mut out);
        }
        Input::Entries(entries) => {
            take(view, &entries, &mut out);
            catch_up(view, &mut out);
        }
        Input::Unreadable { what, broken } => {
            let health = if broken { Health::Broken(what) } else { Health::Lost(what) };
            turn(view, health, &mut out);
        }
        Input::Joined { browser } => {
            view.browsers.insert(browser, Browser::default());
        }
        Input::Said { browser, text } => say::said(view, browser, &text, &mut out),
        Input::Left { browser } => {
            view.browsers.remove(&browser);
        }
        Input::Answered { browser, n, outcome } => {
            if let Some(asker) = view.browsers.get_mut(&browser) {
                asker.in_flight = asker.in_flight.saturating_sub(1);
                out.push(Effect::Send { browser, frame: wire::outcome(n, &outcome) });
            }
        }
        Input::Heard(heard) => {
            view.listening = false;
            hear(view, heard, &mut out);
        }
        Input::Push => push(view, &mut out),
        Input::Listen => {
            if !view.listening && view.browsers.values().any(|browser| browser.greeted) {
                view.listening = true;
                out.push(Effect::Listen);
            }
        }
        Input::Wanted => {
            if !view.listening {
                view.listening = true;
                out.push(Effect::Listen);
            }
        }
    }
    out
}

/// Folds messages of the log. A message that cannot be believed ends the reading for good.
fn take(view: &mut View, entries: &[Entry], out: &mut Vec<Effect>) {
    if matches!(view.log, Health::Broken(_)) {
        return;
    }
    for entry in entries {
        match view.reader.take(entry.stream_seq, &entry.payload) {
            Ok(records) => {
                for record in &records {
                    view.mirror.touch(record);
                    view.lines.add(record);
                }
            }
            Err(stop) => {
                out.push(Effect::StopReading);
                return turn(view, Health::Broken(stop.to_string()), out);
            }
        }
    }
}

/// Where history has come to its end, those who wait for a snapshot get it.
fn catch_up(view: &mut View, out: &mut Vec<Effect>) {
    let reached = view.history.is_some_and(|history| view.read() >= history);
    if !reached || matches!(view.log, Health::Live | Health::Broken(_)) {
        return;
    }
    turn(view, Health::Live, out);
    push(view, out);
    let waiting = view.browsers.iter().filter(|(_, browser)| browser.greeted && !browser.live);
    for browser in waiting.map(|(browser, _)| *browser).collect::<Vec<_>>() {
        show(view, browser, out);
    }
}

/// Reading the log goes differently from now on: everybody is told.
fn turn(view: &mut View, health: Health, out: &mut Vec<Effect>) {
    if view.log == health || matches!(view.log, Health::Broken(_)) {
        return;
    }
    match &health {
        Health::Broken(why) => tracing::error!(why, "the log is not whole; reading stops"),
        Health::Lost(why) => tracing::warn!(why, "the log cannot be read now"),
        Health::Live => tracing::info!(seq = view.reader.chain().seq, "following the log"),
        Health::Loading => {}
    }
    view.log = health;
    send_all(view, &view.health(), |browser| browser.greeted, out);
}

/// Sends everybody what has changed.
fn push(view: &mut View, out: &mut Vec<Effect>) {
    if !(view.mirror.is_stale() || view.lines.is_stale()) {
        return;
    }
    let state = view.reader.state();
    let changes = view.mirror.refresh(state);
    let (lines, skipped) = view.lines.take();
    let mesh = mirror::mesh(state);
    let put = changes.put.iter().map(|(part, rows)| (*part, rows.iter().map(String::as_str)));
    let put = lists(put);
    let cut = json!(changes.cut);
    let frame = view.pushed.add(|rev| {
        format!(
            "{{\"t\":\"delta\",\"rev\":{rev},\"mesh\":{mesh},\"put\":{put},\"cut\":{cut},\
             \"lines\":{lines},\"skipped\":{skipped}}}"
        )
    });
    send_all(view, &frame, |browser| browser.live, out);
}

/// Shows a browser everything, or what it missed where that is still known.
fn show(view: &mut View, browser: u64, out: &mut Vec<Effect>) {
    // A snapshot is of one moment: the others come to that moment first.
    push(view, out);
    let Some(shown) = view.browsers.get_mut(&browser) else { return };
    shown.live = true;
    let missed = shown.had.take().and_then(|had| Some(view.pushed.after(had)?.collect()));
    if let Some(missed) = missed {
        let missed: Vec<Utf8Bytes> = missed;
        out.extend(missed.into_iter().map(|frame| Effect::Send { browser, frame }));
    } else {
        let (mirror, lines, state) = (&view.mirror, &view.lines, view.reader.state());
        let frame = view.pushed.snapshot(|rev| {
            let (mesh, put, lines) = (mirror::mesh(state), mirror.all(), lines.all());
            format!(
                "{{\"t\":\"snapshot\",\"rev\":{rev},\"mesh\":{mesh},\"put\":{put},\
                 \"lines\":{lines}}}"
            )
        });
        out.push(Effect::Send { browser, frame });
    }
    if let Some(frame) = view.soft.clone() {
        out.push(Effect::Send { browser, frame });
    }
}

/// Takes what the coordinator's memory holds, or its silence.
fn hear(view: &mut View, heard: Option<Heard>, out: &mut Vec<Effect>) {
    view.heard = view.heard.wrapping_add(1);
    let answers = Some(heard.is_some());
    let stale = heard.as_ref().and_then(|heard| heard.stale.clone());
    if (view.coordinator, &view.stale) != (answers, &stale) {
        (view.coordinator, view.stale) = (answers, stale);
        send_all(view, &view.health(), |browser| browser.greeted, out);
    }
    let Some(heard) = heard else { return };
    let by = |rows: &Value, name: &str, of: &str| -> Value {
        let rows = rows.as_array().into_iter().flatten();
        rows.filter_map(|row| {
            let value = row.pointer(of)?;
            Some((row[name].as_str()?.to_owned(), value.clone()))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
    };
    let frame: Utf8Bytes = json!({
        "t": "soft",
        "hosts": by(&heard.hosts["hosts"], "host", "/report"),
        "silent": by(&heard.agents["agents"], "agent", "/silent_ms"),
        "messages": by(&heard.tasks["tasks"], "task", "/attempt/message"),
    })
    .to_string()
    .into();
    if view.soft.as_ref() != Some(&frame) {
        send_all(view, &frame, |browser| browser.live, out);
        view.soft = Some(frame);
    }
}

fn send_all(
    view: &View,
    frame: &Utf8Bytes,
    wanted: impl Fn(&Browser) -> bool,
    out: &mut Vec<Effect>,
) {
    let browsers = view.browsers.iter().filter(|(_, browser)| wanted(browser));
    out.extend(
        browsers.map(|(browser, _)| Effect::Send { browser: *browser, frame: frame.clone() }),
    );
}

#[cfg(test)]
mod tests;
