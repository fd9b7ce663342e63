//! Tickets by the clock, and the address that is told.

use super::*;

fn used(from_ms: u64) -> Used {
    Used { from_ms, tickets: VecDeque::new() }
}

fn ticket(made_ms: u64, name: u8) -> Ticket {
    Ticket { made_ms, name: [name; 16] }
}

#[test]
fn a_ticket_is_good_once_and_for_a_while() {
    let cases = [
        (1_000, 1_000, true),
        (1_000, 1_000 + LINK_MS_MAX, true),
        (1_000, 1_001 + LINK_MS_MAX, false),
        // Made before this process began: an earlier one may have seen it.
        (999, 1_000, false),
        (2_000 + AHEAD_MS_MAX, 2_000, true),
        (2_001 + AHEAD_MS_MAX, 2_000, false),
        (u64::MAX, 2_000, false),
    ];
    for (made_ms, now_ms, good) in cases {
        let mut used = used(1_000);
        assert_eq!(used.take(ticket(made_ms, 1), now_ms), good, "{made_ms} at {now_ms}");
        assert!(!used.take(ticket(made_ms, 1), now_ms), "twice");
    }
}

#[test]
fn what_is_no_longer_remembered_is_not_good_again() {
    let mut used = used(0);
    for n in 0..1_000_u64 {
        assert!(used.take(ticket(n, (n % 251) as u8), 1_000));
    }
    assert_eq!(used.tickets.len(), USED_MAX);
    for n in 0..1_000_u64 {
        assert!(!used.take(ticket(n, (n % 251) as u8), 1_000), "{n}");
    }
}

fn gate(address: &str, names: &[&str]) -> Gate {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mesh = MeshId::new("m").unwrap();
    Gate::new(address.parse().unwrap(), &names, &mesh, Secret::random().unwrap())
}

#[test]
fn it_goes_by_its_own_names_only() {
    let cases: [(&str, &[&str], &str, bool); 12] = [
        ("127.0.0.1:7701", &[], "127.0.0.1:7701", true),
        ("127.0.0.1:7701", &[], "localhost:7701", true),
        ("[::1]:7701", &[], "[::1]:7701", true),
        ("127.0.0.1:7701", &[], "localhost", false),
        ("127.0.0.1:80", &[], "localhost", true),
        ("192.168.1.5:7701", &[], "192.168.1.5:7701", true),
        ("192.168.1.5:7701", &[], "localhost:7701", false),
        ("0.0.0.0:7701", &[], "0.0.0.0:7701", false),
        ("0.0.0.0:7701", &[], "localhost:7701", false),
        ("0.0.0.0:7701", &["tower.lan"], "tower.lan:7701", true),
        ("0.0.0.0:7701", &["Tower.lan"], "tower.lan:7702", false),
        ("127.0.0.1:7701", &["tower.lan"], "tower.lan.evil:7701", false),
    ];
    for (address, names, host, good) in cases {
        let request = Request::builder().uri("/").header(HOST, host);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let found = gate(address, names).host(&request).is_some();
        assert_eq!(found, good, "{host} at {address}");
    }
}

#[test]
fn the_address_that_is_told_is_one_of_its_names() {
    assert_eq!(gate("127.0.0.1:7701", &[]).url(), "http://127.0.0.1:7701/");
    assert_eq!(gate("[::1]:7701", &[]).url(), "http://[::1]:7701/");
    assert_eq!(gate("0.0.0.0:7701", &["tower.lan"]).url(), "http://tower.lan:7701/");
}

#[test]
fn meshes_on_one_host_do_not_take_each_others_cookie() {
    let names = [gate("127.0.0.1:7701", &[]).cookie, gate("127.0.0.1:7702", &[]).cookie];
    assert_ne!(names[0], names[1]);
}
