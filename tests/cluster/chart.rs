//! The chart, rendered by the real Helm, and installed as README says.

use std::env;
use std::path::{Path, PathBuf};

use super::programs::Program;
use super::{ControlPlane, Kubectl, Output};

const README: &str = include_str!("../../README.md");

/// The chart's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/wavegate")
}

/// `helm template` of the chart as release `wavegate` in namespace `wavegate`, with these values as `--set` takes them.
pub fn template(control_plane: &ControlPlane, values: &[&str]) -> Kubectl {
    let helm = control_plane.helm().args(["template", "wavegate"]).args([folder()]);
    values.iter().fold(helm.namespace("wavegate"), |helm, value| helm.args(["--set", value]))
}

/// What these templates render to, which must work.
///
/// # Panics
/// When Helm refuses the values.
pub fn render(control_plane: &ControlPlane, templates: &[&str], values: &[&str]) -> String {
    let show = |helm: Kubectl, template: &&str| {
        helm.args(["--show-only".to_owned(), format!("templates/{template}.yaml")])
    };
    templates.iter().fold(template(control_plane, values), show).ok()
}

/// The commands by which README installs wavegate in a cluster.
///
/// # Panics
/// When README has none.
pub fn readme() -> &'static str {
    let (_, section) = README.split_once("## In the cluster").expect("the section");
    let script = section.split("```").nth(1).and_then(|block| block.strip_prefix("sh\n"));
    script.expect("a block of commands")
}

/// Runs commands of a page as they stand there, where a checkout is, with this wavegate.
pub fn run(cluster: &ControlPlane, wavegate: &Path, script: &str) -> Output {
    let site = cluster.site();
    let clients = [Program::Kubectl, Program::Helm].map(|program| site.programs().path(program));
    let programs = [wavegate.to_owned()].into_iter().chain(clients);
    let programs: Vec<_> =
        programs.filter_map(|program| Some(program.parent()?.to_owned())).collect();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(programs.into_iter().chain(env::split_paths(&path)));
    let output = site
        .command("sh")
        .args(["-euc", script])
        .env("PATH", path.expect("folders without colons"))
        .env("KUBECONFIG", cluster.kubeconfig())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("sh");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Runs commands of a page that install wavegate.
///
/// # Panics
/// When one fails, or the API server warns of what they apply.
pub fn follow(cluster: &ControlPlane, wavegate: &Path, script: &str) {
    let output = run(cluster, wavegate, script);
    let told = format!("{}{}", output.stdout, output.stderr);
    assert!(output.status.success(), "{script}{told}");
    // Pod Security only warns of what a Deployment's pods will be refused for.
    assert!(!told.contains("Warning:"), "{told}");
}
