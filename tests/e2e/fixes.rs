//! What a policy fills in, on a real API server: the same on either side of an apply, on a dry run and for `check`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::alone::alone;
use crate::guard::{codes, verdict};
use crate::policy::{Guard, apply, condition, policy};

const MIGRATION: &str = include_str!("../../examples/shop/migration.yaml");

/// The recipe's migration, with neither a limit nor a deadline.
fn bare() -> String {
    let left_out = ["backoffLimit:", "activeDeadlineSeconds:"];
    let lines = MIGRATION.lines().filter(|line| !left_out.iter().any(|field| line.contains(field)));
    let bare: Vec<&str> = lines.collect();
    assert_eq!(bare.len(), MIGRATION.lines().count() - 2);
    bare.join("\n")
}

/// What may be filled in, and what is said of it.
fn filled(job: &Value) -> Value {
    let spec = &job["spec"];
    json!([
        spec["backoffLimit"],
        spec["activeDeadlineSeconds"],
        spec["podReplacementPolicy"],
        spec.pointer("/template/metadata/annotations/karpenter.sh~1do-not-disrupt"),
        job["metadata"]["annotations"]["stamp.wavegate.dev/fixed"],
    ])
}

#[test]
fn what_was_left_out_is_filled_in_for_good() {
    let (_turn, control_plane) = alone();
    let guard = Guard::start(control_plane, "policy-fixes");
    let fixes = policy(&json!({"fixes": {
        "noRetries": true, "deadlineSeconds": 240, "replaceFailedOnly": true, "doNotEvict": true}}));
    let output = apply(control_plane, &fixes);
    assert!(output.status.success(), "{}", output.stderr);
    condition(control_plane, "Accepted", "True");

    let stamp = "noRetries,deadlineSeconds,replaceFailedOnly,doNotEvict";
    let all = json!([0, 240, "Failed", "true", stamp]);
    for (name, side) in
        [("fixes::client", "--server-side=false"), ("fixes::server", "--server-side")]
    {
        let namespace = control_plane.namespace(name, &[("wavegate.dev/mode", "enforce")]);
        let apply = |more: &[&str]| {
            let apply = namespace.kubectl().args(["apply", side, "--output=json", "--filename=-"]);
            let output = apply.args(more).stdin(bare()).run();
            assert!(output.status.success(), "{side} {more:?}: {}", output.stderr);
            (serde_json::from_str::<Value>(&output.stdout).expect("a Job"), output.stderr)
        };
        let (dry, told) = apply(&["--dry-run=server"]);
        assert_eq!(filled(&dry), all, "{side}");
        for said in ["backoffLimit was set to 0", "activeDeadlineSeconds was set to 240"] {
            assert!(told.contains(&format!("Warning: wavegate: {said}")), "{side}: {told}");
        }
        let (created, _) = apply(&[]);
        assert_eq!(filled(&created), all, "{side}");
        let wait = ["wait", "job/shop-migrate", "--for=condition=Complete", "--timeout=50s"];
        namespace.kubectl().args(wait).ok();
        assert_eq!(filled(&apply(&[]).0), all, "{side}: applied once more");

        let retries = bare().replace("\nspec:\n", "\nspec:\n  backoffLimit: 3\n");
        let retries = retries.replace("name: shop-migrate", "name: shop-retries");
        let refused = namespace.kubectl().args(["apply", side, "--filename=-"]).stdin(retries);
        let refused = refused.run();
        assert_eq!(verdict(&refused).denied, codes(&["WG101"]), "{}", refused.stderr);
    }

    let warned = control_plane.namespace("fixes::warned", &[("wavegate.dev/mode", "warn")]);
    let create = ["create", "--output=json", "--filename=-"];
    let created = warned.kubectl().args(create).stdin(bare()).run();
    let created: Value = serde_json::from_str(&created.stdout).expect("a Job");
    assert_eq!(filled(&created), json!([6, null, "TerminatingOrFailed", null, null]));

    let folder = control_plane.directory().join("fixes");
    fs::create_dir_all(&folder).expect("a folder");
    let (manifest, settings) = (folder.join("job.yaml"), folder.join("policy.json"));
    fs::write(&manifest, bare()).expect("a file");
    fs::write(&settings, fixes).expect("a file");
    let check = |with_policy: bool| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_wavegate"));
        check.arg("check").arg(&manifest);
        if with_policy {
            check.arg("--policy").arg(&settings);
        }
        let output = check.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text.contains("WG101"), text.contains("WG102"))
    };
    assert_eq!(check(false), (Some(1), true, true));
    assert_eq!(check(true), (Some(0), false, false));
    drop(guard);
}
