//! The program under test beside the control plane: started as a user starts it, with the rights and the registration
//! that the chart gives it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{ControlPlane, Server, chart, eventually, until};

/// What wavegate needs of a cluster before it starts, by the chart's templates.
const INSTALLATION: [&str; 5] = ["crds", "serviceaccount", "rbac", "guards", "certificates"];

/// The account's namespace, which a user of the chart makes as well.
const NAMESPACE: &str = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {
  "name": "wavegate", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}"#;

/// The image that the injected waiter runs. Nodes of kwok pull nothing.
pub const WAITER_IMAGE: &str = "registry.example.com/wavegate:v0.1.0";

/// A running `wavegate serve`.
#[derive(Debug)]
pub struct Wavegate {
    server: Server,
    /// `https://` and the address of the webhook port.
    url: String,
    /// Address of the health port.
    health: String,
    /// Where its certificate is, unless it makes one itself.
    certificates: Option<PathBuf>,
}

impl Wavegate {
    /// Installs what wavegate needs and starts it on loopback with ports of its own choice, with the rights of its
    /// own account; returns once it is ready.
    ///
    /// # Panics
    /// When it cannot be started, with its log.
    pub fn start(control_plane: &ControlPlane, binary: &Path) -> Self {
        install(control_plane);
        let wavegate = Self::launch(
            control_plane,
            binary,
            "wavegate",
            &own_kubeconfig(control_plane, None),
            &["--waiter-image", WAITER_IMAGE],
        );
        wavegate.until_ready();
        wavegate
    }

    /// Starts a further wavegate with this kubeconfig and arguments. It says where it serves, and need not be ready yet.
    ///
    /// # Panics
    /// When it does not start.
    pub fn launch(
        control_plane: &ControlPlane,
        binary: &Path,
        name: &str,
        kubeconfig: &Path,
        arguments: &[&str],
    ) -> Self {
        let certificates = control_plane.directory().join(format!("{name}-certs"));
        let made = Command::new(binary)
            .args(["certs", "--force", "--ip", "127.0.0.1", "--directory"])
            .arg(&certificates)
            .output()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary.display()));
        assert!(made.status.success(), "wavegate certs: {}", String::from_utf8_lossy(&made.stderr));
        let mut serve = Command::new(binary);
        serve.arg("serve");
        serve.arg("--tls-cert").arg(certificates.join("tls.crt"));
        serve.arg("--tls-key").arg(certificates.join("tls.key"));
        serve.args(arguments);
        Self::begin(control_plane, serve, name, kubeconfig, Some(certificates))
    }

    /// Like [`launch`](Self::launch), with certificates that it makes itself.
    ///
    /// # Panics
    /// When it does not start.
    pub fn launch_managed(
        control_plane: &ControlPlane,
        binary: &Path,
        name: &str,
        kubeconfig: &Path,
        arguments: &[&str],
    ) -> Self {
        let mut serve = Command::new(binary);
        serve.args(["serve", "--managed-certificates", "--certificate-name", "127.0.0.1"]);
        serve.args(arguments);
        Self::begin(control_plane, serve, name, kubeconfig, None)
    }

    fn begin(
        control_plane: &ControlPlane,
        mut serve: Command,
        name: &str,
        kubeconfig: &Path,
        certificates: Option<PathBuf>,
    ) -> Self {
        serve.args(["--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]);
        serve.args(["--drain-delay", "0s"]).arg("--kubeconfig").arg(kubeconfig);
        // A second start under the same name goes on with the same log.
        let log = control_plane.directory().join(format!("{name}.log"));
        let before = fs::read_to_string(log).map_or(0, |log| starts(&log));
        let server = control_plane.spawn(name, serve).expect("wavegate starts");
        let address = |log: &str, field: &str| {
            let line = lines(log).into_iter().rfind(|line| line["message"] == "serving")?;
            line[field].as_str().map(str::to_owned)
        };
        let (listen, health) = eventually(
            &format!("wavegate says where it serves; its log is {}", server.log_path().display()),
            Duration::from_secs(10),
            || {
                let log = server.log();
                let started = starts(&log) > before;
                started.then(|| Some((address(&log, "listen")?, address(&log, "health")?)))?
            },
        );
        Self { server, url: format!("https://{listen}"), health, certificates }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it is not within 20 seconds.
    pub fn until_ready(&self) {
        eventually("wavegate is ready", Duration::from_secs(20), || {
            self.get("/readyz").starts_with("HTTP/1.1 200").then_some(())
        });
    }

    /// Registers both webhook configurations and waits until the API server asks.
    ///
    /// # Panics
    /// When the API server refuses them or does not ask within 30 seconds.
    pub fn register(&self, control_plane: &ControlPlane) {
        let configurations = self.configurations(control_plane);
        control_plane.kubectl().args(["apply", "--filename=-"]).stdin(configurations).ok();
        until_asked(control_plane);
    }

    /// Both webhook configurations for this server; without a CA where that is the server's own matter.
    pub fn configurations(&self, control_plane: &ControlPlane) -> String {
        if self.certificates.is_none() {
            return configurations_without_ca(control_plane, &self.url);
        }
        let elsewhere = self.elsewhere();
        let values: Vec<_> = elsewhere.iter().map(String::as_str).collect();
        chart::render(control_plane, &["webhooks"], &values)
    }

    /// The chart's values for a server that runs where this one does, with a certificate from files.
    ///
    /// # Panics
    /// When its certificate is its own matter.
    pub fn elsewhere(&self) -> [String; 4] {
        let certificates = self.certificates.as_ref().expect("a certificate from files");
        let ca = fs::read(certificates.join("ca.crt")).expect("the CA's certificate");
        [
            "server.enabled=false".to_owned(),
            "certificates.source=secret".to_owned(),
            format!("webhook.url={}", self.url),
            format!("webhook.caBundle={}", STANDARD.encode(&ca)),
        ]
    }

    /// The address of the health port.
    pub fn health(&self) -> &str {
        &self.health
    }

    /// The webhook port, as `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("https://")
    }

    /// Answer to a GET on the health port, head and body.
    pub fn get(&self, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect(&self.health) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: wavegate\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read_to_string(&mut answer);
        }
        answer
    }

    /// The decisions logged about an object of this namespace and name. The log is written a moment after the answers.
    pub fn decisions(&self, namespace: &str, name: &str) -> Vec<Value> {
        let mut lines = lines(&self.server.log());
        lines.retain(|line| {
            line["message"] == "decision" && line["namespace"] == namespace && line["name"] == name
        });
        lines
    }

    /// Waits until the decisions about an object are what they are to be.
    ///
    /// # Panics
    /// When they are not within ten seconds, with those that are logged.
    pub fn until_decided(&self, namespace: &str, name: &str, as_wanted: impl Fn(&[Value]) -> bool) {
        until(Duration::from_secs(10), || {
            let decisions = self.decisions(namespace, name);
            let wanted = as_wanted(&decisions).then_some(());
            wanted.ok_or_else(|| format!("{name} in {namespace}: {decisions:#?}"))
        });
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The process, to be signalled or stopped.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The value of a metric, by its name and labels as `/metrics` prints them.
    pub fn metric(&self, series: &str) -> Option<f64> {
        let metrics = self.get("/metrics");
        metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

/// Both webhook configurations without any CA, for a server at this URL.
pub fn configurations_without_ca(control_plane: &ControlPlane, url: &str) -> String {
    let url = format!("webhook.url={url}");
    chart::render(control_plane, &["webhooks"], &["server.enabled=false", &url])
}

/// Waits until the API server asks wavegate.
///
/// # Panics
/// When it does not within 30 seconds.
pub fn until_asked(control_plane: &ControlPlane) {
    let probe = control_plane.namespace("registration", &[("wavegate.dev/mode", "enforce")]);
    let bad = include_str!("../../examples/bad/wg101-no-backoff-limit.yaml");
    eventually("the API server asks wavegate", Duration::from_secs(30), || {
        let create = ["create", "--dry-run=server", "--filename=-"];
        let output = probe.kubectl().args(create).stdin(bad).run();
        output.stderr.contains("WG101").then_some(())
    });
}

/// Applies the `CustomResourceDefinition`s, the account with its rights and the guards, and waits until all of it
/// works.
///
/// # Panics
/// When the API server refuses it.
pub fn install(control_plane: &ControlPlane) {
    let kubectl = || control_plane.kubectl();
    let rendered = chart::render(control_plane, &INSTALLATION, &[]);
    for manifest in [NAMESPACE, &rendered] {
        kubectl().args(["apply", "--filename=-"]).stdin(manifest).ok();
    }
    for plural in ["migrationrecords", "gateoverrides", "rolloutpolicies"] {
        let crd = format!("customresourcedefinition/{plural}.wavegate.dev");
        kubectl().args(["wait", &crd, "--for=condition=Established", "--timeout=50s"]).ok();
    }
    kubectl()
        .namespace("wavegate")
        .args(["wait", "--for=create", "serviceaccount/wavegate", "--timeout=50s"])
        .ok();
}

/// A kubeconfig of wavegate's own account, which may do what the chart says, for an API server at another
/// address than its own where a proxy stands in between.
///
/// # Panics
/// When no token can be had.
pub fn own_kubeconfig(control_plane: &ControlPlane, address: Option<&str>) -> PathBuf {
    let create = ["create", "token", "wavegate", "--duration=24h"];
    let token = control_plane.kubectl().namespace("wavegate").args(create).ok();
    let admin = fs::read(control_plane.kubeconfig()).expect("the administrator's kubeconfig");
    let mut kubeconfig: Value = serde_json::from_slice(&admin).expect("JSON");
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    if let Some(address) = address {
        kubeconfig["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    }
    let name = address.unwrap_or("own").replace(':', "-");
    let path = control_plane.directory().join(format!("wavegate-{name}.kubeconfig"));
    fs::write(&path, kubeconfig.to_string()).expect("the control plane's directory is writable");
    path
}

fn starts(log: &str) -> usize {
    lines(log).iter().filter(|line| line["message"] == "serving").count()
}

/// The log's lines; whatever is no JSON is passed over.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
