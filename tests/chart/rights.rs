//! What wavegate's account may do, as the API server lists it: what follows, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{chart, eventually};
use crate::rig::{installed, objects, template};

/// In its own namespace: resource, names, verbs.
const OWN: &str = "\
leases.coordination.k8s.io [] [create]
leases.coordination.k8s.io [wavegate-pruning] [get update]
leases.coordination.k8s.io [wavegate-certificates] [get update]
secrets [wavegate-certificates] [get list watch update]";

/// In every namespace, and on what has none.
const EVERYWHERE: &str = "\
configmaps [] [get]
controllerrevisions.apps [] [list]
daemonsets.apps [] [list]
deployments.apps [] [list]
events [] [create patch]
gateoverrides.wavegate.dev [] [get list watch]
jobs.batch [] [get list watch]
migrationrecords.wavegate.dev [] [get list watch create patch delete]
mutatingwebhookconfigurations.admissionregistration.k8s.io [wavegate] [get list watch patch]
namespaces [] [list]
persistentvolumeclaims [] [get]
pods [] [list]
replicasets.apps [] [list]
rolloutpolicies.wavegate.dev [] [get list watch]
rolloutpolicies.wavegate.dev/status [] [patch]
rollouts.argoproj.io [] [list]
serviceaccounts [] [get]
statefulsets.apps [] [list]
validatingwebhookconfigurations.admissionregistration.k8s.io [wavegate] [get list watch patch]";

/// What `kubectl auth can-i --list` says, without its columns of nothing.
fn listed(account: &str, namespace: &str) -> BTreeSet<String> {
    let (control_plane, _) = installed();
    let user = format!("--as=system:serviceaccount:wavegate:{account}");
    let list = ["auth", "can-i", "--list", "--no-headers", &user];
    let text = control_plane.kubectl().namespace(namespace).args(list).ok();
    text.lines()
        .map(|line| {
            let columns: Vec<_> =
                line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
            match columns[..] {
                [resource, "[]", names, verbs] => format!("{resource} {names} {verbs}"),
                _ => columns.join(" "),
            }
        })
        .collect()
}

#[test]
fn the_account_may_do_what_it_needs_and_nothing_else() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    for (namespace, want) in
        [("wavegate", &lines(OWN) | &lines(EVERYWHERE)), ("default", lines(EVERYWHERE))]
    {
        // What an account may that has no rights of its own is no business of the chart's.
        let own = &listed("wavegate", namespace) - &listed("nobody", namespace);
        assert_eq!(own, want, "in {namespace}");
    }
}

/// Who may view everything.
const VIEWED_EVERYWHERE: &str = "\
gateoverrides.wavegate.dev [] [get list watch]
migrationrecords.wavegate.dev [] [get list watch]
mutatingwebhookconfigurations.admissionregistration.k8s.io [wavegate] [get]
rolloutpolicies.wavegate.dev [] [get list watch]
validatingwebhookconfigurations.admissionregistration.k8s.io [wavegate] [get]";

#[test]
fn who_may_view_may_read_what_why_reads_and_nothing_else() {
    let (control_plane, _) = installed();
    let namespace = control_plane.namespace("rights::viewer", &[]);
    let bind = |arguments: &[&str]| {
        namespace.kubectl().args(["create"]).args(arguments).ok();
    };
    bind(&[
        "clusterrolebinding",
        "rights-role",
        "--clusterrole=wavegate-view",
        "--serviceaccount=wavegate:role",
    ]);
    let want: BTreeSet<_> = VIEWED_EVERYWHERE.lines().map(str::to_owned).collect();
    let own = &listed("role", "default") - &listed("nobody", "default");
    assert_eq!(own, want);

    bind(&[
        "clusterrolebinding",
        "rights-all",
        "--clusterrole=view",
        "--serviceaccount=wavegate:all",
    ]);
    bind(&["rolebinding", "rights-one", "--clusterrole=view", "--serviceaccount=wavegate:one"]);
    let asked = |account: &str, verb: &str, what: &str, whole: bool| {
        let user = format!("--as=system:serviceaccount:wavegate:{account}");
        let whole = format!("--all-namespaces={whole}");
        let ask = ["auth", "can-i", verb, what, &user, &whole];
        namespace.kubectl().args(ask).run().status.success()
    };
    let may_here = |account: &str, verb: &str, what: &str| asked(account, verb, what, false);
    // As one asks about what has no namespace.
    let may = |account: &str, verb: &str, what: &str| asked(account, verb, what, true);
    eventually("the role is part of view", Duration::from_secs(30), || {
        may("all", "list", "migrationrecords").then_some(())
    });
    let configuration = "validatingwebhookconfigurations/wavegate";
    for what in ["migrationrecords", "gateoverrides"] {
        assert!(may_here("one", "list", what) && !may("one", "list", what), "{what}");
    }
    // A RoleBinding gives no right to what has no namespace.
    for what in ["rolloutpolicies", configuration, "mutatingwebhookconfigurations/wavegate"] {
        assert!(may("all", "get", what) && !may("one", "get", what), "{what}");
    }
    assert!(!may("all", "get", "validatingwebhookconfigurations/of-somebody-else"));
    assert!(!may("all", "patch", configuration) && !may("all", "list", configuration));
    control_plane
        .kubectl()
        .args(["delete", "clusterrolebinding", "rights-role", "rights-all"])
        .ok();
}

#[test]
fn the_role_for_people_is_bound_to_nobody_and_may_stay_out_of_view() {
    let rendered = objects(&template(&[]).ok());
    for binding in
        rendered.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding"))
    {
        assert_eq!(binding["roleRef"]["name"], "wavegate", "{binding}");
        for subject in binding["subjects"].as_array().unwrap() {
            assert_eq!(subject["kind"], "ServiceAccount", "{binding}");
        }
    }
    let is_aggregated = |values: &[&str]| {
        let rendered = objects(&template(values).ok());
        let view = rendered.iter().find(|object| object["metadata"]["name"] == "wavegate-view");
        let labels = &view.expect("the role")["metadata"]["labels"];
        labels["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    };
    assert!(is_aggregated(&[]) && !is_aggregated(&["rbac.aggregateToView=false"]));
}

fn rules_of(values: &[&str], name: impl Fn(&str) -> bool) -> Vec<Value> {
    let objects = objects(&template(values).ok());
    let roles = objects
        .into_iter()
        .filter(|object| ["ClusterRole", "Role"].contains(&object["kind"].as_str().unwrap()))
        .filter(|object| name(object["metadata"]["name"].as_str().unwrap()));
    roles.flat_map(|role| role["rules"].as_array().unwrap().clone()).collect()
}

/// Certificates that somebody else keeps need no right to a Secret or to the webhooks.
#[test]
fn rights_that_only_managed_certificates_need_go_with_them() {
    let text = |values: &[&str]| {
        let own = rules_of(values, |name| name == "wavegate");
        serde_json::to_string(&own).unwrap()
    };
    let managed = text(&[]);
    let given = text(&["certificates.source=secret", "webhook.caBundle=Q0E="]);
    for right in ["secrets", "webhookconfigurations", "wavegate-certificates"] {
        assert!(managed.contains(right) && !given.contains(right), "{right}");
    }
}

#[test]
fn no_rule_has_a_wildcard() {
    for rule in rules_of(&[], |_| true) {
        assert!(!rule.to_string().contains('*'), "{rule}");
    }
}

/// Argo CD's account may do everything, and still cannot break the glass or make up what happened.
#[test]
fn guards_hold_for_accounts_that_may_do_everything() {
    let (control_plane, _) = installed();
    let bindings = serde_json::json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "rights-argocd"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "application-controller", "namespace": "argocd"}],
    });
    control_plane.kubectl().args(["create", "--filename=-"]).stdin(bindings.to_string()).ok();
    let rendered = objects(&template(&[]).ok());
    for (policy, resource) in
        [("wavegate-records", "migrationrecords"), ("wavegate-overrides", "gateoverrides")]
    {
        let found = rendered.iter().find(|object| {
            object["kind"] == "ValidatingAdmissionPolicy" && object["metadata"]["name"] == policy
        });
        let matched = &found.unwrap()["spec"]["matchConstraints"]["resourceRules"][0];
        assert_eq!(matched["resources"][0], resource);
        assert_eq!(matched["operations"].as_array().unwrap().len(), 3, "{policy}");
    }
    let namespace = control_plane.namespace("rights::guards", &[]);
    let record = serde_json::json!({
        "apiVersion": "wavegate.dev/v1alpha1", "kind": "MigrationRecord", "metadata": {"name": "forged"},
        "spec": {"app": "a", "migration": "m", "release": "v1", "image": "a:v1", "phase": "expand",
                 "confidence": "strong",
                 "job": {"name": "j", "uid": "forged", "created": "2026-01-01T00:00:00Z"}},
        "status": {"outcome": "Succeeded"},
    });
    let create = |user: &str| {
        let user = format!("--as={user}");
        let create = ["create", "--dry-run=server", "--filename=-", &user];
        namespace.kubectl().args(create).stdin(record.to_string()).run()
    };
    let refused = create("system:serviceaccount:argocd:application-controller");
    assert!(refused.stderr.contains("records.writers"), "{}", refused.stderr);
    let own = create("system:serviceaccount:wavegate:wavegate");
    assert!(own.status.success(), "{}", own.stderr);
}

const BYPASS: &str = include_str!("../../examples/overrides/bypass.yaml");

/// A person needs a role alone; who is none by its user's name may be named.
#[test]
fn overrides_are_for_persons_with_the_role() {
    let (control_plane, _) = installed();
    let values = ["gateOverrides.refused={cloud-role}"];
    let guards = chart::render(control_plane, &["guards"], &values);
    // Beside the guard that is there: a request must pass both.
    let guards = guards.replace("wavegate-overrides", "wavegate-refused");
    let guards = guards.replace("wavegate-records", "wavegate-refused-records");
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(&*guards).ok();
    let namespace = control_plane.namespace("rights::persons", &[]);
    let bind = ["create", "rolebinding", "overrides", "--clusterrole=wavegate-overrides"];
    let subjects = ["--user=sre", "--user=cloud-role"];
    namespace.kubectl().args(bind).args(subjects).ok();
    let create = |user: &str| {
        let user = format!("--as={user}");
        let create = ["create", "--dry-run=server", "--filename=-", &user];
        namespace.kubectl().args(create).stdin(BYPASS).run()
    };
    eventually("the guard is in force", Duration::from_secs(30), || {
        let refused = create("cloud-role");
        refused.stderr.contains("a person's word; cloud-role may neither").then_some(())
    });
    let person = create("sre");
    assert!(person.status.success(), "{}", person.stderr);
    let nobody = create("developer");
    assert!(
        nobody.stderr.contains("cannot create resource \"gateoverrides\""),
        "{}",
        nobody.stderr
    );
    let account = create("system:serviceaccount:argocd:application-controller");
    assert!(account.stderr.contains("gateOverrides.writers"), "{}", account.stderr);
    for policy in ["wavegate-refused", "wavegate-refused-records"] {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            control_plane.kubectl().args(["delete", kind, policy]).ok();
        }
    }
}
