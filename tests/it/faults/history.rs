//! What people were told while coordinators, the server and their own processes were killed and
//! frozen, checked for linearizability: some order of all that was asked, each between its asking
//! and its answer, explains every answer.
//!
//! What was never answered may have happened at any time after it was asked, or never. A lease
//! that was not given back may have expired at any time after its least life: never earlier.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devmesh_bus::cred::{Account, Role};
use devmesh_testkit::contender::{Answer, Line};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};

use super::agree;
use super::mesh::{Mesh, Process};
use crate::scripts::rig::programs;

/// How long each run lasts.
const RUN: Duration = Duration::from_secs(10);
/// Answers a second below which a run shows nothing.
const RATE_MIN: f64 = 500.0;
/// What sets the number of runs.
const RUNS: &str = "DEVMESH_TEST_HISTORY_RUNS";
/// Processes of contenders, and people in each.
const CROWDS: usize = 4;
const PEOPLE: usize = 8;
/// Whoever is killed is followed by somebody else: so many in all.
const PEOPLE_MAX: usize = 96;
const PATHS: u64 = 20;
const TTL_MS: u64 = 1_500;
/// How far the leader's clock may be behind that of a contender.
const SKEW_NS: i64 = 20_000_000;
/// How long a history may be thought about.
const CHECK_MAX: Duration = Duration::from_secs(60);

/// Who asked: a person and its how many-th request.
type Key = (String, u64);

/// One path: who holds it, and the newest token.
#[derive(Clone, Debug)]
struct Lease;

#[derive(Clone, Debug)]
enum Op {
    Acquire { key: Key, answer: Option<Answer> },
    Release { of: Key, answer: Option<Answer> },
    Expire { of: Key },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Held {
    by: Option<Key>,
    token: u64,
}

impl Model for Lease {
    type State = Held;
    type Op = Op;
    type Metadata = ();

    fn init() -> Held {
        Held::default()
    }

    fn step(state: &Held, op: &Op) -> (bool, Held) {
        let free = |token| Held { by: None, token };
        let is_by = |key: &Key| state.by.as_ref() == Some(key);
        match op {
            Op::Acquire { key, answer: Some(Answer::Granted(token)) } => {
                let holds = Held { by: Some(key.clone()), token: *token };
                (state.by.is_none() && *token > state.token, holds)
            }
            Op::Acquire { answer: Some(Answer::Conflict), .. } => {
                (state.by.is_some(), state.clone())
            }
            Op::Acquire { answer: Some(_), .. } => (true, state.clone()),
            // Under a token that nobody was told.
            Op::Acquire { key, answer: None } if state.by.is_none() => {
                (true, Held { by: Some(key.clone()), token: state.token })
            }
            Op::Acquire { answer: None, .. } => (true, state.clone()),
            Op::Release { of, answer: Some(Answer::Released) } => (is_by(of), free(state.token)),
            Op::Release { of, answer: Some(_) } => (!is_by(of), state.clone()),
            Op::Release { of, answer: None } | Op::Expire { of } if is_by(of) => {
                (true, free(state.token))
            }
            Op::Release { answer: None, .. } | Op::Expire { .. } => (true, state.clone()),
        }
    }
}

/// A request as one person saw it.
#[derive(Clone, Debug)]
struct Call {
    path: u64,
    gives_back: Option<u64>,
    asked: i64,
    told: Option<(i64, Answer)>,
}

/// All requests of some files of lines. The last line of who was killed may be cut short.
fn calls(files: &[PathBuf]) -> BTreeMap<Key, Call> {
    let mut calls = BTreeMap::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            match serde_json::from_str(line) {
                Ok(Line::Ask { who, n, at, path, gives_back }) => {
                    let call = Call { path, gives_back, asked: at, told: None };
                    assert!(calls.insert((who, n), call).is_none(), "{line}");
                }
                Ok(Line::Told { who, n, at, answer }) => {
                    let call: &mut Call = calls.get_mut(&(who, n)).expect("what is told was asked");
                    call.told = Some((at, answer));
                }
                Err(error) => assert!(error.is_eof(), "{line}: {error}"),
            }
        }
    }
    calls
}

/// What is to be explained, path by path.
fn operations(calls: &BTreeMap<Key, Call>) -> BTreeMap<u64, Vec<Operation<Lease>>> {
    let mut all: BTreeMap<u64, Vec<Operation<Lease>>> = BTreeMap::new();
    let mut given_back = BTreeMap::new();
    for ((who, _), call) in calls {
        if let Some(of) = call.gives_back {
            given_back.insert((who.clone(), of), call.told);
        }
    }
    for (key, call) in calls {
        let answer = call.told.map(|(_, answer)| answer);
        let mut put = |op, from, to| {
            let operation =
                Operation { client_id: None, call_time: from, return_time: to, op, metadata: None };
            all.entry(call.path).or_default().push(operation);
        };
        let until = call.told.map_or(i64::MAX, |(at, _)| at);
        if let Some(of) = call.gives_back {
            put(Op::Release { of: (key.0.clone(), of), answer }, call.asked, until);
            continue;
        }
        put(Op::Acquire { key: key.clone(), answer }, call.asked, until);
        let held = matches!(answer, None | Some(Answer::Granted(_)));
        let end = given_back.get(key).copied().flatten();
        if held && !matches!(end, Some((_, Answer::Released))) {
            // Whoever was told that it is gone knows until when it was.
            let until = end.map_or(i64::MAX, |(at, _)| at);
            let life = i64::try_from(TTL_MS).unwrap() * 1_000_000 - SKEW_NS;
            put(Op::Expire { of: key.clone() }, call.asked + life, until);
        }
    }
    all
}

fn check(calls: &BTreeMap<Key, Call>) -> Result<(), String> {
    for (path, operations) in operations(calls) {
        let never = operations.iter().find(|it| it.return_time < it.call_time);
        if let Some(early) = never {
            return Err(format!("p{path}: it ended before it could: {early:?}"));
        }
        match check_operations_timeout(&operations, CHECK_MAX) {
            CheckResult::Ok => {}
            verdict => {
                let mut lines: Vec<_> = operations
                    .iter()
                    .map(|it| format!("{} {} {:?}", it.call_time, it.return_time, it.op))
                    .collect();
                lines.sort_unstable();
                return Err(format!("p{path} {verdict:?}:\n{}", lines.join("\n")));
            }
        }
    }
    Ok(())
}

/// A process of contenders.
struct Crowd(Child);

impl Crowd {
    async fn start(mesh: &Mesh, first: usize) -> (Self, PathBuf) {
        let out = mesh.dir().join(format!("crowd-{first}.jsonl"));
        let mut command = Command::new(programs().await.join("devmesh-contender"));
        command.args(["--url", &mesh.urls(), "--mesh", &mesh.name.to_string()]);
        command.args(["--paths", &PATHS.to_string(), "--ttl-ms", &TTL_MS.to_string()]);
        command.arg("--out").arg(&out);
        for n in first..first + PEOPLE {
            let creds = mesh.creds(&format!("p{n}"), Role::Person, Account::Mesh);
            command.args(["--person", &format!("p{n}={}", creds.display())]);
        }
        std::fs::write(&out, "").unwrap();
        let log = std::fs::File::create(out.with_extension("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        (Self(command.spawn().unwrap()), out)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// It must run: who ends by itself was told what nobody expects.
    fn end(mut self, mesh: &Mesh) {
        let ended = self.0.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: see {}", said(mesh));
    }
}

fn said(mesh: &Mesh) -> String {
    let files = std::fs::read_dir(mesh.dir()).unwrap().flatten();
    let logs = files.filter(|it| it.file_name().to_string_lossy().starts_with("crowd-"));
    let logs = logs.filter(|it| it.path().extension().is_some_and(|end| end == "log"));
    logs.map(|it| std::fs::read_to_string(it.path()).unwrap_or_default()).collect()
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run's processes.
struct Scene {
    mesh: Mesh,
    coordinators: Vec<Process>,
    crowds: Vec<Crowd>,
    files: Vec<PathBuf>,
    people: usize,
    dice: u64,
}

impl Scene {
    async fn start(seed: u64) -> Self {
        let mesh = Mesh::start(1).await;
        let coordinators = vec![mesh.coordinator(), mesh.coordinator()];
        mesh.furnish(PEOPLE_MAX).await;
        let (crowds, files) = (Vec::new(), Vec::new());
        let mut scene = Self { mesh, coordinators, crowds, files, people: 0, dice: seed };
        for _ in 0..CROWDS {
            scene.crowd().await;
        }
        scene
    }

    async fn crowd(&mut self) {
        let (crowd, file) = Crowd::start(&self.mesh, self.people).await;
        self.people += PEOPLE;
        self.crowds.push(crowd);
        self.files.push(file);
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11);
        (self.dice >> 33) % below
    }

    /// One fault and its end; what it was.
    async fn fault(&mut self, kind: u64) -> &'static str {
        let ms = 300 + self.roll(900);
        let pause = tokio::time::sleep(Duration::from_millis(ms));
        let one = usize::try_from(self.roll(2)).unwrap();
        match kind % 6 {
            0 => {
                self.coordinators.remove(one).kill();
                self.coordinators.push(self.mesh.coordinator());
                "a coordinator is killed"
            }
            1 => {
                self.coordinators[one].freeze();
                pause.await;
                self.coordinators[one].thaw();
                "a coordinator is frozen"
            }
            2 => {
                self.mesh.kill_server().await;
                self.mesh.start_server().await.unwrap();
                "the server is killed"
            }
            3 => {
                let pid = Pid::from_raw(self.mesh.server_pid());
                kill(pid, Signal::SIGSTOP).unwrap();
                pause.await;
                kill(pid, Signal::SIGCONT).unwrap();
                "the server is frozen"
            }
            4 => {
                // Holders and waiters alike.
                drop(self.crowds.remove(one));
                self.crowd().await;
                "contenders are killed"
            }
            _ => {
                // Longer than their leases live.
                self.crowds[one].signal(Signal::SIGSTOP);
                tokio::time::sleep(Duration::from_millis(TTL_MS + ms / 2)).await;
                self.crowds[one].signal(Signal::SIGCONT);
                "contenders are frozen"
            }
        }
    }
}

/// The faults of one run: each kind once, in an order that the seed gives.
async fn run(seed: u64) {
    let mut scene = Scene::start(seed).await;
    let began = Instant::now();
    let mut faults = Vec::new();
    let first = scene.roll(6);
    for n in 0.. {
        tokio::time::sleep(Duration::from_millis(700)).await;
        if began.elapsed() >= RUN {
            break;
        }
        // Five is coprime with six.
        faults.push(scene.fault(first + 5 * n).await);
    }
    let took = began.elapsed();
    for crowd in std::mem::take(&mut scene.crowds) {
        crowd.end(&scene.mesh);
    }
    let calls = calls(&scene.files);
    let answered = calls.values().filter(|call| call.told.is_some()).count();
    let rate = answered as f64 / took.as_secs_f64();
    let open = calls.len() - answered;
    let _ = writeln!(
        std::io::stderr(),
        "seed {seed}: {answered} answered ({rate:.0}/s), {open} not; {}",
        faults.join(", ")
    );
    if let Err(why) = check(&calls) {
        panic!("seed {seed}: not linearizable: {why}");
    }
    assert!(rate >= RATE_MIN, "{rate:.0} answers a second show too little");
    let admin = scene.mesh.client("admin", Role::Admin).await;
    agree::hashes(&scene.mesh, &admin).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_are_told_while_processes_die_can_be_explained() {
    let runs = std::env::var(RUNS).map_or(1, |runs| runs.parse::<u64>().expect(RUNS));
    for seed in 1..=runs {
        run(seed).await;
    }
}

/// Lines as `who n from to path what`; a star as an end is never.
fn story(lines: &[&str]) -> BTreeMap<Key, Call> {
    let line = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [who, n, from, to, what @ ..] = words.as_slice() else { panic!("{line}") };
        let ms = |text: &str| text.parse::<i64>().unwrap() * 1_000_000;
        let (gives_back, answer) = match what {
            ["granted", token] => (None, Answer::Granted(token.parse().unwrap())),
            ["conflict"] => (None, Answer::Conflict),
            ["timeout"] => (None, Answer::Timeout),
            ["released", of] => (Some(of.parse().unwrap()), Answer::Released),
            ["gone", of] => (Some(of.parse().unwrap()), Answer::Gone),
            _ => panic!("{line}"),
        };
        let told = (*to != "*").then(|| (ms(to), answer));
        ((*who).to_owned(), n.parse().unwrap(), Call { path: 0, gives_back, asked: ms(from), told })
    };
    lines.iter().map(line).map(|(who, n, call)| ((who, n), call)).collect()
}

#[test]
fn what_cannot_be_explained_is_found_out() {
    let good: &[&[&str]] = &[
        &[
            "a 0 0 10 granted 5",
            "b 0 20 30 conflict",
            "a 1 40 50 released 0",
            "b 1 60 70 granted 7",
        ],
        // Never answered: it may have been granted, and may have expired.
        &["a 0 0 * granted 0", "b 0 20 30 conflict", "c 0 1600 1700 granted 9"],
        &["a 0 0 * granted 0", "b 0 20 30 granted 4"],
        &["a 0 0 10 granted 5", "b 0 20 1800 granted 6", "a 1 1900 1910 gone 0"],
    ];
    for lines in good {
        check(&story(lines)).unwrap();
    }
    let bad: &[&[&str]] = &[
        // Two at once.
        &["a 0 0 10 granted 5", "b 0 20 30 granted 6"],
        // Refused though nobody had it.
        &["a 0 0 10 conflict"],
        // A token that does not rise.
        &["a 0 0 10 granted 5", "a 1 20 30 released 0", "b 0 40 50 granted 4"],
        // Expired before its life was over.
        &["a 0 0 10 granted 5", "b 0 900 1000 granted 6", "a 1 1900 1910 gone 0"],
        &["a 0 0 10 granted 5", "a 1 900 1000 gone 0"],
        // Given back though another has it.
        &["a 0 0 10 granted 5", "b 0 20 1800 granted 6", "a 1 1900 1910 released 0"],
    ];
    for lines in bad {
        assert!(check(&story(lines)).is_err(), "{lines:?}");
    }
}
