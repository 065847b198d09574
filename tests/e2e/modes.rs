//! Which namespaces are guarded, and how.

use std::time::Duration;

use crate::cluster::eventually;
use crate::conditions::{SELECTOR, strict_configurations};
use crate::guard::{codes, enforcing, guarded, verdict};

const BAD: &str = "--filename=examples/bad/wg101-backoff-limit-3.yaml";

#[test]
fn a_namespace_without_a_label_is_warned() {
    let (control_plane, _) = guarded();
    for (name, labels) in [
        ("modes::none", &[][..]),
        ("modes::warn", &[("wavegate.dev/mode", "warn")][..]),
        ("modes::misspelt", &[("wavegate.dev/mode", "enforced")][..]),
    ] {
        let namespace = control_plane.namespace(name, labels);
        let output = namespace.kubectl().args(["create", BAD]).run();
        let found = verdict(&output);
        assert_eq!(found.denied, codes(&[]), "{name}");
        let told = output.stderr.contains("is none of enforce, warn and off");
        assert_eq!(told, name == "modes::misspelt", "{name}: {}", output.stderr);
        assert!(found.warned.contains("WG101"), "{name}: {:?}", found.warned);
        let job = namespace.kubectl().args(["get", "job", "shop-migrate"]).json();
        let metadata = &job["metadata"];
        assert_eq!(metadata["labels"]["stamp.wavegate.dev/tracked"], "true", "{name}");
        assert!(job["spec"]["template"]["spec"]["initContainers"].is_null(), "{name}");
    }
}

#[test]
fn off_is_off() {
    let (control_plane, _) = guarded();
    let namespace = control_plane.namespace("modes::off", &[("wavegate.dev/mode", "off")]);
    let output = namespace.kubectl().args(["create", BAD]).run();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", output.stderr);
    let job = namespace.kubectl().args(["get", "job", "shop-migrate"]).json();
    assert!(!job["metadata"].to_string().contains("stamp.wavegate.dev"));
}

#[test]
fn an_authors_stamps_are_overwritten() {
    let namespace = enforcing("modes::forged");
    let good = include_str!("../../examples/shop/migration.yaml");
    let stamp = "  annotations:\n    stamp.wavegate.dev/creator: somebody-else\n";
    let forged = good.replacen("  annotations:\n", stamp, 1);
    assert_ne!(forged, good);
    namespace.kubectl().args(["create", "--filename=-"]).stdin(forged).ok();
    let job = namespace.kubectl().args(["get", "job", "shop-migrate"]).json();
    let creator = &job["metadata"]["annotations"]["stamp.wavegate.dev/creator"];
    assert_eq!(creator, "kubernetes-admin");
}

/// The mutating webhook fails open. A migration that it missed could never count, so it must not run.
#[test]
fn a_migration_that_was_not_stamped_is_refused_before_it_runs() {
    let (control_plane, wavegate) = guarded();
    let validating =
        strict_configurations(&wavegate.configurations(control_plane), "Validating", "unstamped");
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(validating).ok();
    let labels = [("wavegate.dev/mode", "off"), (SELECTOR, "unstamped")];
    let namespace = control_plane.namespace("modes::unstamped", &labels);
    let good = include_str!("../../examples/shop/migration.yaml");
    let found =
        eventually("the API server asks the validating side", Duration::from_secs(30), || {
            let create = ["create", "--dry-run=server", "--filename=-"];
            let found = verdict(&namespace.kubectl().args(create).stdin(good).run());
            (!found.denied.is_empty()).then_some(found)
        });
    assert_eq!(found.denied, codes(&["WG310"]));
    let app = ["create", "--filename=examples/shop/app.yaml"];
    namespace.kubectl().args(app).ok();
    control_plane
        .kubectl()
        .args(["delete", "validatingwebhookconfiguration", "wavegate-unstamped"])
        .ok();
}
