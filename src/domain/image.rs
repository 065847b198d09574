//! Image references, parsed by the grammar of the reference implementation.
//!
//! Source: `distribution/reference` (`regexp.go`, `normalize.go`), which containerd and the kubelet use.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
/// Longest repository name, domain included, in bytes.
const MAX_NAME: usize = 255;
/// Longest tag in bytes.
const MAX_TAG: usize = 128;

/// A parsed image reference, in its normal form: `nginx` is `docker.io/library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// Domain and path, which fit [`MAX_NAME`], and after them what there is of `:` and a tag, `@` and a digest.
    text: Box<str>,
    domain: u8,
    repository: u8,
    /// 0 if there is no tag: none is empty.
    tag: u8,
}

/// Why a text is no image reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// Nothing is written.
    #[error("it is empty")]
    Empty,
    /// A part of the path breaks the grammar.
    #[error(
        "the repository may only have lower-case letters, digits and single separators between them"
    )]
    Repository,
    /// The registry host breaks the grammar.
    #[error("the registry host is malformed")]
    Domain,
    /// The tag breaks the grammar.
    #[error(
        "the tag may only have letters, digits, `_`, `.` and `-`, and at most {MAX_TAG} of them"
    )]
    Tag,
    /// The digest breaks the grammar.
    #[error("the digest must be an algorithm, a colon and at least 32 hexadecimal digits")]
    Digest,
    /// The name is too long.
    #[error("the name has more than {MAX_NAME} characters")]
    TooLong,
    /// 64 hexadecimal digits are an image id, which a reference must not look like.
    #[error("64 hexadecimal digits are an image id, not a repository")]
    ImageId,
}

impl ImageRef {
    /// Parses a reference as users write it in a manifest.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        if text.is_empty() {
            return Err(ImageError::Empty);
        }
        if is_image_id(text) {
            return Err(ImageError::ImageId);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(parse_digest(digest)?)),
            None => (text, None),
        };
        let (domain, remainder) = split_domain(rest);
        let (path, tag) = match remainder.rsplit_once(':') {
            Some((path, tag)) => (path, Some(parse_tag(tag)?)),
            None => (remainder, None),
        };
        let path = match (domain, path.contains('/')) {
            (DEFAULT_DOMAIN, false) => Cow::Owned(format!("{OFFICIAL_PREFIX}{path}")),
            _ => Cow::Borrowed(path),
        };
        if !is_domain(domain) {
            return Err(ImageError::Domain);
        }
        if !path.split('/').all(is_path_component) {
            return Err(ImageError::Repository);
        }
        Self::of_parts(domain, &path, tag, digest)
    }

    fn of_parts(
        domain: &str,
        path: &str,
        tag: Option<&str>,
        digest: Option<&str>,
    ) -> Result<Self, ImageError> {
        let length = |length: usize| u8::try_from(length).map_err(|_| ImageError::TooLong);
        let (colon, tag) = tag.map_or(("", ""), |tag| (":", tag));
        let (at, digest) = digest.map_or(("", ""), |digest| ("@", digest));
        Ok(Self {
            text: [domain, "/", path, colon, tag, at, digest].concat().into_boxed_str(),
            domain: length(domain.len())?,
            repository: length(domain.len() + 1 + path.len())?,
            tag: length(tag.len())?,
        })
    }

    /// Registry host, with its port.
    pub fn domain(&self) -> &str {
        self.text.get(..self.domain.into()).unwrap_or_default()
    }

    /// Repository without the registry, such as `library/nginx`.
    pub fn path(&self) -> &str {
        let from = usize::from(self.domain) + 1;
        self.text.get(from..self.repository.into()).unwrap_or_default()
    }

    /// Tag as written.
    pub fn tag(&self) -> Option<&str> {
        let rest = (self.tag != 0).then(|| self.rest())?;
        rest.get(1..usize::from(self.tag) + 1)
    }

    /// Digest as written; where there is one it decides and the tag is only a comment.
    pub fn digest(&self) -> Option<&str> {
        let tag = if self.tag == 0 { 0 } else { usize::from(self.tag) + 1 };
        self.text.get(usize::from(self.repository) + tag + 1..)
    }

    /// Registry and repository, such as `docker.io/myapp/api`.
    pub fn repository(&self) -> &str {
        self.text.get(..self.repository.into()).unwrap_or_default()
    }

    /// What comes after the repository.
    fn rest(&self) -> &str {
        self.text.get(self.repository.into()..).unwrap_or_default()
    }

    /// The same tag and digest in the repository of this prefix, which begins with a registry, and this rest of a path.
    pub(super) fn renamed(&self, prefix: &str, rest: &str) -> Option<Self> {
        let (domain, path) = prefix.split_once('/').unwrap_or((prefix, ""));
        let path = format!("{path}{rest}");
        Self::of_parts(domain, path.trim_start_matches('/'), self.tag(), self.digest()).ok()
    }

    /// Whether both name the same repository of the same registry.
    pub fn same_repository(&self, other: &Self) -> bool {
        self.domain == other.domain && self.repository() == other.repository()
    }

    /// Whether an author who writes this text, a tag, a digest or a whole reference, means this image.
    pub(super) fn is_called(&self, text: &str) -> bool {
        let named =
            |named: Self| named.same_repository(self) && named.compare(self) == Comparison::Same;
        self.tag() == Some(text)
            || self.digest() == Some(text)
            || Self::parse(text).is_ok_and(named)
    }

    /// How a comparison of two references of one repository ends.
    pub fn compare(&self, other: &Self) -> Comparison {
        match (self.digest(), other.digest()) {
            (Some(left), Some(right)) => Comparison::of(left == right),
            (None, None) => Comparison::of(self.tag_or_latest() == other.tag_or_latest()),
            // Which digest a tag means is only known where the image ran.
            _ => Comparison::Unknown,
        }
    }

    /// The tag that the container runtime pulls.
    pub fn tag_or_latest(&self) -> &str {
        self.tag().unwrap_or("latest")
    }
}

/// Outcome of comparing two references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same image, as far as references tell.
    Same,
    /// Another image.
    Different,
    /// One side has a digest, the other only a tag.
    Unknown,
}

impl Comparison {
    fn of(same: bool) -> Self {
        if same { Self::Same } else { Self::Different }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain() != DEFAULT_DOMAIN {
            return f.write_str(&self.text);
        }
        f.write_str(match self.path().strip_prefix(OFFICIAL_PREFIX) {
            // A path such as `library/a/b` keeps its prefix: without it, it would read back as `a/b`.
            Some(short) if !short.contains('/') => short,
            _ => self.path(),
        })?;
        f.write_str(self.rest())
    }
}

/// Splits off the registry: the first of several components is one if it is `localhost`, holds a dot, a
/// colon or an upper-case letter.
fn split_domain(text: &str) -> (&str, &str) {
    let Some((first, rest)) = text.split_once('/') else {
        return (DEFAULT_DOMAIN, text);
    };
    let is_host = first == "localhost"
        || first.contains(['.', ':'])
        || first.chars().any(|c| c.is_ascii_uppercase());
    match (is_host, first) {
        (true, LEGACY_DEFAULT_DOMAIN) => (DEFAULT_DOMAIN, rest),
        (true, _) => (first, rest),
        (false, _) => (DEFAULT_DOMAIN, text),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[') {
        Some(rest) => {
            let Some((address, after)) = rest.split_once(']') else { return false };
            let ipv6 =
                !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':');
            match (ipv6, after.strip_prefix(':')) {
                (true, None) => return after.is_empty(),
                (true, Some(port)) => return is_port(port),
                (false, _) => return false,
            }
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (domain, None),
        },
    };
    host.split('.').all(is_domain_component) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(component: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = component.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

/// Runs of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_path_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut rest = component;
    loop {
        let word = rest.find(|c| !alphanumeric(c)).unwrap_or(rest.len());
        if word == 0 {
            return false;
        }
        rest = rest.get(word..).unwrap_or_default();
        if rest.is_empty() {
            return true;
        }
        let separator = rest.find(alphanumeric).unwrap_or(rest.len());
        let text = rest.get(..separator).unwrap_or_default();
        if !matches!(text, "." | "_" | "__") && !text.bytes().all(|b| b == b'-') {
            return false;
        }
        rest = rest.get(separator..).unwrap_or_default();
    }
}

fn parse_tag(text: &str) -> Result<&str, ImageError> {
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let bytes = text.as_bytes();
    let valid = bytes.len() <= MAX_TAG
        && bytes.first().is_some_and(word)
        && bytes.iter().all(|b| word(b) || matches!(b, b'.' | b'-'));
    valid.then_some(text).ok_or(ImageError::Tag)
}

fn parse_digest(text: &str) -> Result<&str, ImageError> {
    let (algorithm, hex) = text.split_once(':').ok_or(ImageError::Digest)?;
    let component = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_alphabetic)
            && bytes.iter().all(u8::is_ascii_alphanumeric)
    };
    let hex_length = match algorithm {
        "sha256" => Some(64),
        "sha384" => Some(96),
        "sha512" => Some(128),
        _ => None,
    };
    let valid = algorithm.split(['+', '.', '-', '_']).all(component)
        && hex.len() >= 32
        && hex_length.is_none_or(|length| hex.len() == length)
        && hex.bytes().all(|b| b.is_ascii_hexdigit());
    valid.then_some(text).ok_or(ImageError::Digest)
}

fn is_image_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHA: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    #[test]
    fn parses_as_the_reference_implementation() {
        let cases = [
            ("nginx", "docker.io", "library/nginx", None),
            ("nginx:1.27", "docker.io", "library/nginx", Some("1.27")),
            ("myapp/api:v1.2.0", "docker.io", "myapp/api", Some("v1.2.0")),
            ("docker.io/nginx", "docker.io", "library/nginx", None),
            ("index.docker.io/library/nginx", "docker.io", "library/nginx", None),
            ("docker.io/library/nginx:a", "docker.io", "library/nginx", Some("a")),
            ("localhost/app", "localhost", "app", None),
            // Without a slash `localhost:5000` is a repository and a tag.
            ("localhost:5000", "docker.io", "library/localhost", Some("5000")),
            ("localhost:5000/app:v1", "localhost:5000", "app", Some("v1")),
            ("registry.example.com:5000/team/app", "registry.example.com:5000", "team/app", None),
            ("gcr.io/p/a/b/c:T-1_x.y", "gcr.io", "p/a/b/c", Some("T-1_x.y")),
            ("UPPER/app:1", "UPPER", "app", Some("1")),
            ("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000", "app", Some("1")),
            ("[::1]/app", "[::1]", "app", None),
            ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", Some("xn--n3h.com")),
            ("a__b/c-d.e_f---g", "docker.io", "a__b/c-d.e_f---g", None),
        ];
        for (text, domain, path, tag) in cases {
            let image = ImageRef::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((image.domain(), image.path(), image.tag()), (domain, path, tag), "{text}");
        }
        let both = ImageRef::parse(&format!("registry:5000/app:v1@{SHA}")).unwrap();
        assert_eq!((both.tag(), both.digest()), (Some("v1"), Some(SHA)));
    }

    #[test]
    fn refuses_what_no_runtime_pulls() {
        use ImageError::{Digest, Domain, Empty, ImageId, Repository, Tag, TooLong};
        let id = "a".repeat(64);
        let long = format!("a/{}", "a/".repeat(128));
        let long_tag = format!("a:{}", "t".repeat(129));
        let cases = [
            ("", Empty),
            (":v1", Repository),
            ("app:", Tag),
            ("app: v1", Tag),
            ("app:v1 ", Tag),
            ("App", Repository),
            ("team/App", Repository),
            ("a//b", Repository),
            ("a/", Repository),
            ("/a", Repository),
            ("-a", Repository),
            ("a___b", Repository),
            ("a..b/c", Domain),
            ("-host.com/a", Domain),
            ("host:port/a", Domain),
            ("[::1/a", Domain),
            ("[fe80::1%25eth0]:5000/a", Domain),
            ("app@sha256:short", Digest),
            ("app@", Digest),
            ("app@sha256:ffffffffffffffffffffffffffffffffff", Digest),
            ("{{ .Values.image }}", Repository),
            ("$(IMAGE):v1", Repository),
            (long_tag.as_str(), Tag),
            (id.as_str(), ImageId),
            (long.trim_end_matches('/'), TooLong),
        ];
        for (text, want) in cases {
            assert_eq!(ImageRef::parse(text), Err(want), "{text:?}");
        }
    }

    #[test]
    fn compares_by_digest_first() {
        use Comparison::{Different, Same, Unknown};
        let other = SHA.replace('f', "e");
        let cases = [
            ("a:1".to_owned(), "a:1".to_owned(), Same),
            ("a:1".to_owned(), "a:2".to_owned(), Different),
            ("a".to_owned(), "a:latest".to_owned(), Same),
            (format!("a:1@{SHA}"), format!("a:2@{SHA}"), Same),
            (format!("a:1@{SHA}"), format!("a:1@{other}"), Different),
            (format!("a:1@{SHA}"), "a:1".to_owned(), Unknown),
            ("a:v1.2.0".to_owned(), "a:1.2.0".to_owned(), Different),
            ("a:V1".to_owned(), "a:v1".to_owned(), Different),
        ];
        for (left, right, want) in cases {
            let left = ImageRef::parse(&left).unwrap();
            let right = ImageRef::parse(&right).unwrap();
            assert_eq!(left.compare(&right), want, "{left} {right}");
            assert_eq!(right.compare(&left), want, "{right} {left}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_prints_what_it_parses(text in "\\PC{0,40}") {
            if let Ok(image) = ImageRef::parse(&text) {
                prop_assert_eq!(ImageRef::parse(&image.to_string()), Ok(image));
            }
        }

        #[test]
        fn prints_and_parses_back(
            host in prop_oneof![Just(""), Just("localhost/"), Just("r.example.com:5000/"), Just("[::1]:5000/"), Just("docker.io/")],
            path in "[a-z0-9]{1,8}((_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,8}((\\.|_|-{1,3})[a-z0-9]{1,4}){0,2}){0,3}",
            tag in prop_oneof![Just(String::new()), "[:][A-Za-z0-9_][A-Za-z0-9_.-]{0,20}".prop_map(|tag| tag)],
            digest in prop_oneof![Just(String::new()), Just(format!("@{SHA}"))],
        ) {
            let text = format!("{host}{path}{tag}{digest}");
            let image = ImageRef::parse(&text).unwrap();
            prop_assert_eq!(ImageRef::parse(&image.to_string()), Ok(image));
        }
    }
}
