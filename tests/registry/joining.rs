//! How players find rooms and take seats.

use roomraft::{
    model::{Seat, SeatConfirmation, SeatRelease, SeatState, SeatTarget, TokenHash},
    registry::{Operation, Rejection, Reply},
};

use crate::support::{World, any_room, rejected};

#[test]
fn a_join_makes_one_room_and_fills_it_before_it_makes_another() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let first = world.join(&server, any_room(&[&server]));
    assert!(first.created);
    assert_eq!(world.events(), ["room:created", "player:joined"]);
    let second = world.join(&server, any_room(&[&server]));
    assert!(!second.created);
    assert_eq!(second.room.room_id, first.room.room_id);
    assert_eq!(second.room.seat_count, 2);
    let third = world.join(&server, any_room(&[&server]));
    assert_ne!(third.room.room_id, first.room.room_id);
}

#[test]
fn a_room_of_the_callers_own_server_comes_before_an_older_one_elsewhere() {
    let mut world = World::default();
    let (a, b) = (world.server("a", 10), world.server("b", 10));
    world.room(&a);
    let own = world.room(&b);
    let grant = world.join(&b, any_room(&[]));
    assert_eq!(grant.room.room_id, own.room_id);
    assert_eq!(grant.seat.state, SeatState::Joined);
}

#[test]
fn a_seat_on_another_server_is_held_until_its_owner_confirms_it() {
    let mut world = World::default();
    let (a, b) = (world.server("a", 10), world.server("b", 10));
    world.room(&a);
    let grant = world.join(&b, any_room(&[]));
    assert_eq!((grant.seat.state, grant.seat.token), (SeatState::Held, None));
    assert_eq!((grant.room.seat_count, grant.room.player_count), (1, 0));
    let token = TokenHash([9; 32]);
    let confirmation = SeatConfirmation { room: grant.room.room_epoch(), seat_id: grant.seat.seat_id, token };
    for expected in [vec!["player:joined"], vec![]] {
        assert!(matches!(world.apply(Operation::ConfirmSeat(confirmation.clone())), Reply::Seat(_)));
        assert_eq!(world.events(), expected);
    }
    assert_eq!((world.present(&grant.room).seat_count, world.present(&grant.room).player_count), (1, 1));
}

#[test]
fn a_held_seat_falls_free_after_its_time() {
    let mut world = World::default();
    let (a, b) = (world.server("a", 10), world.server("b", 10));
    let room = world.room(&a);
    let grant = world.join(&b, SeatTarget::Room(room.room_id.clone()));
    world.wait(15_000);
    assert_eq!(world.present(&room).seat_count, 0);
    let token = TokenHash([9; 32]);
    let late = SeatConfirmation { room: room.room_epoch(), seat_id: grant.seat.seat_id, token };
    assert_eq!(rejected(world.apply(Operation::ConfirmSeat(late))), Rejection::SeatUnknown(room.room_id));
}

#[test]
fn a_repeated_request_gets_the_same_seat() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let request = world.seat_request(&server, any_room(&[&server]));
    let Reply::Seat(first) = world.apply(Operation::ReserveSeat(request.clone())) else { panic!("refused") };
    let Reply::Seat(again) = world.apply(Operation::ReserveSeat(request)) else { panic!("refused") };
    assert_eq!(again.seat, first.seat);
    assert_eq!(again.room.seat_count, 1);
}

#[test]
fn a_player_who_lost_the_reservation_on_the_way_takes_it_up() {
    let mut world = World::default();
    let (a, b) = (world.server("a", 0), world.server("b", 10));
    let mut request = world.seat_request(&a, any_room(&[&b]));
    request.origin = 42;
    let Reply::Seat(redirected) = world.apply(Operation::ReserveSeat(request)) else { panic!("refused") };
    world.join(&b, SeatTarget::Room(redirected.room.room_id.clone()));
    let mut again = world.seat_request(&b, any_room(&[&a]));
    again.origin = 42;
    let Reply::Seat(adopted) = world.apply(Operation::ReserveSeat(again.clone())) else { panic!("refused") };
    assert_eq!(adopted.room.room_id, redirected.room.room_id);
    assert_eq!(adopted.room.seat_count, 2);
    assert_eq!((adopted.seat.seat_id, adopted.seat.state), (again.seat_id, SeatState::Joined));
}

#[test]
fn full_locked_and_unknown_rooms_say_so() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let room = world.room(&server);
    let target = || SeatTarget::Room(room.room_id.clone());
    world.join(&server, target());
    world.join(&server, target());
    assert_eq!(rejected(world.try_join(&server, target())), Rejection::RoomFull(room.room_id.clone()));
    let no_candidate = rejected(world.try_join(&server, any_room(&[])));
    assert!(matches!(no_candidate, Rejection::NoCapacity(_)));
}

#[test]
fn an_away_seat_is_kept_for_its_player_alone() {
    let mut world = World::default();
    let server = world.server("a", 10);
    let grant = world.join(&server, any_room(&[&server]));
    let release = SeatRelease { room_id: grant.room.room_id.clone(), seat_id: grant.seat.seat_id, away_ms: 500 };
    world.apply(Operation::ReleaseSeats { server: server.clone(), releases: vec![release.clone()] });
    assert_eq!(world.present(&grant.room).player_count, 1);
    let confirm = |token| {
        Operation::ConfirmSeat(SeatConfirmation { room: grant.room.room_epoch(), seat_id: grant.seat.seat_id, token })
    };
    assert!(matches!(rejected(world.apply(confirm(TokenHash([1; 32])))), Rejection::TokenMismatch(_)));
    assert!(matches!(world.apply(confirm(TokenHash([7; 32]))), Reply::Seat(_)));
    assert!(world.events().is_empty(), "who comes back has not joined anew");
    world.apply(Operation::ReleaseSeats { server, releases: vec![release] });
    world.wait(500);
    assert_eq!(world.events(), ["player:left"]);
    assert_eq!(world.registry.seats(&grant.room.room_id), Vec::<Seat>::new());
}
