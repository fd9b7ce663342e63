//! That a load counts what was held, and notices two who hold one key; never how fast it is.

use std::collections::BTreeSet;
use std::sync::Mutex as Plain;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::*;

/// A lock that works: a fair mutex.
struct Fair {
    lock: Arc<Mutex<()>>,
    guard: Option<OwnedMutexGuard<()>>,
    keys: Arc<Plain<BTreeSet<String>>>,
}

impl Locker for Fair {
    async fn take(&mut self, key: &str) -> Result<()> {
        self.keys.lock().unwrap().insert(key.to_owned());
        self.guard = Some(Arc::clone(&self.lock).lock_owned().await);
        Ok(())
    }

    async fn give(&mut self) -> Result<()> {
        self.guard.take().expect("only what was taken is given back");
        Ok(())
    }
}

/// One that lets everybody in.
struct Open;

impl Locker for Open {
    async fn take(&mut self, _: &str) -> Result<()> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn give(&mut self) -> Result<()> {
        Ok(())
    }
}

const SHORT: Duration = Duration::from_millis(50);

async fn fair(clients: usize, keys: Keys) -> (Load, BTreeSet<String>) {
    let lock = Arc::default();
    let seen = Arc::default();
    let one = |_| Fair { lock: Arc::clone(&lock), guard: None, keys: Arc::clone(&seen) };
    loop {
        let load = run_for((0..clients).map(one).collect(), keys, SHORT, SHORT).await.unwrap();
        let seen = seen.lock().unwrap().clone();
        // A machine that stood still for so long measures nothing: once more then.
        if load.pairs_per_s > 0.0 && (keys == Keys::One || seen.len() > 2) {
            return (load, seen);
        }
    }
}

#[tokio::test]
async fn what_is_held_in_the_measured_time_counts() {
    let (load, keys) = fair(3, Keys::One).await;
    assert!(load.p99_ms >= load.p50_ms, "{load:?}");
    assert!(load.jain > 0.0 && load.jain <= 1.0, "{load:?}");
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[tokio::test]
async fn keys_of_their_own_are_never_shared() {
    let (_, keys) = fair(2, Keys::Own).await;
    assert!(keys.iter().all(|key| key.starts_with("src/c0/") || key.starts_with("src/c1/")));
}

#[tokio::test]
async fn two_who_hold_one_key_end_the_load() {
    let error = loop {
        // Both have to be there at once for it, whatever else the machine does.
        if let Err(error) = run_for(vec![Open, Open], Keys::One, SHORT, SHORT).await {
            break error;
        }
    };
    assert!(error.to_string().contains("two clients"), "{error}");
    run_for(vec![Open, Open], Keys::Own, SHORT, SHORT).await.unwrap();
}

#[test]
fn fairness_is_one_where_all_are_served_alike() {
    assert_eq!(jain(&[5, 5, 5, 5]), 1.0);
    assert_eq!(jain(&[8, 0, 0, 0]), 0.25);
    assert_eq!(jain(&[0, 0]), 0.0);
    assert_eq!(jain(&[]), 0.0);
}

#[test]
fn a_key_is_entered_once() {
    let held = AtomicBool::new(false);
    enter(&held).unwrap();
    assert!(enter(&held).is_err());
    held.store(false, Ordering::SeqCst);
    enter(&held).unwrap();
}

#[test]
fn the_median_of_rounds_is_told() {
    let round = |rate| [Load { pairs_per_s: rate, ..Load::default() }];
    let series = Series(vec![round(3.0), round(9.0), round(1.0)]);
    assert_eq!(series.median(0, |load| load.pairs_per_s), 3.0);
    assert_eq!(median(vec![2.0, 1.0]), 2.0);
    assert_eq!(median(Vec::new()), 0.0);
}
