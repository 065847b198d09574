//! The same verdicts offline: manifests in, a report out.
//!
//! Each object is decided as if it were created in an enforcing namespace, after wavegate's own mutation,
//! with its companions of the same bundle in view.

mod bundle;
pub mod excerpt;
mod history;
pub mod load;
pub mod output;
pub mod policy;
mod report;
pub mod yaml;

pub use bundle::{check, check_by};
pub use report::{
    CheckError, Checked, CheckedObject, JobReport, Notice, PairReport, Place, Report,
};
