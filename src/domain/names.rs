//! How images are told apart: which tags move, and which registries hold copies of others.

use std::borrow::Cow;

use thiserror::Error;

use super::glob::Glob;
use super::image::{Comparison, ImageRef};

/// A registry or a part of one that holds the images of another: a mirror, a pull-through cache, a second name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    from: Box<str>,
    to: Box<str>,
}

/// Why a text is no prefix of repositories.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no registry with or without a path, such as registry.example.com/mirror or docker.io/library"
)]
pub struct PrefixError(String);

impl Alias {
    /// Images below `from` are those below `to`. Both are a registry, alone or with the beginning of a path; that of
    /// Docker Hub is `docker.io`.
    ///
    /// # Errors
    ///
    /// Fails where a prefix has no registry, or could not begin a repository.
    pub fn new(from: &str, to: &str) -> Result<Self, PrefixError> {
        Ok(Self { from: prefix(from)?.into(), to: prefix(to)?.into() })
    }

    /// The prefix of the copies.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The prefix of the originals.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Whether this alias would rename what another one results in, so that the order would decide.
    pub fn follows(&self, other: &Self) -> bool {
        behind(&self.from, &other.to).is_some() || behind(&other.to, &self.from).is_some()
    }
}

fn prefix(text: &str) -> Result<&str, PrefixError> {
    let no = || PrefixError(text.to_owned());
    let host = text.split('/').next().unwrap_or_default();
    let is_host = host == "localhost" || host.contains(['.', ':']);
    // What stands behind a prefix is a path, so the prefix with one must parse.
    match ImageRef::parse(&format!("{text}/x")) {
        Ok(image) if is_host && image.repository().strip_suffix("/x") == Some(text) => Ok(text),
        // Docker Hub's own images have a path that no author writes.
        Ok(_) if text == "docker.io" => Ok(text),
        _ => Err(no()),
    }
}

/// What of a repository stands behind a prefix, at the border of a component; with its slash.
fn behind<'r>(prefix: &str, repository: &'r str) -> Option<&'r str> {
    let rest = repository.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// What a policy says about images' names. The default knows no moving tag but an absent one, and no aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageNames {
    /// Tags that move, besides an absent one.
    pub floating: Vec<Glob>,
    /// Copies of other repositories.
    pub aliases: Vec<Alias>,
}

impl ImageNames {
    /// Whether an image's tag moves. A digest never does.
    pub fn is_floating(&self, image: &ImageRef) -> bool {
        image.digest().is_none()
            && image.tag().is_none_or(|tag| self.floating.iter().any(|glob| glob.matches(tag)))
    }

    /// The image by the name of its original. The longest prefix counts, once.
    pub fn original<'i>(&self, image: &'i ImageRef) -> Cow<'i, ImageRef> {
        if self.aliases.is_empty() {
            return Cow::Borrowed(image);
        }
        let found = self
            .aliases
            .iter()
            .filter_map(|alias| Some((alias, behind(&alias.from, image.repository())?)));
        let longest = found.max_by_key(|(alias, _)| alias.from.len());
        let renamed = longest.and_then(|(alias, rest)| image.renamed(&alias.to, rest));
        renamed.map_or(Cow::Borrowed(image), Cow::Owned)
    }

    /// Whether both are of one repository, by whatever name.
    pub fn same_repository(&self, one: &ImageRef, other: &ImageRef) -> bool {
        one.same_repository(other)
            || (!self.aliases.is_empty()
                && self.original(one).same_repository(&self.original(other)))
    }

    /// Whether both are written alike, but for the name of the repository.
    pub fn same(&self, one: &ImageRef, other: &ImageRef) -> bool {
        one == other || (!self.aliases.is_empty() && self.original(one) == self.original(other))
    }

    /// Whether an author who writes this text, a tag, a digest or a whole reference, means this image.
    pub fn is_called(&self, image: &ImageRef, text: &str) -> bool {
        let named = |named: ImageRef| {
            let (named, image) = (self.original(&named), self.original(image));
            named.same_repository(&image) && named.compare(&image) == Comparison::Same
        };
        image.is_called(text)
            || (!self.aliases.is_empty() && ImageRef::parse(text).is_ok_and(named))
    }

    /// The images by every name that their repositories have, to look them up by.
    pub fn by_every_name<'i>(&self, images: &'i [ImageRef]) -> Cow<'i, [ImageRef]> {
        if self.aliases.is_empty() {
            return Cow::Borrowed(images);
        }
        let mut all = images.to_vec();
        for image in images {
            let original = self.original(image);
            let copies = self.aliases.iter().filter_map(|alias| {
                original.renamed(&alias.from, behind(&alias.to, original.repository())?)
            });
            all.extend(copies);
            all.push(original.into_owned());
        }
        Cow::Owned(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: &str) -> ImageRef {
        ImageRef::parse(text).unwrap()
    }

    fn names(aliases: &[(&str, &str)]) -> ImageNames {
        let aliases = aliases.iter().map(|(from, to)| Alias::new(from, to).unwrap());
        ImageNames { floating: Vec::new(), aliases: aliases.collect() }
    }

    #[test]
    fn a_copy_is_its_original() {
        let names = names(&[
            ("mirror.example.com/hub", "docker.io"),
            ("mirror.example.com/hub/shop", "registry.example.com/shop"),
        ]);
        let cases = [
            ("mirror.example.com/hub/acme/api:v1", "acme/api:v1", true),
            ("mirror.example.com/hub/library/nginx:1", "nginx:1", true),
            ("mirror.example.com/hub/shop/api:v1", "registry.example.com/shop/api:v1", true),
            ("mirror.example.com/hubs/acme/api:v1", "acme/api:v1", false),
            ("mirror.example.com/hub/acme/api:v2", "acme/api:v1", false),
        ];
        for (copy, original, want) in cases {
            assert_eq!(names.same(&image(copy), &image(original)), want, "{copy}");
        }
        assert!(
            names.same_repository(
                &image("mirror.example.com/hub/acme/api:v2"),
                &image("acme/api:v1")
            )
        );
    }

    #[test]
    fn images_are_found_by_every_name() {
        let names = names(&[("mirror.example.com", "docker.io")]);
        let of = |text: &str| {
            let images = [image(text)];
            let all = names.by_every_name(&images);
            let mut all: Vec<String> = all.iter().map(|i| i.repository().to_owned()).collect();
            all.sort();
            all.dedup();
            all
        };
        let both = ["docker.io/acme/api", "mirror.example.com/acme/api"];
        assert_eq!(of("acme/api:v1"), both);
        assert_eq!(of("mirror.example.com/acme/api:v1"), both);
    }

    #[test]
    fn a_prefix_has_a_registry() {
        for text in ["acme", "acme/api", "", "Mirror.example.com/", "mirror.example.com/", "a.b/C"]
        {
            assert!(Alias::new(text, "docker.io").is_err(), "{text:?}");
        }
        for text in ["docker.io", "localhost:5000", "mirror.example.com/a/b", "docker.io/library"] {
            assert!(Alias::new(text, "quay.io").is_ok(), "{text:?}");
        }
    }
}
