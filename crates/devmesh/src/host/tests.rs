//! Invitations, hosts and their keys, and the gate as another host meets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use devmesh_bus::cred::Role;
use devmesh_bus::gate::{self as wire, Authority, Place, Served, Trusted};
use devmesh_protocol::{ActorId, MeshId};
use tempfile::TempDir;

use super::gate::{Door, answer};
use super::invitations::{VALID_MS, look, make, take};
use super::*;
use crate::cli::join::{greet, reach};
use crate::state_dir::StateDir;

fn actor(name: &str) -> ActorId {
    ActorId::new(name).unwrap()
}

fn state(dir: &TempDir) -> StateDir {
    let state = StateDir { mesh: MeshId::new("default").unwrap(), path: dir.path().join("state") };
    state.create().unwrap();
    state
}

/// A gate of an empty mesh whose bus does not run.
async fn open(state: &StateDir) -> Code {
    let authority = Authority::open_or_create(&state.path).unwrap();
    let bus = "127.0.0.1:9".to_owned();
    let place = Place { host: "127.0.0.1".to_owned(), port: 0, bus: bus.clone() };
    let gate = wire::open(&place, &authority).await.unwrap();
    let address = gate.address().unwrap().to_string();
    let door = Arc::new(Door {
        state: state.clone(),
        nats_url: format!("nats://{bus}"),
        authority: authority.pem().to_owned(),
    });
    tokio::spawn(gate.serve(move |wire: Served| answer(Arc::clone(&door), wire)));
    let secret = make(state, &actor("ada"), now()).unwrap();
    Code { address, pin: authority.pin(), secret }
}

fn said(error: &crate::error::Error) -> String {
    error.lines().join("\n")
}

#[test]
fn an_invitation_works_once_and_says_who_took_it() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir);
    let secret = make(&state, &actor("ada"), 1_000).unwrap();
    assert_eq!(look(&state, &secret, 1_000).unwrap().person, actor("ada"));
    // Looking does not take it.
    assert_eq!(take(&state, &secret, &actor("beta"), 2_000).unwrap().person, actor("ada"));
    for why in [
        take(&state, &secret, &actor("gamma"), 2_000).unwrap_err(),
        look(&state, &secret, 2_000).unwrap_err(),
    ] {
        assert!(why.contains("used already, by beta"), "{why}");
    }
}

#[test]
fn an_invitation_ends_with_its_time() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir);
    let secret = make(&state, &actor("ada"), 1_000).unwrap();
    assert!(look(&state, &secret, 999 + VALID_MS).is_ok());
    let why = take(&state, &secret, &actor("beta"), 1_000 + VALID_MS + 180_000).unwrap_err();
    assert!(why.contains("expired 3 min ago"), "{why}");
    assert!(look(&state, "another", 1_000).unwrap_err().contains("no such code"));
}

#[test]
fn of_many_that_take_an_invitation_one_has_it() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir);
    for round in 0..20 {
        let secret = make(&state, &actor("ada"), 1_000).unwrap();
        let won = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|n| {
                    let (state, secret) = (&state, &secret);
                    scope.spawn(move || take(state, secret, &actor(&format!("h{n}")), 1_000))
                })
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(Result::is_ok).count()
        });
        assert_eq!(won, 1, "round {round}");
    }
}

#[test]
fn a_code_is_read_as_it_was_printed_or_not_at_all() {
    let code =
        Code { address: "10.1.2.3:7711".into(), pin: "p".repeat(43), secret: "s".repeat(27) };
    assert_eq!(code.to_string().parse::<Code>().unwrap(), code);
    let text = code.to_string();
    for cut in [&text[1..text.len() - 1], "x", "a/b/c", &text.replace(":7711", "")] {
        assert!(cut.parse::<Code>().is_err(), "{cut}");
    }
}

#[test]
fn where_to_listen_has_a_port_in_the_end() {
    for (text, read) in [
        ("10.0.0.1", "10.0.0.1:7711"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("::1", "[::1]:7711"),
        ("[::1]:80", "[::1]:80"),
        ("host.example", "host.example:7711"),
    ] {
        assert_eq!(listen_address(text).unwrap(), read);
    }
    for bad in ["", ":80", "a b", "host:port", "a/b:1"] {
        assert!(listen_address(bad).is_err(), "{bad}");
    }
}

#[test]
fn no_host_is_called_like_what_is_there_or_would_own_its_agents() {
    let users = [("ada", Role::Person), ("codex-1", Role::Agent), ("beta", Role::Probe)];
    let users: BTreeMap<String, Role> =
        users.into_iter().map(|(name, role)| (name.to_owned(), role)).collect();
    for name in ["ada", "beta", "codex", "beta-2"] {
        assert!(members::taken(&actor(name), &users).is_some(), "{name}");
    }
    for name in ["gamma", "bet", "ada-2"] {
        assert_eq!(members::taken(&actor(name), &users), None, "{name}");
    }
}

#[test]
fn a_key_is_of_its_host_until_that_is_forgotten() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir);
    let (beta, gamma) = (actor("beta"), actor("gamma"));
    let key = members::keep(&state, &beta, &actor("ada"), 1).unwrap();
    let other = members::keep(&state, &gamma, &actor("ada"), 1).unwrap();
    assert!(members::is_member(&state, &beta, &key));
    assert!(!members::is_member(&state, &beta, &other));
    members::forget(&state, &beta).unwrap();
    assert!(!members::is_member(&state, &beta, &key));
    assert!(members::is_member(&state, &gamma, &other));
}

#[tokio::test]
async fn a_wrong_clock_is_said_and_costs_no_code() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir);
    let code = open(&state).await;
    for (shift, way) in [(120_500_i64, "120 s ahead of"), (-120_500, "s behind")] {
        let clock = || now().checked_add_signed(shift).unwrap();
        let mut wire = reach(&code).await.unwrap();
        let error = greet(&mut wire, &code, clock).await.unwrap_err();
        assert!(said(&error).contains(way), "{}", said(&error));
    }
    let mut wire = reach(&code).await.unwrap();
    assert_eq!(greet(&mut wire, &code, now).await.unwrap().mesh, "default");
}

#[tokio::test]
async fn another_pin_is_no_slip_of_the_wire() {
    let dir = TempDir::new().unwrap();
    let code = open(&state(&dir)).await;
    let other = Code { pin: "A".repeat(43), ..code };
    let text = said(&reach(&other).await.err().unwrap());
    assert!(text.contains("refused") && text.contains("its authority is another"), "{text}");
}

#[tokio::test]
async fn who_is_no_member_gets_neither_credential_nor_repository() {
    let dir = TempDir::new().unwrap();
    let state = state(&dir);
    let code = open(&state).await;
    let (host, key) = (actor("beta"), "guess".to_owned());
    let name = actor("beta-x");
    let repo = devmesh_protocol::RepoId::new("repo").unwrap();
    let service = "git-upload-pack".to_owned();
    for asked in [
        Ask::Agent { host: host.clone(), key: key.clone(), name },
        Ask::Git { host: host.clone(), key, repo, service },
    ] {
        let trusted = Trusted::Pin(code.pin.clone());
        let mut wire = wire::dial(&code.address, &trusted).await.unwrap();
        let error = ask(&mut wire, &asked).await.unwrap_err();
        assert!(said(&error).contains("not of this mesh"), "{}", said(&error));
    }
    let key = members::keep(&state, &host, &actor("ada"), 1).unwrap();
    let trusted = Trusted::Pin(code.pin.clone());
    let mut wire = wire::dial(&code.address, &trusted).await.unwrap();
    let asked = Ask::Agent { host, key, name: actor("codex-1") };
    let error = ask(&mut wire, &asked).await.unwrap_err();
    assert!(said(&error).contains("is called beta-"), "{}", said(&error));
}
