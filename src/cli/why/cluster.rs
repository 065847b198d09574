//! What `wavegate why` reads, with the rights of the person who asks.

use std::error::Error as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{DynamicObject, ListParams};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};
use thiserror::Error as ThisError;

use crate::cluster::{ObjectKey, Question, Reading};
use crate::domain::gate_override;
use crate::domain::record;
use crate::domain::workload::WorkloadKind;
use crate::policy::document::{self, PolicyError};
use crate::policy::{Policies, Policy};
use crate::server::live::Live as _;
use crate::server::webhook::SharedPolicies;
use crate::watch::LiveReader;
use crate::why::{NamespaceMode, Registration, Seen, Target};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take. A person waits, no API server.
const BOUND: Duration = Duration::from_secs(15);

/// Which cluster is meant.
pub(super) struct Access {
    pub(super) kubeconfig: Option<PathBuf>,
    pub(super) context: Option<String>,
    /// Name of wavegate's `ValidatingWebhookConfiguration`.
    pub(super) configuration: String,
}

/// Why the cluster did not tell: what, where, and what to do.
#[derive(Debug, ThisError)]
pub(in crate::cli) enum Error {
    #[error("cannot use the kubeconfig {path}: {source}")]
    Kubeconfig { path: PathBuf, source: KubeconfigError },
    #[error("cannot use the kubeconfig: {0}")]
    Default(#[from] KubeconfigError),
    #[error("no cluster is configured ({0}); name a --kubeconfig")]
    Infer(#[from] InferConfigError),
    #[error("cannot make a client of the API server {server}: {source}")]
    Client { server: String, source: kube::Error },
    #[error(
        "the API server {server} does not answer: {reason}; is it up, and can it be reached from here?"
    )]
    Unreachable { server: String, reason: String },
    #[error(
        "the API server {server} does not know who you are (unauthorized); log in again, as for `kubectl auth whoami`"
    )]
    Unauthorized { server: String },
    #[error(
        "you may not {verb} {what} in namespace {namespace} of {server} (forbidden); have it granted, `kubectl auth can-i {verb} {what} -n {namespace}` tells"
    )]
    Forbidden { verb: &'static str, what: String, namespace: String, server: String },
    #[error(
        "there is no namespace {namespace} in {server}; name another one with -n, or another --context"
    )]
    NoNamespace { namespace: String, server: String },
    #[error(
        "there is no {target} in namespace {namespace} of {server}; `kubectl get {plural} -n {namespace}` lists what there is"
    )]
    NoWorkload { target: Target, plural: String, namespace: String, server: String },
    #[error(
        "{server} knows no {what}: the CustomResourceDefinition {what}.{group} is not installed there{hint}"
    )]
    NoKind { what: String, group: String, server: String, hint: &'static str },
    #[error("the API server {server} answered {code} to {verb} {what}: {message}")]
    Refused { server: String, verb: &'static str, what: String, code: u16, message: String },
    #[error("the answer of {server} to {verb} {what} cannot be read: {reason}")]
    Answer { server: String, verb: &'static str, what: String, reason: String },
    #[error("what happened in namespace {namespace} of {server} could not be read: {reason}")]
    Unread { namespace: String, server: String, reason: String },
}

/// A cluster that can be asked.
pub(super) struct Connection {
    client: Client,
    server: String,
    /// Namespace of the kubeconfig's context, else `default`.
    namespace: String,
    configuration: String,
    policies: SharedPolicies,
}

impl Connection {
    pub(super) async fn make(access: Access) -> Result<Self, Error> {
        let configuration = access.configuration.clone();
        let mut config = config(access).await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(BOUND);
        // A person can ask again, and rather hears at once that nobody answers.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        match Client::try_from(config) {
            Ok(client) => {
                let policies = SharedPolicies::default();
                Ok(Self { client, server, namespace, configuration, policies })
            }
            Err(source) => Err(Error::Client { server, source }),
        }
    }

    /// Decides by these settings, or by those that are stored in the cluster.
    pub(super) async fn settle_policy(
        &self,
        named: Option<Policies>,
    ) -> Result<Arc<Policies>, Error> {
        let policies = match named {
            Some(policies) => policies,
            None => self.stored_policy().await?,
        };
        self.policies.store(Arc::new(policies));
        Ok(self.policies.load_full())
    }

    /// The settings that are stored in the cluster; the built-in ones where there are none, or none that may be read.
    async fn stored_policy(&self) -> Result<Policies, Error> {
        let resource = resource(record::GROUP, record::VERSION, document::KIND, document::PLURAL);
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let why = match api.get_opt(document::ACTIVE).await {
            Ok(None) => return Ok(Policies::default()),
            Ok(Some(object)) => match compiled(&object) {
                Ok(policies) => return Ok(policies),
                Err(errors) => format!("it is invalid ({})", document::one_line(&errors)),
            },
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Policies::default()),
            Err(kube::Error::Api(status)) if status.code == 403 => "you may not get it".to_owned(),
            Err(error) => {
                let place = Place { verb: "get", resource: &resource, namespace: "" };
                return Err(self.error(&place, &error));
            }
        };
        // Nobody is there to be told if standard error is closed.
        let _ = writeln!(
            io::stderr(),
            "wavegate: the cluster's {} is not regarded: {why}; this is by the built-in policy, or name a --policy",
            document::KIND
        );
        Ok(Policies::default())
    }

    /// Reads a workload and all that its verdict depends on.
    pub(super) async fn see(&self, target: Target, namespace: Option<&str>) -> Result<Seen, Error> {
        let namespace = namespace.unwrap_or(&self.namespace).to_owned();
        let mode = self.mode(&namespace).await?;
        let resource = resource_of(target.kind);
        let place = Place { verb: "get", resource: &resource, namespace: &namespace };
        let found = self.api(&resource, &namespace).get_opt(&target.name).await;
        let found = found.map_err(|error| self.error(&place, &error))?;
        let Some(object) = found else {
            // Distinguishes a missing object from a kind that is not installed.
            self.probe(&Place { verb: "list", ..place }).await?;
            let (server, plural) = (self.server.clone(), resource.plural);
            return Err(Error::NoWorkload { target, plural, namespace, server });
        };
        let object = serde_json::to_value(&object).map_err(|error| Error::Answer {
            server: self.server.clone(),
            verb: "get",
            what: resource.plural.clone(),
            reason: error.to_string(),
        })?;
        let revisions_of = Some(ObjectKey {
            kind: target.kind.name(),
            namespace: namespace.clone(),
            name: target.name.clone(),
        });
        let question =
            Question { namespace: namespace.clone(), revisions_of, ..Question::default() };
        let reading = self.read(question).await?;
        Ok(Seen { target, namespace, mode, object, reading })
    }

    /// Reads what happened in a namespace, as the webhook reads it before it refuses.
    pub(super) async fn read(&self, question: Question) -> Result<Reading, Error> {
        let namespace = question.namespace.clone();
        let revisions = question.revisions_of.as_ref().map(|owner| match owner.kind {
            "Deployment" | "Rollout" => resource("apps", "v1", "ReplicaSet", "replicasets"),
            _ => resource("apps", "v1", "ControllerRevision", "controllerrevisions"),
        });
        let told = LiveReader::within(self.client.clone(), BOUND, self.policies.clone())
            .read(question)
            .await;
        let unread = match told {
            Ok(reading) => return Ok(reading),
            Err(unread) => unread,
        };
        // The reader speaks of the webhook's own rights; here it is a person who lacks them.
        let jobs = resource("batch", "v1", "Job", "jobs");
        let records = resource(record::GROUP, record::VERSION, record::KIND, "migrationrecords");
        let overrides =
            resource(record::GROUP, record::VERSION, "GateOverride", gate_override::PLURAL);
        for resource in [jobs, records, overrides].iter().chain(&revisions) {
            self.probe(&Place { verb: "list", resource, namespace: &namespace }).await?;
        }
        Err(Error::Unread { namespace, server: self.server.clone(), reason: unread.0 })
    }

    async fn mode(&self, namespace: &str) -> Result<NamespaceMode, Error> {
        let resource = resource("", "v1", "Namespace", "namespaces");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        match api.get_metadata_opt(namespace).await {
            Ok(Some(found)) => {
                let labels = found.metadata.labels.unwrap_or_default();
                Ok(NamespaceMode::of(namespace, Ok(&labels), &self.registration().await?))
            }
            Ok(None) => {
                let (namespace, server) = (namespace.to_owned(), self.server.clone());
                Err(Error::NoNamespace { namespace, server })
            }
            // Many may read what is in their namespace and not the namespace itself.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let unread = Err("you may not get namespaces");
                Ok(NamespaceMode::of(namespace, unread, &self.registration().await?))
            }
            Err(error) => {
                let place = Place { verb: "get", resource: &resource, namespace };
                Err(self.error(&place, &error))
            }
        }
    }

    /// By which entries the API server asks wavegate. Of those who are no administrators, those may read that to whom a
    /// `ClusterRoleBinding` gives `view` or `wavegate-view`.
    async fn registration(&self) -> Result<Registration, Error> {
        let group = "admissionregistration.k8s.io";
        let kind = "ValidatingWebhookConfiguration";
        let resource = resource(group, "v1", kind, "validatingwebhookconfigurations");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        let name = &self.configuration;
        let place = Place { verb: "get", resource: &resource, namespace: "" };
        match api.get_opt(name).await {
            Ok(Some(object)) => Ok(match serde_json::from_value(object.data) {
                Ok(configuration) => Registration::Read(configuration),
                Err(error) => Registration::Unread(format!("{name} cannot be read ({error})")),
            }),
            Ok(None) => {
                let why = format!("{name} does not exist, so wavegate is not registered");
                Ok(Registration::Unread(why))
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                Ok(Registration::Unread(format!("{name} may not be read by you")))
            }
            Err(error) => Err(self.error(&place, &error)),
        }
    }

    /// Asks for next to nothing, to learn what is refused.
    async fn probe(&self, place: &Place<'_>) -> Result<(), Error> {
        let few = ListParams::default().limit(1);
        let listed = self.api(place.resource, place.namespace).list_metadata(&few).await;
        listed.map(|_| ()).map_err(|error| self.error(place, &error))
    }

    fn api(&self, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    fn error(&self, place: &Place<'_>, error: &kube::Error) -> Error {
        let server = self.server.clone();
        let (verb, what) = (place.verb, place.resource.plural.clone());
        match error {
            kube::Error::Api(status) => match status.code {
                401 => Error::Unauthorized { server },
                403 => {
                    Error::Forbidden { verb, what, namespace: place.namespace.to_owned(), server }
                }
                404 => {
                    let group = place.resource.group.clone();
                    let of_ours = group == record::GROUP;
                    let hint =
                        if of_ours { "; is wavegate installed in this cluster?" } else { "" };
                    Error::NoKind { what, group, server, hint }
                }
                code => {
                    let message = status.message.lines().next().unwrap_or_default().to_owned();
                    Error::Refused { server, verb, what, code, message }
                }
            },
            kube::Error::SerdeError(error) => {
                Error::Answer { server, verb, what, reason: error.to_string() }
            }
            _ => Error::Unreachable { server, reason: cause(error) },
        }
    }
}

fn compiled(object: &DynamicObject) -> Result<Policies, Vec<PolicyError>> {
    let value = serde_json::to_value(object).unwrap_or_default();
    let document = document::read(&value).map_err(|error| vec![error])?;
    document::compile(&document.spec, &Policy::default())
}

/// What is asked of the API server.
#[derive(Clone, Copy)]
struct Place<'a> {
    verb: &'static str,
    resource: &'a ApiResource,
    namespace: &'a str,
}

async fn config(access: Access) -> Result<Config, Error> {
    let Access { kubeconfig, context, configuration: _ } = access;
    let options = KubeConfigOptions { context, ..KubeConfigOptions::default() };
    let Some(path) = kubeconfig else {
        return match options.context {
            Some(_) => Ok(Config::from_kubeconfig(&options).await?),
            None => Ok(Config::infer().await?),
        };
    };
    let wrong = |source| Error::Kubeconfig { path: path.clone(), source };
    let kubeconfig = Kubeconfig::read_from(&path).map_err(wrong)?;
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)
}

fn resource_of(kind: WorkloadKind) -> ApiResource {
    match kind {
        WorkloadKind::Deployment => resource("apps", "v1", "Deployment", "deployments"),
        WorkloadKind::StatefulSet => resource("apps", "v1", "StatefulSet", "statefulsets"),
        WorkloadKind::DaemonSet => resource("apps", "v1", "DaemonSet", "daemonsets"),
        WorkloadKind::Rollout => resource("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
    }
}

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
}

/// The innermost cause, which says what happened where the outer ones only say who noticed.
fn cause(error: &kube::Error) -> String {
    let mut cause = error.source();
    let mut text = error.to_string();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}
