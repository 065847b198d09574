//! What every rule must have.

use std::collections::BTreeSet;
use std::fs;

use wavegate::policy::docs::Expectation;
use wavegate::policy::rules::RULES;

#[test]
fn codes_and_names_are_unique_and_in_order() {
    let codes: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(codes, sorted, "codes are unique and ascending");
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len(), "names are unique");
    for rule in RULES {
        let number = rule.code.strip_prefix("WG").unwrap_or_default();
        assert!(number.len() == 3 && number.parse::<u16>().is_ok(), "{}", rule.code);
    }
}

/// A file without a line in the registry would silently not be compiled.
#[test]
fn every_file_is_a_registered_rule_of_that_name() {
    let files: BTreeSet<String> = fs::read_dir("src/policy/rules")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let registered: BTreeSet<String> =
        RULES.iter().map(|rule| rule.name.replace('-', "_") + ".rs").collect();
    assert_eq!(files, registered);
}

#[test]
fn documentation_has_its_sections_and_both_examples() {
    for rule in RULES {
        let page = rule.page();
        let headings: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(
            headings,
            ["What it checks", "Why it matters", "Example", "Configuration", "References"],
            "{}",
            rule.code
        );
        assert!(rule.summary().ends_with('.'), "{}: the summary is a sentence", rule.code);
        let examples = rule.examples();
        for expectation in [Expectation::Rejected, Expectation::Accepted] {
            assert!(
                examples.iter().any(|example| example.expectation == expectation),
                "{} has no {expectation:?} example",
                rule.code
            );
        }
    }
}
