//! What is read of a namespace at the moment of a decision.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wavegate::cluster::{ObjectKey, Question, Reading, Reference, ReferenceKind};
use wavegate::server::live::Unread;
use wavegate::server::{Metrics, Readiness};
use wavegate::watch::{self, Watch};

use crate::cluster::wavegate::own_kubeconfig;
use crate::cluster::{Namespace, eventually};
use crate::guard::{enforcing, guarded};
use crate::proxy::{Mode, Proxy};
use crate::records::{create, migration, record, runs};

const BOUND: Duration = Duration::from_mins(1);

async fn watching(kubeconfig: &std::path::Path) -> Watch {
    let config =
        watch::Config { kubeconfig: Some(kubeconfig.to_owned()), ..watch::Config::default() };
    watch::start(config, Metrics::new().into(), Readiness::new().into()).await.expect("a client")
}

fn ask(
    watch: &Watch,
    runtime: &tokio::runtime::Runtime,
    question: Question,
) -> Result<Reading, Unread> {
    runtime.block_on(watch.live.read(question))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn app(kind: &str, name: &str, image: &str) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": name, "labels": {"wavegate.dev/app": "shop"}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "api", "image": image,
                    "readinessProbe": {"tcpSocket": {"port": 80}}}]},
            },
        },
    });
    if kind == "StatefulSet" {
        object["spec"]["serviceName"] = json!(name);
    }
    object
}

fn apply(namespace: &Namespace<'_>, object: &Value) {
    namespace.kubectl().args(["apply", "--filename=-"]).stdin(object.to_string()).ok();
}

#[test]
fn a_namespace_is_read_whole_and_at_once() {
    let (control_plane, _) = guarded();
    let labels = [("wavegate.dev/mode", "off")];
    let namespace = control_plane.namespace("live::whole", &labels);
    // Not stamped, so that no watch sees it.
    let job = create(&namespace, &migration("shop-migrate", &runs()));
    for (kind, name) in [("Deployment", "api"), ("StatefulSet", "db"), ("DaemonSet", "agent")] {
        for image in ["shop/api:v1", "shop/api:v2"] {
            apply(&namespace, &app(kind, name, image));
            let rollout = ["rollout", "status", "--timeout=50s", &format!("{kind}/{name}")];
            namespace.kubectl().args(rollout).ok();
        }
    }
    let runtime = runtime();
    let watch = runtime.block_on(watching(&own_kubeconfig(control_plane, None)));
    let reference =
        |kind, name: &str| Reference { kind, name: name.to_owned(), path: String::new() };
    let question = |kind, name: &str| Question {
        namespace: namespace.name().to_owned(),
        revisions_of: Some(ObjectKey {
            kind,
            namespace: namespace.name().to_owned(),
            name: name.to_owned(),
        }),
        running: true,
        references: vec![
            reference(ReferenceKind::ServiceAccount, "default"),
            reference(ReferenceKind::ServiceAccount, "none"),
            reference(ReferenceKind::ConfigMap, "kube-root-ca.crt"),
            reference(ReferenceKind::ConfigMap, "none"),
            reference(ReferenceKind::PersistentVolumeClaim, "none"),
        ],
    };
    for (kind, name) in [("Deployment", "api"), ("StatefulSet", "db"), ("DaemonSet", "agent")] {
        let reading = ask(&watch, &runtime, question(kind, name)).expect("an answer");
        let images: BTreeSet<_> =
            reading.revisions.iter().flat_map(|r| &r.images).map(ToString::to_string).collect();
        assert_eq!(
            images,
            BTreeSet::from(["shop/api:v1".to_owned(), "shop/api:v2".to_owned()]),
            "{kind}"
        );
        assert_eq!(reading.jobs.len(), 1, "{kind}");
        assert_eq!(json!(reading.jobs[0].uid), job["metadata"]["uid"]);
        let missing: Vec<_> =
            reading.missing.iter().map(|r| (r.kind.name(), r.name.as_str())).collect();
        assert_eq!(
            missing,
            [("ServiceAccount", "none"), ("ConfigMap", "none"), ("PersistentVolumeClaim", "none")]
        );
        let pods: Vec<_> = reading.running.iter().filter(|facts| facts.key.kind == "Pod").collect();
        // One of each workload, the DaemonSet's on each node; not the Job's.
        assert!(pods.len() >= 4, "{:?}", reading.running);
        for pod in pods {
            assert_eq!(pod.ties.app.as_deref(), Some("shop"), "{pod:?}");
        }
        assert_eq!(reading.running.iter().filter(|facts| facts.key.kind != "Pod").count(), 3);
    }
}

#[test]
fn a_record_and_its_job_are_one_attempt_in_what_the_watches_know() {
    let (control_plane, _) = guarded();
    let namespace = enforcing("live::known");
    create(&namespace, &migration("shop-migrate", &json!({})));
    let stored = record(&namespace, "Succeeded");
    let uid = stored["metadata"]["name"].as_str().expect("a name");
    let runtime = runtime();
    let watch = runtime.block_on(watching(&own_kubeconfig(control_plane, None)));
    eventually("both watches brought it", BOUND, || {
        let state = watch.state.read().expect("no panic");
        let sighting = state.attempts().get(namespace.name(), uid)?;
        (sighting.has_job() && sighting.is_recorded()).then_some(())
    });
    let reading = Question { namespace: namespace.name().to_owned(), ..Question::default() };
    let reading = ask(&watch, &runtime, reading).expect("an answer");
    assert_eq!((reading.jobs.len(), reading.records.len()), (1, 1));
    runtime.block_on(watch.stop(Duration::ZERO));
}

#[test]
fn what_cannot_be_read_is_said_within_a_second() {
    let (control_plane, _) = guarded();
    let namespace = control_plane.namespace("live::unread", &[]);
    let question = || Question { namespace: namespace.name().to_owned(), ..Question::default() };
    let kubeconfig = std::fs::read(control_plane.kubeconfig()).expect("a kubeconfig");
    let kubeconfig: Value = serde_json::from_slice(&kubeconfig).expect("JSON");
    let proxy = Proxy::to(kubeconfig["clusters"][0]["cluster"]["server"].as_str().expect("a URL"));
    let own = own_kubeconfig(control_plane, Some(&proxy.address()));
    let runtime = runtime();
    let watch = runtime.block_on(watching(&own));
    ask(&watch, &runtime, question()).expect("an answer");
    for (mode, want) in [
        (Mode::Silent, "the API server did not answer within 1 s"),
        (Mode::Off, "the API server does not answer"),
    ] {
        proxy.set(mode);
        // The first question may still be sent on a connection that has just been cut.
        ask(&watch, &runtime, question()).expect_err("no answer");
        let asked = Instant::now();
        let unread = ask(&watch, &runtime, question()).expect_err("no answer");
        assert_eq!(unread.0, want, "{mode:?}");
        assert!(asked.elapsed() < Duration::from_millis(1500), "{mode:?}: {:?}", asked.elapsed());
    }
    proxy.set(Mode::On);
    ask(&watch, &runtime, question()).expect("an answer again");

    let mut nobody: Value =
        serde_json::from_slice(&std::fs::read(&own).expect("a file")).expect("JSON");
    let create = ["create", "token", "default"];
    nobody["users"][0]["user"] = json!({"token": namespace.kubectl().args(create).ok().trim()});
    let path = control_plane.directory().join("nobody.kubeconfig");
    std::fs::write(&path, nobody.to_string()).expect("a file");
    let watch = runtime.block_on(watching(&path));
    let unread = ask(&watch, &runtime, question()).expect_err("no rights");
    assert!(unread.0.starts_with("wavegate may not list "), "{unread}");
}
