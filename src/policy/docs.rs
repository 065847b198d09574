//! The rules' documentation, rendered from their declarations.

use std::fmt::Write as _;

use super::rule::{Rule, Scope};
use super::rules::RULES;

/// Whether a rule refuses an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// It raises exactly this rule.
    Rejected,
    /// It raises nothing.
    Accepted,
}

/// How an example reaches the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As manifests, created together.
    Bundle,
    /// As one object that an API server sends without having asked the mutating webhook.
    AsSent,
    /// As one object that an API server sends after the mutating webhook.
    Admitted,
    /// As the old and the new object of an update.
    Update,
}

/// A YAML example in a rule's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What the rule says about it.
    pub expectation: Expectation,
    /// How it reaches the rules.
    pub form: Form,
    /// Its text.
    pub yaml: String,
}

const FENCE: &str = "```";

impl Rule {
    /// First line of the documentation: what is wrong, as a sentence.
    pub fn summary(&self) -> &'static str {
        self.docs.lines().next().unwrap_or_default().trim()
    }

    /// What a reader needs to know about when it speaks.
    fn standing(&self) -> String {
        let sees = match self.scope {
            Scope::Object => "the object alone",
            Scope::Bundle => "the object and its companions",
            Scope::Gate => "what has happened in the cluster",
            Scope::Admission => "the object as it was admitted",
        };
        format!("Default: {}. Looks at {sees}.", self.severity)
    }

    /// The documentation as Markdown, from the heading of the rule's own name on.
    pub fn page(&self) -> String {
        let mut page = format!("# {}: {}\n\n{}\n\n", self.code, self.name, self.standing());
        for line in lines(self) {
            let line = match line.strip_prefix("# ") {
                Some(heading) => format!("## {heading}"),
                None if line.starts_with(FENCE) && line.len() > FENCE.len() => "```yaml".to_owned(),
                None => line.to_owned(),
            };
            page.push_str(&line);
            page.push('\n');
        }
        page
    }

    /// The examples, in their order.
    pub fn examples(&self) -> Vec<Example> {
        let mut examples: Vec<Example> = Vec::new();
        let mut inside = false;
        for line in lines(self) {
            match (inside, line.strip_prefix(FENCE)) {
                (false, Some(info)) => {
                    inside = true;
                    examples.push(Example {
                        expectation: if info.contains("accepted") {
                            Expectation::Accepted
                        } else {
                            Expectation::Rejected
                        },
                        form: match info.rsplit(' ').next() {
                            Some("as-sent") => Form::AsSent,
                            Some("admitted") => Form::Admitted,
                            Some("update") => Form::Update,
                            _ => Form::Bundle,
                        },
                        yaml: String::new(),
                    });
                }
                (true, Some(_)) => inside = false,
                (true, None) => {
                    if let Some(example) = examples.last_mut() {
                        example.yaml.push_str(line);
                        example.yaml.push('\n');
                    }
                }
                (false, None) => {}
            }
        }
        examples
    }
}

/// The captured lines without the blank that stands behind `///`.
fn lines(rule: &Rule) -> impl Iterator<Item = &'static str> {
    rule.docs.lines().map(|line| line.strip_prefix(' ').unwrap_or(line))
}

/// The table of all rules as Markdown; `link` makes a page's address from a code.
pub fn table(link: impl Fn(&str) -> String) -> String {
    let mut table = "| code | name | says | default |\n|---|---|---|---|\n".to_owned();
    for rule in RULES {
        let (code, name, summary, severity) = (rule.code, rule.name, rule.summary(), rule.severity);
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| [{code}]({}) | {name} | {} | {severity} |",
            link(code),
            summary.replace('|', "\\|")
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_rule_at_its_head_and_plain_fences() {
        let rule = super::super::rules::find("WG101").unwrap();
        let page = rule.page();
        assert!(page.starts_with("# WG101: retries-enabled\n\nDefault: deny."), "{page}");
        assert!(page.contains("\n## Why it matters\n"));
        assert!(page.contains("\n```yaml\n") && !page.contains("yaml rejected"));
    }

    #[test]
    fn examples_keep_their_text_and_form() {
        let rule = super::super::rules::find("evidence-relabelled").unwrap();
        let examples = rule.examples();
        assert_eq!(examples.len(), 2);
        assert_eq!(examples[0].expectation, Expectation::Rejected);
        assert_eq!(examples[1].form, Form::Update);
        assert!(examples[0].yaml.starts_with("apiVersion: batch/v1\n"));
        assert_eq!(examples[0].yaml.matches("\n---\n").count(), 1);
    }
}
