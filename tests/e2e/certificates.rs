//! Certificates that wavegate keeps itself: made, renewed, published and repaired in front of a real API server.

pub(crate) mod handshake;
mod load;
mod unread;
mod writers;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::alone::{alone, proxied};
use crate::cluster::wavegate::{Wavegate, configurations_without_ca, own_kubeconfig, until_asked};
use crate::cluster::{ControlPlane, eventually};
use crate::proxy::Mode;
use handshake::{Balancer, handshake};
use load::Load;

const BOUND: Duration = Duration::from_mins(1);

const SECRET: [&str; 3] = ["secret", "wavegate-certificates", "--namespace=wavegate"];

const KINDS: [&str; 2] = ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"];

/// Everything within seconds, so that a CA lives and dies in a test.
const SHORT: [&str; 4] = [
    "--leaf-lifetime=18s",
    "--ca-lifetime=48s",
    "--certificate-settle=4s",
    "--certificate-overlap=6s",
];

/// Like in a cluster, but that a CA settles within seconds.
const LONG: [&str; 2] = ["--certificate-settle=2s", "--certificate-overlap=3s"];

/// An installation without certificates: its Secret is empty, its configurations do not exist.
struct Site<'c> {
    control_plane: &'c ControlPlane,
    kubeconfig: PathBuf,
}

impl<'c> Site<'c> {
    fn fresh(control_plane: &'c ControlPlane) -> Self {
        let site = Self { control_plane, kubeconfig: own_kubeconfig(control_plane, None) };
        site.remove();
        let empty = json!({"data": null, "metadata": {"annotations": null}}).to_string();
        site.kubectl(&["patch"], &SECRET, &["--type=merge", "--patch", &empty]);
        site
    }

    fn kubectl(&self, verb: &[&str], what: &[&str], arguments: &[&str]) -> String {
        self.control_plane.kubectl().args(verb).args(what).args(arguments).ok()
    }

    fn replica(&self, name: &str, arguments: &[&str]) -> Wavegate {
        let binary = Path::new(env!("CARGO_BIN_EXE_wavegate"));
        Wavegate::launch_managed(self.control_plane, binary, name, &self.kubeconfig, arguments)
    }

    fn apply(&self, arguments: &[&str], manifest: String) {
        let kubectl = self.control_plane.kubectl().args(arguments).args(["--filename=-"]);
        kubectl.stdin(manifest).ok();
    }

    fn ask(&self, what: &str) {
        let asked = format!("wavegate.dev/rotate={what}");
        self.kubectl(&["annotate", "--overwrite"], &SECRET, &[&asked]);
    }

    /// Waits until what was asked for is done.
    fn answered(&self) {
        eventually("the annotation is gone", BOUND, || {
            let annotations = &self.secret()["metadata"]["annotations"];
            annotations["wavegate.dev/rotate"].is_null().then_some(())
        });
    }

    fn lease(&self) -> Value {
        let get = ["get", "lease", "wavegate-certificates"];
        self.control_plane.kubectl().namespace("wavegate").args(get).json()["spec"].clone()
    }

    /// Waits until the leader has claimed its Lease once more, which it does every five seconds, before a round.
    fn round(&self) {
        let renewed = self.lease()["renewTime"].clone();
        eventually("rounds go on", BOUND, || (self.lease()["renewTime"] != renewed).then_some(()));
    }

    fn secret(&self) -> Value {
        self.control_plane.kubectl().args(["get"]).args(SECRET).json()
    }

    /// One of the Secret's values.
    fn stored(&self, key: &str) -> Vec<u8> {
        let secret = self.secret();
        STANDARD.decode(secret["data"][key].as_str().unwrap_or_default()).expect("base64")
    }

    /// The bundle that all webhooks of both configurations carry; none while they do not agree.
    fn bundle(&self) -> Option<Vec<u8>> {
        let mut bundles = HashSet::new();
        for kind in KINDS {
            let found = self.control_plane.kubectl().args(["get", kind, "wavegate"]).json();
            for webhook in found["webhooks"].as_array().expect("webhooks") {
                bundles.insert(webhook["clientConfig"]["caBundle"].as_str().map(str::to_owned));
            }
        }
        let mut bundles = bundles.into_iter();
        match (bundles.next().flatten(), bundles.next()) {
            (Some(bundle), None) => STANDARD.decode(bundle).ok(),
            _ => None,
        }
    }

    /// Waits until all webhooks carry what the Secret says.
    fn published(&self, when: &str) -> Vec<u8> {
        eventually(&format!("the CAs are published {when}"), BOUND, || {
            self.bundle().filter(|bundle| *bundle == self.stored("ca.crt"))
        })
    }

    fn remove(&self) {
        for kind in KINDS {
            self.kubectl(&["delete"], &[kind, "wavegate"], &["--ignore-not-found"]);
        }
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

fn cas(bundle: &[u8]) -> usize {
    String::from_utf8_lossy(bundle).matches("BEGIN CERTIFICATE").count()
}

fn leads(replica: &Wavegate) -> bool {
    replica.metric("wavegate_certificates_leader") == Some(1.0)
}

fn rotations(replica: &Wavegate, kind: &str) -> f64 {
    let series = format!("wavegate_certificate_rotations_total{{kind=\"{kind}\",result=\"ok\"}}");
    replica.metric(&series).unwrap_or_default()
}

/// Waits until one more of a kind is counted, which it is a moment after it can be seen.
fn rotated(replica: &Wavegate, kind: &str, before: f64) {
    eventually(&format!("a rotation is counted: {kind}"), BOUND, || {
        (rotations(replica, kind) > before).then_some(())
    });
}

#[test]
fn leaf_and_ca_are_rotated_under_load_and_no_admission_fails() {
    let (_turn, control_plane) = alone();
    let site = Site::fresh(control_plane);
    let replicas = ["managed-a", "managed-b"].map(|name| site.replica(name, &SHORT));
    for replica in &replicas {
        eventually("it has a certificate and waits to be trusted", BOUND, || {
            let ready = replica.get("/readyz");
            (ready.contains("ca-bundle: a webhook configuration does not exist yet")
                && !ready.contains("certificate:"))
            .then_some(())
        });
    }
    let balancer = Balancer::over(replicas.each_ref().map(Wavegate::address));
    site.apply(&["apply"], configurations_without_ca(control_plane, &balancer.url()));
    for replica in &replicas {
        replica.until_ready();
    }
    until_asked(control_plane);
    assert_eq!(replicas.iter().filter(|replica| leads(replica)).count(), 1);

    let namespace =
        control_plane.namespace("certificates::load", &[("wavegate.dev/mode", "enforce")]);
    let load = Load::start(control_plane, namespace.name());
    let (mut leaves, mut signers, mut most, mut handshakes) =
        (HashSet::new(), HashSet::new(), 0, 0);
    let begin = Instant::now();
    // Two CAs have come and gone after that.
    while begin.elapsed() < Duration::from_secs(85) {
        let Some(bundle) = site.bundle() else { continue };
        most = most.max(cas(&bundle));
        for replica in &replicas {
            let leaf = handshake(replica.address(), &bundle)
                .unwrap_or_else(|error| panic!("after {:?}: {error}", begin.elapsed()));
            leaves.insert(leaf);
            handshakes += 1;
        }
        signers.insert(site.stored("signer.crt"));
    }
    let told = load.stop();
    println!(
        "{} admissions sent, {} failed; {handshakes} handshakes, {} certificates of {} CAs",
        told.sent,
        told.failed.len(),
        leaves.len(),
        signers.len()
    );
    assert!(told.failed.is_empty(), "{:#?}", told.failed);
    assert!(told.sent > 500, "{}", told.sent);
    assert!(leaves.len() >= 5 && signers.len() >= 3 && most >= 2, "{most} CAs in a bundle");
}

#[test]
fn what_is_wiped_comes_back_and_what_is_damaged_is_repaired() {
    let (_turn, control_plane) = alone();
    let site = Site::fresh(control_plane);
    let replica = site.replica("managed-alone", &LONG);
    site.apply(
        &["apply"],
        configurations_without_ca(control_plane, &format!("https://{}", replica.address())),
    );
    replica.until_ready();
    let first = site.published("at first");
    handshake(replica.address(), &first).expect("it is trusted");
    for kind in KINDS {
        let wiped = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]);
        site.kubectl(
            &["patch"],
            &[kind, "wavegate"],
            &["--type=json", "--patch", &wiped.to_string()],
        );
        assert_eq!(site.published("after one was wiped"), first);
    }

    for (keys, kept) in [
        (&["tls.crt"][..], true),
        (&["ca.crt"], true),
        (&["signer.key"], false),
        (&["tls.key", "signer.crt", "ca.crt"], false),
    ] {
        let (signer, repairs) = (site.stored("signer.crt"), rotations(&replica, "repair"));
        let damage: serde_json::Map<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), json!("aGVsbG8="))).collect();
        let damage = json!({"data": damage}).to_string();
        site.kubectl(&["patch"], &SECRET, &["--type=merge", "--patch", &damage]);
        eventually(&format!("{keys:?} repaired"), BOUND, || {
            let bundle = site.bundle()?;
            // At no time is it not trusted.
            handshake(replica.address(), &bundle).expect("it is trusted all the time");
            let stored = site.stored("ca.crt");
            let done = stored == bundle && cas(&bundle) == 1 && site.stored("tls.crt").len() > 100;
            (done && (site.stored("signer.crt") == signer) == kept).then_some(())
        });
        if keys != ["tls.crt"] {
            rotated(&replica, "repair", repairs);
        }
    }
}

#[test]
fn a_killed_leader_is_followed_and_an_absent_api_server_takes_nothing_away() {
    let (_turn, control_plane) = alone();
    let (proxy, kubeconfig) = proxied(control_plane);
    let site = Site { kubeconfig, ..Site::fresh(control_plane) };
    let mut replicas = ["managed-1", "managed-2"].map(|name| site.replica(name, &LONG));
    let url = format!("https://{}", replicas[0].address());
    site.apply(&["apply"], configurations_without_ca(control_plane, &url));
    replicas.iter().for_each(Wavegate::until_ready);
    let bundle = site.published("at first");
    let first = site.stored("tls.crt");
    let leader = usize::from(leads(&replicas[1]));
    replicas[leader].server_mut().stop().expect("it is killed");
    let other = &replicas[1 - leader];

    let (leaves, authorities) = (rotations(other, "leaf"), rotations(other, "ca"));
    site.ask("leaf");
    site.answered();
    assert!(leads(other));
    rotated(other, "leaf", leaves);
    assert_ne!(site.stored("tls.crt"), first);
    let before = handshake(other.address(), &bundle).expect("the same CA");

    for mode in [Mode::Off, Mode::Silent] {
        proxy.set(mode);
        site.ask("ca");
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(3) {
            assert_eq!(handshake(other.address(), &bundle).expect("served on"), before);
            assert!(other.get("/readyz").starts_with("HTTP/1.1 200"));
        }
        proxy.set(Mode::On);
    }
    site.answered();
    rotated(other, "ca", authorities);
    let bundle = eventually("the old CA is gone", BOUND, || {
        site.bundle().filter(|new| cas(new) == 1 && *new != bundle)
    });
    assert_ne!(handshake(other.address(), &bundle).expect("the new CA"), before);
}

#[test]
fn a_leader_that_ends_gives_its_leases_up_and_an_unknown_rotation_is_told_once() {
    let (_turn, control_plane) = alone();
    let site = Site::fresh(control_plane);
    let mut replica = site.replica("managed-ending", &LONG);
    let url = format!("https://{}", replica.address());
    site.apply(&["apply"], configurations_without_ca(control_plane, &url));
    replica.until_ready();
    eventually("it leads", BOUND, || leads(&replica).then_some(()));
    let told = |replica: &Wavegate| replica.server().log().matches("nothing is rotated").count();
    let (leaf, before) = (site.stored("tls.crt"), told(&replica));
    site.ask("everything");
    eventually("it is told", BOUND, || (told(&replica) > before).then_some(()));
    // A further change of the Secret is a further round, which the next rotation shows to have ended.
    site.kubectl(&["annotate", "--overwrite"], &SECRET, &["example.com/touched=yes"]);
    site.round();
    assert_eq!(told(&replica), before + 1);
    assert!(replica.server().log().contains("\"allowed\":\"leaf, ca\""));
    assert_eq!(site.stored("tls.crt"), leaf);
    assert_eq!(site.secret()["metadata"]["annotations"]["wavegate.dev/rotate"], "everything");

    assert!(site.lease()["holderIdentity"].is_string());
    replica.server_mut().signal("TERM").expect("it runs");
    let status =
        eventually("it ends", BOUND, || replica.server_mut().try_wait().expect("its state"));
    assert!(status.success(), "{status}");
    assert!(site.lease()["holderIdentity"].is_null(), "{}", site.lease());
    // Earlier than the Lease would have run out.
    let begin = Instant::now();
    let next = site.replica("managed-next", &LONG);
    eventually("the next one leads", BOUND, || leads(&next).then_some(()));
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}
