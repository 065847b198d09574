//! One trace through the API server and its webhooks, as `docs/traces.md` configures it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;

use crate::cluster::wavegate::{Wavegate, install, own_kubeconfig};
use crate::cluster::{ControlPlane, eventually};
use crate::collector::{Collector, closed, hex, text_of};

const PAGE: &str = include_str!("../../docs/traces.md");

/// The page's file, with every request traced and nobody to take the API server's own spans.
fn tracing_of_the_api_server(control_plane: &ControlPlane) -> String {
    let mut blocks = PAGE.split("```yaml\n").skip(1).filter_map(|text| text.split("```").next());
    let block = blocks.find(|block| block.contains("kind: TracingConfiguration"));
    let text = block.expect("a block").replace("localhost:4317", &closed().to_string());
    assert!(PAGE.contains("--tracing-config-file=/etc/kubernetes/tracing.yaml"));
    let every = text.replace("samplingRatePerMillion: 100\n", "samplingRatePerMillion: 1000000\n");
    assert_ne!(every, text);
    let path = control_plane.directory().join("tracing.yaml");
    fs::write(&path, every).expect("a file");
    format!("--tracing-config-file={}", path.display())
}

#[test]
fn one_creation_is_one_trace_through_the_api_server_and_both_webhooks() {
    let mut control_plane = ControlPlane::start().unwrap_or_else(|error| panic!("{error}"));
    install(&control_plane);
    let argument = tracing_of_the_api_server(&control_plane);
    control_plane.reconfigure_api_server(&[argument]);
    let collector = Collector::start();
    let wavegate = Wavegate::launch(
        &control_plane,
        Path::new(env!("CARGO_BIN_EXE_wavegate")),
        "traces",
        &own_kubeconfig(&control_plane, None),
        &["--otlp-endpoint", &collector.url()],
    );
    wavegate.until_ready();
    wavegate.register(&control_plane);
    let namespace = control_plane.namespace("traces::one", &[("wavegate.dev/mode", "enforce")]);
    namespace.kubectl().args(["create", "--filename=examples/shop/migration.yaml"]).ok();

    let of = |span: &Span, key: &str| text_of(&span.attributes, key).unwrap_or_default();
    let mut spans = eventually("both webhooks have left a span", Duration::from_secs(30), || {
        let mut spans = collector.spans();
        spans.retain(|span| {
            of(span, "k8s.namespace.name") == namespace.name()
                && of(span, "k8s.object.name") == "shop-migrate"
                && of(span, "k8s.operation") == "CREATE"
        });
        (spans.len() >= 2).then_some(spans)
    });
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let [mutated, validated] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(of(mutated, "url.path"), "/mutate");
    assert_eq!(of(mutated, "wavegate.verdict"), "patched");
    assert_eq!(of(validated, "url.path"), "/validate/enforce");
    assert_eq!(of(validated, "wavegate.verdict"), "allowed");
    assert_eq!(mutated.trace_id, validated.trace_id);
    // The API server's spans: one for each call, and none of ours.
    let parents = [mutated, validated].map(|span| hex(&span.parent_span_id));
    assert!(parents.iter().all(|parent| parent.len() == 16), "{parents:?}");
    assert_ne!(parents[0], parents[1]);
    assert_ne!(validated.parent_span_id, mutated.span_id);

    let trace = hex(&mutated.trace_id);
    let traced = |line: &&Value| line["trace_id"] == trace.as_str();
    wavegate.until_decided(namespace.name(), "shop-migrate", |decisions| {
        decisions.iter().filter(traced).count() == 2
    });
}
