//! Secrets, tickets, and files that hold them.

use super::*;

#[test]
fn a_ticket_is_read_by_its_own_secret_only() {
    let (own, other) = (Secret::random().unwrap(), Secret::random().unwrap());
    let ticket = Ticket { made_ms: 17, name: [3; 16] };
    let text = own.write(&ticket);
    assert_eq!(own.read_ticket(&text), Some(ticket));
    assert_eq!(other.read_ticket(&text), None);
}

#[test]
fn no_changed_ticket_is_read() {
    let secret = Secret::random().unwrap();
    let bytes = BASE64URL_NOPAD
        .decode(secret.write(&Ticket { made_ms: 17, name: [3; 16] }).as_bytes())
        .unwrap();
    assert_eq!(bytes.len(), TICKET_BYTES);
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert_eq!(secret.read_ticket(&BASE64URL_NOPAD.encode(&changed)), None, "byte {place}");
    }
    for text in ["", "=", "%", "a b", &"A".repeat(1 << 16)] {
        assert_eq!(secret.read_ticket(text), None);
    }
}

#[test]
fn a_cookie_tells_neither_the_secret_nor_a_ticket() {
    let secret = Secret::random().unwrap();
    let cookie = secret.cookie();
    assert_eq!(cookie.len(), 64);
    assert!(secret.is_cookie(&cookie));
    assert!(!secret.is_cookie(&cookie.to_uppercase()) && !secret.is_cookie(""));
    assert_ne!(cookie, secret.0.to_string());
    assert!(!format!("{secret:?}").contains(&secret.0.to_string()[..8]));
}

#[test]
fn a_file_is_made_for_its_owner_alone_and_read_again() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("token");
    let made = Secret::read_or_make(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let read = Secret::read_or_make(&path).unwrap();
    assert_eq!(made.cookie(), read.cookie());
    let link = sign_in_link("http://127.0.0.1:1/", &path).unwrap();
    let ticket = link.strip_prefix("http://127.0.0.1:1/?token=").unwrap();
    assert!(made.read_ticket(ticket).is_some());
    assert!(!link.contains(fs::read_to_string(&path).unwrap().trim()));
}

#[test]
fn a_file_that_others_read_or_that_is_short_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("token");
    let check = |text: &str, mode: u32, why: &str| {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = Secret::read_or_make(&path).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("token"), "{error}");
        assert!(!error.contains(text), "{error}");
    };
    check("a-secret-of-more-than-22-characters", 0o640, "chmod 600");
    check("a-secret-of-more-than-22-characters", 0o604, "chmod 600");
    check("hunter2", 0o600, "less than 22");
    check(&"x".repeat(10_000), 0o600, "no small file");
}
