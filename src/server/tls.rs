//! The server's certificate: read from files, checked, and replaced when the files change.

mod validity;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio::sync::watch;

use validity::UnixTime;
pub(crate) use validity::Validity;

/// Where the server's certificate is, and what the server asks of its peers.
#[derive(Clone, Debug)]
pub struct TlsSource {
    /// PEM file with the certificate, followed by its intermediates if any (`tls.crt` of a Secret).
    pub certificate: PathBuf,
    /// PEM file with the certificate's private key (`tls.key` of a Secret): PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// PEM file with the CAs of client certificates. Where given, only clients that show a certificate of
    /// one of them are answered. The API server shows one only if it was configured to.
    pub client_ca: Option<PathBuf>,
    /// The oldest protocol version that is spoken.
    pub oldest_version: TlsVersion,
    /// How often the files are compared with what is served. They are polled, since the kubelet replaces
    /// a Secret volume's content by swapping a symbolic link beside them, which a watch on the files
    /// themselves does not see.
    pub poll: Duration,
    /// The certificate and its key, where they are in no file: the two paths are only names in messages then.
    pub managed: Option<ManagedPair>,
}

/// A certificate with its key that somebody else in this process keeps, as `(certificate, key)` in PEM. None until
/// there is one; until then handshakes fail and the server is not ready.
#[derive(Clone)]
pub struct ManagedPair(pub watch::Receiver<Option<Pair>>);

/// A certificate and its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, followed by its intermediates if any.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// Without the key.
impl fmt::Debug for ManagedPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManagedPair").field(&self.0.borrow().is_some()).finish()
    }
}

impl TlsSource {
    /// TLS 1.3 only, no client certificates, looked at every second.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            client_ca: None,
            oldest_version: TlsVersion::default(),
            poll: Duration::from_secs(1),
            managed: None,
        }
    }
}

/// A protocol version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    #[default]
    V1_3,
}

impl TlsVersion {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_1_3: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        static FROM_1_2: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        match self {
            Self::V1_2 => &FROM_1_2,
            Self::V1_3 => &FROM_1_3,
        }
    }
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is none yet, and it will come.
    #[error("there is no certificate yet; the replica that keeps the certificates makes it")]
    NotYet,
    /// The file is not the PEM file that it should be.
    #[error("{} holds no usable {wanted}: {reason}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        wanted: Pem,
        /// What is wrong.
        reason: String,
    },
    /// Key and certificate are not a pair.
    #[error(
        "the key in {} does not belong to the certificate in {}; write both files from the same issue",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The protocol versions and the cryptographic provider do not fit together.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// A kind of PEM section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pem {
    /// `CERTIFICATE`, the server's.
    Certificate,
    /// `PRIVATE KEY`, `RSA PRIVATE KEY` or `EC PRIVATE KEY`.
    Key,
    /// `CERTIFICATE`, of clients' CAs.
    ClientCa,
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
            Self::ClientCa => "client CA certificate",
        })
    }
}

/// The files' content at one time.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    /// Reads all files. Blocks for as long as the file system takes.
    pub(super) fn read(source: &TlsSource) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        let Pair { certificate, key } = match &source.managed {
            Some(managed) => managed.0.borrow().clone().ok_or(TlsError::NotYet)?,
            None => Pair { certificate: read(&source.certificate)?, key: read(&source.key)? },
        };
        let client_ca = source.client_ca.as_deref().map(read).transpose()?;
        Ok(Self { certificate, key, client_ca })
    }
}

/// A checked configuration, ready to serve.
pub(super) struct Loaded {
    config: Arc<ServerConfig>,
    validity: Option<Validity>,
}

impl Loaded {
    /// Checks that the files are what they should be, and that key and certificate are a pair. Whether
    /// the certificate holds now is another question, see [`Self::not_valid_at`].
    pub(super) fn check(files: &Files, source: &TlsSource) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let certified = certified_key(files, source, &provider)?;
        let validity = certified.cert.first().and_then(|leaf| Validity::of(leaf));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(source.oldest_version.and_newer())?;
        let builder = match (&files.client_ca, &source.client_ca) {
            (Some(pem), Some(path)) => {
                let roots = roots(pem).map_err(|why| pem_error(path, Pem::ClientCa, why))?;
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| pem_error(path, Pem::ClientCa, error))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        // The API server speaks HTTP/1.1 to every webhook that is not on localhost
        // (k8s.io/apiserver/pkg/util/webhook, client.go), and other clients can.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Go's client keeps no session cache unless it is given one, and the API server gives none:
        // tickets would be written for nobody.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), validity })
    }

    /// Why clients would refuse the certificate at `now`.
    pub(super) fn not_valid_at(&self, now: SystemTime) -> Option<String> {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime(i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX));
        let Validity { not_before, not_after, .. } = self.validity.as_ref()?;
        if now < *not_before {
            Some(format!("the served certificate is not valid before {not_before}"))
        } else if now > *not_after {
            Some(format!("the served certificate expired at {not_after}"))
        } else {
            None
        }
    }

    /// When the certificate expires, in Unix seconds.
    pub(super) fn not_after(&self) -> Option<i64> {
        self.validity.as_ref().map(|validity| validity.not_after.0)
    }
}

/// For the log: which certificate this is.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.validity {
            Some(Validity { serial, not_after, .. }) => {
                write!(f, "serial {serial}, valid until {not_after}")
            }
            None => f.write_str("serial and validity unknown"),
        }
    }
}

/// The configuration that the next connection gets.
///
/// The whole configuration is swapped, not the certificate in it alone: so the CAs of clients follow
/// their file by the same way, and a handshake never sees one without the other.
pub(super) struct CurrentTls(ArcSwapOption<ServerConfig>);

impl CurrentTls {
    pub(super) fn new(loaded: Option<&Loaded>) -> Self {
        Self(ArcSwapOption::new(loaded.map(|loaded| Arc::clone(&loaded.config))))
    }

    pub(super) fn replace(&self, loaded: &Loaded) {
        self.0.store(Some(Arc::clone(&loaded.config)));
    }

    /// None as long as there is no certificate.
    pub(super) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.0.load_full()
    }
}

fn certified_key(
    files: &Files,
    source: &TlsSource,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.certificate)
        .map_err(|error| pem_error(&source.certificate, Pem::Certificate, PemReason(error)))?;
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| pem_error(&source.key, Pem::Key, PemReason(error)))?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| pem_error(&source.key, Pem::Key, error))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
            certificate: source.certificate.clone(),
            key: source.key.clone(),
        }),
        Err(error) => Err(pem_error(&source.certificate, Pem::Certificate, error)),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
}

/// The CAs of a PEM file, of which there is at least one; or why there are none, without what the file holds.
pub(super) fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|error| PemReason(error).to_string())? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

fn pem_error(path: &Path, wanted: Pem, reason: impl fmt::Display) -> TlsError {
    TlsError::Pem { path: path.to_owned(), wanted, reason: reason.to_string() }
}

/// The error without the file's content, which the library quotes for some: it may be a key.
struct PemReason(pem::Error);

impl fmt::Display for PemReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            pem::Error::NoItemsFound => "no such PEM block in it",
            pem::Error::MissingSectionEnd { .. } => "a PEM block has no END line",
            pem::Error::IllegalSectionStart { .. } => "a PEM block's BEGIN line is broken",
            pem::Error::Base64Decode(_) => "a PEM block is not base64",
            _ => "it is not PEM",
        })
    }
}
