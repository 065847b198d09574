//! How the control plane starts: the command lines, their order, and the conditions waited for.

pub(super) mod node;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ControlPlane;
use super::certificates::{Certificates, CertificatesError};
use super::kubectl::Kubectl;
use super::programs::{self, Program, ProgramsError};
use super::reaper::Reaper;
use super::server::Server;
use super::site::Site;

/// How long each condition may take. It is met in a few seconds on an idle machine.
const BOUND: Duration = Duration::from_mins(2);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long a question to the API server may take. Who else has taken its port may never answer.
const PROBE: Duration = Duration::from_secs(5);

/// A port is free only until another process takes it, which may happen before the API server does.
const PORT_ATTEMPTS: u32 = 5;

/// The shortest `sun_path` of the systems at hand (macOS has 104 bytes, Linux 108).
const SOCKET_PATH_LIMIT: usize = 103;

const NODES: [&str; 2] = ["node-a", "node-b"];

const LOG_LINES: usize = 20;

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    #[error("cannot start the control plane: {0}")]
    Io(#[from] io::Error),
    #[error("{path} is too long for the name of a socket; set TMPDIR to a shorter folder")]
    LongPath { path: PathBuf },
    #[error("{server} ended during the start ({status}); the end of its log:\n{log}")]
    Ended { server: String, status: ExitStatus, log: String },
    #[error("{what}: not within {BOUND:?}. {hint}\nThe end of {server}'s log:\n{log}")]
    Late { what: &'static str, hint: String, server: String, log: String },
    #[error("the API server found its port taken {PORT_ATTEMPTS} times in a row")]
    NoPort,
}

impl StartError {
    fn is_port_taken(&self) -> bool {
        matches!(self, Self::Ended { log, .. } if log.contains("address already in use"))
    }
}

/// A control plane of which not all runs yet. Dropped, it takes down what does.
struct Start {
    reaper: Reaper,
    servers: Vec<Server>,
    site: Site,
    certificates: Certificates,
}

/// Starts a control plane whose API server listens on a port that `port` proposes.
pub(super) fn start(mut port: impl FnMut() -> io::Result<u16>) -> Result<ControlPlane, StartError> {
    let programs = programs::ensure()?;
    let begin = Instant::now();
    let reaper = Reaper::start()?;
    let site = Site::new(programs, reaper.directory(), None);
    let mut start = Start::new(reaper, Vec::new(), site)?;
    start.etcd()?;
    let address = start.api_server_on(&mut port)?;
    start.clients()?;
    start.kwok()?;
    start.nodes()?;
    start.wait_for(
        "the default service account and the nodes",
        "kube-controller-manager",
        |start| start.is_usable(&NODES),
    )?;
    Ok(start.finish(address, begin))
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

impl Start {
    fn new(reaper: Reaper, servers: Vec<Server>, site: Site) -> Result<Self, StartError> {
        let certificates = Certificates::write(reaper.directory().join("pki"))?;
        Ok(Self { reaper, servers, site, certificates })
    }

    fn finish(self, address: SocketAddr, begin: Instant) -> ControlPlane {
        programs::say(&format!(
            "control plane ready in {:.1} s: https://{address}, {}",
            begin.elapsed().as_secs_f64(),
            self.reaper.directory().display()
        ));
        let kubeconfig = self.certificates.kubeconfig("admin");
        ControlPlane::new(self.reaper, self.servers, self.site, kubeconfig)
    }

    /// etcd listens on sockets in the directory: no ports to collide, and no other user gets in.
    fn etcd(&mut self) -> Result<(), StartError> {
        let client = self.socket("etcd")?;
        let peer = self.socket("peer")?;
        let mut command = self.command(Program::Etcd);
        command
            .arg("--unsafe-no-fsync")
            .args(["--name", "test"])
            .args([Path::new("--data-dir"), &self.reaper.directory().join("etcd")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("test={peer}")]);
        self.spawn(Program::Etcd, command)
    }

    fn socket(&self, name: &str) -> Result<String, StartError> {
        let path = self.reaper.directory().join(format!("{name}.sock"));
        if path.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(StartError::LongPath { path });
        }
        Ok(format!("unix://{}", path.display()))
    }

    /// Starts the API server and waits until it is ready. Its port must be known beforehand.
    fn api_server_on(
        &mut self,
        port: &mut impl FnMut() -> io::Result<u16>,
    ) -> Result<SocketAddr, StartError> {
        for _ in 0..PORT_ATTEMPTS {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
            self.certificates.write_kubeconfigs(address)?;
            let mut api_server = self.api_server(address)?;
            // It refuses to publish a loopback address as the endpoint of the Service `kubernetes`.
            api_server
                .arg(format!("--bind-address={}", address.ip()))
                .arg("--endpoint-reconciler-type=none");
            self.spawn(Program::KubeApiserver, api_server)?;
            match self.api_server_is_ready(address) {
                Err(error) if error.is_port_taken() => {
                    self.servers.pop();
                    fs::remove_file(self.reaper.directory().join("kube-apiserver.log"))?;
                }
                result => return result.map(|()| address),
            }
        }
        Err(StartError::NoPort)
    }

    fn api_server_is_ready(&mut self, address: SocketAddr) -> Result<(), StartError> {
        self.wait_for("the API server's port", "kube-apiserver", |_| {
            let connection = TcpStream::connect_timeout(&address, INTERVAL);
            connection.map(drop).map_err(|error| error.to_string())
        })?;
        self.wait_for("the API server's /readyz", "kube-apiserver", |start| {
            start.get("/readyz").map(drop)
        })
    }

    fn api_server(&self, address: SocketAddr) -> Result<Command, StartError> {
        let files = &self.certificates;
        let mut command = self.command(Program::KubeApiserver);
        command
            .arg(format!("--etcd-servers={}", self.socket("etcd")?))
            .arg(format!("--secure-port={}", address.port()))
            .arg(format!("--advertise-address={}", address.ip()))
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg("--authorization-mode=Node,RBAC")
            .arg("--allow-privileged=true")
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local");
        let options = [
            ("--client-ca-file", files.authority()),
            ("--tls-cert-file", files.certificate("apiserver")),
            ("--tls-private-key-file", files.key("apiserver")),
            ("--service-account-key-file", files.token_verifier()),
            ("--service-account-signing-key-file", files.key("tokens")),
        ];
        for (option, file) in options {
            command.arg(option).arg(file);
        }
        Ok(command)
    }

    /// Starts the API server's clients. The controller manager gives up when the API server is not
    /// healthy within ten seconds, hence not before that is ready.
    fn clients(&mut self) -> Result<(), StartError> {
        let mut controllers = self.client(Program::KubeControllerManager);
        controllers
            .args(["--leader-elect=false", "--secure-port=0"])
            .arg("--use-service-account-credentials=true")
            // By default a folder of the machine, which it makes.
            .arg("--flex-volume-plugin-dir")
            .arg(self.reaper.directory().join("volume-plugins"))
            // At the start it makes a token for each controller: five seconds at its default rate.
            .args(["--kube-api-qps=1000", "--kube-api-burst=1000"])
            .arg("--service-account-private-key-file")
            .arg(self.certificates.key("tokens"))
            .arg("--root-ca-file")
            .arg(self.certificates.authority());
        self.spawn(Program::KubeControllerManager, controllers)?;

        let mut scheduler = self.client(Program::KubeScheduler);
        scheduler.args(["--leader-elect=false", "--secure-port=0"]);
        self.spawn(Program::KubeScheduler, scheduler)
    }

    fn kwok(&mut self) -> Result<(), StartError> {
        let configuration = self.reaper.directory().join("kwok.yaml");
        fs::write(&configuration, include_str!("kwok.yaml"))?;
        let mut kwok = self.client(Program::Kwok);
        kwok.arg("--config").arg(configuration);
        self.spawn(Program::Kwok, kwok)
    }

    fn client(&self, program: Program) -> Command {
        let mut command = self.command(program);
        command.arg("--kubeconfig").arg(self.certificates.kubeconfig(program.name()));
        command
    }

    fn command(&self, program: Program) -> Command {
        let mut command = self.site.command(self.site.programs().path(program));
        command.current_dir(self.reaper.directory());
        command
    }

    fn spawn(&mut self, program: Program, command: Command) -> Result<(), StartError> {
        self.servers.push(self.reaper.spawn(program.name(), command)?);
        Ok(())
    }

    fn nodes(&self) -> Result<(), StartError> {
        // The labels that a kubelet gives, and kwok's.
        let items = NODES.map(|name| {
            let labels = json!({
                "type": "kwok",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            });
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } })
        });
        let nodes = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        let create = ["create", "--filename=-"];
        let output = self.kubectl().args(create).stdin(nodes.to_string()).try_run()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("cannot create the nodes: {}", output.stderr)).into())
    }

    /// May pods be created, and will they be scheduled?
    fn is_usable(&self, names: &[&str]) -> Result<(), String> {
        self.get("/api/v1/namespaces/default/serviceaccounts/default")?;
        let nodes = self.get("/api/v1/nodes")?;
        let nodes: Value = serde_json::from_str(&nodes).map_err(|error| error.to_string())?;
        let usable = |node: &&Value| {
            let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
            let ready = conditions.filter(|condition| condition["type"] == "Ready");
            // A new Node is tainted as not ready, and the controller manager takes the taint away.
            ready.map(|condition| &condition["status"]).eq(["True"])
                && node["spec"]["taints"].is_null()
        };
        let count = nodes["items"].as_array().into_iter().flatten().filter(usable).count();
        if count == names.len() { Ok(()) } else { Err(format!("{count} nodes are ready")) }
    }

    fn get(&self, path: &str) -> Result<String, String> {
        let output = self.kubectl().args(["get", "--raw", path]).within(PROBE).try_run();
        let output = output.map_err(|error| error.to_string())?;
        if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) }
    }

    fn kubectl(&self) -> Kubectl {
        self.site.kubectl(&self.certificates.kubeconfig("admin"))
    }

    /// Waits until `probe` succeeds. Fails when any server ends or the bound is over; the error then
    /// quotes the log of the server that ended, or of `server`, which is most likely to tell why.
    fn wait_for(
        &mut self,
        what: &'static str,
        server: &str,
        probe: impl Fn(&Self) -> Result<(), String>,
    ) -> Result<(), StartError> {
        let deadline = Instant::now() + BOUND;
        loop {
            let Err(hint) = probe(self) else {
                return Ok(());
            };
            for server in &mut self.servers {
                if let Some(status) = server.try_wait()? {
                    let (log, server) = (server.log_tail(LOG_LINES), server.name().to_owned());
                    return Err(StartError::Ended { server, status, log });
                }
            }
            if Instant::now() >= deadline {
                let named = self.servers.iter().find(|candidate| candidate.name() == server);
                let log = named.map(|server| server.log_tail(LOG_LINES)).unwrap_or_default();
                return Err(StartError::Late { what, hint, server: server.to_owned(), log });
            }
            thread::sleep(INTERVAL);
        }
    }
}
