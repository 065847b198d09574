//! The documentation: every page is found, every link leads somewhere, every quoted message is one that is said.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wavegate::check::check;
use wavegate::check::load::Source;
use wavegate::policy::Policy;
use wavegate::policy::docs::Expectation;
use wavegate::policy::rules::RULES;

const DOCS: &str = "docs";

fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

fn all_pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    pages(Path::new(DOCS), &mut found);
    found.sort();
    found
}

/// Targets of the links of a page, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for (position, part) in text.split("```").enumerate() {
        if position % 2 == 1 {
            continue;
        }
        for rest in part.split("](").skip(1) {
            links.push(rest.split(')').next().unwrap().to_owned());
        }
    }
    links
}

#[test]
fn every_page_is_in_the_summary_once() {
    let summary = fs::read_to_string("docs/SUMMARY.md").unwrap();
    let listed = links(&summary);
    let unique: BTreeSet<PathBuf> = listed.iter().map(|link| Path::new(DOCS).join(link)).collect();
    assert_eq!(unique.len(), listed.len(), "a page is listed twice");
    let mut want: BTreeSet<PathBuf> = all_pages().into_iter().collect();
    want.remove(Path::new("docs/SUMMARY.md"));
    assert_eq!(unique, want);
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut files = all_pages();
    files.push(PathBuf::from("README.md"));
    for page in files {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.starts_with("https://") || link.starts_with('#') {
                continue;
            }
            let target = link.split('#').next().unwrap();
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{}: {link} leads nowhere", page.display());
            // A book has no pages outside of its folder.
            let inside = page.starts_with(DOCS);
            let leaves = fs::canonicalize(&path).unwrap();
            let home = fs::canonicalize(DOCS).unwrap();
            assert!(!inside || leaves.starts_with(home), "{}: {link} leaves", page.display());
        }
    }
}

/// The pipelines of the page run where the example application is what they check, and where a Job of it is bad.
#[test]
fn the_pipelines_for_ci_work() {
    let text = fs::read_to_string("docs/ci.md").unwrap();
    let blocks = text.split("```").skip(1).step_by(2);
    let commands: Vec<&str> = blocks
        .flat_map(str::lines)
        .filter_map(|line| Some(line.split_at(line.find("wavegate check")?).1))
        .collect();
    let program = Path::new(env!("CARGO_BIN_EXE_wavegate")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", program.display());
    let good = fs::read_dir("examples/shop").unwrap().map(|entry| entry.unwrap().path());
    let bad = PathBuf::from("examples/bad/wg101-backoff-limit-3.yaml");
    let mut written = Vec::new();
    for (files, status) in [(good.collect(), 0), (vec![bad], 1)] {
        let directory = tempfile::tempdir().unwrap();
        let manifests = directory.path().join("manifests");
        fs::create_dir(&manifests).unwrap();
        for file in files {
            fs::copy(&file, manifests.join(file.file_name().unwrap())).unwrap();
        }
        for command in &commands {
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", command]).current_dir(directory.path()).env_clear();
            let output = shell.env("PATH", &path).output().unwrap();
            assert_eq!(output.status.code(), Some(status), "{command}: {output:?}");
        }
        for (file, finding) in [("wavegate.sarif", "\"WG101\""), ("wavegate.xml", "type=\"WG101\"")]
        {
            assert!(text.contains(&format!(": {file}}}")), "{file} is taken by the next step");
            let report = fs::read_to_string(directory.path().join(file)).unwrap();
            assert_eq!(report.contains(finding), status == 1, "{file}: {report}");
            written.push(report);
        }
    }
    assert_eq!((commands.len(), written.len()), (3, 4), "{commands:?}");
}

/// What `check` says of a file, or of a rule's rejected example.
fn said(source: &str) -> Vec<String> {
    let text = match source.strip_prefix("rule ") {
        Some(code) => {
            let rule = RULES.iter().find(|rule| rule.code == code).expect("a rule");
            let mut examples = rule.examples().into_iter();
            let rejected = examples.find(|e| e.expectation == Expectation::Rejected);
            rejected.expect("a rejected example").yaml
        }
        None => fs::read_to_string(source).unwrap(),
    };
    let report = check(&[Source::new(source, text)], &Policy::default(), "shop");
    report.findings.iter().map(|checked| checked.finding.to_string()).collect()
}

/// A block of the page on messages names, in the comment above it, what it is said about.
#[test]
fn the_quoted_messages_are_what_is_said() {
    let text = fs::read_to_string("docs/faq.md").unwrap();
    let mut quotes = 0;
    for part in text.split("<!-- from ").skip(1) {
        let (source, rest) = part.split_once(" -->\n```text\n").expect("a block after the comment");
        let quote = rest.split("\n```").next().unwrap();
        let said = said(source);
        assert!(said.iter().any(|line| line == quote), "{source}: {quote}\nis not in {said:#?}");
        quotes += 1;
    }
    assert!(quotes >= 8, "{quotes} quotes");
}
