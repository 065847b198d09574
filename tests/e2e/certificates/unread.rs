//! A webhook configuration that wavegate may not read: what it carries is not known, and time goes on.

use serde_json::{Value, json};

use super::handshake::handshake;
use super::{BOUND, KINDS, LONG, Site, rotated, rotations};
use crate::alone::alone;
use crate::cluster::wavegate::configurations_without_ca;
use crate::cluster::{ControlPlane, eventually};

const ROLE: [&str; 2] = ["clusterrole", "wavegate"];

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

#[test]
fn a_configuration_that_may_not_be_read_holds_no_certificate_up_and_lets_no_ca_sign() {
    let (_turn, control_plane) = alone();
    for kind in KINDS {
        let site = Site::fresh(control_plane);
        let replica = site.replica(&format!("managed-{kind}"), &LONG);
        let url = format!("https://{}", replica.address());
        site.apply(&["apply"], configurations_without_ca(control_plane, &url));
        replica.until_ready();
        let bundle = site.published("at first");
        let (signer, leaf) = (site.stored("signer.crt"), site.stored("tls.crt"));

        let narrowed = Narrowed::of(control_plane, kind);
        let log = || replica.server().log();
        eventually("it is told", BOUND, || {
            log().contains("a webhook configuration cannot be read").then_some(())
        });
        let before = rotations(&replica, "leaf");
        site.ask("leaf");
        site.answered();
        rotated(&replica, "leaf", before);
        assert_ne!(site.stored("tls.crt"), leaf, "{kind}");
        handshake(replica.address(), &bundle).expect("the same CA");

        site.ask("ca");
        eventually("the next CA is made", BOUND, || {
            (!site.stored("next-signer.crt").is_empty()).then_some(())
        });
        // Longer than a CA needs to settle where it can be seen.
        site.round();
        site.round();
        assert_eq!(site.stored("signer.crt"), signer, "{kind}: a CA signs that may be unpublished");

        drop(narrowed);
        site.answered();
        assert_ne!(site.stored("signer.crt"), signer, "{kind}");
        eventually("it is told", BOUND, || {
            log().contains("certificates are kept again").then_some(())
        });
    }
}
