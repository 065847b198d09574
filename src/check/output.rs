//! Reports as people and programs read them.

pub mod github;
pub mod json;
pub mod junit;
pub mod sarif;
pub mod text;
