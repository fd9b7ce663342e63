//! Cases that need processes to kill and stop.

use bytes::Bytes;
use devmesh_bus::log::{AppendError, Log};

use super::cases::{fill_to, next, payload, take};
use super::world::{Cluster, RealServer};

pub(super) async fn what_was_acknowledged_outlives_a_kill<W: RealServer>(mut world: W) {
    for round in 0..3 {
        fill_to(&world.open().await, 7 * (round + 1)).await;
        world.kill_all().await;
        let log = world.open().await;
        assert_eq!(log.last().await.unwrap(), 7 * (round + 1));
        take(&mut log.read(1, 7 * (round + 1)), 1, 7 * (round + 1)).await;
    }
}

/// A writer that behaves as terms do: after anything but a plain acknowledgement it opens a fresh
/// handle and reads what is stored.
pub(super) async fn the_kill_of_the_leader_loses_nothing_acknowledged<W: Cluster>(mut world: W) {
    let mut log = world.open_any().await;
    let mut tail = world.open_any().await.tail(1);
    let mut acknowledged: Vec<(u64, Bytes)> = Vec::new();
    let (mut last, mut attempt, mut troubles) = (0, 0_u64, 0);
    while acknowledged.len() < 60 {
        if acknowledged.len() == 20 && troubles == 0 && attempt == 20 {
            world.kill_leader().await;
        }
        attempt += 1;
        let bytes = payload(attempt);
        match log.append(last, 1, bytes.clone()).await {
            Ok(seq) => {
                acknowledged.push((seq, bytes));
                last = seq;
            }
            Err(error) => {
                troubles += 1;
                assert!(troubles < 2_000, "the cluster does not come back: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                log = world.open_any().await;
                if let Ok(now) = log.last().await {
                    last = now;
                }
                let is_settled = matches!(error, AppendError::Conflict(_));
                assert!(!is_settled || last > 0, "a conflict has somebody to conflict with");
            }
        }
    }
    assert!(troubles > 0, "the kill was noticed");
    let mut read = log.read(1, last);
    let mut stored = Vec::new();
    while let Some(entry) = next(&mut read).await {
        stored.push(entry.unwrap());
    }
    for (seq, bytes) in acknowledged {
        let entry = &stored[usize::try_from(seq).unwrap() - 1];
        assert_eq!((entry.stream_seq, &entry.payload), (seq, &bytes));
    }
    // The follower saw the same, over the loss of the leader.
    for entry in stored {
        assert_eq!(next(&mut tail).await.unwrap().unwrap(), entry);
    }
}

pub(super) async fn the_last_position_is_the_leaders_even_through_a_follower_that_lags<
    W: Cluster,
>(
    mut world: W,
) {
    let at_leader = world.open_at_leader().await;
    let at_follower = world.open_at_follower().await;
    fill_to(&at_leader, 5).await;
    world.freeze_follower().await;
    fill_to(&at_leader, 40).await;
    world.thaw_follower().await;
    assert_eq!(at_follower.last().await.unwrap(), 40);
    take(&mut at_follower.read(1, 40), 1, 40).await;
}
