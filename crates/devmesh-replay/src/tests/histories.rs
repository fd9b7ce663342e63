//! Every log under `replay/histories`: what an older version wrote is whole, folds to the state it
//! was left in, and projects to what stands under `replay/expected`.
//!
//! `NAME.head.snap` never changes: the log is what it was, and its fold is too. `NAME.rows.snap`
//! changes with the projection's layout alone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

fn replay() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../replay").canonicalize().unwrap()
}

/// The names before that ending in a folder.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(replay().join(folder)).unwrap().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

fn log_at(name: &str) -> PathBuf {
    replay().join(format!("histories/{name}.log"))
}

async fn of(name: &str, args: Args) -> Result<String> {
    let mut out = Vec::new();
    let args = Args { from: Some(log_at(name)), ..args };
    run(&args, None, &mut out, CancellationToken::new()).await?;
    Ok(String::from_utf8(out).unwrap())
}

fn expect(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(replay().join("expected"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test]
async fn every_history_is_whole_folds_and_projects_as_it_ever_did() {
    let names = names("histories", ".log");
    for least in ["demo", "locks", "tasks"] {
        assert!(names.contains(least), "{least} is not among {names:?}");
    }
    for name in names {
        expect(&format!("{name}.head"), &of(&name, verify()).await.unwrap());
        let messages = file::read(&log_at(&name)).unwrap();
        let mut projection = Projection::in_memory().unwrap();
        let mut reader = Reader::default();
        fill::catch_up(&log_of(&messages), &mut reader, &mut projection).await.unwrap();
        projection.finish().unwrap();
        expect(&format!("{name}.rows"), &dump(&projection));
    }
}

/// What comes and goes within a transaction is put another way than what one finds and ends.
#[tokio::test]
async fn a_history_projects_alike_at_once_and_message_by_message() {
    for name in names("histories", ".log") {
        let messages = file::read(&log_at(&name)).unwrap();
        let mut whole = Projection::in_memory().unwrap();
        let log = log_of(&messages);
        fill::catch_up(&log, &mut Reader::default(), &mut whole).await.unwrap();
        let mut parts = Projection::in_memory().unwrap();
        let mut reader = Reader::default();
        for (stream_seq, payload) in (1..).zip(&messages) {
            let records = reader.take(stream_seq, payload).unwrap();
            parts.begin().unwrap();
            parts.put(&[told::Told::of(stream_seq, records)]).unwrap();
            parts.commit(reader.state(), reader.chain()).unwrap();
        }
        let ended = "SELECT count(*) > 0 FROM leases WHERE ended_ms IS NOT NULL";
        assert_eq!(whole.query(ended).unwrap(), ["1"], "{name} tells of leases that ended");
        assert_eq!(dump(&parts), dump(&whole), "{name}");
    }
}

#[tokio::test]
async fn every_moment_of_every_history_can_be_shown_and_every_record_told() {
    for name in names("histories", ".log") {
        let all = Args { records: Some(1), json: true, ..Args::default() };
        let text = of(&name, all).await.unwrap();
        let last = text.lines().count();
        assert!(last > 10, "{name} tells of {last} records");
        for seq in [1, last / 2, last] {
            let at = Args { at: Some(seq.to_string()), json: true, ..Args::default() };
            let text = of(&name, at).await.unwrap();
            let all: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(all["state"]["seq"], seq, "{name}");
            for (part, value) in all.as_object().unwrap() {
                assert!(value.get("error").is_none(), "{name} at {seq}: {part}: {value}");
            }
        }
    }
}

/// What an older version wrote stays what it was: a message read and written again by this one is
/// the same, byte by byte, as long as its format is still written.
#[tokio::test]
async fn what_a_history_holds_is_written_as_it_was_read() {
    for name in names("histories", ".log") {
        for (place, payload) in file::read(&log_at(&name)).unwrap().iter().enumerate() {
            let batch = Batch::decode(payload).unwrap();
            if batch.v == version::FORMAT {
                assert_eq!(batch.encode().unwrap(), *payload, "{name}: message {}", place + 1);
            }
        }
    }
}

#[test]
fn what_is_expected_has_a_history() {
    let histories = names("histories", ".log");
    for ending in [".head.snap", ".rows.snap"] {
        assert_eq!(names("expected", ending), histories, "{ending}");
    }
}

#[tokio::test]
async fn a_history_that_was_tampered_with_is_found_out() {
    let mut messages = file::read(&log_at("locks")).unwrap();
    messages.remove(messages.len() / 2);
    let error = asked(verify(), &messages).await.unwrap_err();
    assert!(matches!(error, Error::Stop(_)), "{error}");
}
