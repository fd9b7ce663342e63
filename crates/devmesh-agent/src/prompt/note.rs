//! Notes: what others have noted about the paths of a task, as its tool reads it; and what the
//! tool has to say for whoever comes after it.

use std::fmt::Write;

use devmesh_protocol::RepoPath;
use devmesh_protocol::limits::LINE_CHARS_MAX;
use devmesh_protocol::view::NoteView;

#[cfg(test)]
mod tests;

/// The notes' share of a prompt.
pub(super) const NOTES_BYTES_MAX: usize = 2_048;
/// What is shown of one note.
const NOTE_CHARS_MAX: usize = 600;
/// Paths that a prompt shows with one note, and that one note is about.
const PATHS_MAX: usize = 8;
/// How a tool says what is worth knowing.
pub(super) const ASKED: &str = "What whoever changes these files next should know, and cannot see \
                                from them, you may say at the end, in lines of their own:\n\
                                NOTE <what it is about> [<path>, <path>]: <what is known>";

/// What is known, the best first: whole notes, as many as fit.
pub(super) fn known(notes: &[NoteView]) -> String {
    let mut text = String::new();
    for note in notes {
        let Some(line) = line(note) else { continue };
        if text.len() + line.len() > NOTES_BYTES_MAX {
            break;
        }
        text.push_str(&line);
    }
    text
}

/// One note with who says so, since when, and how sure they are.
fn line(note: &NoteView) -> Option<String> {
    let value = crate::text::plain(note.value.as_deref()?);
    let value = crate::text::head(value.trim(), NOTE_CHARS_MAX).replace('\n', "\n  ");
    let mut line = format!("- {}", note.key);
    if !note.paths.is_empty() {
        let paths: Vec<String> =
            note.paths.iter().take(PATHS_MAX).map(ToString::to_string).collect();
        let more = if note.paths.len() > PATHS_MAX { ", …" } else { "" };
        let _ = write!(line, " [{}{more}]", paths.join(", "));
    }
    let day = note.at.to_string().chars().take(10).collect::<String>();
    let task = note.task.map(|task| format!(" at {task}")).unwrap_or_default();
    let (by, sure) = (&note.by, note.confidence);
    let _ = writeln!(line, ": {value} ({by}{task}, {day}, {sure} % sure)");
    Some(line)
}

/// What a tool wants others to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// What it is about.
    pub key: String,
    /// About which paths, where it said so.
    pub paths: Vec<RepoPath>,
    /// What is known.
    pub value: String,
}

/// The lines of a message that are notes.
pub fn learned(message: &str) -> Vec<Learned> {
    message.lines().filter_map(note_in).collect()
}

fn note_in(line: &str) -> Option<Learned> {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '*'));
    let (about, value) = line.strip_prefix("NOTE ")?.split_once(':')?;
    let (key, paths) = match about.split_once('[') {
        Some((key, rest)) => (key, rest.split_once(']')?.0),
        None => (about, ""),
    };
    let (key, value) = (crate::text::line(key), crate::text::plain(value.trim()));
    // What the question itself shows is no note.
    let is_note = !key.is_empty() && !value.is_empty() && !about.contains(['<', '>']);
    let paths = paths.split(',').filter_map(|path| RepoPath::new(path.trim()).ok());
    let paths = paths.take(PATHS_MAX).collect();
    let value = crate::text::head(&value, NOTE_CHARS_MAX);
    (is_note && key.chars().count() < LINE_CHARS_MAX).then_some(Learned { key, paths, value })
}
