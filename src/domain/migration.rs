//! Which of an app's migrations a Job runs.
//!
//! A migration keeps its identity from release to release and from attempt to attempt, although charts put
//! hashes, dates, revisions and versions into the names of its Jobs so that each can be created anew.

use super::image::ImageRef;
use super::job::Job;
use super::keys;

/// Identity of a migration within its app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Migration {
    /// Value of `wavegate.dev/migration`, else the Job's name without what changes from one to the next.
    pub name: String,
    /// Program and verb that it runs, such as `manage.py migrate`; empty where the author named the migration,
    /// and where the command is not known.
    pub command: String,
}

impl Migration {
    /// The migration that a Job runs.
    pub fn of(job: &Job<'_>) -> Self {
        if let Some(found) = job.key(keys::MIGRATION) {
            return Self { name: found.value.to_owned(), command: String::new() };
        }
        let metadata = &job.manifest.metadata;
        let named = |text: &Option<_>| -> Option<String> {
            let text: &super::text::Text<'_> = text.as_ref()?;
            (!text.is_empty()).then(|| text.as_str().to_owned())
        };
        let image = job.image().and_then(Result::ok);
        let name = match (named(&metadata.generate_name), named(&metadata.name)) {
            // Argo CD keeps `generateName` in the object and completes the name itself.
            (Some(prefix), _) => stem(&prefix, image).to_owned(),
            (None, Some(name)) => stem(&name, image).to_owned(),
            (None, None) => String::new(),
        };
        let command = job.recognition.runner.as_ref().map(|runner| runner.command.clone());
        Self { name, command: command.unwrap_or_default() }
    }
}

/// A Job's name without the suffixes that change with a release or an attempt: the image's tag, and then
/// segments that look like a hash, a date, a revision or a version. A name of nothing else stays as it is.
fn stem<'n>(name: &'n str, image: Option<&ImageRef>) -> &'n str {
    let mut stem = name.trim_end_matches(['-', '.']);
    if let Some(tag) = image.and_then(ImageRef::tag) {
        stem = without_tag(stem, tag);
    }
    while let Some((head, last)) = stem.rsplit_once(['-', '.']) {
        if head.is_empty() || !is_changing(last) {
            break;
        }
        stem = head.trim_end_matches(['-', '.']);
    }
    if stem.is_empty() { name } else { stem }
}

/// Drops the tag at the end, also as charts write it in names: `1.2.0+b` as `1-2-0-b`.
fn without_tag<'n>(name: &'n str, tag: &str) -> &'n str {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let at = name.len().saturating_sub(tag.len());
    let (Some(head), Some(tail)) = (name.get(..at), name.get(at..)) else { return name };
    let same = tail.chars().map(plain).eq(tag.chars().map(plain));
    match head.strip_suffix(['-', '.']) {
        Some(head) if same && !head.is_empty() => head,
        _ => name,
    }
}

/// The characters of `rand.String` and `SafeEncodeString` in `k8s.io/apimachinery/pkg/util/rand`: neither
/// vowels nor what is mistaken for one.
const SAFE_ALPHABET: &str = "bcdfghjklmnpqrstvwxz2456789";

/// Whether a segment of a name is one that changes: a number, a version or revision (`v12`, `r3`), or a hash.
fn is_changing(segment: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let numbered = segment.strip_prefix(['v', 'r']).or_else(|| segment.strip_prefix("rev"));
    if digits(segment) || numbered.is_some_and(digits) {
        return true;
    }
    let mixed = segment.bytes().any(|b| b.is_ascii_digit())
        && segment.bytes().any(|b| b.is_ascii_lowercase());
    let hexadecimal = segment.bytes().all(|b| b.is_ascii_hexdigit());
    let random = segment.chars().all(|c| SAFE_ALPHABET.contains(c));
    match segment.len() {
        // `step2b`, `oauth2` and `utf8mb4` are words; a hash has digits throughout.
        5..=64 if mixed && (hexadecimal || random) => true,
        // One random suffix in five has no digit. No word has no vowel, but for names of databases.
        5 | 8..=10 if random => !segment.ends_with("sql"),
        8..=64 if mixed => digit_runs(segment) >= 2,
        _ => false,
    }
}

/// How many times digits begin anew within a segment; words that end in a number have one such run.
fn digit_runs(segment: &str) -> usize {
    let mut before = false;
    segment.bytes().fold(0, |runs, byte| {
        let begins = byte.is_ascii_digit() && !before;
        before = byte.is_ascii_digit();
        runs + usize::from(begins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(metadata: &str) -> Job<'static> {
        let json = format!(
            r#"{{"metadata":{metadata},"spec":{{"template":{{"spec":{{"containers":[
                {{"name":"m","image":"shop/api:v1","command":["python","manage.py","migrate"]}}]}}}}}}}}"#
        );
        Job::read(serde_json::from_str(Box::leak(json.into_boxed_str())).unwrap())
    }

    #[test]
    fn a_name_loses_what_changes_from_one_job_to_the_next() {
        let image = ImageRef::parse("shop/api:v1.2.0-rc.1").unwrap();
        let cases = [
            ("shop-migrate", "shop-migrate"),
            ("shop-migrate-", "shop-migrate"),
            ("shop-migrate-v1.2.0-rc.1", "shop-migrate"),
            ("shop-migrate-v1-2-0-rc-1", "shop-migrate"),
            ("shop-migrate-v1-1-0", "shop-migrate"),
            ("shop-migrate-1.1.0", "shop-migrate"),
            ("shop-migrate-7", "shop-migrate"),
            ("shop-migrate-r12", "shop-migrate"),
            ("shop-migrate-20261124", "shop-migrate"),
            ("shop-migrate-2026-11-24-1030", "shop-migrate"),
            ("shop-migrate-5f7d8c9b4", "shop-migrate"),
            ("shop-migrate-6c8b2f1", "shop-migrate"),
            ("shop-migrate-x7k2p", "shop-migrate"),
            ("shop-migrate-bcdfg", "shop-migrate"),
            ("shop-migrate-a1b2c3d4e5", "shop-migrate"),
            ("shop-migrate-6c8b2f1-presync-1764000000", "shop-migrate-6c8b2f1-presync"),
            ("shop-migrate-users", "shop-migrate-users"),
            ("shop-migrate-oauth2", "shop-migrate-oauth2"),
            ("shop-migrate-pgsql", "shop-migrate-pgsql"),
            ("shop-migrate-mysql", "shop-migrate-mysql"),
            ("shop-migrate-s3", "shop-migrate-s3"),
            ("2026-11-24", "2026"),
            ("v1.2.0-rc.1", "v1.2.0-rc"),
        ];
        for (name, want) in cases {
            assert_eq!(stem(name, Some(&image)), want, "{name}");
        }
    }

    #[test]
    fn a_generated_name_is_known_by_its_prefix() {
        let job = job(
            r#"{"name":"shop-migrate-6c8b2f1-presync-1764000000","generateName":"shop-migrate-"}"#,
        );
        let migration = Migration::of(&job);
        assert_eq!(migration.name, "shop-migrate");
        assert_eq!(migration.command, "manage.py migrate");
    }

    #[test]
    fn the_author_may_name_it() {
        let job = job(r#"{"name":"x","labels":{"wavegate.dev/migration":"billing"}}"#);
        let migration = Migration { name: "billing".to_owned(), command: String::new() };
        assert_eq!(Migration::of(&job), migration);
    }
}
