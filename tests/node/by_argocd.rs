//! The chart as an Application of Argo CD, as the page about it has it: with self-heal, prune, server-side apply and
//! server-side diff. It is on a cluster of its own, since wavegate is there once per cluster.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::argocd::{
    Application, ArgoCd, Health, Phase, Refresh, Repository, Sync, SyncStatus,
};
use crate::cluster::{ControlPlane, chart, eventually, node, wavegate};
use crate::installation::{self, NAMESPACE};
use crate::load::Load;

const BOUND: Duration = Duration::from_mins(2);

const KINDS: [&str; 2] = ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"];

const PAGE: &str = include_str!("../../docs/argocd.md");

#[test]
fn the_chart_is_installed_healed_and_upgraded_by_argo_cd() {
    if node::shared().is_none() || node::obstacle().is_some() {
        return;
    }
    let begin = Instant::now();
    let cluster = ControlPlane::start_node().unwrap_or_else(|error| panic!("{error}"));
    cluster.load(&installation::own_image(&cluster));
    let argocd = ArgoCd::start(&cluster).unwrap_or_else(|error| panic!("{error}"));
    let repository = argocd.repository("platform");
    repository.commit(charts(&chart::folder()));
    let application = argocd.apply(&manifest(), &repository);

    assert_eq!(application.automated(&repository.head()).phase, Phase::Succeeded);
    in_order(&application);
    wavegate::until_asked(&cluster);
    let authority = authority(&cluster).expect("all entries trust one CA");

    // Whatever happens from here on, no admission fails.
    let guarded = cluster.namespace("by_argocd", &[("wavegate.dev/mode", "enforce")]);
    let load = Load::start(&cluster, guarded.name());
    application.refresh(Refresh::Hard);
    in_order(&application);
    heals(&cluster, &application);
    upgrades(&cluster, &application, &repository);
    let tally = load.end();
    println!("installed by Argo CD, healed and upgraded: {tally}");
    assert!(tally.failures.is_empty() && tally.unanswered == 0, "{}", tally.lines());
    assert!(tally.total() > 100, "{tally}");

    without_server_side_apply(&cluster, &application);
    assert_eq!(self::authority(&cluster), Some(authority), "the CA is the one of the installation");
    restores_what_is_deleted(&cluster, &application);
    println!("the chart by Argo CD took {:.0?}", begin.elapsed());
}

/// The Application on the page.
fn manifest() -> Value {
    let (_, section) = PAGE.split_once("installed by Argo CD").expect("the section");
    let block = section.split("```").nth(1).and_then(|block| block.strip_prefix("yaml\n"));
    let documents = ::wavegate::check::yaml::documents(block.expect("a manifest")).expect("YAML");
    let application = documents.into_iter().next().expect("a document").value;
    let policy = &application["spec"]["syncPolicy"];
    assert_eq!(policy["automated"], json!({"prune": true, "selfHeal": true}));
    application
}

/// The chart's files, as they are in a repository that has them under `charts/wavegate`.
fn charts(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let below = path.strip_prefix(folder).expect("it is below").display();
                let text = fs::read_to_string(&path).expect("a text");
                files.push((format!("charts/wavegate/{below}"), text));
            }
        }
    }
    files
}

/// The CA that all entries of both configurations trust; none while they differ or one has none.
fn authority(cluster: &ControlPlane) -> Option<String> {
    let mut found = BTreeSet::new();
    for kind in KINDS {
        let configuration = cluster.kubectl().args(["get", kind, "wavegate"]).json();
        for entry in configuration["webhooks"].as_array()? {
            found.insert(entry["clientConfig"]["caBundle"].as_str()?.to_owned());
        }
    }
    found.pop_first().filter(|_| found.is_empty())
}

/// Synced and Healthy, every object of it, and nothing to complain of.
fn in_order(application: &Application<'_>) {
    let status = application.becomes(SyncStatus::Synced, Health::Healthy);
    let resources = status.object["status"]["resources"].as_array().cloned().unwrap_or_default();
    assert!(resources.len() > 10, "{status:#?}");
    let other: Vec<_> = resources.iter().filter(|it| it["status"] != "Synced").collect();
    assert!(other.is_empty(), "{other:#?}");
    assert!(status.conditions.is_empty(), "{:#?}", status.conditions);
}

fn timeout(cluster: &ControlPlane) -> String {
    let first = "-o=jsonpath={.webhooks[0].timeoutSeconds}";
    cluster.kubectl().args(["get", KINDS[0], "wavegate", first]).ok()
}

/// Somebody edits a webhook: Argo CD undoes it, and the CA stays.
fn heals(cluster: &ControlPlane, application: &Application<'_>) {
    let before = authority(cluster);
    let patch = r#"[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 7}]"#;
    let edit = ["patch", KINDS[0], "wavegate", "--type=json", "--patch", patch];
    cluster.kubectl().args(edit).ok();
    eventually("the edit is undone", BOUND, || (timeout(cluster) == "3").then_some(()));
    in_order(application);
    assert_eq!(authority(cluster), before);
    assert!(before.is_some());
}

/// A commit that pins a namespace, and by another level of the log makes the pods roll.
fn upgrades(cluster: &ControlPlane, application: &Application<'_>, repository: &Repository) {
    let before = authority(cluster);
    let values = fs::read_to_string(chart::folder().join("values.yaml")).expect("the values");
    let changed = values
        .replace("pinnedNamespaces: []", "pinnedNamespaces: [pinned]")
        .replace("  log: info", "  log: debug");
    assert!(changed.contains("[pinned]") && changed.contains("log: debug"));
    let revision = repository.commit([("charts/wavegate/values.yaml", changed)]);
    application.refresh(Refresh::Normal);
    assert_eq!(application.automated(&revision).phase, Phase::Succeeded);
    let status = ["rollout", "status", "deployment/wavegate", "--timeout=110s"];
    cluster.kubectl().namespace(NAMESPACE).args(status).within(BOUND).ok();
    in_order(application);
    // The entries of the pinned namespace are new, and trust the same CA as the others.
    eventually("new entries get the CA", BOUND, || (authority(cluster) == before).then_some(()));
    let configuration = cluster.kubectl().args(["get", KINDS[0], "wavegate"]).json();
    assert!(configuration["webhooks"].to_string().contains("workloads.pinned.wavegate.dev"));
    in_order(application);
}

/// The same by client-side apply, compared by Argo CD itself.
fn without_server_side_apply(cluster: &ControlPlane, application: &Application<'_>) {
    application.change(&json!({
        "metadata": {"annotations": {"argocd.argoproj.io/compare-options": null}},
        "spec": {"syncPolicy": {"syncOptions": ["CreateNamespace=true"]}},
    }));
    let operation = application.sync(&Sync::full());
    assert_eq!(operation.phase, Phase::Succeeded, "{operation:#?}");
    application.refresh(Refresh::Hard);
    in_order(application);
    heals(cluster, application);
}

/// Somebody deletes a configuration: Argo CD creates it anew, and wavegate gives it its CA.
fn restores_what_is_deleted(cluster: &ControlPlane, application: &Application<'_>) {
    let before = authority(cluster);
    for kind in KINDS {
        cluster.kubectl().args(["delete", kind, "wavegate"]).ok();
    }
    eventually("both are there again, with the CA", BOUND, || {
        let there = KINDS
            .iter()
            .all(|kind| cluster.kubectl().args(["get", kind, "wavegate"]).run().status.success());
        (there && authority(cluster) == before).then_some(())
    });
    in_order(application);
    wavegate::until_asked(cluster);
}
