//! `devmesh note`: what the mesh knows, for agents and people.

use clap::Subcommand;
use devmesh_protocol::Verb;
use devmesh_protocol::command::mesh::NoteShare;
use devmesh_protocol::view::NoteView;
use serde_json::json;

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
    },
    /// List the notes that hold a word, or all
    List {
        /// A part of the key, the text, the author or a path
        word: Option<String>,
    },
    /// Show one note in full
    Show {
        /// What it is about
        key: String,
    },
}

impl Args {
    pub(super) async fn run(self, context: &Context) -> Result<()> {
        match self.command {
            Command::Share { key, text, confidence, paths } => {
                let paths = resolve(context, &paths)?;
                let shared = format!("{key} is shared");
                let verb = Verb::NoteShare(NoteShare { key, value: text, confidence, paths });
                context.act(verb, |_, _| context.out.say(clean(&shared))).await
            }
            Command::List { word } => {
                let notes: Vec<NoteView> = notes(context).await?;
                let word = word.unwrap_or_default().to_lowercase();
                list(context, notes.iter().filter(|note| holds(note, &word)));
                Ok(())
            }
            Command::Show { key } => {
                let notes = notes(context).await?;
                let note = notes.iter().find(|note| note.key == key).ok_or_else(|| {
                    Error::usage(format!("there is no note on {key:?}"))
                        .hint("`devmesh note list` lists them")
                })?;
                show(context, note);
                Ok(())
            }
        }
    }
}

async fn notes(context: &Context) -> Result<Vec<NoteView>> {
    context.connect().await?.list("notes", json!({})).await
}

fn holds(note: &NoteView, word: &str) -> bool {
    let paths = note.paths.iter().map(ToString::to_string);
    let texts = [Some(note.key.clone()), note.value.clone(), Some(note.by.to_string())];
    texts.into_iter().flatten().chain(paths).any(|text| text.to_lowercase().contains(word))
}

fn list<'a>(context: &Context, notes: impl Iterator<Item = &'a NoteView>) {
    if context.out.json {
        context.out.json(&notes.collect::<Vec<_>>());
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
    out.line(format!("by         {}, {}", note.by, note.at));
    out.line(format!("sure       {}", note.confidence));
    for path in &note.paths {
        out.line(clean(&format!("path       {path}")));
    }
    out.line("");
    out.line(clean_lines(note.value.as_deref().unwrap_or("(forgotten)")));
}
