//! Who leads, who is awaited, and which auction closes first.

use super::*;

fn bid(actor: &str, total: i64) -> Bid {
    let actor = ActorId::new(actor).unwrap();
    Bid { actor, score: BTreeMap::new(), total, declined: None }
}

fn declined(actor: &str) -> Bid {
    Bid { declined: Some("no".into()), ..bid(actor, 0) }
}

fn actors(names: &[&str]) -> Vec<ActorId> {
    names.iter().map(|name| ActorId::new(name).unwrap()).collect()
}

const ONE: TaskId = TaskId(1);
const TWO: TaskId = TaskId(2);

#[test]
fn a_bid_leads_that_is_above_all_others_but_its_own_actors() {
    let mut bids = Bids::default();
    assert!(bids.put(ONE, bid("a", 5)));
    assert!(!bids.put(ONE, bid("b", 5)), "who came first leads");
    assert!(!bids.put(ONE, bid("b", 4)));
    assert!(bids.put(ONE, bid("b", 6)));
    assert!(bids.put(ONE, bid("b", 6)), "its own does not stand before it");
    // Who declines is behind everybody, however much was said before.
    assert!(!bids.put(ONE, bid("c", 3)));
    assert!(!bids.put(ONE, declined("a")), "b is above");
    assert!(!bids.put(ONE, declined("b")), "c is above");
    assert!(bids.put(ONE, bid("c", -1)));
    // One auction says nothing of another.
    assert!(bids.put(TWO, bid("d", -9)));
    let came: Vec<(String, i64)> =
        bids.close(ONE).into_iter().map(|bid| (bid.actor.to_string(), bid.total)).collect();
    assert_eq!(came, [("a".into(), 0), ("b".into(), 0), ("c".into(), -1)]);
}

#[test]
fn who_could_bid_is_looked_at_again_when_as_many_have_bid() {
    let mut bids = Bids::default();
    assert!(!bids.may_be_all(ONE));
    bids.put(ONE, bid("a", 1));
    assert!(bids.may_be_all(ONE));
    assert!(!bids.are_all(ONE, &actors(&["a", "b", "c"])));
    bids.put(ONE, bid("b", 1));
    assert!(!bids.may_be_all(ONE), "two of three");
    bids.put(ONE, bid("d", 1));
    assert!(bids.may_be_all(ONE));
    assert!(!bids.are_all(ONE, &actors(&["a", "b", "c"])), "as many, and not the same");
    assert!(bids.are_all(ONE, &actors(&["a", "d"])));
    assert!(!bids.are_all(ONE, &[]), "nobody is not everybody");
}

#[test]
fn auctions_close_in_their_order_and_begin_without_bids() {
    let mut bids = Bids::default();
    assert_eq!(bids.first(), None);
    bids.open(ONE, At(20));
    bids.open(TWO, At(10));
    assert_eq!(bids.first(), Some((At(10), TWO)));
    bids.put(ONE, bid("a", 1));
    bids.put(TWO, bid("b", 2));
    assert_eq!(bids.close(TWO), [bid("b", 2)]);
    assert_eq!(bids.first(), Some((At(20), ONE)));
    // One that opens again begins anew, and has one end.
    assert!(!bids.are_all(ONE, &actors(&["a", "b"])));
    bids.open(ONE, At(30));
    assert_eq!(bids.first(), Some((At(30), ONE)));
    bids.put(ONE, bid("c", 3));
    assert!(bids.may_be_all(ONE));
    bids.clear();
    assert_eq!(bids.first(), None);
    assert!(bids.close(ONE).is_empty());
}

#[test]
fn more_than_there_are_agents_do_not_bid() {
    let mut bids = Bids::default();
    for n in 0..=BIDS_MAX {
        bids.put(ONE, bid(&format!("a{n}"), 0));
    }
    bids.put(ONE, bid("a0", 7));
    let came = bids.close(ONE);
    assert_eq!(came.len(), BIDS_MAX);
    assert_eq!(came[0].total, 7, "who has bid may bid again");
}
