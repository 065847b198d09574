//! The JSON report: a contract of its own, versioned, whatever the inside looks like.

use serde::Serialize;

use crate::check::load::Bundle;
use crate::check::{Place, Report};
use crate::policy::{Effect, Policy};

/// Version of the format. It changes when a field changes its meaning or goes away.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'r> {
    version: u32,
    summary: Summary,
    findings: Vec<Finding<'r>>,
    jobs: Vec<Job<'r>>,
    notices: Vec<Remark<'r>>,
    errors: Vec<Remark<'r>>,
}

#[derive(Default, Serialize)]
struct Summary {
    objects: usize,
    denials: usize,
    warnings: usize,
    exempted: usize,
    errors: usize,
}

#[derive(Serialize)]
struct Finding<'r> {
    code: &'r str,
    name: &'r str,
    severity: &'r str,
    kind: &'r str,
    namespace: &'r str,
    object: &'r str,
    path: &'r str,
    message: &'r str,
    help: &'r str,
    file: &'r str,
    line: usize,
    column: usize,
    docs: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exempted: Option<Exempted<'r>>,
}

#[derive(Serialize)]
struct Exempted<'r> {
    until: String,
    reason: &'r str,
}

#[derive(Serialize)]
struct Job<'r> {
    kind: &'static str,
    namespace: &'r str,
    object: &'r str,
    file: &'r str,
    line: usize,
    role: &'r str,
    confidence: &'r str,
    reason: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'r str>,
    pairs: Vec<Pair<'r>>,
}

#[derive(Serialize)]
struct Pair<'r> {
    kind: &'r str,
    object: &'r str,
    reason: &'r str,
    sure: bool,
}

#[derive(Serialize)]
struct Remark<'r> {
    file: &'r str,
    line: usize,
    column: usize,
    message: &'r str,
}

/// The reports of all bundles as one JSON document, ended by a newline.
pub fn render(checked: &[(Bundle, Report)], policy: &Policy) -> Result<String, serde_json::Error> {
    let mut document = Document {
        version: VERSION,
        summary: Summary::default(),
        findings: Vec::new(),
        jobs: Vec::new(),
        notices: Vec::new(),
        errors: Vec::new(),
    };
    for (bundle, report) in checked {
        document.add(bundle, report, policy);
    }
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

impl<'r> Document<'r> {
    fn add(&mut self, bundle: &'r Bundle, report: &'r Report, policy: &Policy) {
        self.summary.objects += report.objects.len();
        self.summary.denials += report.count(Effect::Deny);
        self.summary.warnings += report.count(Effect::Warn);
        let exempted = report.findings.iter().filter(|checked| checked.finding.is_exempted());
        self.summary.exempted += exempted.count();
        self.summary.errors += report.errors.len();
        let file = |place: &Place| bundle.name_of(place);
        let remark = |place: &Place, message: &'r str| Remark {
            file: file(place),
            line: place.location.line,
            column: place.location.column,
            message,
        };
        self.findings.extend(report.findings.iter().map(|checked| Finding {
            code: checked.finding.code(),
            name: checked.finding.rule().name,
            severity: checked.finding.effect().name(),
            kind: &checked.object.kind,
            namespace: &checked.object.namespace,
            object: &checked.object.name,
            path: &checked.path,
            message: checked.finding.message(),
            help: checked.finding.help(),
            file: file(&checked.place),
            line: checked.place.location.line,
            column: checked.place.location.column,
            docs: policy.page_of(checked.finding.code()),
            exempted: checked.finding.exempted().map(|exempted| Exempted {
                until: exempted.expires.to_string(),
                reason: &exempted.reason,
            }),
        }));
        self.jobs.extend(report.jobs.iter().map(|job| Job {
            kind: "Job",
            namespace: &job.namespace,
            object: &job.object,
            file: file(&job.place),
            line: job.place.location.line,
            role: job.role,
            confidence: job.confidence,
            reason: &job.reason,
            phase: job.phase,
            pairs: job.pairs.iter().map(Pair::from).collect(),
        }));
        let notices = report.notices.iter();
        self.notices.extend(notices.map(|notice| remark(&notice.place, &notice.message)));
        let errors = report.errors.iter();
        self.errors.extend(errors.map(|error| remark(&error.place, &error.message)));
    }
}

impl<'r> From<&'r crate::check::PairReport> for Pair<'r> {
    fn from(pair: &'r crate::check::PairReport) -> Self {
        Self { kind: &pair.kind, object: &pair.object, reason: &pair.reason, sure: pair.sure }
    }
}
