//! Which namespaces the API server asks wavegate about, read off the registered webhook configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The label that the API server sets on every namespace, and by which the chart selects by name.
const NAME: &str = "kubernetes.io/metadata.name";
/// Ends of the paths that are asked about workloads.
const ENFORCE: &str = "/validate/enforce";
const WARN: &str = "/validate/warn";

/// A `ValidatingWebhookConfiguration`, as far as it chooses namespaces.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Configuration {
    #[serde(default)]
    webhooks: Vec<Entry>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    #[serde(default)]
    client_config: Client,
    /// None selects every namespace, as an empty one does.
    #[serde(default)]
    namespace_selector: Selector,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Client {
    url: Option<String>,
    service: Option<Service>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Service {
    path: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: BTreeMap<String, String>,
    match_expressions: Vec<Expression>,
}

#[derive(Clone, Debug, Deserialize)]
struct Expression {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Labels of a namespace, all of them or only what its name makes sure.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    known: BTreeMap<String, String>,
    complete: bool,
}

impl Labels {
    pub(super) fn new(namespace: &str, labels: Option<&BTreeMap<String, String>>) -> Self {
        let mut known = labels.cloned().unwrap_or_default();
        known.insert(NAME.to_owned(), namespace.to_owned());
        Self { known, complete: labels.is_some() }
    }

    /// The same with another value of a label.
    pub(super) fn with(&self, key: &str, value: &str) -> Self {
        let mut labels = self.clone();
        labels.known.insert(key.to_owned(), value.to_owned());
        labels
    }

    /// Whether this holds for what a label has; `None` if it is not known what it has.
    fn has(&self, key: &str, holds: impl FnOnce(Option<&str>) -> bool) -> Option<bool> {
        let found = self.known.get(key).map(String::as_str);
        (found.is_some() || self.complete).then(|| holds(found))
    }
}

impl Selector {
    /// Whether it selects a namespace with these labels, as `labels.Selector` of Kubernetes does; `None` if what is
    /// known of them does not tell. All requirements must hold, and `NotIn` holds for a key that is not there.
    fn selects(&self, labels: &Labels) -> Option<bool> {
        let equal = self
            .match_labels
            .iter()
            .map(|(key, value)| labels.has(key, |have| have == Some(value.as_str())));
        let expressions = self
            .match_expressions
            .iter()
            .map(|expression| labels.has(&expression.key, |have| expression.holds(have)));
        let requirements: Vec<_> = equal.chain(expressions).collect();
        // One that fails decides, whatever is not known of the others.
        if requirements.contains(&Some(false)) {
            Some(false)
        } else {
            (!requirements.contains(&None)).then_some(true)
        }
    }
}

impl Expression {
    fn holds(&self, have: Option<&str>) -> bool {
        let listed = have.is_some_and(|have| self.values.iter().any(|value| value == have));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => have.is_some(),
            Operator::DoesNotExist => have.is_none(),
        }
    }
}

/// What the API server does before it stores a workload of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks<'a> {
    /// It asks the enforcing path, by the entry of this name.
    Enforce(&'a str),
    /// It asks the path that only warns, by the entry of this name.
    Warn(&'a str),
    Nobody,
    /// What is known of the labels does not tell.
    Unknown,
}

impl Configuration {
    /// Whether any entry asks about workloads at all.
    pub(super) fn guards(&self) -> bool {
        [ENFORCE, WARN].iter().any(|path| self.of_workloads(path).next().is_some())
    }

    /// What is asked about workloads of a namespace. A refusal holds, whatever another entry says.
    pub(super) fn asks(&self, labels: &Labels) -> Asks<'_> {
        for (path, asks) in [(ENFORCE, Asks::Enforce as fn(_) -> _), (WARN, Asks::Warn)] {
            let of = || self.of_workloads(path);
            let selects = |entry: &Entry| entry.namespace_selector.selects(labels);
            if let Some(entry) = of().find(|entry| selects(entry) == Some(true)) {
                return asks(&entry.name);
            }
            if of().any(|entry| selects(entry).is_none()) {
                return Asks::Unknown;
            }
        }
        Asks::Nobody
    }

    fn of_workloads(&self, path: &str) -> impl Iterator<Item = &Entry> {
        let of_path = move |entry: &&Entry| entry.path().is_some_and(|have| have.ends_with(path));
        self.webhooks.iter().filter(|entry| entry.name.starts_with("workloads.")).filter(of_path)
    }
}

impl Entry {
    /// The URL or the path of the service, whose ends are the same.
    fn path(&self) -> Option<&str> {
        let of_service = || self.client_config.service.as_ref()?.path.as_deref();
        self.client_config.url.as_deref().or_else(of_service)
    }
}
