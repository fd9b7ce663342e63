//! Tests of keys, tokens and credentials.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde_json::Value;
use sha2::{Digest, Sha512_256};

use super::*;
use crate::server::Auth;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn trust() -> (tempfile::TempDir, Trust) {
    let dir = tempfile::tempdir().unwrap();
    let trust = Trust::open_or_create(dir.path(), "m").unwrap();
    (dir, trust)
}

/// The claims of a token whose signature holds.
fn verified(token: &str) -> Value {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let json = |part: &str| -> Value {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    };
    assert_eq!(json(header), serde_json::json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let claims = json(payload);
    let issuer = KeyPair::from_public_key(claims["iss"].as_str().unwrap()).unwrap();
    issuer
        .verify(signed.as_bytes(), &BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap())
        .unwrap();
    claims
}

fn accounts_of(trust: &Trust) -> (String, Vec<(String, Value)>) {
    let Auth::Operator { operator_jwt, accounts, .. } = trust.auth().unwrap() else {
        panic!("not an operator")
    };
    let accounts = accounts.into_iter().map(|(key, token)| (key, verified(&token))).collect();
    (operator_jwt, accounts)
}

fn token_of(creds: &Path) -> String {
    fs::read_to_string(creds).unwrap().lines().nth(1).unwrap().to_owned()
}

#[test]
fn names_that_could_forge_a_subject_or_a_path_are_refused() {
    for bad in ["", "_a", "A", "a.b", "a*", "a>", "a/b", "a\n", &"x".repeat(64)] {
        let (dir, trust) = trust();
        assert!(matches!(trust.mint(bad, Role::Agent), Err(Error::Name { .. })), "{bad}");
        assert!(fs::read_dir(dir.path().join("creds")).unwrap().next().is_none());
    }
    for bad in ["", "a_b", "A", &"x".repeat(32)] {
        let dir = tempfile::tempdir().unwrap();
        let opened = Trust::open_or_create(dir.path(), bad);
        assert!(matches!(opened, Err(Error::MeshName { .. })), "{bad}");
    }
}

#[test]
fn every_role_has_a_name() {
    for role in ROLES {
        assert_eq!(role_named(role_name(role)).unwrap(), role);
        assert_eq!(serde_json::to_value(role).unwrap(), role_name(role));
    }
    assert!(role_named("root").unwrap_err().to_string().contains("coordinator"));
}

#[test]
fn every_role_is_listed_and_no_list_is_too_wide() {
    for role in ROLES {
        assert!(!accounts(role).is_empty(), "{role:?}");
        for account in [Account::Core, Account::Mesh] {
            let listed = permissions(role, account, "m", "alice");
            let has = !listed.publish.is_empty() && !listed.subscribe.is_empty();
            assert_eq!(has, accounts(role).contains(&account), "{role:?} {account:?}");
            for subject in listed.publish.iter().chain(&listed.subscribe) {
                assert!(!subject.contains(['{', '}']), "{subject}: filled in");
                let words: Vec<_> = subject.split('.').collect();
                assert!(!subject.starts_with("$SYS"), "{role:?}: {subject}");
                assert!(words[0] != ">" && words[0] != "*", "{role:?}: {subject}");
                // An inbox and a stream are always named.
                let named = match words[0] {
                    "_INBOX" => words[1] == "alice",
                    "$JS" => words.iter().any(|w| w.starts_with("DEVMESH_M")) || words.len() == 3,
                    _ => true,
                };
                assert!(named, "{role:?}: {subject}");
            }
            if account == Account::Mesh {
                assert!(listed.publish.iter().all(|s| !s.ends_with(".log")), "{role:?}");
            }
        }
    }
}

#[test]
fn import_replies() {
    assert!(is_import_reply("_R_.2GDakb.HP9QT3"));
    for other in ["", "_R_", "_R_.", "_INBOX.alice.x", "$JS.ACK.S.c.1.1.1.1.0", "x._R_.y"] {
        assert!(!is_import_reply(other), "{other}");
    }
}

#[test]
fn secrets_are_the_owners_alone() {
    let (dir, trust) = trust();
    let minted = trust.mint("dash", Role::Dashboard).unwrap();
    for folder in ["keys", "creds"] {
        assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
    }
    for key in ["operator.nk", "system.nk", "core.nk", "mesh.nk", "users.json"] {
        assert_eq!(mode(&dir.path().join("keys").join(key)), 0o600, "{key}");
    }
    let names: Vec<_> = minted.files.iter().map(|(_, p)| p.file_name().unwrap()).collect();
    assert_eq!(names, ["dash.creds", "dash.core.creds"]);
    for (_, path) in &minted.files {
        assert_eq!(mode(path), 0o600);
    }
    assert!(!format!("{trust:?}").contains("SO"), "no seed in a debug print");
}

#[test]
fn tokens_are_signed_down_from_the_operator() {
    let (_dir, trust) = trust();
    let (operator_jwt, accounts) = accounts_of(&trust);
    let operator = verified(&operator_jwt);
    assert_eq!(operator["iss"], operator["sub"]);
    assert_eq!(operator["nats"]["system_account"], accounts[0].0);
    for (key, claims) in &accounts {
        assert_eq!(
            (&claims["iss"], claims["sub"].as_str()),
            (&operator["sub"], Some(key.as_str()))
        );
    }
    let minted = trust.mint("alice", Role::Agent).unwrap();
    let user = verified(&token_of(minted.file(Account::Mesh).unwrap()));
    assert_eq!(user["iss"], accounts[2].1["sub"], "alice is a user of MESH");
    assert_eq!(user["name"], "alice");
    assert_eq!(user["nats"]["tags"][0], "role:agent");
    assert_eq!(user["nats"]["sub"]["allow"][0], "_INBOX.alice.>");
}

#[test]
fn an_id_is_the_digest_of_the_rest() {
    let (_dir, trust) = trust();
    let minted = trust.mint("alice", Role::Agent).unwrap();
    let token = token_of(minted.file(Account::Mesh).unwrap());
    let payload = BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    let text = String::from_utf8(payload).unwrap();
    let id = verified(&token)["jti"].as_str().unwrap().to_owned();
    let unnamed = text.replace(&id, "");
    assert_eq!(BASE32_NOPAD.encode(&Sha512_256::digest(unnamed.as_bytes())), id);
}

#[test]
fn the_accounts_trade_what_the_design_says() {
    let (_dir, trust) = trust();
    let (_, accounts) = accounts_of(&trust);
    let (core, mesh) = (&accounts[1].1["nats"], &accounts[2].1["nats"]);
    let list = |claims: &Value, what: &str| -> Vec<(String, String)> {
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        let each = |v: &Value| (text(&v["type"]), text(&v["subject"]));
        claims[what].as_array().map(|a| a.iter().map(each).collect()).unwrap_or_default()
    };
    let exports = list(core, "exports");
    for (kind, subject) in [
        ("service", "devmesh.m.cmd.*.>"),
        ("service", "devmesh.m.query.*.>"),
        ("service", "devmesh.m.beat.*"),
        ("service", "devmesh.m.report.*"),
        ("stream", "devmesh.m.event.>"),
    ] {
        assert!(exports.contains(&(kind.to_owned(), subject.to_owned())), "{subject}");
    }
    assert_eq!(exports.len(), 5);
    assert_eq!(list(mesh, "imports"), exports);
    assert!(list(core, "imports").is_empty() && list(mesh, "exports").is_empty());
    for export in core["exports"].as_array().unwrap() {
        if export["type"] == "service" {
            assert_eq!(export["response_threshold"], 3_600_000_000_000_u64, "an hour");
        }
    }
}

#[test]
fn keys_stay_the_same_and_a_wrong_one_is_named() {
    let (dir, trust) = trust();
    let before = accounts_of(&trust).1.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let again = Trust::open_or_create(dir.path(), "m").unwrap();
    let after = accounts_of(&again).1.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(before, after);
    let core = dir.path().join("keys/core.nk");
    for damage in ["", "nonsense", &KeyPair::new_user().seed().unwrap()] {
        fs::write(&core, damage).unwrap();
        let error = Trust::open_or_create(dir.path(), "m").unwrap_err();
        assert!(matches!(&error, Error::Key { path, .. } if *path == core), "{error:?}");
    }
}

#[test]
fn a_name_has_one_role() {
    let (_dir, trust) = trust();
    trust.mint("bob", Role::Agent).unwrap();
    trust.mint("bob", Role::Agent).unwrap();
    let error = trust.mint("bob", Role::Coordinator).unwrap_err();
    assert!(matches!(error, Error::RoleTaken { has: Role::Agent, .. }), "{error:?}");
    let users = trust.users().unwrap();
    assert_eq!(users.len(), 2);
    assert_ne!(users[0].key, users[1].key);
}

#[tokio::test]
async fn a_revocation_is_recorded_before_it_is_told() {
    let (_dir, trust) = trust();
    trust.mint("bob", Role::Agent).unwrap();
    trust.mint("bob", Role::Agent).unwrap();
    let unknown = trust.revoke("carol", "nats://127.0.0.1:1").await.unwrap_err();
    assert!(matches!(unknown, Error::Unknown { .. }), "{unknown:?}");
    let error = trust.revoke("bob", "nats://127.0.0.1:1").await.unwrap_err();
    assert!(matches!(error, Error::NotPushed { .. }), "{error:?}");
    let users = trust.users().unwrap();
    assert!(users.iter().all(|user| user.revoked_at.is_some()));
    let (_, accounts) = accounts_of(&trust);
    let revoked = accounts[2].1["nats"]["revocations"].as_object().unwrap();
    for user in &users {
        assert!(revoked.contains_key(&user.key), "each key of the name");
    }
    // The name is free for another role now.
    trust.mint("bob", Role::Person).unwrap();
}

#[tokio::test]
async fn what_a_host_was_given_ends_with_it() {
    let (_dir, trust) = trust();
    let here = trust.mint("ada", Role::Person).unwrap();
    trust.mint_away("ada", Role::Person, "beta").unwrap();
    trust.mint_away("ada", Role::Person, "gamma").unwrap();
    trust.mint_away("beta", Role::Probe, "beta").unwrap();
    trust.revoke("beta", "nats://127.0.0.1:1").await.unwrap_err();
    let ended = |user: User| user.revoked_at.is_some().then_some((user.name, user.host));
    let ended: Vec<_> = trust.users().unwrap().into_iter().filter_map(ended).collect();
    let beta = Some("beta".to_owned());
    assert_eq!(ended, [("ada".to_owned(), beta.clone()), ("beta".to_owned(), beta)]);
    assert!(here.file(Account::Mesh).unwrap().exists(), "who it was goes on elsewhere");
}

#[test]
fn a_sender_is_who_the_server_says() {
    let of = |text: &str| {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Request-Info", text);
        Sender::of(Some(&headers))
    };
    let said = r#"{"acc":"A","rtt":1,"kind":"Client","name_tag":"bob","tags":["x","role:person"]}"#;
    assert_eq!(of(said), Some(Sender { name: "bob".to_owned(), role: Role::Person }));
    for nobody in [
        "",
        "{}",
        r#"{"kind":"JetStream","acc":"A"}"#,
        r#"{"kind":"JetStream","name_tag":"bob","tags":["role:person"]}"#,
        r#"{"kind":"Client","name_tag":"bob","tags":[]}"#,
        r#"{"kind":"Client","name_tag":"bob","tags":["role:root"]}"#,
        r#"{"kind":"Client","name_tag":"","tags":["role:person"]}"#,
    ] {
        assert_eq!(of(nobody), None, "{nobody}");
    }
    assert_eq!(Sender::of(None), None);
}

#[test]
fn the_names_that_the_domain_believes_are_their_roles_alone() {
    let (_dir, trust) = trust();
    for (name, role) in
        [("admin", Role::Agent), ("admin", Role::Person), ("coordinator", Role::Admin)]
    {
        let error = trust.mint(name, role).unwrap_err();
        assert!(matches!(error, Error::Reserved { .. }), "{name} as {role:?}: {error:?}");
    }
    trust.mint("admin", Role::Admin).unwrap();
    trust.mint("coordinator", Role::Coordinator).unwrap();
}
