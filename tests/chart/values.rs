//! Which values the chart takes.

use crate::cluster::{chart, shared};
use crate::rig::EVERYTHING;

#[test]
fn helm_finds_nothing_to_complain_about() {
    for values in [&[][..], &EVERYTHING] {
        shared().helm().args(["lint", "--strict"]).args([chart::folder()]).args(values).ok();
    }
}

/// A value, and what Helm says of it. Each of them would otherwise be a setting that is silently not in force.
const WRONG: [(&str, &str); 33] = [
    ("replicas=3", "additional properties 'replicas' not allowed"),
    ("server.replica=3", "at '/server'"),
    ("server.replicas=0", "at '/server/replicas'"),
    ("server.replicas=two", "at '/server/replicas'"),
    ("server.log=verbose", "at '/server/log'"),
    ("server.tlsMinVersion=1.1", "at '/server/tlsMinVersion'"),
    ("server.extraArgs={standalone}", "at '/server/extraArgs/0'"),
    ("server.resources.limit.memory=1Gi", "at '/server/resources'"),
    ("image.digest=sha256:abc", "at '/image/digest'"),
    ("image.tag=a b", "at '/image/tag'"),
    ("image.pullPolicy=never", "at '/image/pullPolicy'"),
    ("defaultMode=Enforce", "at '/defaultMode'"),
    ("pinnedNamespaces={Shop}", "at '/pinnedNamespaces/0'"),
    ("pinnedNamespaces=shop", "at '/pinnedNamespaces'"),
    ("certificates.source=vault", "at '/certificates/source'"),
    ("certificates.certManager.issuerRef.kind=CA", "at '/certificates/certManager/issuerRef/kind'"),
    ("webhook.url=http://wavegate", "at '/webhook/url'"),
    ("webhook.caBundle=-----BEGIN", "at '/webhook/caBundle'"),
    ("waiter.kind=psql", "at '/waiter/kind'"),
    ("waiter.busyboxUser=root", "at '/waiter/busyboxUser'"),
    ("records.writers={it's me}", "at '/records/writers/0'"),
    ("gateOverrides.writers={argocd}", "at '/gateOverrides/writers/0'"),
    ("gateOverrides.refused={it's}", "at '/gateOverrides/refused/0'"),
    ("networkPolicy.apiServerPorts={0}", "at '/networkPolicy/apiServerPorts/0'"),
    ("networkPolicy.metricsFrom[0].namespace=monitoring", "at '/networkPolicy/metricsFrom/0'"),
    ("crds.keep=false", "at '/crds'"),
    ("traces.endpoint=collector:4318", "at '/traces/endpoint'"),
    ("traces.endpoint=http://me:secret@collector", "at '/traces/endpoint'"),
    ("traces.podPorts={4318x}", "at '/traces/podPorts/0'"),
    ("server.extraEnv[0].value=x", "at '/server/extraEnv/0'"),
    ("traces.sampleRatio=1.5", "at '/traces/sampleRatio'"),
    ("traces.sampleRate=1", "at '/traces'"),
    ("monitoring.serviceMonitor.interval=often", "at '/monitoring/serviceMonitor/interval'"),
];

#[test]
fn a_wrong_value_is_refused_by_name() {
    for (value, told) in WRONG {
        let output = chart::template(shared(), &[value]).run();
        assert!(!output.status.success(), "{value} was taken");
        assert!(output.stderr.contains(told), "{value}: {}", output.stderr);
    }
}

/// Values that contradict each other, and the value that the message names first.
const CONTRADICTIONS: [(&[&str], &str); 9] = [
    (&["pinnedNamespaces={shop,kube-system}"], "pinnedNamespaces: kube-system"),
    (&["pinnedNamespaces={wavegate}"], "pinnedNamespaces: wavegate"),
    (&["argocd.namespaces={gitops}", "pinnedNamespaces={gitops}"], "pinnedNamespaces: gitops"),
    (&["certificates.source=cert-manager"], "certificates.certManager.issuerRef.name"),
    (&["certificates.source=secret"], "webhook.caBundle"),
    (&["webhook.caBundle=Q0E="], "webhook.caBundle: belongs to certificates.source: secret"),
    (&["server.enabled=false"], "webhook.url"),
    (&["traces.endpoint=https://collector"], "traces.ca.configMapName"),
    (&["traces.ca.configMapName=ca"], "traces.ca.configMapName: belongs to a traces.endpoint"),
];

#[test]
fn values_that_contradict_each_other_are_told() {
    for (values, told) in CONTRADICTIONS {
        let output = chart::template(shared(), values).run();
        assert!(!output.status.success(), "{values:?} were taken");
        assert!(output.stderr.contains(told), "{values:?}: {}", output.stderr);
    }
}
