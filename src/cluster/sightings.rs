//! The sightings of a namespace, each in a place that stays its own.

use std::collections::HashMap;
use std::sync::Arc;

use super::attempts::Sighting;

/// Where a sighting is kept; taken by another one once it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

/// Sightings by the UID of their Job, and by their place, which costs no look-up.
#[derive(Clone, Debug, Default)]
pub(super) struct Sightings {
    places: HashMap<Arc<str>, Place>,
    /// Behind a pointer each: a vector has room to spare, and a copied namespace copies no attempt.
    kept: Vec<Option<Arc<Sighting>>>,
    vacant: Vec<Place>,
}

impl Sightings {
    pub(super) fn get(&self, uid: &str) -> Option<&Sighting> {
        self.at(*self.places.get(uid)?)
    }

    pub(super) fn at(&self, place: Place) -> Option<&Sighting> {
        self.kept.get(place.0)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, uid: &str) -> Option<&mut Sighting> {
        let place = *self.places.get(uid)?;
        self.kept.get_mut(place.0)?.as_mut().map(Arc::make_mut)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Sighting> {
        self.kept.iter().filter_map(Option::as_deref)
    }

    /// Keeps a sighting that is not known yet, and tells where.
    pub(super) fn insert(&mut self, sighting: Arc<Sighting>) -> Place {
        let uid = sighting.attempt().uid.as_str().into();
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.kept.push(None);
            Place(self.kept.len() - 1)
        });
        if let Some(kept) = self.kept.get_mut(place.0) {
            *kept = Some(sighting);
        }
        self.places.insert(uid, place);
        place
    }

    pub(super) fn remove(&mut self, uid: &str) -> Option<(Place, Arc<Sighting>)> {
        let place = self.places.remove(uid)?;
        let sighting = self.kept.get_mut(place.0)?.take()?;
        self.vacant.push(place);
        Some((place, sighting))
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}
