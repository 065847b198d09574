//! Reports as people and programs read them.

pub mod github;
pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;

use crate::policy::Effect;

/// What CI systems call a finding with this effect.
const fn level(effect: Effect) -> &'static str {
    match effect {
        Effect::Deny => "error",
        Effect::Warn => "warning",
    }
}
