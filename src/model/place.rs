//! Where on Earth a server or a player is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;

/// The mean radius of the Earth in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.009;
/// The longest name of a region, in bytes.
pub const REGION_BYTES_MAX: usize = 64;

/// A point on the Earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coordinates {
    latitude: f64,
    longitude: f64,
}

/// A place that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidPlace {
    /// Not on the Earth.
    #[error("{latitude}, {longitude} is no place: give a latitude of -90 to 90 and a longitude of -180 to 180 degrees")]
    Coordinates {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
    },
    /// One coordinate without the other.
    #[error("a latitude and a longitude belong together: give both or none")]
    Half,
    /// A region with no name, or too long a one.
    #[error("a region's name has 1 to {REGION_BYTES_MAX} bytes")]
    Region,
}

impl Coordinates {
    /// A point, in degrees north and east.
    ///
    /// # Errors
    /// [`InvalidPlace::Coordinates`] outside of -90 to 90 and -180 to 180.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, InvalidPlace> {
        let is_there = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        if is_there { Ok(Self { latitude, longitude }) } else { Err(InvalidPlace::Coordinates { latitude, longitude }) }
    }

    /// The length of the great circle to another point, in kilometres: the haversine formula, on a
    /// sphere (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984). Half a per cent
    /// off at most, since the Earth is none.
    pub fn distance_km(self, other: Self) -> f64 {
        let (here, there) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
        let across = half_sine(other.longitude - self.longitude);
        let haversine = half_sine(other.latitude - self.latitude) + here.cos() * there.cos() * across;
        2.0 * EARTH_RADIUS_KM * haversine.clamp(0.0, 1.0).sqrt().asin()
    }
}

/// A region by name, a point, or both; or nothing that is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub struct Place {
    /// The name of a region, such as `eu-west`; what it means is the deployment's affair.
    pub region: Option<String>,
    /// A point.
    pub coordinates: Option<Coordinates>,
}

impl Place {
    /// A place from its parts.
    ///
    /// # Errors
    /// [`InvalidPlace`] where the region's name is empty or longer than [`REGION_BYTES_MAX`].
    pub fn new(region: Option<String>, coordinates: Option<Coordinates>) -> Result<Self, InvalidPlace> {
        if region.as_ref().is_some_and(|region| region.is_empty() || region.len() > REGION_BYTES_MAX) {
            return Err(InvalidPlace::Region);
        }
        Ok(Self { region, coordinates })
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// The place that a server's attributes `region`, `latitude` and `longitude` tell. What is no
    /// place there is passed over.
    pub fn of(metadata: &Metadata) -> Self {
        let number = |key| metadata.value(key).and_then(Value::as_f64);
        let coordinates = number("latitude").zip(number("longitude"));
        let coordinates = coordinates.and_then(|(latitude, longitude)| Coordinates::new(latitude, longitude).ok());
        let region = metadata.value("region").and_then(Value::as_str).map(str::to_owned);
        let region = region.filter(|region| !region.is_empty() && region.len() <= REGION_BYTES_MAX);
        Self { region, coordinates }
    }

    /// A server's attributes with this place among them.
    #[must_use]
    pub fn written_to(&self, metadata: &Metadata) -> Metadata {
        let mut entries = metadata.entries().clone();
        entries.extend(self.region.clone().map(|region| ("region".to_owned(), region.into())));
        if let Some(Coordinates { latitude, longitude }) = self.coordinates {
            entries.extend([("latitude".to_owned(), latitude.into()), ("longitude".to_owned(), longitude.into())]);
        }
        entries.into_iter().collect()
    }
}

/// How a place is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latitude: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    longitude: Option<f64>,
}

impl From<Place> for Fields {
    fn from(place: Place) -> Self {
        let latitude = place.coordinates.map(|point| point.latitude);
        Self { region: place.region, latitude, longitude: place.coordinates.map(|point| point.longitude) }
    }
}

impl TryFrom<Fields> for Place {
    type Error = InvalidPlace;
    fn try_from(fields: Fields) -> Result<Self, InvalidPlace> {
        let coordinates = match (fields.latitude, fields.longitude) {
            (Some(latitude), Some(longitude)) => Some(Coordinates::new(latitude, longitude)?),
            (None, None) => None,
            _ => return Err(InvalidPlace::Half),
        };
        Self::new(fields.region, coordinates)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Coordinates, InvalidPlace, Metadata, Place};

    #[test]
    fn distances_are_those_of_the_map() {
        let tokyo = Coordinates::new(35.68, 139.77).expect("a place");
        let frankfurt = Coordinates::new(50.11, 8.68).expect("a place");
        let distance = tokyo.distance_km(frankfurt);
        assert!((9_300.0..9_400.0).contains(&distance), "{distance} km");
        // Across the date line it is a step.
        let (west, east) = (Coordinates::new(0.0, 179.9), Coordinates::new(0.0, -179.9));
        assert!(west.expect("a place").distance_km(east.expect("a place")) < 25.0);
    }

    #[test]
    fn a_place_is_read_from_json_and_from_attributes() {
        let place: Place =
            serde_json::from_value(json!({ "region": "eu", "latitude": 50, "longitude": 8.5 })).expect("a place");
        assert_eq!(Place::of(&place.written_to(&Metadata::default())), place);
        assert_eq!(Place::of(&[("region", json!(7)), ("latitude", json!(99))].into_iter().collect()), Place::default());
        for wrong in [json!({ "latitude": 1 }), json!({ "latitude": 91, "longitude": 0 }), json!({ "region": "" })] {
            assert!(serde_json::from_value::<Place>(wrong.clone()).is_err(), "{wrong}");
        }
        assert!(matches!(Coordinates::new(f64::NAN, 0.0), Err(InvalidPlace::Coordinates { .. })));
    }

    proptest! {
        #[test]
        fn a_distance_is_a_distance(a in -90.0..=90.0, b in -180.0..=180.0, c in -90.0..=90.0, d in -180.0..=180.0) {
            let (here, there) = (Coordinates::new(a, b).expect("a place"), Coordinates::new(c, d).expect("a place"));
            let distance = here.distance_km(there);
            prop_assert!((0.0..=20_016.0).contains(&distance), "{}", distance);
            prop_assert!((distance - there.distance_km(here)).abs() < 1e-6);
            prop_assert!(here.distance_km(here) < 1e-6);
        }
    }
}
