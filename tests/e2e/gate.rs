//! The release gate under the real Argo CD: what it holds, what it lets through, and what is left of it.

mod contracts;
mod evidence;
mod held;
pub(crate) mod manifests;
mod passed;
mod recipe;
mod tools;

use serde_json::Value;

use crate::cluster::argocd::{self, Application, Draft, Operation, Phase};
use crate::cluster::{Namespace, eventually};
use crate::guard::guarded;

use std::time::Duration;

const BOUND: Duration = Duration::from_mins(1);

/// An Application in a namespace in which wavegate enforces.
fn application(test: &str) -> Draft<'static> {
    guarded();
    argocd::shared().application(test).label("wavegate.dev/mode", "enforce")
}

/// The records of a namespace, in the order in which their Jobs were created: migration, release, outcome.
fn records_in(kubectl: &dyn Fn() -> crate::cluster::Kubectl) -> Vec<(String, String, String)> {
    let list = kubectl().args(["get", "migrationrecords"]).json();
    let mut items = list["items"].as_array().cloned().unwrap_or_default();
    items.sort_by_key(|item| item["spec"]["job"]["created"].to_string());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |item: &Value| {
        let (spec, status) = (&item["spec"], &item["status"]);
        (text(&spec["migration"]), text(&spec["release"]), text(&status["outcome"]))
    };
    items.iter().map(row).collect()
}

/// Waits until the records of an Application's namespace are these: release and outcome.
fn becomes_recorded(shop: &Application<'_>, want: &[(&str, &str)]) {
    recorded(&|| shop.kubectl(), want);
}

/// The same of a namespace.
pub(crate) fn becomes_recorded_in(namespace: &Namespace<'_>, want: &[(&str, &str)]) {
    recorded(&|| namespace.kubectl(), want);
}

fn recorded(kubectl: &dyn Fn() -> crate::cluster::Kubectl, want: &[(&str, &str)]) {
    let mut last = Vec::new();
    let deadline = std::time::Instant::now() + BOUND;
    while std::time::Instant::now() < deadline {
        last = records_in(kubectl);
        let found: Vec<_> = last.iter().map(|(_, r, o)| (r.as_str(), o.as_str())).collect();
        if found == want {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("the records are {last:?}, not {want:?}");
}

/// Asserts that an operation failed since the gate held the Deployment, for this reason, in these words.
#[track_caller]
fn held(operation: &Operation, code: &str, words: &str) {
    held_at(operation, "Deployment", "shop-api", code, words);
}

#[track_caller]
fn held_at(operation: &Operation, kind: &str, name: &str, code: &str, words: &str) {
    assert_eq!(operation.phase, Phase::Failed, "{operation:#?}");
    let outcome = operation.outcome(kind, name).unwrap_or_else(|| panic!("{operation:#?}"));
    assert_eq!(outcome.status, "SyncFailed", "{operation:#?}");
    for part in [code, words] {
        assert!(outcome.message.contains(part), "{part:?} is not in {}", outcome.message);
    }
    assert!(operation.message.contains(code), "{operation:#?}");
}

#[track_caller]
fn succeeds(operation: &Operation) {
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
}

/// The image of a workload's app container.
fn image_of(shop: &Application<'_>, name: &str) -> String {
    let object = shop.get("deployment", name);
    let image = &object["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap_or_default().to_owned()
}

/// Waits until a condition of an object in the Application's namespace holds.
fn wait_for(shop: &Application<'_>, what: &str, condition: &str) {
    let condition = format!("--for={condition}");
    shop.kubectl().args(["wait", what, &condition, "--timeout=50s"]).within(BOUND).ok();
}

/// Waits until nothing is held any more that kubectl does.
pub(crate) fn passes_in_time(what: &str, mut attempt: impl FnMut() -> crate::cluster::Output) {
    eventually(what, BOUND, || attempt().status.success().then_some(()));
}
