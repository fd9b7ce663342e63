//! `devmesh note`: what the mesh knows, for agents and people.

use clap::Subcommand;
use devmesh_protocol::command::mesh::NoteShare;
use devmesh_protocol::query::Notes;
use devmesh_protocol::view::NoteView;
use devmesh_protocol::{ActorId, RepoId, Verb};
use serde::Deserialize;

use super::paths::resolve;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output::{Table, clean, clean_lines};

/// Share what is known with all agents, and look it up
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Share a note; one under the same key is replaced
    Share {
        /// What it is about, in a word or a few
        key: String,
        /// What is known
        text: String,
        /// How sure you are, 0 to 100
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
        confidence: Option<u8>,
        /// The paths it is about: a,b or said again
        #[arg(long, value_name = "PATH", value_delimiter = ',')]
        paths: Vec<String>,
        /// The repository it is about; every one where nothing is said
        #[arg(long, value_name = "REPO")]
        repo: Option<RepoId>,
    },
    /// List the notes that hold a word, or all
    List {
        /// A part of the key, the text, the author or a path
        word: Option<String>,
        #[command(flatten)]
        only: Only,
    },
    /// Find the notes that hold all of some words
    Search {
        /// What to look for in keys, texts, authors and paths
        #[arg(required = true)]
        words: Vec<String>,
        #[command(flatten)]
        only: Only,
    },
    /// Show one note in full
    Show {
        /// What it is about
        key: String,
    },
}

/// Which notes.
#[derive(Debug, clap::Args)]
struct Only {
    /// Only those about this path, what is in it, or a folder around it
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// Only those of this author
    #[arg(long, value_name = "NAME")]
    by: Option<ActorId>,
    /// Only those about this repository, or about every one
    #[arg(long, value_name = "REPO")]
    repo: Option<RepoId>,
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::Share { key, text, confidence, paths, repo } => {
                let paths = resolve(context, &paths)?;
                let shared = format!("{key} is shared");
                let (value, task) = (text, None);
                let note = NoteShare { key, value, confidence, paths, repo, task };
                context.act(Verb::NoteShare(note), |_, _| context.out.say(clean(&shared))).await
            }
            Command::List { word, only } => {
                let word = word.filter(|word| !word.is_empty());
                list(context, &found(context, only.query(context, word)?).await?);
                Ok(())
            }
            Command::Search { words, only } => {
                let query = only.query(context, Some(words.join(" ")))?;
                list(context, &found(context, query).await?);
                Ok(())
            }
            Command::Show { key } => {
                let query = Notes { key: Some(key.clone()), ..Notes::default() };
                let notes = found(context, query).await?;
                let note = notes.first().ok_or_else(|| {
                    Error::usage(format!("there is no note on {key:?}"))
                        .hint("`devmesh note list` lists them")
                })?;
                show(context, note);
                Ok(())
            }
        }
    }
}

impl Only {
    fn query(self, context: &Context, word: Option<String>) -> Result<Notes> {
        let paths = resolve(context, self.path.as_slice())?;
        if let [one, other, ..] = paths.as_slice() {
            let wrong = format!("--path takes one path, and this means more: {one}, {other} …");
            return Err(Error::usage(wrong).hint("a folder's path means all that is in it: src/"));
        }
        let path = paths.into_iter().next();
        Ok(Notes { word, path, by: self.by, repo: self.repo, ..Notes::default() })
    }
}

#[derive(Deserialize)]
struct Part {
    notes: Vec<NoteView>,
    next: Option<String>,
    /// Whose texts could not be read at the moment, by key.
    #[serde(default)]
    unread: Vec<String>,
}

/// All notes that are meant, part by part: one part of them may hold none.
async fn found(context: &Context, mut query: Notes) -> Result<Vec<NoteView>> {
    let link = context.connect().await?;
    let mut notes = Vec::new();
    loop {
        let body = serde_json::to_value(&query)
            .map_err(|error| Error::failed("write the query").because(error))?;
        let part: Part = link.get("notes", body).await?;
        for key in &part.unread {
            let wrong = format!("the text on {key} cannot be read at the moment");
            context.out.say(clean(&wrong));
        }
        notes.extend(part.notes);
        if part.next.is_none() {
            return Ok(notes);
        }
        query.after = part.next;
    }
}

fn list(context: &Context, notes: &[NoteView]) {
    if context.out.json {
        context.out.json(&notes);
        return;
    }
    let mut table = Table::new(&["KEY", "BY", "SURE", "PATHS", "NOTE"]);
    for note in notes {
        let paths: Vec<String> = note.paths.iter().map(ToString::to_string).collect();
        let paths = if paths.is_empty() { "-".to_owned() } else { paths.join(", ") };
        let text = note.value.as_deref().unwrap_or("(forgotten)");
        let sure = note.confidence.to_string();
        let first = text.lines().next().unwrap_or_default();
        table.row(&[&note.key, note.by.as_str(), &sure, &paths, first]);
    }
    context.out.table(&table, "no notes");
}

fn show(context: &Context, note: &NoteView) {
    if context.out.json {
        context.out.json(note);
        return;
    }
    let out = context.out;
    out.line(out.strong(&clean(&note.key)));
    let task = note.task.map(|task| format!(" at {task}")).unwrap_or_default();
    out.line(format!("by         {}{task}, {}", note.by, note.at));
    out.line(format!("sure       {}", note.confidence));
    if let Some(repo) = &note.repo {
        out.line(format!("repo       {repo}"));
    }
    for path in &note.paths {
        out.line(clean(&format!("path       {path}")));
    }
    out.line("");
    out.line(clean_lines(note.value.as_deref().unwrap_or("(forgotten)")));
}
