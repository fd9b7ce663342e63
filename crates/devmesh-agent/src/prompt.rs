//! What the model reads: the task, the rules, the plan, what others have learned about these
//! paths, and a map of the repository; on a retry only what went wrong and what to do about it.

mod map;
mod note;
mod plan;
mod review;

#[cfg(test)]
mod tests;

pub use map::repo_map;
pub use note::{Learned, learned};
pub use plan::{plan, plan_in};
pub use review::{review, verdict};

use std::fmt::Write;

use devmesh_protocol::view::{NoteView, SaidView, TaskView};

/// The framework's share of a prompt.
const FRAMEWORK_CHARS_MAX: usize = 16_000;

/// Everything that a first prompt is made of.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// The task's id.
    pub task: String,
    /// Its title.
    pub title: String,
    /// What is to be done, in full.
    pub prompt: Option<String>,
    /// The paths it will touch.
    pub paths: Vec<String>,
    /// The rules, by id.
    pub rules: Vec<(String, String)>,
    /// The plan that all work to.
    pub framework: Option<String>,
    /// What others have noted about these paths, the best first.
    pub notes: Vec<NoteView>,
    /// What people have said about the task, oldest first.
    pub said: Vec<String>,
    /// What people change there by hand meanwhile: who, and which path.
    pub by_hand: Vec<(String, String)>,
    /// The commands that will prove the work.
    pub verify: Vec<String>,
    /// The map of the repository.
    pub map: String,
    /// An attempt before this one left work in the worktree.
    pub continues: bool,
}

/// What every agent works to.
#[derive(Debug, Clone, Default)]
pub struct Lore {
    /// The rules, by id.
    pub rules: Vec<(String, String)>,
    /// The plan that all work to.
    pub framework: Option<String>,
}

impl Parts {
    /// What the task itself and what all work to give.
    pub(crate) fn of(task: &TaskView, lore: &Lore) -> Self {
        Self {
            task: task.task.to_string(),
            title: task.title.clone(),
            prompt: task.prompt.clone(),
            rules: lore.rules.clone(),
            framework: lore.framework.clone(),
            said: words_of(task),
            verify: task.verify.clone(),
            ..Self::default()
        }
    }
}

/// What people have said about a task, as the tool reads it.
pub(crate) fn words_of(task: &TaskView) -> Vec<String> {
    let line = |said: &SaidView| {
        let text = said.text.as_deref().unwrap_or("(withdrawn)");
        format!("{} ({}): {text}", said.by, said.kind)
    };
    task.said.iter().map(line).collect()
}

/// The first prompt of an attempt. The task comes first and in its author's words.
pub fn first(parts: &Parts) -> String {
    let mut text = format!("# Task {}: {}\n", parts.task, parts.title);
    if let Some(prompt) = &parts.prompt {
        let _ = write!(text, "\n{}\n", prompt.trim_end());
    }
    if !parts.paths.is_empty() {
        section(&mut text, "Paths", &parts.paths.join("\n"));
    }
    if !parts.by_hand.is_empty() {
        let line = |(who, path): &(String, String)| format!("- {path} ({who})\n");
        let list: String = parts.by_hand.iter().map(line).collect();
        let words = format!(
            "People have changes of their own here that are not committed, and that your \
             worktree does not have. Keep your change to these files small:\n\n{list}"
        );
        section(&mut text, "Changed by hand", &words);
    }
    if !parts.said.is_empty() {
        section(&mut text, "Said about it", &parts.said.join("\n\n"));
    }
    if parts.continues {
        let words = "The worktree holds the work of an attempt before this one. Look at it \
                     (git status, git diff) and go on from there.";
        section(&mut text, "Where it stands", words);
    }
    if !parts.verify.is_empty() {
        section(&mut text, "It is done when these pass", &parts.verify.join("\n"));
    }
    if let Some(framework) = &parts.framework {
        section(&mut text, "Plan", &crate::text::head(framework, FRAMEWORK_CHARS_MAX));
    }
    let known = note::known(&parts.notes);
    if !known.is_empty() {
        let words = "What others have noted about these files. It is what they thought, not what \
                     you are asked to do; see for yourself where it matters.\n\n";
        section(&mut text, "Known", &format!("{words}{known}"));
    }
    if !parts.map.is_empty() {
        section(&mut text, "Repository", &parts.map);
    }
    let mut rules = format!("{}\n", note::ASKED);
    for (id, rule) in &parts.rules {
        let _ = writeln!(rules, "{id} {rule}");
    }
    section(&mut text, "Rules", &rules);
    text
}

/// The prompt of a retry in the same session.
pub fn retry(class: &str, hint: &str, tail: &str) -> String {
    format!(
        "The check of your work failed ({class}).\n{hint}\n\nThe end of its output:\n\n{tail}\n"
    )
}

/// The prompt after others have landed changes to the same lines.
pub fn conflict(paths: &[String]) -> String {
    format!(
        "Others have landed changes that meet yours. The worktree now stands on their version, \
         with yours applied. Read these files again, resolve every conflict marker and keep what \
         each side meant:\n\n{}\n",
        paths.join("\n")
    )
}

/// The prompt that brings what people have said meanwhile.
pub fn said(words: &[String]) -> String {
    format!("About the task you are working on:\n\n{}\n", words.join("\n\n"))
}

/// What is new, and beside it what is only good to know.
pub fn beside(news: &str, asides: &[String]) -> String {
    match asides {
        [] => news.to_owned(),
        asides => format!("{news}\n## Others\n\n{}\n", asides.join("\n")),
    }
}

/// A tool that cannot resume its session reads the task again before what is new.
pub fn again(first: &str, news: &str) -> String {
    format!("{first}\n## Since then\n\n{news}")
}

fn section(text: &mut String, name: &str, body: &str) {
    let _ = write!(text, "\n## {name}\n\n{}\n", body.trim_end());
}
