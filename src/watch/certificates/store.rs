//! What the Secret holds, read, changed and written as plain data.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::rotation::{Asked, Facts, Lifetimes, Span, Step};
use crate::certs::{Authority, CLOCK_SKEW, CertsError, Leaf, SubjectName};
use crate::server::Validity;

/// The server's certificate and key, named as in a Secret of type `kubernetes.io/tls`.
pub(super) const LEAF: [&str; 2] = ["tls.crt", "tls.key"];
/// All CAs that are to be trusted: what is published.
const BUNDLE: &str = "ca.crt";
/// The CA that signs.
const SIGNER: [&str; 2] = ["signer.crt", "signer.key"];
/// The CA that will sign.
const NEXT: [&str; 2] = ["next-signer.crt", "next-signer.key"];

/// A Secret's data.
pub(super) type Data = BTreeMap<String, Vec<u8>>;

/// Certificates, as far as they can be used. All of them are wavegate's own, by the keys that are stored beside them.
pub(super) struct Store {
    signer: Option<Authority>,
    next: Option<Authority>,
    leaf: Option<Leaf>,
    /// CAs that sign no more, or of which only the certificate is known.
    retired: Vec<CertificateDer<'static>>,
    damaged: bool,
}

impl Store {
    /// Reads what can be used. The rest is as if it were not there.
    pub(super) fn read(data: &Data) -> Self {
        let text = |key: &str| data.get(key).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let pair = |[certificate, key]: [&str; 2]| text(certificate).zip(text(key));
        let ca = |keys| pair(keys).and_then(|(cert, key)| Authority::read(cert, key));
        let leaf = pair(LEAF).filter(|(cert, key)| !cert.is_empty() && !key.is_empty());
        let leaf =
            leaf.map(|(cert, key)| Leaf { certificate: cert.to_owned(), key: key.to_owned() });
        let mut store =
            Self { signer: ca(SIGNER), next: ca(NEXT), leaf, retired: Vec::new(), damaged: false };
        let listed = data.get(BUNDLE).map(|pem| certificates(pem)).unwrap_or_default();
        store.keep(listed);
        // Whatever is stored and would not be written so: damaged, or not wavegate's.
        store.damaged = store.data() != *data && data.values().any(|value| !value.is_empty());
        store
    }

    /// Where something was lost, the CAs that API servers trust now stay published: what replicas serve may rest on one
    /// of them.
    pub(super) fn trusting(mut self, published: Vec<CertificateDer<'static>>) -> Self {
        if self.damaged || self.signer.is_none() {
            self.keep(published);
        }
        self
    }

    /// Keeps CAs as retired ones, except those that sign.
    fn keep(&mut self, cas: Vec<CertificateDer<'static>>) {
        let signing: Vec<_> = [&self.signer, &self.next].into_iter().flatten().map(der).collect();
        for ca in cas {
            if !signing.contains(&ca) && !self.retired.contains(&ca) {
                self.retired.push(ca);
            }
        }
    }

    /// The Secret's data.
    pub(super) fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put = |[cert, key]: [&str; 2], pair: Option<(&str, String)>| {
            if let Some((certificate, private)) = pair {
                data.insert(cert.to_owned(), certificate.as_bytes().to_vec());
                data.insert(key.to_owned(), private.into_bytes());
            }
        };
        let of = |ca: &Authority| (ca.certificate().to_owned(), ca.key());
        for (keys, ca) in [(SIGNER, &self.signer), (NEXT, &self.next)] {
            let pair = ca.as_ref().map(of);
            put(keys, pair.as_ref().map(|(certificate, key)| (certificate.as_str(), key.clone())));
        }
        put(LEAF, self.leaf.as_ref().map(|leaf| (leaf.certificate.as_str(), leaf.key.clone())));
        let bundle = self.bundle();
        if !bundle.is_empty() {
            data.insert(BUNDLE.to_owned(), bundle);
        }
        data
    }

    /// What is to be published: the CAs that sign, and those that signed what may still be served.
    pub(super) fn bundle(&self) -> Vec<u8> {
        let signing = [&self.signer, &self.next].into_iter().flatten();
        let mut bundle: String = signing.map(Authority::certificate).collect();
        bundle.extend(self.retired.iter().map(|ca| pem(ca)));
        bundle.into_bytes()
    }

    /// When the CA that signs ends.
    pub(super) fn ca_ends(&self) -> Option<Timestamp> {
        self.signer.as_ref().and_then(|ca| span(&der(ca))).map(|span| span.ends)
    }

    /// What a decision is made by.
    pub(super) fn facts(
        &self,
        names: &[SubjectName],
        asked: Option<Asked>,
        now: Timestamp,
    ) -> Facts {
        let of = |ca: &Option<Authority>| ca.as_ref().and_then(|ca| span(&der(ca)));
        let signed = self.signer.as_ref().zip(self.leaf.as_ref()).and_then(|(signer, leaf)| {
            let chain = certificates(leaf.certificate.as_bytes());
            let good = leaf.is_pair() && covers(&[der(signer)], &chain, names, now);
            if good { chain.first().and_then(span) } else { None }
        });
        Facts {
            signer: of(&self.signer),
            next: of(&self.next),
            leaf: signed,
            retired: self.retired.iter().any(|ca| is_alive(ca, now)),
            asked,
            damaged: self.damaged,
        }
    }

    /// Does what was decided.
    pub(super) fn apply(
        mut self,
        step: Step,
        names: &[SubjectName],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<Self, CertsError> {
        let at = SystemTime::from(now);
        match step {
            Step::Prepare => self.next = Some(Authority::new(lifetimes.ca, at)?),
            Step::Promote => {
                let Some(next) = self.next.take() else { return Ok(self) };
                let old = self.signer.replace(next).map(|old| der(&old));
                self.keep(old.into_iter().collect());
                self.issue(names, lifetimes, now)?;
            }
            Step::Issue => self.issue(names, lifetimes, now)?,
            Step::Retire => self.retired.clear(),
            Step::Tidy | Step::Rest => {}
        }
        // What is over convinces nobody.
        self.retired.retain(|ca| is_alive(ca, now));
        Ok(self)
    }

    fn issue(
        &mut self,
        names: &[SubjectName],
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Result<(), CertsError> {
        if let Some(signer) = &self.signer {
            let left = span(&der(signer)).map(|span| span.ends.duration_since(now));
            let left = left.and_then(|left| Duration::try_from(left).ok()).unwrap_or_default();
            let lifetime = lifetimes.leaf.min(left);
            self.leaf = Some(signer.sign(names, lifetime, SystemTime::from(now))?);
        }
        Ok(())
    }
}

/// Whether a client that trusts `cas` accepts this chain at `now`, for each of the names.
pub(super) fn covers(
    cas: &[CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
    names: &[SubjectName],
    now: Timestamp,
) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(cas.iter().cloned());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let (Ok(verifier), Some((leaf, between))) = (verifier, chain.split_first()) else {
        return false;
    };
    let since_epoch = u64::try_from(now.as_second()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(since_epoch));
    names.iter().all(|name| {
        let name = name.to_string().replace('*', "any");
        ServerName::try_from(name)
            .is_ok_and(|name| verifier.verify_server_cert(leaf, between, &name, &[], now).is_ok())
    })
}

/// The certificates in a PEM text; what is none is passed over.
pub(super) fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

pub(super) fn is_alive(ca: &CertificateDer<'_>, now: Timestamp) -> bool {
    span(ca).is_some_and(|span| !span.is_over(now))
}

fn span(certificate: &CertificateDer<'_>) -> Option<Span> {
    let (not_before, not_after) = Validity::of(certificate)?.seconds();
    let skew = SignedDuration::try_from(CLOCK_SKEW).ok()?;
    let issued = Timestamp::from_second(not_before).ok()?.checked_add(skew).ok()?;
    Some(Span { issued, ends: Timestamp::from_second(not_after).ok()? })
}

fn der(ca: &Authority) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(ca.certificate().as_bytes())
        .unwrap_or_else(|_| CertificateDer::from(Vec::new()))
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem + "-----END CERTIFICATE-----\n"
}
