//! Edits as text, for a client that offers no tools and reads them out of the message: aider.

use super::request::Request;
use super::script::{Edit, Step, Write};

#[cfg(test)]
mod tests;

/// What such a client tells the model of the form it expects.
const TOLD: &str = "SEARCH/REPLACE";

/// Whether the client reads edits out of the message.
pub fn are_expected(request: &Request) -> bool {
    request.tools.is_empty() && request.system.contains(TOLD)
}

/// All steps as one message, since there will be no second; else the step that cannot be told.
///
/// # Errors
/// That step.
pub fn tell(steps: &[Step]) -> Result<Vec<String>, &Step> {
    let mut said = Vec::new();
    for step in steps {
        match step {
            Step::Say(text) => said.push(text.clone()),
            // An empty search would add to a file that is there.
            Step::Write(write) if !write.existing => said.push(created(write)),
            Step::Edit(edit) => said.push(changed(edit)),
            // The client sends along what it thinks is of use.
            Step::Read(_) => {}
            Step::Write(_) | Step::Shell(_) | Step::Mcp(_) | Step::Call(_) => return Err(step),
        }
    }
    Ok(said)
}

fn created(write: &Write) -> String {
    block(&write.path, "", &write.content)
}

fn changed(edit: &Edit) -> String {
    block(&edit.path, &edit.old, &edit.new)
}

fn block(path: &str, old: &str, new: &str) -> String {
    let (old, new) = (lines(old), lines(new));
    format!("{path}\n```\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n```\n")
}

/// The text as whole lines.
fn lines(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}
