//! A constant load of admissions on the API server, real ones and dry runs, each with an answer that is known beforehand.
//!
//! It is bounded by a rate, and ends with the value that was started, or after ten minutes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Error};
use serde_json::json;

use crate::cluster::ControlPlane;

/// Requests at a time; each of them waits for its answer before it sends the next.
const CLIENTS: u64 = 4;

/// Pause of a client between two requests: some 40 requests a second in all.
const PAUSE: Duration = Duration::from_millis(90);

/// After this time the load ends, whatever its test does.
const LONGEST: Duration = Duration::from_mins(10);

const MIGRATION: &str = include_str!("../../examples/shop/migration.yaml");
const RETRIES: &str = include_str!("../../examples/bad/wg101-backoff-limit-3.yaml");

/// A running load.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

/// What was sent, and what failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests sent, by what they ask.
    pub(crate) sent: BTreeMap<&'static str, u64>,
    /// Requests that the API server itself did not answer, as while it restarts.
    pub(crate) unanswered: u64,
    /// Requests whose answer was not the one that wavegate gives.
    pub(crate) failures: Vec<Failure>,
}

/// A request that got another answer than it should have.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// When it was sent and when it was answered.
    pub(crate) from: Instant,
    /// See [`Self::from`].
    pub(crate) to: Instant,
    /// What it asked.
    pub(crate) request: &'static str,
    /// What was wrong.
    pub(crate) message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = self.to - self.from;
        write!(f, "of the {}, after {took:.1?}: {}", self.request, self.message)
    }
}

impl Tally {
    /// The failures, a line each.
    pub(crate) fn lines(&self) -> String {
        let lines: Vec<String> = self.failures.iter().map(Failure::to_string).collect();
        lines.join("\n  ")
    }

    /// Requests sent in all.
    pub(crate) fn total(&self) -> u64 {
        self.sent.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, failed) = (self.total(), self.failures.len());
        write!(f, "{total} admissions sent (")?;
        for (position, (request, count)) in self.sent.iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{count} {request}")?;
        }
        write!(f, "), {failed} failed, {} not answered by the API server", self.unanswered)
    }
}

impl Load {
    /// Starts the load in a namespace, which must enforce and is used by nothing else.
    ///
    /// # Panics
    /// When the namespace cannot be prepared.
    pub(crate) fn start(cluster: &ControlPlane, namespace: &str) -> Self {
        let (stop, tally) = (Arc::default(), Arc::default());
        let apply = ["apply", "--filename=-"];
        let idle = deployment().to_string();
        cluster.kubectl().namespace(namespace).args(apply).stdin(idle).ok();
        let threads = (0..CLIENTS)
            .map(|number| {
                let sender = Sender {
                    number,
                    namespace: namespace.to_owned(),
                    stop: Arc::clone(&stop),
                    tally: Arc::clone(&tally),
                };
                let site = cluster.site().clone();
                let kubeconfig = cluster.kubeconfig().to_owned();
                thread::spawn(move || {
                    site.enter_network().expect("the cluster's network can be entered");
                    let mut builder = tokio::runtime::Builder::new_current_thread();
                    let runtime = builder.enable_all().build().expect("a runtime");
                    runtime.block_on(sender.run(&kubeconfig));
                })
            })
            .collect();
        Self { stop, tally, threads }
    }

    /// What there is so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the load and returns what came of it.
    ///
    /// # Panics
    /// When a client of it has ended by a panic.
    pub(crate) fn end(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a client of the load has ended in order");
        }
        self.tally()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A Deployment without Pods, whose template changes all the time.
fn deployment() -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "idle"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "idle"}},
            "template": {
                "metadata": {"labels": {"app": "idle"}},
                "spec": {
                    "containers": [{"name": "idle", "image": "registry.example.com/idle:v1",
                        "readinessProbe": {"tcpSocket": {"port": 80}}}],
                },
            },
        },
    })
}

/// A Job that asks for no Pod: it is suspended, and says that it is no migration.
fn suspended(name: &str) -> Job {
    let job = json!({
        "metadata": {
            "name": name,
            "annotations": {"argocd.argoproj.io/hook": "PreSync", "wavegate.dev/role": "none"},
        },
        "spec": {
            "suspend": true,
            "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "none", "image": "registry.example.com/none:v1"}],
            }},
        },
    });
    serde_json::from_value(job).expect("a Job")
}

fn job_of(manifest: &str) -> Job {
    let documents = wavegate::check::yaml::documents(manifest).expect("YAML");
    let value = documents.into_iter().next().expect("a document").value;
    let mut job: Job = serde_json::from_value(value).expect("a Job");
    job.metadata.namespace = None;
    job
}

/// What the answer to a request must be.
enum Wanted {
    Admitted,
    Denied(&'static str),
}

/// One client.
struct Sender {
    number: u64,
    namespace: String,
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
}

impl Sender {
    async fn run(self, kubeconfig: &Path) {
        let client = client(kubeconfig).await;
        let jobs: Api<Job> = Api::namespaced(client.clone(), &self.namespace);
        let deployments: Api<Deployment> = Api::namespaced(client, &self.namespace);
        let (good, bad) = (job_of(MIGRATION), job_of(RETRIES));
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        let started = Instant::now();
        let mut turn = self.number;
        while !self.stop.load(Ordering::Relaxed) && started.elapsed() < LONGEST {
            match turn % 4 {
                0 => {
                    let ask = jobs.create(&dry_run, &good);
                    self.send("dry runs of a good Job", Wanted::Admitted, ask).await;
                }
                1 => {
                    let ask = jobs.create(&dry_run, &bad);
                    self.send("dry runs of a bad Job", Wanted::Denied("WG101"), ask).await;
                }
                2 => {
                    let name = format!("load-{}-{turn}", self.number);
                    let parameters = PostParams::default();
                    let job = suspended(&name);
                    let ask = jobs.create(&parameters, &job);
                    self.send("Jobs created", Wanted::Admitted, ask).await;
                    let background = DeleteParams::background();
                    // Deleting asks no webhook; what is left goes with the namespace.
                    let _ = jobs.delete(&name, &background).await;
                }
                _ => {
                    // Two templates by turns, so that there are two ReplicaSets and no more.
                    let value = if (turn / 4).is_multiple_of(2) { "a" } else { "b" };
                    let annotations = json!({"load": format!("{}-{value}", self.number)});
                    let template = json!({"metadata": {"annotations": annotations}});
                    let patch = Patch::Merge(json!({"spec": {"template": template}}));
                    let parameters = PatchParams::default();
                    let ask = deployments.patch("idle", &parameters, &patch);
                    self.send("Deployments updated", Wanted::Admitted, ask).await;
                }
            }
            turn += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn send<T>(
        &self,
        request: &'static str,
        wanted: Wanted,
        ask: impl Future<Output = Result<T, Error>>,
    ) {
        let from = Instant::now();
        let answer = ask.await;
        let to = Instant::now();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        *tally.sent.entry(request).or_default() += 1;
        let message = match (wanted, answer) {
            (Wanted::Admitted, Ok(_)) => return,
            (Wanted::Denied(code), Err(Error::Api(status))) if status.message.contains(code) => {
                return;
            }
            (Wanted::Denied(code), Ok(_)) => format!("admitted without {code}"),
            (_, Err(Error::Api(status))) if is_of_a_webhook(&status.message) => {
                status.message.clone()
            }
            (_, Err(_)) => {
                tally.unanswered += 1;
                return;
            }
        };
        tally.failures.push(Failure { from, to, request, message });
    }
}

/// Whether a webhook is to blame, rather than the API server itself.
fn is_of_a_webhook(message: &str) -> bool {
    message.contains("webhook") || message.contains("WG")
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the administrator's kubeconfig");
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.expect("a configuration");
    config.read_timeout = Some(Duration::from_secs(15));
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}
