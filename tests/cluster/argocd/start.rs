//! How Argo CD starts: its objects in the cluster, the command lines, and the conditions waited for.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::ControlPlane;
use super::super::node::on_path;
use super::super::programs::{self, Program, ProgramsError};
use super::super::server::Server;
use super::watch::Watch;
use super::{ArgoCd, NAMESPACE};

/// How long each condition may take. It is met in a few seconds on an idle machine.
const BOUND: Duration = Duration::from_mins(1);

const INTERVAL: Duration = Duration::from_millis(50);

const LOG_LINES: usize = 20;

/// What the log says of each server once it serves.
const REDIS_READY: &str = "eady to accept connections";
const REPO_SERVER_READY: &str = "argocd-repo-server is listening on ";
const CONTROLLER_READY: &str = "subscribed to settings updates";

/// Why Argo CD did not start.
#[derive(Debug, thiserror::Error)]
pub enum ArgoCdError {
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error("cannot start Argo CD: {0}")]
    Io(#[from] io::Error),
    #[error("neither redis-server nor redis-check-rdb is on PATH: run `make tools`")]
    NoRedis,
    #[error("kubectl {arguments}: {stderr}")]
    Kubectl { arguments: String, stderr: String },
    #[error("{server} ended during the start ({status}); the end of its log:\n{log}")]
    Ended { server: String, status: ExitStatus, log: String },
    #[error("{server} did not say {line:?} within {BOUND:?}; the end of its log:\n{log}")]
    Late { server: String, line: &'static str, log: String },
}

pub(super) fn start(control_plane: &ControlPlane) -> Result<ArgoCd<'_>, ArgoCdError> {
    let begin = Instant::now();
    let start = Start { control_plane, directory: control_plane.directory().join("argocd") };
    start.folders()?;
    let mut redis = start.redis()?;
    said(&mut redis, REDIS_READY)?;
    let mut repo_server = start.repo_server()?;
    start.objects()?;
    start.write_kubeconfig()?;
    let address = said(&mut repo_server, REPO_SERVER_READY)?;
    let mut controller = start.controller(&address)?;
    said(&mut controller, CONTROLLER_READY)?;
    let watch = start.watch()?;
    programs::say(&format!("Argo CD ready in {:.1} s", begin.elapsed().as_secs_f64()));
    Ok(ArgoCd {
        watch,
        controller,
        repo_server,
        redis,
        control_plane,
        directory: start.directory,
        applications: AtomicU32::new(1),
        operations: AtomicU32::new(1),
    })
}

/// The controller's kubeconfig file in Argo CD's directory.
pub(super) fn kubeconfig(directory: &Path) -> PathBuf {
    directory.join("controller.kubeconfig")
}

struct Start<'c> {
    control_plane: &'c ControlPlane,
    directory: PathBuf,
}

impl Start<'_> {
    fn folders(&self) -> io::Result<()> {
        for folder in ["bin", "git", "plugins", "ssh", "tls"] {
            fs::create_dir_all(self.directory.join(folder))?;
        }
        let bin = self.directory.join("bin");
        symlink(self.control_plane.site().programs().path(Program::Helm), bin.join("helm"))?;
        // It shows the signatures of commits, and is called although nobody asks for any.
        let verify = bin.join("git-verify-wrapper.sh");
        fs::write(&verify, "#!/bin/sh\n")?;
        fs::set_permissions(&verify, fs::Permissions::from_mode(0o755))
    }

    /// Redis listens on a socket in the directory: no port to collide, and no other user gets in.
    fn redis(&self) -> Result<Server, ArgoCdError> {
        let program = redis_program().ok_or(ArgoCdError::NoRedis)?;
        let mut redis = self.control_plane.site().command_without_network(&program);
        redis
            .arg0("redis-server")
            .args(["--port", "0", "--unixsocket"])
            .arg(self.redis_socket())
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&self.directory);
        Ok(self.control_plane.spawn("redis", redis)?)
    }

    fn redis_socket(&self) -> PathBuf {
        self.directory.join("redis.sock")
    }

    fn repo_server(&self) -> io::Result<Server> {
        let mut command = self.argocd("argocd-repo-server");
        command
            .args(["--address", "127.0.0.1", "--port", "0"])
            .args(["--metrics-address", "127.0.0.1", "--metrics-port", "0"])
            // On loopback. Without TLS the default path of the clients' CA is refused.
            .args(["--disable-tls", "--client-ca-path", ""]);
        self.control_plane.spawn("argocd-repo-server", command)
    }

    fn controller(&self, repo_server: &str) -> io::Result<Server> {
        let mut command = self.argocd("argocd-application-controller");
        command
            .args(["--repo-server", repo_server, "--repo-server-plaintext"])
            .args(["--metrics-port", "0"])
            // Compares when a test asks for it or an object changes, not when two minutes are over: what a
            // test sees shall not depend on how long it takes.
            .args(["--app-resync", "0", "--app-resync-jitter", "0"])
            // Otherwise a source that cannot be rendered is passed over in silence for three minutes.
            .args(["--repo-error-grace-period-seconds", "0"])
            // The second self-heal in a row waits for two seconds, the next for six, and so on.
            .args(["--self-heal-backoff-timeout-seconds", "1"])
            .args(["--self-heal-backoff-factor", "1"])
            // Each sync keeps one of its ten processors while it pauses between waves.
            .args(["--operation-processors", "50"])
            // The pause is two seconds and must not be left out: only by it does the controller see
            // the object it has just applied, and not the healthy one before (argo-cd#4669).
            .env("ARGOCD_SYNC_WAVE_DELAY", "1")
            // For the same reason: what the API server tells is noted at once, not every 100 ms.
            .env("ARGOCD_CLUSTER_CACHE_BATCH_EVENTS_PROCESSING", "false")
            .env("ARGOCD_K8S_CLIENT_QPS", "1000")
            // The cluster it works on is the one of its kubeconfig.
            .env("ARGOCD_FAKE_IN_CLUSTER", "true")
            .env("KUBECONFIG", kubeconfig(&self.directory));
        self.control_plane.spawn("argocd-application-controller", command)
    }

    /// A component of Argo CD. All are one program, which goes by this variable.
    fn argocd(&self, name: &str) -> Command {
        let program = self.control_plane.site().programs().path(Program::ArgoCd);
        let mut command = self.control_plane.site().command(&program);
        command
            .env("ARGOCD_BINARY_NAME", name)
            .env("PATH", self.path())
            .env("ARGOCD_GPG_ENABLED", "false")
            .env("ARGOCD_TLS_DATA_PATH", self.directory.join("tls"))
            .env("ARGOCD_SSH_DATA_PATH", self.directory.join("ssh"))
            .env("ARGOCD_PLUGINSOCKFILEPATH", self.directory.join("plugins"))
            .env("ARGOCD_ASK_PASS_SOCK", self.directory.join("askpass.sock"))
            // The flag is for its own messages, the variable for those of Kubernetes' libraries.
            .env("ARGOCD_LOG_FORMAT", "text")
            .args(["--logformat", "text", "--redis"])
            .arg(self.redis_socket())
            .current_dir(&self.directory);
        command
    }

    fn path(&self) -> OsString {
        let mut path = self.directory.join("bin").into_os_string();
        if let Some(rest) = env::var_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        path
    }

    /// Creates what Argo CD's authors ship, and the project that its API server creates at its start.
    fn objects(&self) -> Result<(), ArgoCdError> {
        let manifests = self.control_plane.site().programs().argocd_manifests()?;
        let manifests = manifests.display().to_string();
        self.kubectl(&["create", "namespace", NAMESPACE], "")?;
        self.kubectl(&["create", "--namespace", NAMESPACE, "--filename", &manifests], "")?;
        self.serves_the_kinds()?;
        let project = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": { "name": "default", "namespace": NAMESPACE },
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{ "server": "*", "namespace": "*" }],
                "clusterResourceWhitelist": [{ "group": "*", "kind": "*" }],
            },
        });
        self.kubectl(&["create", "--filename=-"], &project.to_string())?;
        Ok(())
    }

    /// Waits until the API server serves the kinds that were just defined. `kubectl wait` fails when it
    /// meets a definition that has no conditions yet.
    fn serves_the_kinds(&self) -> Result<(), ArgoCdError> {
        let deadline = Instant::now() + BOUND;
        loop {
            let get = ["get", "applications,appprojects", "--namespace", NAMESPACE];
            match self.kubectl(&get, "") {
                Err(_) if Instant::now() < deadline => thread::sleep(INTERVAL),
                result => return result.map(drop),
            }
        }
    }

    /// Writes the kubeconfig of Argo CD's service account: the administrator's with another user.
    fn write_kubeconfig(&self) -> Result<(), ArgoCdError> {
        let account = "argocd-application-controller";
        let token = ["create", "token", account, "--namespace", NAMESPACE, "--duration=24h"];
        let token = self.kubectl(&token, "")?;
        let mut config: Value = serde_json::from_slice(&fs::read(self.control_plane.kubeconfig())?)
            .map_err(io::Error::other)?;
        config["users"] = json!([{ "name": account, "user": { "token": token.trim() } }]);
        config["contexts"][0]["context"]["user"] = account.into();
        // By this the controller knows its own namespace.
        config["contexts"][0]["context"]["namespace"] = NAMESPACE.into();
        fs::write(kubeconfig(&self.directory), format!("{config:#}\n"))?;
        Ok(())
    }

    fn watch(&self) -> io::Result<Watch> {
        let site = self.control_plane.site().clone();
        let kubeconfig = self.control_plane.kubeconfig().to_owned();
        Watch::start(move || {
            site.kubectl(&kubeconfig).namespace(NAMESPACE).args([
                "get",
                "applications",
                "--watch",
                "--output-watch-events",
                "--output=json",
            ])
        })
    }

    fn kubectl(&self, arguments: &[&str], stdin: &str) -> Result<String, ArgoCdError> {
        let output = self.control_plane.kubectl().args(arguments).stdin(stdin).try_run()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(ArgoCdError::Kubectl { arguments: arguments.join(" "), stderr: output.stderr })
    }
}

/// Debian's package `redis-server` starts a service when it is installed. `redis-tools` does not, and has
/// the same program under another name: it goes by the name that it is called by.
fn redis_program() -> Option<PathBuf> {
    ["redis-server", "redis-check-rdb"].into_iter().find_map(on_path)
}

/// Waits until a server's log holds `line`, and returns the word behind it.
fn said(server: &mut Server, line: &'static str) -> Result<String, ArgoCdError> {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some((_, rest)) = server.log().split_once(line) {
            let word = rest.split(['"', ' ', '\n']).next();
            return Ok(word.unwrap_or_default().to_owned());
        }
        let log = server.log_tail(LOG_LINES);
        if let Some(status) = server.try_wait()? {
            return Err(ArgoCdError::Ended { server: server.name().to_owned(), status, log });
        }
        if Instant::now() >= deadline {
            return Err(ArgoCdError::Late { server: server.name().to_owned(), line, log });
        }
        thread::sleep(INTERVAL);
    }
}
