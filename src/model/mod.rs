//! The records that every part of roomraft speaks of: servers, rooms, seats,
//! snapshots, events and queries.
//!
//! Plain data with its parsing and its JSON form; field names are camelCase on
//! every JSON wire. Nothing here decides anything: the rules are in
//! [`registry`](crate::registry) and [`routing`](crate::routing).

mod event;
mod ids;
mod metadata;
mod migration;
mod place;
mod query;
mod room;
mod round_trips;
mod route;
mod seat;
mod server;
mod snapshot;

pub use event::{DistributedEvent, EventKind, EventPayload, InvalidEvent, Revision};
pub use ids::{Epoch, InvalidId, LockToken, NodeId, PlayerId, RoomId, RoomType, SeatId, ServerId};
pub use metadata::Metadata;
pub use migration::{MigrationStage, RoomMigration, RoomOffer};
pub use place::{Coordinates, InvalidPlace, Place, REGION_BYTES_MAX};
pub use query::RoomQuery;
pub use room::{NewRoom, RoomEpoch, RoomRegistration, RoomState, RoomUpdate};
pub use round_trips::{InvalidRoundTrips, ROUND_TRIP_MS_MAX, ROUND_TRIPS_MAX, RoundTrips};
pub use route::{RoutingRequest, RoutingResult};
pub use seat::{
    OrphanClaim, RoomClaim, Seat, SeatConfirmation, SeatGrant, SeatRelease, SeatRequest, SeatState, SeatTarget,
    TokenHash,
};
pub use server::{NewServer, RoomTypeSpec, ServerEpoch, ServerRegistration, ServerStatus, ServerUpdate};
pub use snapshot::{PlayerSnapshot, RoomSnapshot};
