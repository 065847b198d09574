//! The programs of the control plane: where they are, and how they are built where they are not.
//!
//! Their versions are pinned by `module/go.mod`. Programs found in `$KUBEBUILDER_ASSETS` are taken from
//! there (envtest's folder has three of them); the others are built from source by `go build`, once, into
//! `${WAVEGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wavegate}/control-plane/<key>`, outside the target
//! folder, so that `cargo clean` does not cost a rebuild. (They take 0.5 GB there, and the build takes
//! about 9 GB in Go's own caches.) The key is a digest of all that decides what
//! the programs are: another version is another folder.

mod manifests;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

use sha2::{Digest, Sha256};

const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/module");

/// Leaves go.mod as it is, and stamps no version control state: it would change the binary with
/// every commit.
const GOFLAGS: &str = "-mod=readonly -buildvcs=false";

/// Part of the name of a file that `go build` still writes to. The process id follows: a `go` that has
/// survived its parent's end must not write to the same file as the next.
const PARTIAL: &str = ".partial-";

/// A long build says that often that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How much of a failed build's output an error quotes.
const TAIL_LINES: usize = 20;

/// A program of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kubectl,
    Kwok,
    Helm,
    ArgoCd,
    Kubelet,
    KubeProxy,
    Containerd,
    ContainerdShim,
    Ctr,
    CoreDns,
}

impl Program {
    /// All programs, in the order in which they are built: the small ones first, so that a broken
    /// tool chain shows at once.
    pub const ALL: [Self; 14] = [
        Self::Etcd,
        Self::ContainerdShim,
        Self::Ctr,
        Self::Containerd,
        Self::CoreDns,
        Self::Helm,
        Self::Kwok,
        Self::Kubectl,
        Self::KubeScheduler,
        Self::KubeControllerManager,
        Self::KubeApiserver,
        Self::KubeProxy,
        Self::Kubelet,
        Self::ArgoCd,
    ];

    /// The name of the executable file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Kwok => "kwok",
            Self::Helm => "helm",
            Self::ArgoCd => "argocd",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Containerd => "containerd",
            Self::ContainerdShim => "containerd-shim-runc-v2",
            Self::Ctr => "ctr",
            Self::CoreDns => "coredns",
        }
    }

    /// The main package, a `tool` of the Go module.
    fn package(self) -> &'static str {
        match self {
            Self::Etcd => "go.etcd.io/etcd/server/v3",
            Self::KubeApiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
            Self::KubeControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
            Self::KubeScheduler => "k8s.io/kubernetes/cmd/kube-scheduler",
            Self::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
            Self::Kwok => "sigs.k8s.io/kwok/cmd/kwok",
            Self::Helm => "helm.sh/helm/v4/cmd/helm",
            Self::ArgoCd => "github.com/argoproj/argo-cd/v3/cmd",
            Self::Kubelet => "k8s.io/kubernetes/cmd/kubelet",
            Self::KubeProxy => "k8s.io/kubernetes/cmd/kube-proxy",
            Self::Containerd => "github.com/containerd/containerd/v2/cmd/containerd",
            Self::ContainerdShim => {
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"
            }
            Self::Ctr => "github.com/containerd/containerd/v2/cmd/ctr",
            Self::CoreDns => "github.com/coredns/coredns",
        }
    }
}

/// Why the programs cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    #[error(
        "`go` is not on PATH. The test control plane is built from source, once: install Go {version} \
         or newer, or set KUBEBUILDER_ASSETS to a folder that holds {}",
        missing.join(", ")
    )]
    NoGo { version: String, missing: Vec<&'static str> },
    #[error("`go build` of {program} failed ({status}); the end of its output:\n{tail}")]
    Build { program: &'static str, status: ExitStatus, tail: String },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{MODULE}/go.mod has no line `{0} VERSION`")]
    NoVersion(&'static str),
    #[error("there is no place for a cache: set WAVEGATE_CACHE, XDG_CACHE_HOME or HOME")]
    NoCache,
}

/// The places of all programs.
#[derive(Debug, Clone)]
pub struct Programs {
    assets: Option<PathBuf>,
    cache: PathBuf,
}

impl Programs {
    /// The path of a program's executable file.
    pub fn path(&self, program: Program) -> PathBuf {
        self.asset(program).unwrap_or_else(|| self.cache.join(program.name()))
    }

    fn asset(&self, program: Program) -> Option<PathBuf> {
        self.assets.as_ref().map(|folder| folder.join(program.name())).filter(|path| path.is_file())
    }

    fn missing(&self) -> Vec<Program> {
        Program::ALL.into_iter().filter(|program| !self.path(*program).is_file()).collect()
    }
}

/// Finds all programs and builds those that are missing, telling the progress on standard error. Only
/// the first call on a machine takes long. Fails when Go is missing or a build fails.
pub fn ensure() -> Result<Programs, ProgramsError> {
    let recipe = Recipe::read()?;
    let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|value| !value.is_empty());
    let cache = cache_folder()?.join("control-plane").join(&recipe.key);
    let programs = Programs { assets: assets.map(PathBuf::from), cache };
    if !programs.missing().is_empty() {
        let _lock = lock(&programs.cache)?;
        // Whoever held the lock before may have built them.
        recipe.build(&programs.cache, &programs.missing())?;
    }
    Ok(programs)
}

fn cache_folder() -> Result<PathBuf, ProgramsError> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("WAVEGATE_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("wavegate")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/wavegate")))
        .ok_or(ProgramsError::NoCache)
}

/// Takes the lock on the cache folder: one process builds at a time. The system releases it when the
/// returned file is closed, so a killed build does not block the next one.
fn lock(cache: &Path) -> Result<File, ProgramsError> {
    fs::create_dir_all(cache).map_err(at(cache))?;
    let path = cache.join("lock");
    let file = File::create(&path).map_err(at(&path))?;
    let start = Instant::now();
    let mut next = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if start.elapsed() >= next {
                    let so_far = minutes(start.elapsed());
                    say(&format!("another process builds the programs; waiting, {so_far} so far"));
                    next += HEARTBEAT;
                }
                thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::Error(source)) => return Err(at(&path)(source)),
        }
    }
}

/// All that decides what the built programs are.
struct Recipe {
    go_version: String,
    toolchain: String,
    ldflags: String,
    key: String,
}

impl Recipe {
    fn read() -> Result<Self, ProgramsError> {
        let read = |name| {
            let path = Path::new(MODULE).join(name);
            fs::read_to_string(&path).map_err(at(&path))
        };
        let (go_mod, go_sum) = (read("go.mod")?, read("go.sum")?);
        let go_version = version(&go_mod, "go")?;
        let toolchain = version(&go_mod, "toolchain")?;
        let ldflags = ldflags(&version(&go_mod, "k8s.io/kubernetes")?);
        let mut digest = Sha256::new();
        for part in [&go_mod, &go_sum, GOFLAGS, &ldflags, env::consts::OS, env::consts::ARCH] {
            digest.update(part);
            digest.update([0]);
        }
        for program in Program::ALL {
            digest.update(format!("{} {}\0", program.name(), program.package()));
        }
        let key = digest.finalize().iter().take(8).fold(String::new(), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        });
        Ok(Self { go_version, toolchain, ldflags, key })
    }

    /// The go command in the module, whatever the user's settings are.
    fn go(&self) -> Command {
        let mut go = Command::new("go");
        go.current_dir(MODULE)
            .envs([("CGO_ENABLED", "0"), ("GOFLAGS", GOFLAGS), ("GOWORK", "off")])
            // Argo CD needs a newer Go than many machines have; the go command fetches it as a module.
            .env("GOTOOLCHAIN", &self.toolchain)
            .env_remove("GOOS")
            .env_remove("GOARCH");
        go
    }

    fn build(&self, cache: &Path, missing: &[Program]) -> Result<(), ProgramsError> {
        if missing.is_empty() {
            return Ok(());
        }
        say(&format!(
            "building the programs of the test control plane into {}; the first build on a machine \
             takes about 15 to 20 minutes and is done once",
            cache.display()
        ));
        remove_partial(cache)?;
        for (index, program) in missing.iter().enumerate() {
            let title = format!("{} ({} of {})", program.name(), index + 1, missing.len());
            let start = Instant::now();
            say(&format!("building {title}"));
            // Only whole files may get the program's name: whoever sees it takes it without the lock.
            let partial = cache.join(format!("{}{PARTIAL}{}", program.name(), process::id()));
            let whole = cache.join(program.name());
            self.build_one(*program, &partial, &title, start, missing)?;
            fs::rename(&partial, &whole).map_err(at(&whole))?;
            say(&format!("built {title} in {}", minutes(start.elapsed())));
        }
        Ok(())
    }

    fn build_one(
        &self,
        program: Program,
        output: &Path,
        title: &str,
        start: Instant,
        missing: &[Program],
    ) -> Result<(), ProgramsError> {
        let mut go = self
            .go()
            .args(["build", "-trimpath", "-ldflags", &self.ldflags, "-o"])
            .arg(output)
            .arg(program.package())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => ProgramsError::NoGo {
                    version: self.go_version.clone(),
                    missing: missing.iter().map(|program| program.name()).collect(),
                },
                _ => at(Path::new("go"))(source),
            })?;
        let stderr = go.stderr.take();
        let tail = thread::spawn(move || stderr.map(last_lines).unwrap_or_default());
        let mut next = HEARTBEAT;
        let status = loop {
            if let Some(status) = go.try_wait().map_err(at(Path::new("go")))? {
                break status;
            }
            if start.elapsed() >= next {
                say(&format!("building {title}, {} so far", minutes(start.elapsed())));
                next += HEARTBEAT;
            }
            thread::sleep(Duration::from_millis(100));
        };
        let tail = tail.join().unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        Err(ProgramsError::Build { program: program.name(), status, tail })
    }
}

/// Removes what a killed build has left.
fn remove_partial(cache: &Path) -> Result<(), ProgramsError> {
    for entry in fs::read_dir(cache).map_err(at(cache))? {
        let path = entry.map_err(at(cache))?.path();
        if path.to_string_lossy().contains(PARTIAL) {
            fs::remove_file(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// The version that go.mod states for `name`, which is `go`, `toolchain` or a module. Its lines are `name version`,
/// in a block or behind the word `require`.
fn version(go_mod: &str, name: &'static str) -> Result<String, ProgramsError> {
    go_mod
        .lines()
        .find_map(|line| {
            let mut words = line.split_whitespace().skip_while(|word| *word == "require");
            (words.next() == Some(name)).then(|| words.next().map(str::to_owned)).flatten()
        })
        .ok_or(ProgramsError::NoVersion(name))
}

/// Without the stamps the API server and kubectl call themselves v0.0.0. kwok and etcd know their
/// versions, and ignore stamps for packages that they lack.
fn ldflags(kubernetes: &str) -> String {
    let mut numbers = kubernetes.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={kubernetes} -X {package}.gitMajor={major} \
         -X {package}.gitMinor={minor}"
    )
}

fn last_lines(stream: impl Read) -> String {
    let mut lines = VecDeque::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    Vec::from(lines).join("\n")
}

/// Tells the progress. Unlike `eprintln!` this is shown at once under `cargo test` too, which captures
/// what the macros print.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "wavegate tests [{}]: {text}", process::id());
}

fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 60 {
        0 => format!("{seconds}s"),
        minutes => format!("{minutes}m{:02}s", seconds % 60),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> ProgramsError + use<> {
    let path = path.to_owned();
    move |source| ProgramsError::File { path: path.clone(), source }
}
