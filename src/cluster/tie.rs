//! What can tie an attempt to a workload, to find attempts by.

use std::collections::HashMap;

use super::sightings::Place;
use super::state::Ties;
use crate::domain::image::ImageRef;

/// A necessary condition of each way to pair an attempt and a workload.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tie<'t> {
    App(&'t str),
    Repository(&'t str),
    Scope(&'t str),
}

impl<'t> Tie<'t> {
    pub(super) fn of(ties: &'t Ties, images: &'t [ImageRef]) -> impl Iterator<Item = Self> {
        let app = ties.app.iter().map(|app| Self::App(app));
        let repository = images.iter().map(|image| Self::Repository(image.repository()));
        let scope = ties.application.iter().chain(&ties.instance);
        app.chain(repository).chain(scope.map(|scope| Self::Scope(scope)))
    }
}

type Places = HashMap<Box<str>, Vec<Place>>;

/// Places of sightings by tie: a map for each kind of tie, so that a look-up needs no key of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct ByTie {
    apps: Places,
    repositories: Places,
    scopes: Places,
}

impl ByTie {
    /// The places with a tie, in the order in which they were added.
    pub(super) fn get(&self, tie: Tie<'_>) -> &[Place] {
        let places = match tie {
            Tie::App(key) => self.apps.get(key),
            Tie::Repository(key) => self.repositories.get(key),
            Tie::Scope(key) => self.scopes.get(key),
        };
        places.map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn add(&mut self, tie: Tie<'_>, place: Place) {
        let (map, key) = self.map(tie);
        let places = map.entry(key.into()).or_default();
        // An application and an instance are often called the same.
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    pub(super) fn remove(&mut self, tie: Tie<'_>, place: Place) {
        let (map, key) = self.map(tie);
        let Some(places) = map.get_mut(key) else { return };
        places.retain(|other| *other != place);
        if places.is_empty() {
            map.remove(key);
        }
    }

    fn map<'t>(&mut self, tie: Tie<'t>) -> (&mut Places, &'t str) {
        match tie {
            Tie::App(key) => (&mut self.apps, key),
            Tie::Repository(key) => (&mut self.repositories, key),
            Tie::Scope(key) => (&mut self.scopes, key),
        }
    }
}
