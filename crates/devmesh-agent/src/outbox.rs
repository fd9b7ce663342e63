//! Commands that end something (a landing, an attempt), kept on disk until they are answered, so
//! that a crash between doing and telling loses neither: they are sent again with the same id.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use devmesh_protocol::command::Encoding;
use devmesh_protocol::{ActorId, Command};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Doing, Error, Result};

/// The outbox of one agent.
#[derive(Debug)]
pub struct Outbox {
    path: PathBuf,
    actor: ActorId,
    waiting: Vec<Command>,
}

/// One command as it stands in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    verb: String,
    body: Value,
}

impl Outbox {
    /// Opens the outbox in `dir` with what an earlier process left in it.
    ///
    /// # Errors
    /// When it is there and cannot be understood: dropping it could land a task twice.
    pub async fn open(dir: &Path, actor: &ActorId) -> Result<Self> {
        let path = dir.join("outbox.json");
        let bytes = match tokio::fs::read(&path).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => b"[]".to_vec(),
            Err(error) => return Err(error).doing(|| format!("read {}", path.display())),
        };
        let wrong = |reason: String| Error::Format { path: path.clone(), reason };
        let letters: Vec<Letter> =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
        let mut waiting = Vec::new();
        for letter in letters {
            let body = letter.body.to_string();
            let mint = || crate::id::command();
            let (actor, verb) = (actor.clone(), letter.verb.as_str());
            let read = Command::parse(actor, verb, body.as_bytes(), Encoding::Json, mint);
            waiting.push(read.map_err(|rejection| wrong(rejection.message))?);
        }
        Ok(Self { path, actor: actor.clone(), waiting })
    }

    /// What has not been answered, oldest first.
    pub fn waiting(&self) -> &[Command] {
        &self.waiting
    }

    /// Puts a command in; on return it is on disk.
    ///
    /// # Errors
    /// When it cannot be written; it must not be sent then.
    pub async fn put(&mut self, command: Command) -> Result<()> {
        debug_assert_eq!(command.actor, self.actor, "an outbox is one actor's");
        self.waiting.push(command);
        self.store().await
    }

    /// Takes an answered command out.
    ///
    /// # Errors
    /// When that cannot be written; it will be sent once more, which changes nothing.
    pub async fn answered(&mut self, command: &Command) -> Result<()> {
        self.waiting.retain(|waiting| waiting.id != command.id);
        self.store().await
    }

    async fn store(&self) -> Result<()> {
        let mut letters = Vec::new();
        for command in &self.waiting {
            let body = command.to_body().map_err(|error| Error::Format {
                path: self.path.clone(),
                reason: error.to_string(),
            })?;
            letters.push(Letter { verb: command.verb.name().to_owned(), body });
        }
        let bytes = serde_json::to_vec(&letters).unwrap_or_default();
        crate::file::replace(&self.path, &bytes).await
    }
}
