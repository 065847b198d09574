//! The real Argo CD on the test control plane, without wavegate: what the tests of the gate rely on.

mod automation;
mod manifests;
mod sources;
mod syncs;
