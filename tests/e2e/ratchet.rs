//! A namespace full of running apps is switched to enforce, and nothing turns red.

use crate::guard::{codes, guarded, verdict};

const BAD: &str = "examples/bad/wg501-max-unavailable.yaml";

#[test]
fn what_ran_yesterday_is_applied_again_today() {
    let (control_plane, _) = guarded();
    let namespace = control_plane.namespace("ratchet", &[("wavegate.dev/mode", "off")]);
    let apply = ["apply", "--filename", BAD];
    namespace.kubectl().args(apply).ok();
    let label =
        ["label", "--overwrite", "namespace", namespace.name(), "wavegate.dev/mode=enforce"];
    control_plane.kubectl().args(label).ok();

    // What Argo CD's server-side diff sends.
    let diff = ["apply", "--server-side", "--dry-run=server", "--force-conflicts"];
    let diff = namespace.kubectl().args(diff).args([
        "--field-manager=argocd-controller",
        "--filename",
        BAD,
    ]);
    assert_eq!(verdict(&diff.run()).denied, codes(&[]));
    // Also about something worse than what runs: it is asked before the migration has run.
    let worse = std::fs::read_to_string(BAD).unwrap().replace("api:v1.4.0", "api:latest");
    let worse = || {
        let diff =
            ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "--filename=-"];
        namespace.kubectl().args(diff).stdin(worse.clone())
    };
    let found = verdict(&worse().args(["--field-manager=argocd-controller"]).run());
    assert_eq!((found.denied, found.warned), (codes(&[]), codes(&["WG303", "WG501"])));
    assert_eq!(verdict(&worse().run()).denied, codes(&["WG303"]));

    namespace.kubectl().args(apply).ok();
    namespace.kubectl().args(["scale", "deployment/shop-api", "--replicas=5"]).ok();
    namespace.kubectl().args(["label", "deployment/shop-api", "team=checkout"]).ok();
    namespace.kubectl().args(["rollout", "restart", "deployment/shop-api"]).ok();

    // A change that the rules look at warns about what was there before.
    let image = ["set", "image", "deployment/shop-api", "api=registry.example.com/shop/api:v1.4.1"];
    let changed = verdict(&namespace.kubectl().args(image).run());
    assert_eq!(changed.denied, codes(&[]));
    assert_eq!(changed.warned, codes(&["WG501"]));

    // What is new is held to the rules.
    let worse = ["set", "image", "deployment/shop-api", "api=registry.example.com/shop/api:latest"];
    assert_eq!(verdict(&namespace.kubectl().args(worse).run()).denied, codes(&["WG303"]));
    let fresh =
        std::fs::read_to_string(BAD).unwrap().replacen("name: shop-api", "name: shop-web", 1);
    let fresh = namespace.kubectl().args(["create", "--filename=-"]).stdin(fresh);
    assert_eq!(verdict(&fresh.run()).denied, codes(&["WG501"]));
}
