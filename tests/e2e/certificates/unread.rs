//! A webhook configuration that wavegate cannot read: what it carries is not known, and time goes on.

use serde_json::{Value, json};

use super::handshake::handshake;
use super::{BOUND, KINDS, LONG, Site, rotated, rotations};
use crate::alone::alone;
use crate::cluster::wavegate::configurations_without_ca;
use crate::cluster::{ControlPlane, eventually};

const ROLE: [&str; 2] = ["clusterrole", "wavegate"];

const HELD: &str = "wavegate-held";

/// wavegate's `ClusterRole` without the right to one kind; it comes back in the end.
struct Narrowed<'c> {
    control_plane: &'c ControlPlane,
    rules: Value,
}

impl<'c> Narrowed<'c> {
    fn of(control_plane: &'c ControlPlane, kind: &str) -> Self {
        let role = control_plane.kubectl().args(["get"]).args(ROLE).json();
        let narrowed = Self { control_plane, rules: role["rules"].clone() };
        let mut rules = narrowed.rules.clone();
        let mut taken = 0;
        for rule in rules.as_array_mut().expect("rules") {
            let resources = rule["resources"].as_array_mut().expect("resources");
            let before = resources.len();
            resources.retain(|resource| *resource != format!("{kind}s"));
            taken += before - resources.len();
        }
        assert_eq!(taken, 1, "{kind}");
        narrowed.put(&rules);
        narrowed
    }

    fn put(&self, rules: &Value) {
        let patch = json!({"rules": rules}).to_string();
        let arguments = ["--type=merge", "--patch", &patch];
        self.control_plane.kubectl().args(["patch"]).args(ROLE).args(arguments).ok();
    }
}

impl Drop for Narrowed<'_> {
    fn drop(&mut self) {
        self.put(&self.rules);
    }
}

/// A priority level without a seat, in whose queue the API server holds whatever it is asked for a kind by wavegate.
/// Source: `nominalConcurrencyShares` of `LimitedPriorityLevelConfiguration`.
struct Held<'c>(&'c ControlPlane);

impl<'c> Held<'c> {
    fn of(control_plane: &'c ControlPlane, kind: &str) -> Self {
        let api_version = "flowcontrol.apiserver.k8s.io/v1";
        let level = json!({
            "apiVersion": api_version, "kind": "PriorityLevelConfiguration", "metadata": {"name": HELD},
            "spec": {"type": "Limited", "limited": {
                "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Queue",
                    "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 100}},
            }},
        });
        let account = json!({"kind": "ServiceAccount",
            "serviceAccount": {"name": "wavegate", "namespace": "wavegate"}});
        let asked = json!({"verbs": ["*"], "apiGroups": ["admissionregistration.k8s.io"],
            "resources": [format!("{kind}s")], "clusterScope": true});
        let flow = json!({
            "apiVersion": api_version, "kind": "FlowSchema", "metadata": {"name": HELD},
            "spec": {
                "matchingPrecedence": 50, "priorityLevelConfiguration": {"name": HELD},
                "rules": [{"subjects": [account], "resourceRules": [asked]}],
            },
        });
        for object in [level, flow] {
            let apply = control_plane.kubectl().args(["apply", "--filename=-"]);
            apply.stdin(object.to_string()).ok();
        }
        Self(control_plane)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for kind in ["flowschema", "prioritylevelconfiguration"] {
            self.0.kubectl().args(["delete", kind, HELD, "--ignore-not-found"]).run();
        }
    }
}

#[test]
fn a_configuration_that_may_not_be_read_holds_no_certificate_up_and_lets_no_ca_sign() {
    let (_turn, control_plane) = alone();
    for kind in KINDS {
        let narrowed = || Narrowed::of(control_plane, kind);
        time_goes_on_without_it(control_plane, &format!("managed-{kind}"), narrowed);
    }
}

/// An overloaded API server answers others, and this late or never.
#[test]
fn a_configuration_that_is_not_answered_for_holds_no_certificate_up_either() {
    let (_turn, control_plane) = alone();
    time_goes_on_without_it(control_plane, "managed-held", || Held::of(control_plane, KINDS[0]));
}

fn time_goes_on_without_it<H>(control_plane: &ControlPlane, name: &str, hinder: impl Fn() -> H) {
    let site = Site::fresh(control_plane);
    let replica = site.replica(name, &LONG);
    let url = format!("https://{}", replica.address());
    site.apply(&["apply"], configurations_without_ca(control_plane, &url));
    replica.until_ready();
    let bundle = site.published("at first");
    let (signer, leaf) = (site.stored("signer.crt"), site.stored("tls.crt"));

    let hindered = hinder();
    let log = || replica.server().log();
    eventually("it is told", BOUND, || {
        log().contains("a webhook configuration cannot be read").then_some(())
    });
    let before = rotations(&replica, "leaf");
    site.ask("leaf");
    site.answered();
    rotated(&replica, "leaf", before);
    assert_ne!(site.stored("tls.crt"), leaf);
    handshake(replica.address(), &bundle).expect("the same CA");

    site.ask("ca");
    eventually("the next CA is made", BOUND, || {
        (!site.stored("next-signer.crt").is_empty()).then_some(())
    });
    // Longer than a CA needs to settle where it can be seen.
    site.round();
    site.round();
    assert_eq!(site.stored("signer.crt"), signer, "a CA signs that may be unpublished");

    drop(hindered);
    site.answered();
    assert_ne!(site.stored("signer.crt"), signer);
    eventually("it is told", BOUND, || log().contains("certificates are kept again").then_some(()));
}
