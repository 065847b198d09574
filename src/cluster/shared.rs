//! Values that many attempts have in common.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that is stored once for all who have the same, and copied for whoever changes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shared<T>(Arc<T>);

impl<T: Clone + PartialEq> Shared<T> {
    /// Drops the value for an equal one that is stored already.
    pub(super) fn join(&mut self, known: &Self) {
        if !Arc::ptr_eq(&self.0, &known.0) && self == known {
            self.clone_from(known);
        }
    }
}

impl<T> Shared<T> {
    /// Whether both are stored as one. What is equal need not be.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_by_nobody_else() {
        let one = Shared::from("a".to_owned());
        let mut other = Shared::from("a".to_owned());
        other.join(&one);
        assert!(Arc::ptr_eq(&one.0, &other.0));
        other.push('b');
        assert_eq!((one.as_str(), other.as_str()), ("a", "ab"));
        other.join(&one);
        assert_eq!(other.as_str(), "ab", "only what is equal is joined");
    }
}
