//! What a policy says happens: each setting changes a verdict, and `check --policy` tells the same of a wrong one.

use std::collections::BTreeMap;

use serde_json::Value;
use wavegate::admission::Admission;
use wavegate::check::check_by;
use wavegate::check::load::Source;
use wavegate::check::policy::policy_of;
use wavegate::cluster::ClusterState;
use wavegate::engine::{Mode, evaluate, mutate};
use wavegate::policy::{Effect, Policies};

const JOB: &str = include_str!("../../examples/shop/migration.yaml");
const APP: &str = include_str!("../../examples/shop/app.yaml");
const VERIFICATION: &str = include_str!("../../examples/shop/verification.yaml");

fn policies(spec: &str) -> Policies {
    let text = format!(
        "apiVersion: wavegate.dev/v1alpha1\nkind: RolloutPolicy\nmetadata: {{name: default}}\nspec:\n  {spec}\n"
    );
    let now = "2026-11-24T00:00:00Z".parse().unwrap();
    policy_of(&Source::new("policy.yaml", text), now).unwrap().policies
}

fn with(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text.replacen(from, to, 1)
    })
}

fn bundle(objects: &[String]) -> String {
    objects.join("\n---\n")
}

/// The effect of each code that is found about the objects of namespace `shop`.
fn found(yaml: &str, policies: &Policies) -> BTreeMap<&'static str, &'static str> {
    let report = check_by(&[Source::new("bundle.yaml", yaml)], policies, "shop");
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let mut found = BTreeMap::new();
    for checked in &report.findings {
        let effect = checked.finding.effect();
        let known = found.entry(checked.finding.code()).or_insert(effect.name());
        if effect == Effect::Deny {
            *known = effect.name();
        }
    }
    found
}

fn record(uid: &str, image: &str, outcome: &str, creator: &str) -> String {
    format!(
        r#"apiVersion: wavegate.dev/v1alpha1
kind: MigrationRecord
metadata: {{name: {uid}}}
spec:
  app: registry.example.com/shop/api
  migration: shop-migrate
  command: manage.py migrate
  release: v1.4.0
  image: {image}
  phase: expand
  confidence: strong
  hooks: [PreSync]
  job: {{name: shop-migrate, uid: {uid}, created: "2026-11-24T11:00:00Z", creator: "{creator}"}}
status:
  outcome: {outcome}
  completionTime: "2026-11-24T11:00:30Z"
"#
    )
}

const V14: &str = "registry.example.com/shop/api:v1.4.0";

/// A setting, a bundle, a code, and its effect without the setting and with it.
struct Case(&'static str, String, &'static str, &'static str, &'static str);

fn job(edits: &[(&str, &str)]) -> String {
    with(JOB, edits)
}

fn app(edits: &[(&str, &str)]) -> String {
    with(APP, edits)
}

const RETRIES: (&str, &str) = ("backoffLimit: 0", "backoffLimit: 3");
const NO_LIMIT: (&str, &str) = ("backoffLimit: 0", "completions: 1");
const NO_DEADLINE: (&str, &str) = ("activeDeadlineSeconds: 300", "parallelism: 1");
const OPT_IN: (&str, &str) =
    ("  annotations:", "  labels: {wavegate.dev/app: shop}\n  annotations:");

fn cases_of_jobs() -> Vec<Case> {
    let verifies =
        ("  annotations:", "  labels: {wavegate.dev/role: verification}\n  annotations:");
    let verification = with(VERIFICATION, &[verifies, ("sync-wave: \"1\"", "sync-wave: \"-1\"")]);
    let ttl = ("backoffLimit: 0", "ttlSecondsAfterFinished: 700\n  backoffLimit: 0");
    let hook = ("argocd.argoproj.io/hook: PreSync", "note: none");
    let wave = ("argocd.argoproj.io/sync-wave: \"-1\"", "other: none");
    let acme = ("[python, manage.py, migrate, --noinput]", "[acme-schema, apply]");
    let script = ("[python, manage.py, migrate, --noinput]", "[./run.sh]");
    let none = ("  annotations:", "  labels: {wavegate.dev/role: none}\n  annotations:");
    let helm = ("argocd.argoproj.io/hook: PreSync", "helm.sh/hook: pre-install,pre-upgrade");
    vec![
        Case("rules: {WG101: {severity: warn}}", job(&[RETRIES]), "WG101", "deny", "warn"),
        Case("rules: {WG101: {severity: \"off\"}}", job(&[RETRIES]), "WG101", "deny", "-"),
        Case("rules: {WG112: {severity: deny}}", job(&[]), "WG112", "-", "deny"),
        Case("rules: {WG102: {maximumSeconds: 200}}", job(&[]), "WG102", "-", "deny"),
        Case("rules: {WG102: {minimumSeconds: 400}}", job(&[]), "WG102", "-", "deny"),
        Case("rules: {WG203: {minimumTtlSeconds: 1000}}", job(&[ttl]), "WG203", "-", "warn"),
        Case("rules: {WG207: {highestWave: 3}}", job(&[("\"-1\"", "\"2\"")]), "WG207", "deny", "-"),
        Case("rules: {WG207: {lowestWave: -2}}", verification, "WG207", "deny", "-"),
        Case(
            "detection: {runners: [{program: acme-*, applies: [apply]}]}",
            job(&[RETRIES, acme]),
            "WG101",
            "-",
            "deny",
        ),
        Case(
            "detection: {runners: [{program: acme-schema, applies: [other]}]}",
            job(&[RETRIES, acme]),
            "WG101",
            "-",
            "-",
        ),
        Case(
            "detection: {runners: [{program: acme-schema, looks: [apply]}]}",
            job(&[RETRIES, acme]),
            "WG101",
            "-",
            "-",
        ),
        Case(
            "detection: {jobNames: [\"*-migrate\"]}",
            job(&[RETRIES, script]),
            "WG101",
            "-",
            "deny",
        ),
        Case("roleNone: forbid", job(&[RETRIES, none]), "WG101", "-", "deny"),
        Case("waitForDb: {inject: \"off\"}", job(&[]), "WG107", "-", "warn"),
        Case("fixes: {noRetries: true}", job(&[NO_LIMIT]), "WG101", "deny", "-"),
        Case("fixes: {noRetries: true}", job(&[RETRIES]), "WG101", "deny", "deny"),
        Case("fixes: {deadlineSeconds: 600}", job(&[NO_DEADLINE]), "WG102", "deny", "-"),
        Case("ordering: external", job(&[hook, wave]), "WG201", "warn", "-"),
        Case(
            "ordering: external",
            job(&[
                hook,
                wave,
                OPT_IN,
                ("  labels: {", "  labels: {wavegate.dev/role: migration, "),
            ]),
            "WG201",
            "deny",
            "-",
        ),
        Case("ordering: helm", job(&[]), "WG201", "-", "deny"),
        Case(
            "ordering: helm",
            job(&[helm, ("argocd.argoproj.io/hook-delete-policy: BeforeHookCreation", "other: x")]),
            "WG201",
            "-",
            "-",
        ),
        Case(
            "overrides: [{namespaces: [shop], rules: {WG101: {severity: warn}}}]",
            job(&[RETRIES]),
            "WG101",
            "deny",
            "warn",
        ),
        Case(
            "overrides: [{namespaces: [other], rules: {WG101: {severity: warn}}}]",
            job(&[RETRIES]),
            "WG101",
            "deny",
            "deny",
        ),
    ]
}

fn cases_of_workloads() -> Vec<Case> {
    let unavailable = ("maxUnavailable: 0", "maxUnavailable: 1");
    let probe = (
        "readinessProbe:\n            httpGet: {path: /health, port: 8080}\n            periodSeconds: 10",
        "workingDir: /",
    );
    let digest = format!("registry.example.com/shop/api@sha256:{}", "1".repeat(64));
    let mirrored = app(&[(V14, "mirror.example.com/shop/api:v1.5.0")]);
    let pair = || bundle(&[job(&[]), app(&[unavailable])]);
    let proven = record("u1", V14, "Succeeded", "alice");
    vec![
        Case(
            "detection: {singletons: [shop-*]}",
            app(&[OPT_IN, unavailable]),
            "WG501",
            "deny",
            "-",
        ),
        Case("detection: {withoutProbes: [shop-api]}", app(&[OPT_IN, probe]), "WG502", "deny", "-"),
        Case("inferredPairs: deny", pair(), "WG501", "warn", "deny"),
        Case("floatingTags: [\"v1.*\"]", bundle(&[job(&[]), app(&[])]), "WG303", "-", "deny"),
        Case(
            "floatingTags: []",
            bundle(&[job(&[(V14, "registry.example.com/shop/api:main")])]),
            "WG303",
            "deny",
            "-",
        ),
        Case(
            "registryAliases: [{from: mirror.example.com, to: registry.example.com}]",
            bundle(&[job(&[]), mirrored]),
            "WG301",
            "-",
            "deny",
        ),
        Case(
            "evidence: {creators: [\"system:serviceaccount:argocd:*\"]}",
            bundle(&[proven.clone(), app(&[])]),
            "WG302",
            "-",
            "deny",
        ),
        Case(
            "evidence: {creators: [bob, alice]}",
            bundle(&[proven.clone(), app(&[])]),
            "WG302",
            "-",
            "-",
        ),
        Case(
            "onUnknown: warn",
            bundle(&[proven.clone(), app(&[(V14, &digest)])]),
            "WG301",
            "deny",
            "warn",
        ),
        Case(
            "rules: {WG308: {severity: warn, upstreamNamespace: staging}}",
            bundle(&[proven, app(&[])]),
            "WG308",
            "-",
            "warn",
        ),
        Case(
            "rules: {WG305: {failures: 1}}",
            bundle(&[record("u1", V14, "Failed", "a"), job(&[])]),
            "WG305",
            "-",
            "warn",
        ),
    ]
}

#[test]
fn every_setting_changes_a_verdict() {
    let base = Policies::default();
    let cases = cases_of_jobs().into_iter().chain(cases_of_workloads());
    let wrong = cases.filter_map(|Case(spec, yaml, code, before, after)| {
        let effect = |policies: &Policies| found(&yaml, policies).get(code).copied().unwrap_or("-");
        let have = (effect(&base), effect(&policies(spec)));
        (have != (before, after))
            .then(|| format!("{spec}: {code} {have:?}, not {:?}", (before, after)))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_added_is_as_the_policy_says() {
    let injected = |spec: &str| {
        let source = Source::new("job.yaml", JOB);
        let json = source.documents.unwrap()[0].value.to_string();
        let admission = Admission::of_manifest("batch", "Job", "shop", &json);
        let policies = policies(spec);
        let mutation = mutate(&admission, policies.of("shop"), Mode::Enforce);
        serde_json::to_string(&mutation.patch).unwrap()
    };
    let image = "image: registry.example.com/wavegate:v1";
    let cases = [
        (format!("waitForDb: {{{image}}}"), "registry.example.com/wavegate:v1"),
        (
            "waitForDb: {mode: busybox, busyboxImage: mirror.example.com/busybox:1}".to_owned(),
            "mirror.example.com/busybox:1",
        ),
        (format!("waitForDb: {{{image}, timeout: 47s}}"), "47s"),
        ("waitForDb: {cpu: 33m}".to_owned(), r#""cpu":"33m""#),
        ("waitForDb: {memory: 77Mi}".to_owned(), r#""memory":"77Mi""#),
        (format!("waitForDb: {{{image}, database: \"db.data:5432\"}}"), "db.data:5432"),
        ("fixes: {replaceFailedOnly: true}".to_owned(), r#""value":"Failed""#),
        ("fixes: {doNotEvict: true}".to_owned(), "do-not-disrupt"),
    ];
    let plain = injected("{}");
    for (spec, want) in cases {
        assert!(!plain.contains(want), "{want} is there anyway");
        let patch = injected(&spec);
        assert!(patch.contains(want), "{spec}: {patch}");
    }
}

#[test]
fn an_exempted_finding_warns_with_its_reason_and_its_day() {
    let labelled = with(JOB, &[RETRIES, OPT_IN]);
    let generated =
        with(JOB, &[RETRIES, ("  name: shop-migrate", "  generateName: shop-migrate-")]);
    let rest = "reason: the runner needs it, expires: \"2027-03-31\"";
    let cases = [
        ("name: shop-migrate", "shop", job(&[RETRIES]), "warn"),
        ("name: shop-migrate", "other", job(&[RETRIES]), "deny"),
        ("name: shop", "shop", job(&[RETRIES]), "deny"),
        ("generateName: shop-migrate-", "shop", generated.clone(), "warn"),
        ("name: shop-migrate-", "shop", generated, "deny"),
        ("app: shop", "shop", labelled.clone(), "warn"),
        ("app: other", "shop", labelled, "deny"),
    ];
    for (target, namespace, yaml, want) in cases {
        let spec =
            format!("exemptions: [{{rule: WG101, namespace: {namespace}, {target}, {rest}}}]");
        let policies = policies(&spec);
        assert_eq!(found(&yaml, &policies).get("WG101"), Some(&want), "{spec}");
        let report = check_by(&[Source::new("x", yaml)], &policies, "shop");
        let finding = &report.findings[0].finding;
        assert_eq!(finding.is_exempted(), want == "warn", "{spec}");
        let told = finding.message().contains("(exempt until 2027-03-31: the runner needs it)");
        assert_eq!(told, want == "warn", "{}", finding.message());
    }
}

#[test]
fn an_exemption_ends_with_its_day_and_says_so_before() {
    let source = Source::new("job.yaml", job(&[RETRIES]));
    let json = source.documents.unwrap()[0].value.to_string();
    let admission = Admission::of_manifest("batch", "Job", "shop", &json);
    let policies = policies(
        "exemptions: [{rule: WG101, namespace: shop, name: shop-migrate, reason: r, expires: \"2027-03-31\"}]",
    );
    let cases = [
        ("2027-01-01T00:00:00Z", "warn", "exempt until 2027-03-31: r"),
        ("2027-03-31T12:00:00Z", "warn", "exempt until 2027-03-31, which is soon: r"),
        ("2027-04-01T00:00:00Z", "deny", "exemption expired on 2027-03-31"),
    ];
    for (now, effect, told) in cases {
        for (mode, effect) in [(Mode::Enforce, effect), (Mode::Warn, "warn")] {
            let policy = policies.of("shop");
            let now = now.parse().unwrap();
            let decision = evaluate(&admission, &ClusterState::default(), policy, mode, now);
            let finding = decision.findings.iter().find(|f| f.code() == "WG101").unwrap();
            assert_eq!(finding.effect().name(), effect, "{now}");
            assert!(finding.message().contains(told), "{}", finding.message());
        }
    }
}

fn run(policy: &str, output: &[&str]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    std::fs::write(&path, policy).unwrap();
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_wavegate"))
        .args(["check", "--policy", "policy.yaml", "-"])
        .args(output)
        .current_dir(directory.path())
        .stdin(std::fs::File::open("examples/bad/wg101-backoff-limit-3.yaml").unwrap())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

const HEAD: &str =
    "apiVersion: wavegate.dev/v1alpha1\nkind: RolloutPolicy\nmetadata:\n  name: default\nspec:\n";

#[test]
fn a_wrong_policy_is_refused_with_file_line_and_field() {
    let policy = format!(
        "{HEAD}  rules:\n    WG999: {{severity: warn}}\n  floatingTags:\n    - latest\n    - v[0-9]+\n  exemptions:\n    - rule: WG101\n      namespace: shop\n      name: m\n      reason: r\n      expires: \"2020-01-31\"\n"
    );
    let (code, _, told) = run(&policy, &[]);
    assert_eq!(code, Some(2), "{told}");
    for want in [
        "policy.yaml:7: spec.rules.WG999: there is no rule",
        "policy.yaml:10: spec.floatingTags[1]: \"v[0-9]+\" is no pattern",
        "policy.yaml:16: spec.exemptions[0].expires: the exemption expired on 2020-01-31",
    ] {
        assert!(told.contains(want), "{want}\n{told}");
    }
    let (code, _, told) = run(&format!("{HEAD}  onUnknwon: warn\n"), &[]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("policy.yaml:6: spec.onUnknwon: unknown field"), "{told}");
}

#[test]
fn check_reads_the_policy_and_its_report_has_the_exemption() {
    let rest = "reason: r, expires: \"2999-12-31\"";
    let policy = format!(
        "{HEAD}  docs: https://docs.example.com/\n  exemptions:\n    - {{rule: WG101, namespace: default, name: shop-migrate, {rest}}}\n"
    );
    let (code, text, _) = run(&policy, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("exempt until 2999-12-31: r"), "{text}");
    assert!(text.contains("https://docs.example.com/WG101"), "{text}");
    let (_, json, _) = run(&policy, &["-o", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["summary"]["exempted"], 1);
    let exempted = &json["findings"][0]["exempted"];
    assert_eq!(
        (&exempted["until"], &exempted["reason"]),
        (&Value::from("2999-12-31"), &Value::from("r"))
    );
}
