//! Replay over logs made by hand: checked, shown, asked, projected.

use devmesh_bus::log::memory::{MemoryLog, MemoryOpen};
use devmesh_domain::Reader;
use devmesh_protocol::batch::Batch;
use devmesh_protocol::command::agent::{Needs, Role};
use devmesh_protocol::event::agent::{ActorAdded, AgentJoined, AgentLeft};
use devmesh_protocol::event::lock::{LockGranted, LockQueued, LockReleased};
use devmesh_protocol::event::mesh::{Checkpoint, EpochStarted, RepoAdded};
use devmesh_protocol::{ActorId, At, CommandId, Digest, Event, LeaseId, Mode, Record, version};

use super::project::Projection;
use super::*;

mod histories;

fn id<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().unwrap()
}

fn joined(actor: &str) -> Event {
    let (actor, session, host) = (id(actor), id("s1"), id("box"));
    let (model, capabilities, repos, for_persons) = Default::default();
    let (tool, needs) = ("custom".to_owned(), Needs::default());
    AgentJoined { actor, session, tool, host, model, capabilities, needs, repos, for_persons }
        .into()
}

fn granted(actor: &str, path: &str, waited: Option<CommandId>) -> Event {
    LockGranted {
        index: 0,
        actor: id(actor),
        session: Some(id("s1")),
        task: None,
        repo: id("demo"),
        path: id(path),
        mode: Mode::Write,
        ttl_ms: 15_000,
        expires_at: None,
        waited,
        share: None,
        reason: None,
    }
    .into()
}

fn queued(actor: &str, path: &str) -> Event {
    LockQueued {
        actor: id(actor),
        session: Some(id("s1")),
        id: id("c-8"),
        task: None,
        repo: id("demo"),
        paths: vec![id(path)],
        mode: Mode::Write,
        ttl_ms: 15_000,
        deadline: At(60_000),
        convert: None,
        share: None,
        share_at: None,
        sharing: None,
        reason: None,
    }
    .into()
}

/// Who acts, because of which record, and what happens.
type Line = (&'static str, Option<u64>, Vec<Event>);

/// A short day: two agents, one lease, one wait for it.
fn day() -> Vec<Line> {
    let repo = RepoAdded {
        repo: id("demo"),
        url: None,
        path: Some("/demo".into()),
        host: None,
        base: "main".into(),
        target: "devmesh/landed/main".into(),
        verify: vec![],
        setup: None,
        ignore_case: false,
        hot: None,
    };
    let agent = |actor: &str| ActorAdded { actor: id(actor), role: Role::Agent }.into();
    let lease = LeaseId { seq: 7, index: 0 };
    vec![
        ("admin", None, vec![agent("codex-1")]),
        ("admin", None, vec![agent("claude-1")]),
        ("admin", None, vec![repo.into()]),
        ("codex-1", None, vec![joined("codex-1")]),
        ("claude-1", None, vec![joined("claude-1")]),
        ("codex-1", None, vec![granted("codex-1", "src/", None)]),
        ("claude-1", None, vec![queued("claude-1", "src/a.rs")]),
        ("codex-1", None, vec![LockReleased { lease }.into()]),
        ("coordinator", Some(9), vec![granted("claude-1", "src/a.rs", Some(id("c-8")))]),
        ("codex-1", None, vec![left("codex-1")]),
    ]
}

fn left(actor: &str) -> Event {
    AgentLeft { actor: id(actor), session: id("s1"), reason: None }.into()
}

/// The messages of a log: a term's start, then one message to two lines, then a checkpoint.
fn messages(lines: Vec<Line>) -> Vec<Vec<u8>> {
    let mut reader = Reader::default();
    let mut log = Vec::new();
    let hash = reader.hash();
    let start = EpochStarted { epoch: 1, node: "a".into(), nonce: 1, hash, format: 1 };
    append(&mut reader, &mut log, vec![("coordinator", None, vec![start.into()])]);
    let mut lines = lines.into_iter().peekable();
    while lines.peek().is_some() {
        let two = lines.by_ref().take(2).collect();
        append(&mut reader, &mut log, two);
    }
    let hash = reader.hash();
    append(&mut reader, &mut log, vec![("coordinator", None, vec![Checkpoint { hash }.into()])]);
    log
}

fn append(reader: &mut Reader, log: &mut Vec<Vec<u8>>, lines: Vec<Line>) {
    let chain = *reader.chain();
    let records = (chain.seq + 1..).zip(lines).map(|(seq, (actor, causation, events))| {
        let actor: ActorId = id(actor);
        let person = actor != ActorId::coordinator();
        let command_id = person.then(|| id(&format!("c-{seq}")));
        let body = person.then(|| Digest::of(&seq.to_le_bytes()));
        Record { seq, at: At(seq * 1000), command_id, body, actor, causation, events }
    });
    let batch = Batch {
        v: version::FORMAT,
        epoch: 1,
        node: "a".into(),
        prev: chain.h,
        first_seq: chain.seq + 1,
        records: records.collect(),
    };
    let payload = batch.encode().unwrap();
    reader.take(chain.stream_seq + 1, &payload).unwrap();
    log.push(payload);
}

fn log_of(messages: &[Vec<u8>]) -> MemoryLog {
    MemoryOpen::holding(messages.iter().cloned().map(Into::into)).handle()
}

async fn asked(args: Args, messages: &[Vec<u8>]) -> Result<String> {
    let mut out = Vec::new();
    on(&args, &log_of(messages), &mut out, CancellationToken::new()).await?;
    Ok(String::from_utf8(out).unwrap())
}

fn verify() -> Args {
    Args { verify: true, ..Args::default() }
}

async fn head(messages: &[Vec<u8>]) -> String {
    let text = asked(verify(), messages).await.unwrap();
    text.lines().last().unwrap().strip_prefix("head ").unwrap().to_owned()
}

#[tokio::test]
async fn a_whole_log_is_verified_and_its_head_expected() {
    let log = messages(day());
    let text = asked(verify(), &log).await.unwrap();
    assert!(text.starts_with("the log is whole: 7 messages (0 void), 12 records"), "{text}");
    let head = head(&log).await;
    let expect = Args { expect: Some(head.clone()), ..verify() };
    asked(expect.clone(), &log).await.unwrap();
    let cut = &log[..log.len() - 1];
    asked(verify(), cut).await.expect("a chain alone does not tell that its end is missing");
    let error = asked(expect, cut).await.unwrap_err();
    assert!(matches!(&error, Error::Head { expected, .. } if *expected == head), "{error}");
}

#[tokio::test]
async fn a_byte_changed_anywhere_in_an_exported_file_names_its_message() {
    let log = messages(day());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    asked(Args { export: Some(path.clone()), ..Args::default() }, &log).await.unwrap();
    assert_eq!(file::read(&path).unwrap(), log);
    let whole = std::fs::read(&path).unwrap();
    let head = head(&log).await;
    let mut end = 0;
    for (message, payload) in log.iter().enumerate() {
        let begin = end;
        end = begin + 12 + payload.len();
        for byte in begin..end {
            let mut changed = whole.clone();
            changed[byte] ^= 0x10;
            std::fs::write(&path, &changed).unwrap();
            let args = Args { from: Some(path.clone()), expect: Some(head.clone()), ..verify() };
            let error = run(&args, None, &mut Vec::new(), CancellationToken::new()).await;
            let named = match error.expect_err("a changed byte is seen") {
                Error::Cut { message, .. } => message,
                Error::Stop(devmesh_domain::reader::Stop::Log(halt)) => halt.stream_seq,
                other => panic!("byte {byte}: {other}"),
            };
            assert_eq!(named, message as u64 + 1, "byte {byte}");
        }
    }
}

#[tokio::test]
async fn a_moment_is_shown_by_record_and_by_time() {
    let log = messages(day());
    let at = |at: &str| Args { at: Some(at.into()), json: true, ..Args::default() };
    for (moment, seq, leases) in
        [("6", 6, 0), ("7", 7, 1), ("9", 9, 0), ("10", 10, 1), ("12", 12, 1)]
    {
        let text = asked(at(moment), &log).await.unwrap();
        let all: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(all["state"]["seq"], seq, "{moment}");
        assert_eq!(all["state"]["leases"], leases, "{moment}");
    }
    let text = asked(at("1970-01-01T00:00:07.500Z"), &log).await.unwrap();
    assert!(text.contains("\"seq\":7"), "{text}");
    for bad in ["13", "noon", "-1"] {
        let error = asked(at(bad), &log).await.unwrap_err();
        assert!(matches!(error, Error::Argument { name: "--at", .. }), "{bad}: {error}");
    }
}

#[tokio::test]
async fn a_moment_is_shown_whole_however_much_there_was() {
    let many = |first: u32| {
        let one = |index: u32| match granted("codex-1", &format!("{}.rs", first + index), None) {
            Event::LockGranted(granted) => LockGranted { index, ..granted }.into(),
            other => other,
        };
        ("codex-1", None, (0..200).map(one).collect())
    };
    let mut lines: Vec<Line> = day().into_iter().take(5).collect();
    lines.extend([many(0), many(200), many(400)]);
    let args = Args { at: Some("9".into()), json: true, ..Args::default() };
    let text = asked(args, &messages(lines)).await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let leases = shown["locks"]["leases"].as_array().unwrap();
    let named: std::collections::BTreeSet<_> =
        leases.iter().filter_map(|lease| lease["lease"].as_str()).collect();
    assert_eq!((leases.len(), named.len()), (600, 600));
}

#[tokio::test]
async fn why_tells_whom_a_wait_was_for() {
    let log = messages(day());
    let why = |about: &str| Args { why: Some(about.into()), ..Args::default() };
    let text = asked(why("l-10-0"), &log).await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("lease l-7-0 was given back"), "{text}");
    assert!(lines[1].contains("claude-1 holds src/a.rs (write), after waiting"), "{text}");
    assert!(lines[1].contains("because of 9"), "{text}");
    let text = asked(why("claude-1"), &log).await.unwrap();
    assert!(text.contains("codex-1 holds src/ (write)"), "what stood in its way: {text}");
    for unknown in ["t-99", "l-1-0", "nobody", "No One"] {
        let error = asked(why(unknown), &log).await.unwrap_err();
        assert!(matches!(error, Error::Unknown(_)), "{unknown}: {error}");
    }
}

#[tokio::test]
async fn the_projection_is_the_same_at_once_and_in_parts() {
    let log = messages(day());
    let folder = tempfile::tempdir().unwrap();
    let whole = Projection::open(&folder.path().join("whole")).map(|p| (p, log.len())).unwrap();
    let parts = Projection::open(&folder.path().join("parts")).map(|p| (p, 3)).unwrap();
    let mut dumps = Vec::new();
    for (mut projection, first) in [whole, parts] {
        for length in [first, log.len()] {
            let mut reader = Reader::default();
            fill::catch_up(&log_of(&log[..length]), &mut reader, &mut projection).await.unwrap();
        }
        projection.finish().unwrap();
        dumps.push(dump(&projection));
    }
    assert_eq!(dumps[0], dumps[1]);
    insta::assert_snapshot!(dumps[0]);
}

fn dump(projection: &Projection) -> String {
    let mut text = String::new();
    for (table, order) in [
        ("records", "seq"),
        ("commands", "seq"),
        ("agents", "joined_seq"),
        ("leases", "seq, place"),
        ("attempts", "task, attempt"),
        ("tasks", "task"),
        ("hosts", "host"),
    ] {
        text += &format!("{table}\n");
        for row in projection.query(&format!("SELECT * FROM {table} ORDER BY {order}")).unwrap() {
            text += &format!("  {row}\n");
        }
    }
    text
}

/// Wherever a transaction ends: what it has granted is ended by another.
#[tokio::test]
async fn the_projection_is_the_same_wherever_it_was_left() {
    let log = messages(day());
    let mut dumps = Vec::new();
    for first in 0..=log.len() {
        let mut projection = Projection::in_memory().unwrap();
        for length in [first, log.len()] {
            let mut reader = Reader::default();
            fill::catch_up(&log_of(&log[..length]), &mut reader, &mut projection).await.unwrap();
        }
        dumps.push(dump(&projection));
    }
    dumps.dedup();
    assert_eq!(dumps.len(), 1, "{dumps:#?}");
}

#[tokio::test]
async fn a_projection_of_another_log_is_not_gone_on_with() {
    let log = messages(day());
    let mut projection = Projection::in_memory().unwrap();
    fill::catch_up(&log_of(&log), &mut Reader::default(), &mut projection).await.unwrap();
    let mut other = day();
    other[8].0 = "claude-1";
    for foreign in [messages(other), log[..4].to_vec()] {
        let filled =
            fill::catch_up(&log_of(&foreign), &mut Reader::default(), &mut projection).await;
        assert!(matches!(filled, Err(Error::Foreign { .. })), "{filled:?}");
    }
}

#[tokio::test]
async fn records_are_printed_in_words_and_as_json() {
    let log = messages(day());
    let args = Args { records: Some(7), ..Args::default() };
    let text = asked(args.clone(), &log).await.unwrap();
    assert!(text.lines().next().unwrap().contains("codex-1 holds src/ (write)"), "{text}");
    let json = asked(Args { json: true, ..args }, &log).await.unwrap();
    let record: Record = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(record.seq, 7);
}

/// A comparable system's audit file stays empty, and nobody is told.
#[tokio::test]
async fn the_audit_stays_empty() {
    let log = messages(day());
    let args = Args { records: Some(1), json: true, ..Args::default() };
    let json = asked(args, &log).await.unwrap();
    let told: Vec<Record> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut reader = Reader::default();
    let whole: Vec<Record> =
        (1..).zip(&log).flat_map(|(seq, message)| reader.take(seq, message).unwrap()).collect();
    assert_eq!(told, whole, "all that was decided, with who decided it and why");
    assert!(told.len() > 10 && told.iter().all(|record| !record.events.is_empty()));
    // A log that lacks some of it is not shown as if it were whole.
    let holed = [&log[..2], &log[3..]].concat();
    let refused = asked(Args { records: Some(1), ..Args::default() }, &holed).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn what_agents_write_cannot_move_a_terminal() {
    assert_eq!(show::plain("a\u{1b}[2J\u{202e}b\r\n"), "a\\u{1b}[2J\\u{202e}b\\u{d}\\u{a}");
}
