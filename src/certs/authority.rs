//! A CA whose key is kept, so that it can sign again.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};

use super::{CertsError, SubjectName, common_name, parameters};

/// A CA: its certificate and its key.
pub struct Authority {
    certificate: String,
    name: String,
    key: KeyPair,
}

/// A server's certificate with its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

/// Without the key.
impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Leaf {
    /// Whether both can be read and belong together.
    pub fn is_pair(&self) -> bool {
        is_pair(&self.certificate, &self.key).is_some()
    }
}

/// Without the key.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new CA that holds for `lifetime`.
    ///
    /// It is named after its key. So two of them in one bundle are told apart, and no parser of certificates is needed
    /// to sign with one that was stored.
    pub fn new(lifetime: Duration, now: SystemTime) -> Result<Self, CertsError> {
        let key = KeyPair::generate()?;
        Self::named(&name_of(&key), key, lifetime, now)
    }

    pub(super) fn named(
        name: &str,
        key: KeyPair,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Self, CertsError> {
        let mut ca = parameters(name, lifetime, now)?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = ca.self_signed(&key)?.pem();
        Ok(Self { certificate, name: name.to_owned(), key })
    }

    /// The CA of these two PEM texts, if [`Self::new`] made it and they are a pair.
    pub fn read(certificate: &str, key: &str) -> Option<Self> {
        let der = is_pair(certificate, key)?;
        let key = KeyPair::from_pem(key).ok()?;
        let name = name_of(&key);
        let named = der.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        named.then(|| Self { certificate: certificate.to_owned(), name, key })
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key, PKCS#8 in PEM.
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// A server's certificate for `names`, at least one, that holds for `lifetime`. Whoever asks sees to it that this
    /// ends with the CA's at the latest.
    pub fn sign(
        &self,
        names: &[SubjectName],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Leaf, CertsError> {
        let first = names.first().ok_or(CertsError::NoName)?;
        let issuer = Issuer::new(parameters(&self.name, lifetime, now)?, &self.key);
        let mut server = parameters(&common_name(first), lifetime, now)?;
        server.subject_alt_names = names.iter().map(SubjectName::san).collect::<Result<_, _>>()?;
        server.is_ca = IsCa::ExplicitNoCa;
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &issuer)?;
        Ok(Leaf { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The certificate, if the key belongs to it.
fn is_pair(certificate: &str, key: &str) -> Option<CertificateDer<'static>> {
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).ok()?;
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).ok()?;
    CertifiedKey::new(vec![der.clone()], key).keys_match().ok()?;
    Some(der)
}

fn name_of(key: &KeyPair) -> String {
    let hash = Sha256::digest(key.der_bytes());
    let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("wavegate CA {number:016x}")
}
