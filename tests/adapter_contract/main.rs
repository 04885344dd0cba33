//! One suite for every backend: what a [`DistributedAdapter`](roomraft::adapter::DistributedAdapter) does.
//!
//! Each test is a function of a [`Cluster`](cluster::Cluster) and spreads its calls over all of its
//! handles; [`contract!`] makes a test of each for one backend. A new backend is a function that
//! starts it and one line below. Tests use names of their own and tolerate the records of others.
#![allow(unreachable_pub, missing_docs, reason = "nobody sees the items of a test binary")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod cluster;
mod events;
mod lifecycle;
mod locks;
mod memory;
mod offers;
mod ownership;
mod ownership_races;
#[cfg(any(feature = "raft", feature = "redis"))]
#[path = "../support/ports.rs"]
mod ports;
#[cfg(feature = "raft")]
mod raft;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
#[path = "../support/redis.rs"]
mod redis_server;
mod room_queries;
mod rooms;
mod seat_races;
mod seats;
mod servers;
#[cfg(feature = "redis")]
#[path = "../support/signals.rs"]
mod signals;
mod snapshots;
#[path = "../support/wait.rs"]
mod wait;

/// Makes a test of each part of the contract for one backend: its name, and an async function that starts it.
macro_rules! contract {
    ($backend:ident, $start:path $(, $needs:literal)?) => {
        mod $backend {
            contract!(@tests [$(#[ignore = $needs])?] $start;
                lifecycle: calls_before_connect_say_so, connecting_and_disconnecting_twice_is_harmless,
                    disconnecting_ends_subscriptions_and_calls;
                servers: a_server_is_seen_on_every_handle_until_it_is_unregistered, an_update_is_seen_on_every_handle,
                    a_draining_server_gets_no_new_room, an_older_registration_is_fenced,
                    heartbeats_keep_a_server_online, a_crash_is_detected_and_announced_once,
                    a_late_heartbeat_leaves_no_half_record, unregistering_a_server_disposes_of_its_rooms,
                    a_server_that_registers_again_gives_its_rooms_up, counts_follow_the_seats;
                rooms: a_room_is_seen_on_every_handle_until_it_is_unregistered, a_rooms_name_is_never_given_twice,
                    room_ids_never_collide, lock_and_metadata_reach_every_handle, seats_are_never_cut_below_those_taken,
                    a_server_at_its_capacity_gets_no_room, a_room_of_another_owner_is_fenced,
                    what_is_above_a_limit_is_refused_by_name, an_owner_parks_a_room_only_with_a_snapshot;
                room_queries: every_part_of_a_query_must_hold, query_by_server_does_not_ignore_the_server,
                    pages_of_a_query_are_oldest_first, the_oldest_open_room_is_found,
                    closed_rooms_are_not_found;
                seats: a_seat_on_the_callers_server_is_joined_at_once, a_seat_elsewhere_is_held_until_confirmed,
                    a_held_seat_falls_free_and_is_not_confirmed_late, a_repeated_request_gets_the_same_seat,
                    a_consumed_reservation_is_counted_once, a_count_never_goes_below_zero,
                    an_away_seat_waits_for_its_player, a_failed_create_leaves_nothing_behind,
                    wanted_metadata_is_met_or_given, joining_by_id_says_why_not,
                    a_lost_reservation_is_taken_up_by_its_origin, the_nearest_room_is_joined_or_made,
                    a_tier_prefers_the_callers_own_rooms;
                seat_races: one_free_seat_fifty_joins, finding_and_creating_are_one_step, a_room_is_never_overfull,
                    a_full_room_is_followed_by_one_new_room, a_burst_of_new_rooms_stays_within_capacity;
                snapshots: the_last_snapshot_is_loaded_on_every_handle, an_older_snapshot_is_refused,
                    a_deleted_snapshot_is_gone, a_snapshot_above_the_limit_is_refused,
                    an_old_owner_cannot_write_a_snapshot, a_snapshot_goes_with_its_room,
                    a_snapshot_outlives_its_owner;
                locks: a_lock_has_one_holder, a_released_lock_is_free, an_extended_lock_is_held_longer,
                    a_lock_freed_by_a_holder_whose_lease_had_ended, of_fifty_contenders_one_gets_the_lock,
                    lock_keys_and_times_are_checked;
                events: registry_events_come_once_and_in_order_on_every_handle, a_filter_passes_one_kind,
                    a_subscription_resumes_after_a_revision, what_is_published_reaches_every_handle_in_order,
                    a_message_to_a_room_reaches_its_owner_in_order, a_message_to_no_room_is_refused;
                ownership: a_claim_is_compare_and_set, an_owner_renews_its_ownership, a_live_rooms_owner_keeps_it,
                    an_orphan_without_a_snapshot_is_disposed_of, an_orphan_that_never_lived_is_created_elsewhere,
                    the_old_owner_that_comes_back_is_fenced, players_of_an_orphan_are_away_with_its_grace,
                    a_parked_room_is_claimed_on_demand;
                ownership_races: owner_is_checked_again_when_claiming, orphans_are_shared_out,
                    a_claim_stays_within_capacity;
                offers: an_offered_room_goes_to_its_target_with_its_players, an_owner_takes_its_offer_back_by_claiming,
                    source_and_target_claim_at_once_and_one_wins, an_offer_ends_with_its_target,
                    a_room_that_cannot_be_restored_goes_back;
            );
        }
    };
    (@tests $ignored:tt $start:path; $($theme:ident: $($test:ident),+;)+) => {$(
        mod $theme {
            $(
                contract!(@test $ignored $start, $theme, $test);
            )+
        }
    )+};
    (@test [$($ignored:tt)*] $start:path, $theme:ident, $test:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $($ignored)*
        async fn $test() {
            let cluster = $start().await;
            crate::$theme::$test(&cluster).await;
            cluster.stop().await;
        }
    };
}

contract!(in_memory, crate::memory::start);
#[cfg(feature = "raft")]
contract!(raft_one_node, crate::raft::start_one);
#[cfg(feature = "raft")]
contract!(raft_three_nodes, crate::raft::start_three);
#[cfg(feature = "redis")]
contract!(redis_alone, crate::redis::start_one, "needs redis-server");
#[cfg(feature = "redis")]
contract!(redis_cluster, crate::redis::start_cluster, "needs redis-server");
#[cfg(feature = "redis")]
contract!(redis_three_shards, crate::redis::start_three_shards, "needs redis-server");
