use proptest::prelude::*;

use super::*;
use crate::model::{Place, PlayerId, RoomId, RoomType, SeatId};

fn limits() -> Limits {
    Limits {
        hops_max: 8,
        deadline: Duration::from_secs(10),
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(2),
        jitter_permille: 1000,
    }
}

fn join() -> Ask {
    let room_type = Some(RoomType::new("arena").expect("a name"));
    Ask::Join(JoinRoomInput { room_type, ..JoinRoomInput::default() })
}

fn journey(goal: Ask) -> Journey {
    Journey::new(vec!["a".to_owned(), "b".to_owned()], goal, limits(), Duration::ZERO)
}

fn redirect(address: &str) -> JoinRoomOutput {
    let room_id = RoomId::new("arena-1").expect("a name");
    JoinRoomOutput::Redirect { redirect: address.to_owned(), room_id, reservation: Some(SeatId(7)) }
}

fn joined() -> JoinRoomOutput {
    JoinRoomOutput::Joined {
        room_id: RoomId::new("arena-1").expect("a name"),
        player_id: PlayerId::new("p").expect("a name"),
        session_token: "token".to_owned(),
    }
}

#[test]
fn a_redirect_is_followed_with_its_reservation() {
    let Ask::Join(wish) = join() else { panic!("a join") };
    let place = Place::new(Some("asia".to_owned()), None).expect("a place");
    let goal = Ask::Join(JoinRoomInput { place: place.clone(), ..wish });
    let mut journey = journey(goal.clone());
    assert_eq!(journey.dial(), Step::Dial("a".to_owned()));
    assert_eq!(journey.on_connected(), Step::Ask(goal));
    assert_eq!(journey.on_answered(redirect("c"), Duration::ZERO), Step::Dial("c".to_owned()));
    let Step::Ask(Ask::Join(input)) = journey.on_connected() else { panic!("it joins there") };
    assert_eq!((input.reservation, input.room_type, input.place), (Some(SeatId(7)), None, place));
    assert_eq!(journey.on_answered(joined(), Duration::ZERO), Step::Arrived(Some(joined())));
}

#[test]
fn a_redirect_to_a_dead_server_goes_back_to_the_known_ones_and_the_first_goal() {
    let mut journey = journey(join());
    let _ = (journey.dial(), journey.on_answered(redirect("dead"), Duration::ZERO));
    assert_eq!(journey.on_lost("refused", Duration::ZERO), Step::Dial("b".to_owned()));
    assert_eq!(journey.on_connected(), Step::Ask(join()));
}

#[test]
fn a_session_token_stays_the_same_over_redirects() {
    let mut journey = journey(Ask::reconnect("token".to_owned()));
    let _ = (journey.dial(), journey.on_answered(redirect("c"), Duration::ZERO));
    assert_eq!(journey.on_connected(), Step::Ask(Ask::reconnect("token".to_owned())));
}

#[test]
fn a_server_is_told_where_it_sent_the_player_in_vain() {
    let mut journey = journey(Ask::reconnect("token".to_owned()));
    let _ = (journey.dial(), journey.on_answered(redirect("dead"), Duration::ZERO));
    assert_eq!(journey.on_lost("refused", Duration::ZERO), Step::Dial("b".to_owned()));
    let told = Ask::Reconnect { token: "token".to_owned(), unreachable: Some("dead".to_owned()) };
    assert_eq!(journey.on_connected(), Step::Ask(told.clone()));
    let _ = (journey.on_lost("gone", Duration::ZERO), journey.dial());
    assert_eq!(journey.on_connected(), Step::Ask(told), "until it is sent somewhere else");
    let _ = (journey.on_answered(redirect("alive"), Duration::ZERO), journey.on_lost("gone", Duration::ZERO));
    let told = Ask::Reconnect { token: "token".to_owned(), unreachable: Some("alive".to_owned()) };
    assert_eq!(journey.on_connected(), Step::Ask(told));
}

#[test]
fn a_pause_comes_after_every_known_address_failed_and_the_deadline_ends_it() {
    let mut journey = journey(Ask::Nothing);
    let _ = journey.dial();
    assert_eq!(journey.on_lost("gone", Duration::ZERO), Step::Dial("b".to_owned()));
    let unavailable = journey.on_refused(ErrorCode::Unavailable, "no quorum".to_owned(), Duration::ZERO);
    assert_eq!(unavailable, Step::Pause(Duration::from_millis(100)));
    assert_eq!(journey.on_paused(Duration::from_millis(100)), Step::Dial("a".to_owned()));
    let after = Duration::from_secs(10);
    let problem = "gone".to_owned();
    assert_eq!(journey.on_lost("gone", after), Step::GiveUp(ClientError::DeadlinePassed { after, problem }));
}

#[test]
fn a_pause_is_no_longer_than_a_quarter_of_the_time_that_has_passed() {
    let limits = Limits { backoff_max: Duration::from_millis(500), ..limits() };
    let mut journey = Journey::new(vec!["a".to_owned()], Ask::reconnect("token".to_owned()), limits, Duration::ZERO);
    let mut ends = Vec::new();
    for _ in 0..9 {
        let now = Duration::from_millis(ends.last().copied().unwrap_or(0));
        let Step::Pause(until) = journey.on_lost("gone", now) else { panic!("every known address has failed") };
        ends.push(until.as_millis().try_into().expect("some milliseconds"));
    }
    assert_eq!(ends[..6], [100, 200, 300, 400, 500, 625]);
    let pauses: Vec<u64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[5..], [156, 195, 244], "a quarter each");
    let far = Duration::from_secs(8);
    assert_eq!(journey.on_lost("gone", far), Step::Pause(far + Duration::from_millis(500)), "the maximum still holds");
}

#[test]
fn a_refusal_for_good_ends_it_at_once() {
    let (code, message) = (ErrorCode::NotFound, "no such room".to_owned());
    let step = journey(join()).on_refused(code.clone(), message.clone(), Duration::ZERO);
    assert_eq!(step, Step::GiveUp(ClientError::Refused { code, message }));
}

#[test]
fn connections_that_end_at_once_are_not_made_again_at_once() {
    let mut journey = journey(Ask::Nothing);
    assert_eq!(journey.dial_after(1, Duration::ZERO), Step::Dial("a".to_owned()));
    assert_eq!(journey.dial_after(3, Duration::ZERO), Step::Pause(Duration::from_millis(200)));
}

#[test]
fn pauses_double_up_to_their_maximum() {
    let pauses: Vec<_> = (1..=7).map(|round| backoff(round, &limits()).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
    assert_eq!(backoff(u32::MAX, &limits()).as_millis(), 2000);
}

#[derive(Debug, Clone)]
enum World {
    Unreachable,
    Lost,
    Unavailable,
    Redirect,
    Joined,
    Refused,
}

fn world() -> impl Strategy<Value = Vec<World>> {
    use World::{Joined, Lost, Redirect, Refused, Unavailable, Unreachable};
    let event = prop_oneof![
        20 => Just(Unreachable), 20 => Just(Lost), 20 => Just(Unavailable), 60 => Just(Redirect),
        1 => Just(Joined), 1 => Just(Refused),
    ];
    prop::collection::vec(event, 1..40)
}

proptest! {
    /// Whatever the servers do, again and again: the hops stay bounded and it ends, by the deadline.
    #[test]
    fn every_journey_ends_within_its_hops(world in world(), hops_max in 0..9_u32, jitter in 0..=1000_u32) {
        let limits = Limits { hops_max, jitter_permille: jitter, ..limits() };
        let mut journey = Journey::new(vec!["a".to_owned(), "b".to_owned()], join(), limits, Duration::ZERO);
        let (mut now, mut hops, mut ended) = (Duration::ZERO, 0, false);
        let mut step = journey.dial();
        for event in world.iter().cycle().take(20_000) {
            step = match step {
                Step::Dial(address) => {
                    hops = if address == "redirected" { hops + 1 } else { 0 };
                    prop_assert!(hops <= hops_max);
                    match event {
                        World::Unreachable => journey.on_lost("unreachable", now),
                        _ => journey.on_connected(),
                    }
                }
                Step::Ask(_) => match event {
                    World::Unreachable | World::Lost => journey.on_lost("lost", now),
                    World::Unavailable => journey.on_refused(ErrorCode::Unavailable, String::new(), now),
                    World::Redirect => journey.on_answered(redirect("redirected"), now),
                    World::Joined => journey.on_answered(joined(), now),
                    World::Refused => journey.on_refused(ErrorCode::NotFound, String::new(), now),
                },
                Step::Pause(until) => {
                    prop_assert!(until > now && until <= journey.end());
                    now = until;
                    journey.on_paused(now)
                }
                Step::Arrived(_) | Step::GiveUp(_) => {
                    ended = true;
                    break;
                }
            };
        }
        prop_assert!(ended);
    }
}
