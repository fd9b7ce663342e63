//! `schemas/*.json`: the protocol's types for people without Rust, written from the types alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cargo::root;
use crate::error::{Error, Result};

#[cfg(test)]
mod tests;

/// Whether to write the files or to compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write what differs, remove what is no longer a schema.
    Write,
    /// Change nothing; a difference is an error.
    Check,
}

/// Brings `schemas/` up to date, or checks that it is.
pub(crate) fn schemas(mode: Mode) -> Result<()> {
    let folder = root().join("schemas");
    let stale = stale(&folder, &wanted(devmesh_protocol::schema::all())?)?;
    for difference in &stale {
        let done = if mode == Mode::Write { "mended, was " } else { "" };
        eprintln!("schemas/{}: {done}{}", difference.file, difference.what.says());
    }
    match mode {
        Mode::Check if stale.is_empty() => Ok(()),
        Mode::Check => Err(Error::StaleSchemas(stale.len())),
        Mode::Write => stale.iter().try_for_each(|difference| mend(&folder, difference)),
    }
}

/// One file that is not as the types say.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    file: String,
    what: What,
}

#[derive(Debug, PartialEq, Eq)]
enum What {
    Missing(String),
    Changed(String),
    Unknown,
}

impl What {
    fn says(&self) -> &'static str {
        match self {
            What::Missing(_) => "missing",
            What::Changed(_) => "not as devmesh-protocol has it",
            What::Unknown => "no type of devmesh-protocol",
        }
    }
}

/// The files that should stand there, by name.
fn wanted(all: Vec<(String, Value)>) -> Result<Files> {
    all.into_iter()
        .map(|(name, schema)| {
            let mut text = serde_json::to_string_pretty(&schema).map_err(Error::Json)?;
            text.push('\n');
            Ok((format!("{name}.json"), text))
        })
        .collect()
}

type Files = BTreeMap<String, String>;

/// What differs between the folder and what is wanted, by file name.
fn stale(folder: &Path, wanted: &Files) -> Result<Vec<Difference>> {
    let mut present = present(folder)?;
    let mut differences = Vec::new();
    for (file, text) in wanted {
        let what = match present.remove(file) {
            Some(there) if there == *text => continue,
            Some(_) => What::Changed(text.clone()),
            None => What::Missing(text.clone()),
        };
        differences.push(Difference { file: file.clone(), what });
    }
    differences.extend(present.into_keys().map(|file| Difference { file, what: What::Unknown }));
    differences.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(differences)
}

fn present(folder: &Path) -> Result<Files> {
    let read_error = |source| Error::Read { path: folder.to_path_buf(), source };
    let mut files = Files::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(read_error(error)),
    };
    for entry in entries {
        let path = entry.map_err(read_error)?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path)
            .map_err(|source| Error::Read { path: path.clone(), source })?;
        if let Some(name) = path.file_name() {
            files.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    Ok(files)
}

fn mend(folder: &Path, difference: &Difference) -> Result<()> {
    let path = folder.join(&difference.file);
    let done = match &difference.what {
        What::Missing(text) | What::Changed(text) => {
            fs::create_dir_all(folder).and_then(|()| fs::write(&path, text))
        }
        What::Unknown => fs::remove_file(&path),
    };
    done.map_err(|source| Error::Write { path, source })
}
