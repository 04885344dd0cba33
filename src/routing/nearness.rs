//! Servers in tiers: those of one tier are equally near.

use std::cmp::Ordering;

use crate::model::{Place, RoutingRequest, ServerRegistration};

/// Servers that are no further than this from the nearest of their tier are as near, in kilometres.
const NEARBY_KM: f64 = 100.0;
/// A server of the player's own region is nearer than any distance tells.
const OWN_REGION_KM: f64 = -1_000.0;
/// Round trips that differ by less are alike, in milliseconds: they vary by as much from one moment to the next.
const ALIKE_MS: f64 = 5.0;
/// Or by less than this share of the shorter one.
const ALIKE_SHARE: f64 = 0.2;

/// Tiers by distance. A player of whom nothing is known is where its server is.
pub(super) fn by_place<'s>(
    servers: Vec<&'s ServerRegistration>,
    request: &RoutingRequest,
    local: Option<&ServerRegistration>,
) -> Vec<Vec<&'s ServerRegistration>> {
    let told = Some(&request.place).filter(|place| !place.is_unknown()).cloned();
    let here = told.or_else(|| local.map(|local| Place::of(&local.metadata))).unwrap_or_default();
    let of_region = |server: &&ServerRegistration| {
        let place = Place::of(&server.metadata);
        place.coordinates.filter(|_| place.region.is_some() && place.region == here.region)
    };
    // Of a player with a region alone: where a server of that region is.
    let point = here.coordinates.or_else(|| servers.iter().find_map(of_region));
    let distance = |server: &ServerRegistration| {
        let place = Place::of(&server.metadata);
        if here.region.is_some() && place.region == here.region {
            return Some(OWN_REGION_KM);
        }
        Some(point?.distance_km(place.coordinates?))
    };
    tiers(servers, distance, |_| NEARBY_KM)
}

/// Tiers by round trip.
pub(super) fn by_round_trip<'s>(
    servers: Vec<&'s ServerRegistration>,
    request: &RoutingRequest,
) -> Vec<Vec<&'s ServerRegistration>> {
    tiers(servers, |server| request.round_trips.to(server), |shortest| ALIKE_MS.max(shortest * ALIKE_SHARE))
}

/// Groups servers by what it costs to get there; those of unknown cost come last. Within a tier the order stays.
fn tiers(
    servers: Vec<&ServerRegistration>,
    cost: impl Fn(&ServerRegistration) -> Option<f64>,
    alike: impl Fn(f64) -> f64,
) -> Vec<Vec<&ServerRegistration>> {
    let order = |a: &Option<f64>, b: &Option<f64>| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    };
    let mut ranked: Vec<_> =
        servers.into_iter().enumerate().map(|(rank, server)| (cost(server), rank, server)).collect();
    ranked.sort_by(|a, b| order(&a.0, &b.0));
    let is_alike = |first: &(Option<f64>, usize, &ServerRegistration),
                    next: &(Option<f64>, usize, &ServerRegistration)| {
        first.0.zip(next.0).map_or(first.0.is_none() && next.0.is_none(), |(least, cost)| cost <= least + alike(least))
    };
    let mut tiers: Vec<Vec<_>> = Vec::new();
    for next in ranked {
        match tiers.last_mut() {
            Some(tier) if is_alike(&tier[0], &next) => tier.push(next),
            _ => tiers.push(vec![next]),
        }
    }
    for tier in &mut tiers {
        tier.sort_by_key(|(_, rank, _)| *rank);
    }
    tiers.into_iter().map(|tier| tier.into_iter().map(|(_, _, server)| server).collect()).collect()
}
