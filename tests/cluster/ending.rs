//! How a test ends a pod that runs until it says so.

use std::time::Duration;

use super::kubectl::Kubectl;
use super::{Namespace, eventually};

const BOUND: Duration = Duration::from_mins(1);

/// What becomes of the pod of a Job whose template says `test.wavegate.dev/outcome: run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Succeed,
    Fail,
}

impl Ending {
    fn outcome(self) -> &'static str {
        match self {
            Self::Succeed => "test.wavegate.dev/outcome=succeed",
            Self::Fail => "test.wavegate.dev/outcome=fail",
        }
    }

    /// Waits for the Job's pod and lets it end so.
    pub(super) fn of_job(self, job: &str, kubectl: impl Fn() -> Kubectl) {
        let selector = format!("--selector=job-name={job}");
        let active = "--field-selector=status.phase!=Succeeded,status.phase!=Failed";
        let pod = eventually(&format!("the Job {job} has a pod that runs"), BOUND, || {
            let pods = kubectl().args(["get", "pods", &selector, active]).json();
            let mut pods = pods["items"].as_array()?.iter();
            let pod = pods.find(|pod| pod["metadata"]["deletionTimestamp"].is_null())?;
            pod["metadata"]["name"].as_str().map(str::to_owned)
        });
        kubectl().args(["annotate", "--overwrite", "pod", &pod, self.outcome()]).ok();
    }
}

impl Namespace<'_> {
    /// Waits for the pod of a Job and ends it. Its template must say that it runs until then.
    ///
    /// # Panics
    /// When the Job has no pod that runs.
    pub fn end_job(&self, job: &str, ending: Ending) {
        ending.of_job(job, || self.kubectl());
    }
}
