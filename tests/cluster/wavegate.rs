//! The program under test beside the control plane: started as a user starts it, registered as the
//! repository's own manifest registers it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{ControlPlane, Server, eventually};

/// The webhook configurations, with `URL` and `CA_BUNDLE` to be replaced.
const WEBHOOKS: &str = include_str!("../../deploy/webhooks.yaml");

/// A running `wavegate serve`.
#[derive(Debug)]
pub struct Wavegate {
    server: Server,
    /// `https://` and the address of the webhook port.
    url: String,
    /// Address of the health port.
    health: String,
    certificates: PathBuf,
}

impl Wavegate {
    /// Makes certificates and starts the program on loopback with ports of its own choice; returns once it
    /// is ready.
    ///
    /// # Panics
    /// When it cannot be started, with its log.
    pub fn start(control_plane: &ControlPlane, binary: &Path) -> Self {
        let certificates = control_plane.directory().join("wavegate-certs");
        let made = Command::new(binary)
            .args(["certs", "--ip", "127.0.0.1", "--directory"])
            .arg(&certificates)
            .output()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary.display()));
        assert!(made.status.success(), "wavegate certs: {}", String::from_utf8_lossy(&made.stderr));
        let mut serve = Command::new(binary);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0"]);
        serve.args(["--drain-delay", "0s"]);
        serve.arg("--tls-cert").arg(certificates.join("tls.crt"));
        serve.arg("--tls-key").arg(certificates.join("tls.key"));
        let server = control_plane.spawn("wavegate", serve).expect("wavegate starts");
        let address = |log: &str, field: &str| {
            let line = lines(log).into_iter().find(|line| line["message"] == "serving")?;
            line[field].as_str().map(str::to_owned)
        };
        let (listen, health) = eventually(
            &format!("wavegate says where it serves; its log is {}", server.log_path().display()),
            Duration::from_secs(10),
            || Some((address(&server.log(), "listen")?, address(&server.log(), "health")?)),
        );
        let wavegate = Self { server, url: format!("https://{listen}"), health, certificates };
        eventually("wavegate is ready", Duration::from_secs(10), || {
            wavegate.get("/readyz").starts_with("HTTP/1.1 200").then_some(())
        });
        wavegate
    }

    /// Registers both webhook configurations and waits until the API server asks.
    ///
    /// # Panics
    /// When the API server refuses them or does not ask within 30 seconds.
    pub fn register(&self, control_plane: &ControlPlane) {
        control_plane.kubectl().args(["apply", "--filename=-"]).stdin(self.configurations()).ok();
        let probe = control_plane.namespace("registration", &[("wavegate.dev/mode", "enforce")]);
        let bad = include_str!("../../examples/bad/wg101-no-backoff-limit.yaml");
        eventually("the API server asks wavegate", Duration::from_secs(30), || {
            let create = ["create", "--dry-run=server", "--filename=-"];
            let output = probe.kubectl().args(create).stdin(bad).run();
            output.stderr.contains("WG101").then_some(())
        });
    }

    /// Both webhook configurations for this server.
    pub fn configurations(&self) -> String {
        let ca = fs::read(self.certificates.join("ca.crt")).expect("the CA's certificate");
        WEBHOOKS.replace("URL", &self.url).replace("CA_BUNDLE", &STANDARD.encode(&ca))
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

    /// The decisions logged about an object of this namespace and name.
    pub fn decisions(&self, namespace: &str, name: &str) -> Vec<Value> {
        let mut lines = lines(&self.server.log());
        lines.retain(|line| {
            line["message"] == "decision" && line["namespace"] == namespace && line["name"] == name
        });
        lines
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// The log's lines; whatever is no JSON is passed over.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
