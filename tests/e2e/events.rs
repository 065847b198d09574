//! What people find of a decision afterwards: Events and metrics, and neither after a dry run.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Namespace, eventually};
use crate::guard::{codes, enforcing, guarded, verdict};

const BOUND: Duration = Duration::from_mins(1);
const BAD_JOB: &str = "--filename=examples/bad/wg101-backoff-limit-3.yaml";
const BAD_APP: &str = "--filename=examples/bad/wg501-max-unavailable.yaml";

/// wavegate's Events in a namespace.
fn events(namespace: &Namespace<'_>) -> Vec<Value> {
    let mut list = namespace.kubectl().args(["get", "events"]).json();
    let Value::Array(mut events) = list["items"].take() else { panic!("no list: {list}") };
    events.retain(|event| event["reportingComponent"] == "wavegate");
    events
}

/// Waits for an Event of wavegate's with this reason.
pub(crate) fn event(namespace: &Namespace<'_>, reason: &str) -> Value {
    eventually(&format!("an Event {reason}"), BOUND, || {
        events(namespace).into_iter().find(|event| event["reason"] == reason)
    })
}

#[test]
fn a_refusal_leaves_an_event_and_a_dry_run_does_not() {
    let namespace = enforcing("events::denied");
    let dry_run = namespace.kubectl().args(["create", "--dry-run=server", BAD_JOB]).run();
    assert_eq!(verdict(&dry_run).denied, codes(&["WG101"]));
    assert_eq!(
        verdict(&namespace.kubectl().args(["create", BAD_APP]).run()).denied,
        codes(&["WG501"])
    );
    let event = event(&namespace, "Denied");
    let about = &event["involvedObject"];
    assert_eq!(
        (&about["kind"], &about["name"], &about["apiVersion"]),
        (&json!("Deployment"), &json!("shop-api"), &json!("apps/v1"))
    );
    assert_eq!(event["type"], "Warning");
    let message = event["message"].as_str().expect("a message");
    assert!(message.contains("WG501") && message.contains("maxUnavailable"), "{message}");
    // The dry run came first, so its Event would be there by now.
    assert_eq!(events(&namespace).len(), 1);
}

#[test]
fn the_same_refusal_again_adds_to_its_event() {
    let namespace = enforcing("events::again");
    for _ in 0..4 {
        namespace.kubectl().args(["create", BAD_JOB]).run();
    }
    let event = eventually("one Event counts them all", BOUND, || {
        events(&namespace).into_iter().find(|event| event["count"] == 4)
    });
    assert_eq!(events(&namespace).len(), 1, "{event}");
}

/// `kubectl describe` shows Events that carry the object's uid.
#[test]
fn an_update_that_is_refused_is_found_where_people_look() {
    let namespace = enforcing("events::described");
    namespace.kubectl().args(["create", "--filename=examples/shop/app.yaml"]).ok();
    let opt_in = ["label", "deployment", "shop-api", "wavegate.dev/app=shop"];
    namespace.kubectl().args(opt_in).ok();
    let patch = r#"{"spec":{"strategy":{"rollingUpdate":{"maxUnavailable":"25%"}}}}"#;
    let output =
        namespace.kubectl().args(["patch", "deployment", "shop-api", "--patch", patch]).run();
    assert_eq!(verdict(&output).denied, codes(&["WG501"]), "{}", output.stderr);
    eventually("kubectl describe tells it", BOUND, || {
        let told = namespace.kubectl().args(["describe", "deployment", "shop-api"]).ok();
        (told.contains("Denied") && told.contains("WG501")).then_some(())
    });
}

/// Argo CD drops warnings: where they are all that there is, they are told once more.
#[test]
fn a_warning_leaves_an_event_where_nothing_is_refused() {
    let (control_plane, wavegate) = guarded();
    let namespace = control_plane.namespace("events::warned", &[("wavegate.dev/mode", "warn")]);
    namespace.kubectl().args(["create", BAD_JOB]).ok();
    let event = event(&namespace, "Warned");
    assert!(event["message"].as_str().is_some_and(|m| m.contains("WG101")), "{event}");
    let name = namespace.name();
    let series = format!(
        r#"wavegate_decisions_total{{mode="warn",verdict="warned",dry_run="false",namespace="{name}"}}"#
    );
    assert_eq!(wavegate.metric(&series), Some(1.0));
    eventually("the Event is counted", BOUND, || {
        let written = wavegate.metric(r#"wavegate_events_total{result="written"}"#);
        (written >= Some(1.0)).then_some(())
    });
}

#[test]
fn namespaces_are_counted_by_their_mode() {
    let (control_plane, wavegate) = guarded();
    let _one = control_plane.namespace("events::counted", &[("wavegate.dev/mode", "enforced")]);
    eventually("the count is taken", Duration::from_secs(90), || {
        let count = |mode| wavegate.metric(&format!(r#"wavegate_namespaces{{mode="{mode}"}}"#));
        (count("unknown")? >= 1.0 && count("unlabelled")? >= 3.0).then_some(())
    });
}
