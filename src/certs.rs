//! `wavegate certs`: a throw-away CA and a server certificate, for a first try, for tests, and for clusters
//! without cert-manager.
//!
//! The CA signs one certificate and its key is forgotten, so nobody can ever sign another with it. CA and
//! server certificate are two: a certificate that is its own CA is refused by rustls (and by other strict
//! clients) as a server's certificate.

mod authority;
mod subject;

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber, date_time_ymd};
use rustls::crypto::aws_lc_rs;

pub use authority::{Authority, Leaf};
pub use subject::{SubjectName, Validity};

/// File with the CA's certificate: what goes into a webhook configuration as `caBundle`.
pub const CA_FILE: &str = "ca.crt";
/// File with the server's certificate, named as in a Secret of type `kubernetes.io/tls`.
pub const CERTIFICATE_FILE: &str = "tls.crt";
/// File with the server's private key, named as in a Secret of type `kubernetes.io/tls`.
pub const KEY_FILE: &str = "tls.key";

/// Certificates hold from a little before their issue, since clocks differ.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_mins(5);

const DAY: Duration = Duration::from_hours(24);

/// What `wavegate certs` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertsOptions {
    /// Where the files go; created if need be.
    pub directory: PathBuf,
    /// The names of the server, at least one. The API server asks for `SERVICE.NAMESPACE.svc`.
    pub names: Vec<SubjectName>,
    /// How long the certificates hold.
    pub validity: Validity,
    /// Whether existing files are replaced.
    pub force: bool,
}

/// Makes the certificates and writes them.
pub fn run(options: &CertsOptions) -> Result<Written, CertsError> {
    let issued = issue(&options.names, options.validity, SystemTime::now())?;
    issued.write(&options.directory, options.force)?;
    Ok(Written {
        directory: options.directory.clone(),
        names: options.names.clone(),
        validity: options.validity,
    })
}

/// What was written, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    directory: PathBuf,
    names: Vec<SubjectName>,
    validity: Validity,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names.iter().map(ToString::to_string).collect();
        let directory = self.directory.display();
        writeln!(f, "{directory}/{CERTIFICATE_FILE} and {KEY_FILE}: for {}", names.join(", "))?;
        writeln!(f, "{directory}/{CA_FILE}: the CA that signed it; goes into caBundle")?;
        write!(f, "valid for {}; the CA's key was not kept", self.validity)
    }
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// Not a name for a certificate.
    #[error("{text:?} is neither a DNS name nor an IP address")]
    Name {
        /// What was given.
        text: String,
    },
    /// No name at all.
    #[error(
        "a certificate needs at least one DNS name or IP address, such as SERVICE.NAMESPACE.svc"
    )]
    NoName,
    /// Not a validity.
    #[error("{text:?} is no validity: give 1 to 3650 days, as in 90, 90d, 12w or 2y")]
    Validity {
        /// What was given.
        text: String,
    },
    /// A file is there already.
    #[error(
        "{} exists and was not touched; --force replaces all of {CA_FILE}, {CERTIFICATE_FILE}, {KEY_FILE}",
        path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file or directory cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The cryptographic library refuses.
    #[error("cannot make the certificates: {0}")]
    Issue(#[from] rcgen::Error),
    /// The system gives no random numbers.
    #[error("cannot make a serial number: the system gives no random bytes")]
    Random,
}

/// A CA's certificate, and a server's with its key, all as PEM.
#[derive(Clone)]
pub struct Issued {
    /// The CA's certificate.
    pub ca: String,
    /// The server's certificate, signed by the CA.
    pub certificate: String,
    /// The server's private key, PKCS#8.
    pub key: String,
}

/// Without the key.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// Makes a new CA and a server certificate for `names`, both valid from a little before `now` on. Nothing
/// is written.
pub fn issue(
    names: &[SubjectName],
    validity: Validity,
    now: SystemTime,
) -> Result<Issued, CertsError> {
    let lifetime = DAY * validity.days();
    let ca = Authority::named("wavegate throw-away CA", KeyPair::generate()?, lifetime, now)?;
    let Leaf { certificate, key } = ca.sign(names, lifetime, now)?;
    Ok(Issued { ca: ca.certificate().to_owned(), certificate, key })
}

impl SubjectName {
    fn san(&self) -> Result<SanType, CertsError> {
        Ok(match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Ip(ip) => SanType::IpAddress(*ip),
        })
    }
}

/// Clients look at the alternative names alone; the common name is for people, and holds 64 characters at
/// most (RFC 5280 appendix A, ub-common-name).
fn common_name(name: &SubjectName) -> String {
    let name = name.to_string();
    if name.chars().count() <= 64 { name } else { "wavegate".to_owned() }
}

fn parameters(
    common_name: &str,
    lifetime: Duration,
    now: SystemTime,
) -> Result<CertificateParams, CertsError> {
    let epoch = date_time_ymd(1970, 1, 1);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut parameters = CertificateParams::default();
    parameters.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
    parameters.not_after = epoch + now + lifetime;
    parameters.serial_number = Some(random_serial()?);
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, common_name);
    Ok(parameters)
}

/// 126 random bits, more than the 64 that CAs are held to; the first two keep it positive and of one length.
fn random_serial() -> Result<SerialNumber, CertsError> {
    let mut serial = [0_u8; 16];
    aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut serial)
        .map_err(|_| CertsError::Random)?;
    let [first, ..] = &mut serial;
    *first = *first & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

impl Issued {
    /// Writes the three files into `directory`, the key readable by its owner alone. Where one of them
    /// exists and `force` is not given, nothing is written.
    pub fn write(&self, directory: &Path, force: bool) -> Result<(), CertsError> {
        let files = [
            (directory.join(KEY_FILE), &self.key, 0o600),
            (directory.join(CERTIFICATE_FILE), &self.certificate, 0o644),
            (directory.join(CA_FILE), &self.ca, 0o644),
        ];
        fs::create_dir_all(directory)
            .map_err(|source| CertsError::Write { path: directory.to_owned(), source })?;
        if !force {
            for (path, ..) in &files {
                // A link to nowhere counts too: something else is meant to be there.
                if path.symlink_metadata().is_ok() {
                    return Err(CertsError::Exists { path: path.clone() });
                }
            }
        }
        for (path, content, mode) in &files {
            write_file(path, content, *mode)
                .map_err(|source| CertsError::Write { path: path.clone(), source })?;
        }
        Ok(())
    }
}

/// Writes beside the file and renames, so that no reader sees half of it and no old permission or open
/// handle applies to the new content.
fn write_file(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(content.as_bytes())?;
    drop(file);
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn names(names: &[&str]) -> Vec<SubjectName> {
        names.iter().map(|name| name.parse().expect("a name")).collect()
    }

    /// What a strict client says of `certificate`, trusting `ca`.
    fn verify(certificate: &str, ca: &str, name: &str, at: Duration) -> Result<(), String> {
        let der =
            |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(der(ca)).expect("a CA");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .expect("a verifier");
        let name = ServerName::try_from(name).expect("a name");
        verifier
            .verify_server_cert(&der(certificate), &[], &name, &[], UnixTime::since_unix_epoch(at))
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_certificate_speaks_for_its_names_in_its_time() {
        let now = DAY * 20_000;
        let names = names(&["wavegate.wavegate.svc", "*.example.org", "10.0.0.1", "2001:db8::1"]);
        let days = Validity::from_days(30).expect("30 days");
        let issued = issue(&names, days, NOW + now).expect("certificates");
        let cases = [
            ("wavegate.wavegate.svc", now, Ok(())),
            ("wavegate.wavegate.svc", now.saturating_sub(CLOCK_SKEW), Ok(())),
            ("wavegate.wavegate.svc", now + DAY * 30, Ok(())),
            ("any.example.org", now, Ok(())),
            ("10.0.0.1", now, Ok(())),
            ("2001:db8::1", now, Ok(())),
            ("wavegate.other.svc", now, Err("not valid for name")),
            ("10.0.0.2", now, Err("not valid for name")),
            ("wavegate.wavegate.svc", now.saturating_sub(CLOCK_SKEW * 2), Err("not valid yet")),
            ("wavegate.wavegate.svc", now + DAY * 31, Err("expired")),
        ];
        for (name, at, wanted) in cases {
            let got = verify(&issued.certificate, &issued.ca, name, at);
            match (&got, wanted) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(words)) if error.contains(words) => {}
                _ => panic!("{name} at {at:?}: {got:?}, not {wanted:?}"),
            }
        }
        let other = issue(&names, days, NOW + now).expect("certificates");
        assert!(verify(&issued.certificate, &other.ca, "10.0.0.1", now).is_err(), "another CA");
        // The reason for a CA of its own.
        let own = verify(&issued.ca, &issued.ca, "wavegate.wavegate.svc", now);
        assert!(own.is_err_and(|error| error.contains("CaUsedAsEndEntity")));
    }

    #[test]
    fn every_certificate_has_its_own_serial_and_key() {
        let names = names(&["localhost"]);
        let mut seen = HashSet::new();
        for _ in 0..20 {
            let issued = issue(&names, Validity::default(), NOW + DAY).expect("certificates");
            assert!(seen.insert(issued.key));
            assert!(seen.insert(random_serial().expect("random").to_string()));
        }
    }

    #[test]
    fn files_are_written_once_and_replaced_only_by_force() {
        let directory = tempfile::tempdir().expect("a directory");
        let options = |force| CertsOptions {
            directory: directory.path().join("new/certs"),
            names: names(&["localhost", "127.0.0.1"]),
            validity: Validity::default(),
            force,
        };
        let read = |file: &str| fs::read_to_string(options(false).directory.join(file));
        let said = run(&options(false)).expect("written").to_string();
        assert!(said.contains("for localhost, 127.0.0.1") && said.contains("365 days"), "{said}");
        let key = read(KEY_FILE).expect("a key");
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));

        let error = run(&options(false)).expect_err("it exists").to_string();
        assert!(error.contains("tls.key exists and was not touched; --force"), "{error}");
        assert_eq!(read(KEY_FILE).expect("a key"), key);

        let path = options(false).directory.join(KEY_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        run(&options(true)).expect("written");
        assert_ne!(read(KEY_FILE).expect("a key"), key);
        let mode = fs::metadata(&path).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "also where the old file was open to all");

        // One of the three is enough to stop, even where it is not the key.
        fs::remove_file(&path).expect("removed");
        assert!(matches!(run(&options(false)), Err(CertsError::Exists { .. })));
        assert!(read(KEY_FILE).is_err());
        let left = fs::read_dir(options(false).directory).expect("a directory").count();
        assert_eq!(left, 2, "nothing but the certificates is left");
    }

    #[test]
    fn a_certificate_needs_a_name_of_whatever_length() {
        assert!(matches!(issue(&[], Validity::default(), NOW), Err(CertsError::NoName)));
        let long = format!("{}.{}", "a".repeat(40), "b".repeat(40)).parse().expect("a name");
        assert_eq!(common_name(&long), "wavegate", "too long for a common name");
        assert!(issue(&[long], Validity::default(), NOW).is_ok());
    }
}
