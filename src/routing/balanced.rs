//! The built-in router.

use std::cmp::Reverse;

use super::{CANDIDATES_MAX, Draw, Plan, Router, Strategy, nearness};
use crate::model::{RoutingRequest, ServerId, ServerRegistration, ServerStatus};

/// Spreads rooms over servers by a [`Strategy`], with a preference for the local server while it is not busy.
#[derive(Debug, Clone)]
pub struct LoadBalancedRouter {
    strategy: Strategy,
    prefer_local: bool,
    local_preference_threshold: f64,
}

impl Default for LoadBalancedRouter {
    fn default() -> Self {
        Self::new(Strategy::default())
    }
}

impl LoadBalancedRouter {
    /// A router that prefers the local server while its load is under 0.8.
    pub fn new(strategy: Strategy) -> Self {
        Self { strategy, prefer_local: true, local_preference_threshold: 0.8 }
    }

    /// Whether the local server comes first while its load is under the threshold; `true` by default.
    #[must_use]
    pub fn prefer_local(mut self, prefer: bool) -> Self {
        self.prefer_local = prefer;
        self
    }

    /// The load, rooms over capacity from 0 to 1, under which the local server is preferred; 0.8 by default.
    /// Numbers outside are taken as the nearest bound.
    #[must_use]
    pub fn local_preference_threshold(mut self, threshold: f64) -> Self {
        self.local_preference_threshold = if threshold.is_nan() { 0.0 } else { threshold.clamp(0.0, 1.0) };
        self
    }

    fn ordered<'s>(&self, mut servers: Vec<&'s ServerRegistration>, draw: Draw) -> Vec<&'s ServerRegistration> {
        match self.strategy {
            Strategy::LeastRooms => servers.sort_by_key(|server| (server.room_count, server.seat_count)),
            Strategy::LeastPlayers | Strategy::Geo | Strategy::Latency => {
                servers.sort_by_key(|server| (server.seat_count, server.room_count));
            }
            Strategy::RoundRobin => {
                let count = servers.len().max(1);
                let first = draw.turn % count as u64;
                servers.rotate_left(usize::try_from(first).unwrap_or(0));
            }
            Strategy::Random => servers.sort_by_cached_key(|server| chance(draw.entropy, &server.server_id)),
            Strategy::Weighted => {
                // Efraimidis and Spirakis 2006: the order of u^(1/w), largest first, draws without
                // replacement in proportion to w; compared as ln(u)/w, which is the same order.
                let key = |server: &ServerRegistration| {
                    let uniform = f64::from(upper_half(chance(draw.entropy, &server.server_id))) + 0.5;
                    let free = (1.0 - load(server)).max(f64::MIN_POSITIVE);
                    (uniform / 4_294_967_296.0).ln() / free
                };
                servers.sort_by(|a, b| key(b).total_cmp(&key(a)));
            }
        }
        servers
    }
}

impl LoadBalancedRouter {
    /// Servers that can take a room, in tiers; all in one where nearness does not count.
    fn tiers<'s>(
        &self,
        request: &RoutingRequest,
        servers: &'s [ServerRegistration],
        local: &ServerId,
        draw: Draw,
    ) -> Vec<Vec<&'s ServerRegistration>> {
        let eligible = servers.iter().filter(|server| can_take(server, request)).collect();
        let mut ordered = self.ordered(eligible, draw);
        ordered.sort_by_key(|server| {
            let is_local =
                self.prefer_local && server.server_id == *local && load(server) < self.local_preference_threshold;
            Reverse(is_local)
        });
        let is_wanted = |server: &&ServerRegistration| request.preferred_server_id.as_ref() == Some(&server.server_id);
        let (wanted, others) = ordered.into_iter().partition(is_wanted);
        let tiers = match self.strategy {
            Strategy::Geo => {
                nearness::by_place(others, request, servers.iter().find(|server| server.server_id == *local))
            }
            Strategy::Latency => nearness::by_round_trip(others, request),
            _ => vec![others],
        };
        [wanted].into_iter().chain(tiers).filter(|tier| !tier.is_empty()).collect()
    }
}

impl Router for LoadBalancedRouter {
    fn candidates(
        &self,
        request: &RoutingRequest,
        servers: &[ServerRegistration],
        local: &ServerId,
        draw: Draw,
    ) -> Vec<ServerId> {
        let tiers = self.tiers(request, servers, local, draw);
        tiers.into_iter().flatten().take(CANDIDATES_MAX).map(|server| server.server_id.clone()).collect()
    }

    fn plan(&self, request: &RoutingRequest, servers: &[ServerRegistration], local: &ServerId, draw: Draw) -> Plan {
        if !self.strategy.counts_nearness() {
            return Plan::Anywhere(self.candidates(request, servers, local, draw));
        }
        let mut left = CANDIDATES_MAX;
        let mut tiers = Vec::new();
        for tier in self.tiers(request, servers, local, draw) {
            let taken: Vec<ServerId> = tier.into_iter().take(left).map(|server| server.server_id.clone()).collect();
            left -= taken.len();
            tiers.push(taken);
        }
        tiers.retain(|tier| !tier.is_empty());
        Plan::Nearest(tiers)
    }

    fn wants_round_trips(&self) -> bool {
        self.strategy == Strategy::Latency
    }
}

fn can_take(server: &ServerRegistration, request: &RoutingRequest) -> bool {
    server.status == ServerStatus::Online
        && server.room_count < server.capacity
        && request.room_type.as_ref().is_none_or(|wanted| server.room_types.contains_key(wanted))
}

fn load(server: &ServerRegistration) -> f64 {
    f64::from(server.room_count) / f64::from(server.capacity.max(1))
}

fn upper_half(number: u64) -> u32 {
    u32::try_from(number >> 32).unwrap_or(u32::MAX)
}

/// A number that depends on the entropy and the server alone (FNV-1a, then the finaliser of splitmix64).
fn chance(entropy: u64, server_id: &ServerId) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = server_id.as_str().bytes().fold(entropy ^ 0xcbf2_9ce4_8422_2325, fold);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{CANDIDATES_MAX, Draw, LoadBalancedRouter, Plan, Router, Strategy};
    use crate::model::{
        Coordinates, Epoch, Metadata, NodeId, Place, PlayerId, RoomType, RoomTypeSpec, RoundTrips, RoutingRequest,
        ServerId, ServerRegistration, ServerStatus,
    };

    fn server(name: usize, rooms: u32, seats: u32, status: ServerStatus) -> ServerRegistration {
        let spec = RoomTypeSpec { max_players: 4, reconnect_grace_ms: 0, metadata: Metadata::default() };
        ServerRegistration {
            server_id: ServerId::new(format!("s{name}")).expect("a name"),
            address: "localhost".to_owned(),
            port: 3000,
            room_count: rooms,
            player_count: 0,
            capacity: 100,
            status,
            last_heartbeat: 0,
            metadata: Metadata::default(),
            epoch: Epoch(1),
            seat_count: seats,
            room_types: BTreeMap::from([(RoomType::new("arena").expect("a name"), spec)]),
            node_id: NodeId(0),
        }
    }

    fn request(room_type: &str) -> RoutingRequest {
        RoutingRequest {
            player_id: PlayerId::new("p").expect("a name"),
            room_type: Some(RoomType::new(room_type).expect("a name")),
            room_id: None,
            preferred_server_id: None,
            query: None,
            place: Place::default(),
            round_trips: RoundTrips::default(),
        }
    }

    fn names(router: &LoadBalancedRouter, servers: &[ServerRegistration], local: &str, number: u64) -> Vec<String> {
        let local = ServerId::new(local).expect("a name");
        let draw = Draw { turn: number, entropy: number };
        router.candidates(&request("arena"), servers, &local, draw).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_local_server_is_preferred_until_it_is_busy() {
        let router = LoadBalancedRouter::default();
        let mut servers = vec![server(1, 79, 0, ServerStatus::Online), server(2, 0, 0, ServerStatus::Online)];
        assert_eq!(names(&router, &servers, "s1", 0), ["s1", "s2"]);
        servers[0].room_count = 80;
        assert_eq!(names(&router, &servers, "s1", 0), ["s2", "s1"]);
    }

    #[test]
    fn seats_on_their_way_count_as_load() {
        let router = LoadBalancedRouter::new(Strategy::LeastPlayers).prefer_local(false);
        let servers = [server(1, 1, 9, ServerStatus::Online), server(2, 5, 8, ServerStatus::Online)];
        assert_eq!(names(&router, &servers, "s1", 0), ["s2", "s1"]);
    }

    #[test]
    fn round_robin_gives_each_server_its_turn() {
        let router = LoadBalancedRouter::new(Strategy::RoundRobin).prefer_local(false);
        let servers = [1, 2, 3].map(|name| server(name, 0, 0, ServerStatus::Online));
        let first: Vec<String> = (0..6).map(|turn| names(&router, &servers, "s1", turn)[0].clone()).collect();
        assert_eq!(first, ["s1", "s2", "s3", "s1", "s2", "s3"]);
    }

    #[test]
    fn weighted_draws_in_proportion_to_the_free_share() {
        let router = LoadBalancedRouter::new(Strategy::Weighted).prefer_local(false);
        let servers = [server(1, 75, 0, ServerStatus::Online), server(2, 25, 0, ServerStatus::Online)];
        let drawn =
            (0..4_000_u64).filter(|n| names(&router, &servers, "s1", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))[0] == "s1");
        let share = drawn.count();
        assert!((800..1200).contains(&share), "a quarter of 4,000 draws, not {share}");
    }

    #[test]
    fn a_wish_for_a_server_comes_before_all_else() {
        let servers = [server(1, 0, 0, ServerStatus::Online), server(2, 90, 0, ServerStatus::Online)];
        let wish = RoutingRequest { preferred_server_id: Some(servers[1].server_id.clone()), ..request("arena") };
        let order = LoadBalancedRouter::default().candidates(
            &wish,
            &servers,
            &servers[0].server_id,
            Draw { turn: 0, entropy: 0 },
        );
        assert_eq!(order[0].as_str(), "s2");
    }

    #[test]
    fn a_type_that_nobody_serves_has_no_candidates() {
        let servers = [server(1, 0, 0, ServerStatus::Online)];
        let router = LoadBalancedRouter::default();
        assert!(
            router
                .candidates(&request("chess"), &servers, &servers[0].server_id, Draw { turn: 0, entropy: 0 })
                .is_empty()
        );
    }

    /// A server somewhere: its region, and its longitude on the equator.
    fn placed(name: usize, seats: u32, region: &str, longitude: f64) -> ServerRegistration {
        let place = json!({ "region": region, "latitude": 0, "longitude": longitude });
        let place: Place = serde_json::from_value(place).expect("a place");
        let metadata = place.written_to(&Metadata::default());
        ServerRegistration { metadata, ..server(name, 0, seats, ServerStatus::Online) }
    }

    fn tiers(strategy: Strategy, request: &RoutingRequest, servers: &[ServerRegistration], local: &str) -> Vec<String> {
        let local = ServerId::new(local).expect("a name");
        let plan = LoadBalancedRouter::new(strategy).plan(request, servers, &local, Draw { turn: 0, entropy: 0 });
        let Plan::Nearest(tiers) = plan else { panic!("nearness counts: {plan:?}") };
        tiers.iter().map(|tier| tier.iter().map(ServerId::as_str).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn by_geo_the_own_region_comes_first_and_then_the_nearest() {
        let mut servers = vec![
            placed(1, 9, "asia", 100.0),
            placed(2, 0, "asia", 101.5),
            placed(3, 0, "europe", 8.0),
            placed(4, 5, "europe", 8.5),
            placed(5, 1, "america", -80.0),
        ];
        servers.push(server(6, 0, 0, ServerStatus::Online));
        let from = |place: Value| RoutingRequest {
            place: serde_json::from_value(place).expect("a place"),
            ..request("arena")
        };
        // Those nearby are one tier, the emptiest first; what is nowhere comes last.
        let of_region = tiers(Strategy::Geo, &from(json!({ "region": "asia" })), &servers, "s3");
        assert_eq!(of_region, ["s2 s1", "s3 s4", "s5", "s6"]);
        let near_america = from(json!({ "latitude": 5, "longitude": -60 }));
        assert_eq!(tiers(Strategy::Geo, &near_america, &servers, "s3"), ["s5", "s3 s4", "s1", "s2", "s6"]);
        // Nobody said where the player is: where its server is.
        assert_eq!(tiers(Strategy::Geo, &request("arena"), &servers, "s4"), ["s4 s3", "s5", "s1", "s2", "s6"]);
        let wish = RoutingRequest {
            preferred_server_id: Some(servers[4].server_id.clone()),
            ..from(json!({ "region": "asia" }))
        };
        assert_eq!(tiers(Strategy::Geo, &wish, &servers, "s3")[0], "s5");
    }

    #[test]
    fn by_latency_alike_round_trips_are_one_tier() {
        let servers: Vec<_> =
            (1..=5).map(|name| server(name, 0, [0, 9, 8, 7, 6, 5][name], ServerStatus::Online)).collect();
        let measured = json!({ "s1": 12, "s2": 16, "localhost:9": 1, "s3": 180, "s4": 210 });
        let asking =
            RoutingRequest { round_trips: serde_json::from_value(measured).expect("times"), ..request("arena") };
        assert_eq!(tiers(Strategy::Latency, &asking, &servers, "s5"), ["s2 s1", "s4 s3", "s5"]);
        // The local server is first among those that are as near.
        assert_eq!(tiers(Strategy::Latency, &asking, &servers, "s1"), ["s1 s2", "s4 s3", "s5"]);
        // Nothing known: by load alone.
        assert_eq!(tiers(Strategy::Latency, &request("arena"), &servers, "s1"), ["s1 s5 s4 s3 s2"]);
    }

    proptest! {
        #[test]
        fn every_plan_has_the_nearest_first_and_each_server_once(
            of_servers in prop::collection::vec((-180.0..=180.0_f64, 0_u32..50, 0_usize..3, 0.0..=60_000.0_f64), 0..12),
            longitude in -180.0..=180.0_f64,
            by_place: bool,
        ) {
            let status = [ServerStatus::Online, ServerStatus::Draining, ServerStatus::Offline];
            let servers: Vec<_> = of_servers.iter().enumerate()
                .map(|(n, (east, seats, s, _))| ServerRegistration {
                    status: status[*s],
                    ..placed(n, *seats, &format!("r{n}"), *east)
                })
                .collect();
            let round_trips: BTreeMap<String, f64> =
                of_servers.iter().enumerate().map(|(n, (.., ms))| (format!("s{n}"), *ms)).collect();
            let here = Coordinates::new(0.0, longitude).expect("a place");
            let asking = RoutingRequest {
                place: Place::new(None, Some(here)).expect("a place"),
                round_trips: round_trips.clone().try_into().expect("times"),
                ..request("arena")
            };
            let strategy = if by_place { Strategy::Geo } else { Strategy::Latency };
            let router = LoadBalancedRouter::new(strategy).prefer_local(false);
            let local = ServerId::new("elsewhere").expect("a name");
            let Plan::Nearest(tiers) = router.plan(&asking, &servers, &local, Draw { turn: 0, entropy: 0 }) else {
                panic!("nearness counts")
            };
            let cost = |server_id: &ServerId| {
                let server = servers.iter().find(|server| server.server_id == *server_id).expect("one of them");
                let there = Place::of(&server.metadata).coordinates.expect("a place");
                if by_place { here.distance_km(there) } else { round_trips[server_id.as_str()] }
            };
            let all: Vec<&ServerId> = tiers.iter().flatten().collect();
            prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
            let online = servers.iter().filter(|server| server.status == ServerStatus::Online).count();
            prop_assert_eq!(all.len(), online.min(CANDIDATES_MAX));
            for pair in tiers.windows(2) {
                let furthest = pair[0].iter().map(cost).fold(0.0, f64::max);
                prop_assert!(pair[1].iter().map(cost).all(|next| next >= furthest));
            }
        }

        #[test]
        fn candidates_are_distinct_and_can_take_a_room(
            loads in prop::collection::vec((0_u32..=100, 0_u32..400, 0_usize..3), 0..20),
            strategy in prop::sample::select(NAMES_OF_ALL.to_vec()),
            entropy: u64,
        ) {
            let status = [ServerStatus::Online, ServerStatus::Draining, ServerStatus::Offline];
            let servers: Vec<_> =
                loads.iter().enumerate().map(|(n, (rooms, seats, s))| server(n, *rooms, *seats, status[*s])).collect();
            let chosen = names(&LoadBalancedRouter::new(strategy), &servers, "s0", entropy);
            let able: BTreeSet<String> = servers.iter()
                .filter(|server| server.status == ServerStatus::Online && server.room_count < server.capacity)
                .map(|server| server.server_id.to_string()).collect();
            prop_assert!(chosen.iter().all(|name| able.contains(name)));
            prop_assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len());
            prop_assert_eq!(chosen.len(), able.len().min(CANDIDATES_MAX));
        }
    }

    const NAMES_OF_ALL: [Strategy; 7] = [
        Strategy::RoundRobin,
        Strategy::LeastRooms,
        Strategy::LeastPlayers,
        Strategy::Random,
        Strategy::Weighted,
        Strategy::Geo,
        Strategy::Latency,
    ];
}
