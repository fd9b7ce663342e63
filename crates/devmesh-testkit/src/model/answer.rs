//! What the model says next: a pure function of the request and its script.

use serde_json::Value;

use super::blocks;
use super::call::{Call, example, expand, plan};
use super::request::Request;
use super::script::{Found, Part, Script, Step, Usage};

#[cfg(test)]
mod tests;

/// One answer, before it is put into a dialect.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The message; empty when there is only a call.
    pub text: String,
    /// The tool to call.
    pub call: Option<Call>,
    /// What it claims to have cost.
    pub usage: Usage,
    /// The step it belongs to; none for small requests beside the work.
    pub step: Option<usize>,
    /// The client offers no tool for this step.
    pub unfit: bool,
}

/// Decides the answer. `found` is the directive in force and whether it is in the newest prompt.
pub fn decide(request: &Request, script: &Script, found: Option<&(Found, bool)>) -> Answer {
    let usage = script.usage.unwrap_or_default();
    if !request.is_work() {
        return aside(request);
    }
    let part = part(request, script, found);
    if blocks::are_expected(request) {
        return told(usage, part);
    }
    let steps = expand(request, &part.steps);
    let done = request.done();
    let (said, step) = nth_call(&steps, done);
    let answer =
        Answer { text: said.join("\n"), call: None, usage, step: Some(done), unfit: false };
    let Some(step) = step else {
        let last = part.last.unwrap_or_else(|| "Done.".to_owned());
        let text = [said, vec![last.as_str()]].concat().join("\n");
        return Answer { text: shaped(request, text), ..answer };
    };
    match plan(request, step) {
        Some(call) => Answer { call: Some(call), ..answer },
        None => {
            let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
            let text = format!("no tool for {step:?} among {}", names.join(", "));
            Answer { text, unfit: true, ..answer }
        }
    }
}

/// The whole turn in one message, for a client that reads its edits there.
fn told(usage: Usage, part: Part) -> Answer {
    let (text, unfit) = match blocks::tell(&part.steps) {
        Ok(mut said) => {
            said.push(part.last.unwrap_or_else(|| "Done.".to_owned()));
            (said.join("\n"), false)
        }
        Err(step) => (format!("no words for {step:?}"), true),
    };
    Answer { text, call: None, usage, step: Some(0), unfit }
}

/// The steps of this turn.
fn part(request: &Request, script: &Script, found: Option<&(Found, bool)>) -> Part {
    let newest = match found {
        Some((found, true)) => found.rest.as_str(),
        Some((_, false)) | None => request.prompt(),
    };
    let case = script.cases.iter().find(|case| newest.contains(&case.contains));
    if let Some(case) = case {
        return Part { steps: case.steps.clone(), last: case.last.clone() };
    }
    match (found, &script.again) {
        (Some((_, false)), Some(again)) => again.clone(),
        _ => Part { steps: script.steps.clone(), last: script.last.clone() },
    }
}

/// What is said before the call number `done`, and that call; without it, what is said last.
fn nth_call(steps: &[Step], done: usize) -> (Vec<&str>, Option<&Step>) {
    let (mut said, mut calls) = (Vec::new(), 0);
    for step in steps {
        match step {
            Step::Say(text) => said.push(text.as_str()),
            _ if calls == done => return (said, Some(step)),
            _ => {
                calls += 1;
                said.clear();
            }
        }
    }
    (said, None)
}

/// Titles, summaries, routing: anything that is well formed does.
fn aside(request: &Request) -> Answer {
    let text = match &request.schema {
        Some(schema) => example(schema).to_string(),
        None => "Scripted".to_owned(),
    };
    let usage = Usage { input: 50, output: 5, cached: 0, reasoning: 0 };
    Answer { text, call: None, usage, step: None, unfit: false }
}

/// The last message in the shape that the client asked for.
fn shaped(request: &Request, text: String) -> String {
    match &request.schema {
        Some(schema) if serde_json::from_str::<Value>(&text).is_err() => {
            example(schema).to_string()
        }
        _ => text,
    }
}
