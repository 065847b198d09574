//! Whether an API server takes what is rendered, and whether the pods are as restricted as wavegate's namespace wants.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cluster::wavegate::WAITER_IMAGE;
use crate::rig::{EVERYTHING, installed, objects, only, template};

/// Applied as a dry run by the API server, which knows every field, in a namespace that wants restricted pods and warns
/// of others.
#[test]
fn the_api_server_takes_every_variant_without_a_warning() {
    let (control_plane, wavegate) = installed();
    let kubectl = |args: &[&str]| control_plane.kubectl().namespace("wavegate").args(args);
    let warn = "pod-security.kubernetes.io/warn=restricted";
    kubectl(&["label", "--overwrite", "namespace", "wavegate", warn]).ok();
    let elsewhere = wavegate.elsewhere();
    let elsewhere: Vec<_> = elsewhere.iter().map(String::as_str).collect();
    let ca = elsewhere[3];
    let variants: [(&[&str], &[&str]); 9] = [
        (&[], &[]),
        (&EVERYTHING, &[]),
        (
            &EVERYTHING,
            &["certificates.source=cert-manager", "certificates.certManager.issuerRef.name=ca"],
        ),
        (&EVERYTHING, &["certificates.source=secret", ca]),
        (&[], &elsewhere),
        (&[], &["defaultMode=off", "server.replicas=1"]),
        (&[], &["defaultMode=enforce", "pinnedNamespaces={a,b}"]),
        (&[], &["waiter.kind=busybox", "waiter.busyboxUser=none"]),
        (
            &[],
            &[
                "crds.install=false",
                "networkPolicy.enabled=false",
                "networkPolicy.metricsFrom=null",
            ],
        ),
    ];
    for (files, values) in variants {
        let rendered = template(values).args(files).ok();
        let apply = kubectl(&["apply", "--dry-run=server", "--filename=-"]).stdin(rendered).run();
        assert!(apply.status.success(), "{files:?} {values:?}: {}", apply.stderr);
        assert_eq!(apply.stderr, "", "{files:?} {values:?}");
    }
}

/// Pod Security speaks of a Deployment by a warning; its pods are what it refuses.
#[test]
fn the_pods_fit_the_restricted_profile() {
    let (control_plane, _) = installed();
    let rendered = objects(&template(&[]).args(EVERYTHING).ok());
    let template = &only(&rendered, "Deployment")["spec"]["template"];
    let server = json!({
        "apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
        "metadata": {"name": "server", "labels": template["metadata"]["labels"]},
    });
    for pod in [&server, only(&rendered, "Pod")] {
        control_plane
            .kubectl()
            .namespace("wavegate")
            .args(["create", "--dry-run=server", "--filename=-"])
            .stdin(pod.to_string())
            .ok();
    }
    // Not because the namespace takes anything.
    let mut privileged = server;
    privileged["spec"]["containers"][0]["securityContext"] = Value::Null;
    let create = ["create", "--dry-run=server", "--filename=-"];
    let kubectl = control_plane.kubectl().namespace("wavegate").args(create);
    let refused = kubectl.stdin(privileged.to_string()).run();
    assert!(refused.stderr.contains("violates PodSecurity"), "{}", refused.stderr);
}

#[test]
fn wavegate_itself_finds_nothing_in_the_chart() {
    for files in [&[][..], &EVERYTHING] {
        let rendered = template(&[]).args(files).ok();
        let mut check = Command::new(env!("CARGO_BIN_EXE_wavegate"))
            .args(["check", "--fail-on", "warn", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        check.stdin.take().unwrap().write_all(rendered.as_bytes()).unwrap();
        let output = check.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What the pods run is what `wavegate serve` understands, whatever the values.
#[test]
fn the_program_understands_the_arguments_that_the_chart_gives() {
    let secret = ["certificates.source=secret", "webhook.caBundle=Q0E="];
    let busybox = ["waiter.kind=busybox", "waiter.image=busybox:1.37", secret[0], secret[1]];
    for (files, values) in [(&[][..], &secret[..]), (&EVERYTHING, &secret), (&[], &busybox)] {
        let rendered = objects(&template(values).args(files).ok());
        let container = &only(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        let args: Vec<_> =
            container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        // It comes as far as to its files, which are not there.
        let mut serve = Command::new(env!("CARGO_BIN_EXE_wavegate"));
        let serve = serve.env("WAVEGATE_STANDALONE", "true").args(&args).output().unwrap();
        let told = String::from_utf8_lossy(&serve.stderr);
        let file = if files.is_empty() { "/tls/tls.crt" } else { "/traces-ca/ca.crt" };
        assert!(told.contains(file) && !told.contains("Usage"), "{args:?}: {told}");
    }
}

/// Nothing of it where nobody asks; else the arguments, and a way out to the collector's port and to no other.
#[test]
fn traces_come_with_their_arguments_and_the_collectors_port() {
    let cases: [(&[&str], &[&str], &[u16]); 5] = [
        (&[], &[], &[]),
        (
            &["traces.endpoint=http://collector.observability:4318"],
            &["--otlp-endpoint=http://collector.observability:4318", "--otlp-sample-ratio=0"],
            &[4318],
        ),
        (
            &["traces.endpoint=http://collector/otlp", "traces.sampleRatio=0.01"],
            &["--otlp-endpoint=http://collector/otlp", "--otlp-sample-ratio=0.01"],
            &[80],
        ),
        (
            &["traces.endpoint=http://collector", "traces.podPorts={4318,4319}"],
            &["--otlp-endpoint=http://collector", "--otlp-sample-ratio=0"],
            &[4318, 4319],
        ),
        (
            &["traces.endpoint=https://collector", "traces.ca.configMapName=collector-ca"],
            &[
                "--otlp-endpoint=https://collector",
                "--otlp-sample-ratio=0",
                "--otlp-ca=/traces-ca/ca.crt",
            ],
            &[443],
        ),
    ];
    for (values, arguments, ports) in cases {
        let rendered = objects(&template(values).ok());
        let pod = &only(&rendered, "Deployment")["spec"]["template"]["spec"];
        let args = pod["containers"][0]["args"].as_array().unwrap();
        let args: Vec<_> = args.iter().filter_map(Value::as_str).collect();
        let given: Vec<_> = args.into_iter().filter(|arg| arg.starts_with("--otlp")).collect();
        assert_eq!(given, arguments);
        let egress = only(&rendered, "NetworkPolicy")["spec"]["egress"].as_array().unwrap();
        // Names, the API server, and the collector.
        let ways: Vec<_> = egress.iter().skip(2).map(|way| &way["ports"]).collect();
        let wanted: Vec<_> = ports.iter().map(|port| json!({"port": port})).collect();
        let wanted = (!wanted.is_empty()).then(|| Value::from(wanted));
        assert_eq!(ways, wanted.iter().collect::<Vec<_>>(), "{values:?}");
        let mounted = arguments.iter().any(|argument| argument.starts_with("--otlp-ca"));
        assert_eq!(pod["volumes"].is_array(), mounted, "{values:?}");
    }
}

/// What the chart does not know of, such as a header for the collector, stands beside what it does: the page's values.
#[test]
fn a_collector_gets_its_header_and_its_pods_their_port() {
    let page = include_str!("../../docs/traces.md");
    let mut blocks = page.split("```yaml\n").skip(1).filter_map(|text| text.split("```").next());
    let values = blocks.find(|block| block.contains("extraEnv")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, values).unwrap();
    let file = format!("--values={}", file.path().display());
    let rendered = objects(&template(&[]).args([file.as_str()]).ok());
    let container = &only(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0];
    let env = container["env"].as_array().unwrap();
    assert_eq!(env[0]["name"], "WAVEGATE_NAMESPACE");
    let header = json!({"secretKeyRef": {"name": "collector", "key": "headers"}});
    assert_eq!(env[1..], [json!({"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": header})]);
    let egress = only(&rendered, "NetworkPolicy")["spec"]["egress"].as_array().unwrap();
    assert_eq!(egress.last().unwrap()["ports"], json!([{"port": 4318}]));
}

#[test]
fn images_are_named_by_tag_and_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let cases: [(&[&str], String); 3] = [
        (&[], concat!("wavegate.dev/wavegate:", env!("CARGO_PKG_VERSION")).to_owned()),
        (
            &["image.repository=registry.example.com/wavegate", "image.tag=v0.1.0"],
            WAITER_IMAGE.to_owned(),
        ),
        (
            &["image.tag=v1", &format!("image.digest={digest}")],
            format!("wavegate.dev/wavegate:v1@{digest}"),
        ),
    ];
    for (values, image) in cases {
        let rendered = objects(&template(values).ok());
        let container = &only(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], *image);
        let waiter = format!("--waiter-image={image}");
        assert!(container["args"].as_array().unwrap().contains(&json!(waiter)), "{container}");
    }
}

/// What is kept outlives an uninstall; what is rendered is otherwise what was generated.
#[test]
fn definitions_are_kept_and_otherwise_as_generated() {
    let files = std::fs::read_dir("charts/wavegate/files/crds").unwrap();
    let mut generated: Vec<Value> = files
        .map(|file| objects(&std::fs::read_to_string(file.unwrap().path()).unwrap()).remove(0))
        .collect();
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    generated.sort_by_key(name);
    let mut rendered = objects(&template(&[]).ok());
    rendered.retain(|object| object["kind"] == "CustomResourceDefinition");
    rendered.sort_by_key(name);
    for object in &mut rendered {
        let metadata = object["metadata"].as_object_mut().unwrap();
        let annotations = metadata.remove("annotations").unwrap();
        assert_eq!(annotations, json!({"helm.sh/resource-policy": "keep"}));
        assert_eq!(metadata.remove("labels").unwrap()["app.kubernetes.io/part-of"], "wavegate");
    }
    assert_eq!(rendered, generated);
}

/// A CA that somebody else writes is never in a manifest, where an upgrade or Argo CD would put it back.
#[test]
fn a_ca_that_is_not_given_is_not_rendered() {
    let issuer = ["certificates.source=cert-manager", "certificates.certManager.issuerRef.name=ca"];
    for values in [&[][..], &issuer] {
        let rendered = template(values).ok();
        assert!(!rendered.contains("caBundle:"), "{values:?}");
        let managed = values.is_empty();
        let secret = objects(&rendered).into_iter().find(|object| object["kind"] == "Secret");
        assert_eq!(secret.is_some(), managed);
        if let Some(secret) = secret {
            assert_eq!(secret["metadata"]["name"], "wavegate-certificates");
            assert!(secret.get("data").is_none() && secret.get("stringData").is_none(), "{secret}");
        }
    }
}
