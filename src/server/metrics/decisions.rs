//! Decisions by namespace. Namespaces come from requests, so their number as label values is bounded.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::Verdict;
use crate::engine::Mode;

/// Namespaces that are counted by name. A namespace that comes later counts as [`OTHERS`]: a cluster may make them by
/// the thousand, and every one would keep its series for ever.
const MOST: usize = 200;

/// Namespaces that are not counted by name. No namespace is called so: an underscore is not allowed.
const OTHERS: &str = "_other";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DecisionLabels {
    mode: &'static str,
    verdict: Verdict,
    dry_run: &'static str,
    namespace: String,
}

/// Counts of decisions.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    counts: Family<DecisionLabels, Counter>,
    named: RwLock<HashSet<String>>,
}

impl Decisions {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "decisions",
            "Decisions on objects, by the namespace's mode, verdict and namespace",
            self.counts.clone(),
        );
    }

    pub(super) fn count(&self, mode: Mode, verdict: Verdict, dry_run: bool, namespace: &str) {
        let namespace = if self.is_named(namespace) { namespace } else { OTHERS };
        let labels = DecisionLabels {
            mode: mode.name(),
            verdict,
            dry_run: if dry_run { "true" } else { "false" },
            namespace: namespace.to_owned(),
        };
        self.counts.get_or_create(&labels).inc();
    }

    fn is_named(&self, namespace: &str) -> bool {
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        if named.contains(namespace) {
            return true;
        }
        if named.len() >= MOST {
            return false;
        }
        drop(named);
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MOST {
            named.insert(namespace.to_owned());
        }
        named.contains(namespace)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn namespaces_are_named_up_to_a_bound() {
        let decisions = Decisions::default();
        let mut registry = Registry::with_prefix("wavegate");
        decisions.register(&mut registry);
        for round in 0..2 {
            for number in 0..MOST + 5 {
                let namespace = format!("ns-{number}");
                decisions.count(Mode::Enforce, Verdict::Denied, round == 0, &namespace);
            }
        }
        decisions.count(Mode::Warn, Verdict::Warned, false, "ns-0");
        let mut out = String::new();
        text::encode(&mut out, &registry).expect("a String takes any text");
        for line in [
            r#"wavegate_decisions_total{mode="enforce",verdict="denied",dry_run="false",namespace="ns-199"} 1"#,
            r#"wavegate_decisions_total{mode="enforce",verdict="denied",dry_run="true",namespace="_other"} 5"#,
            r#"wavegate_decisions_total{mode="warn",verdict="warned",dry_run="false",namespace="ns-0"} 1"#,
        ] {
            assert!(out.lines().any(|have| have == line), "no line {line:?}");
        }
        assert!(!out.contains("ns-200"));
    }
}
