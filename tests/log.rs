//! One list of cases that every log must pass: the in-memory twin, one server, three servers.
//!
//! A case is generic over the [`World`] it runs in, which says how things go wrong there. Cases
//! that need a real server or a cluster ask for `RealServer` or `Cluster`, so that what the
//! twin does not run is seen in their signature.

mod cases;
mod memory;
mod real;
mod servers;
mod world;

use world::World;

/// One module of tests for a world, each case a test.
macro_rules! conformance {
    ($name:ident, $world:ty, $($case:ident)*) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    super::cases::$case(<$world as super::World>::start().await).await;
                }
            )*
        }
    };
}

/// The list.
macro_rules! every_case {
    ($name:ident, $world:ty) => {
        conformance! { $name, $world,
            appends_are_dense_and_read_back
            a_wrong_last_sequence_is_a_conflict_and_stores_nothing
            of_many_rivals_one_wins_each_position
            a_lost_acknowledgement_is_unknown_and_the_read_shows_what_was_stored
            a_late_send_is_fenced_by_the_claim_of_a_new_term
            a_late_send_before_the_claim_makes_the_claim_conflict
            a_duplicate_is_not_an_acknowledgement
            another_position_is_not_an_acknowledgement
            a_tail_goes_on_over_a_restart
            a_lost_consumer_does_not_start_again_at_1
            a_consumer_lost_before_its_first_message_does_not_start_at_1
            a_tail_of_an_empty_log_waits_for_its_first_entry
            a_rolled_back_log_ends_the_tail
            a_log_made_anew_ends_the_tail
            a_hole_is_named_by_read_and_tail
            a_range_keeps_its_bounds
            a_long_range_is_read_whole
            too_large_a_payload_is_not_stored
            without_a_stream_nothing_is_stored
            a_full_store_is_told_and_later_appends_go_on
        }
    };
}

every_case!(memory_log, super::memory::Memory);
every_case!(r1, super::servers::One);
every_case!(r3, super::servers::Three);

/// Cases that only a real process can fail.
mod r1_process {
    #[tokio::test]
    async fn what_was_acknowledged_outlives_a_kill() {
        let world = <super::servers::One as super::World>::start().await;
        super::real::what_was_acknowledged_outlives_a_kill(world).await;
    }
}

/// Cases that only a cluster can fail.
mod r3_cluster {
    #[tokio::test]
    async fn what_was_acknowledged_outlives_a_kill() {
        let world = <super::servers::Three as super::World>::start().await;
        super::real::what_was_acknowledged_outlives_a_kill(world).await;
    }

    #[tokio::test]
    async fn the_kill_of_the_leader_loses_nothing_acknowledged() {
        let world = <super::servers::Three as super::World>::start().await;
        super::real::the_kill_of_the_leader_loses_nothing_acknowledged(world).await;
    }

    #[tokio::test]
    async fn the_last_position_is_the_leaders_even_through_a_follower_that_lags() {
        let world = <super::servers::Three as super::World>::start().await;
        super::real::the_last_position_is_the_leaders_even_through_a_follower_that_lags(world)
            .await;
    }
}
