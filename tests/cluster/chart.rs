//! The chart, rendered by the real Helm.

use std::path::{Path, PathBuf};

use super::{ControlPlane, Kubectl};

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
