//! The certificate: what is refused at start, and what happens when the files change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use wavegate::certs::Issued;
use wavegate::server::TlsSource;

use crate::client::{Connection, post, roots, trusting};
use crate::rig::{NAME, Server, Setting, certificates, certificates_of, eventually, source};

const RELOADED: &str = r#"wavegate_certificate_reloads_total{result="ok"}"#;
const ANSWERED: &str = r#"wavegate_requests_total{endpoint="mutate",status="2xx"}"#;
const NOT_RELOADED: &str = r#"wavegate_certificate_reloads_total{result="failed"}"#;

/// A Secret volume as the kubelet lays it out (`AtomicWriter`): `tls.crt` is a link to
/// `..data/tls.crt`, and `..data` one to a directory with a name of its own for each content.
fn lay_out(volume: &Path, version: &str, content: &Issued) {
    let directory = volume.join(format!("..{version}"));
    content.write(&directory, false).expect("files");
    symlink(format!("..{version}"), volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("the swap");
    for file in ["tls.crt", "tls.key"] {
        if volume.join(file).symlink_metadata().is_err() {
            symlink(format!("..data/{file}"), volume.join(file)).expect("a link");
        }
    }
}

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("a certificate")
}

/// One request on a new connection; the certificate that the server showed.
async fn ask(server: &Server, tls: &Arc<ClientConfig>) -> std::io::Result<CertificateDer<'static>> {
    let mut connection = Connection::open(server.address, NAME, tls).await?;
    let shown = connection.stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.expect("a certificate").clone().into_owned();
    connection.send(&post("/mutate", NAME, b"{}")).await?;
    let reply = connection.reply().await?;
    connection.close().await;
    if reply.status == 200 { Ok(shown) } else { Err(std::io::Error::other(reply.head)) }
}

async fn start(source: TlsSource) -> Server {
    Server::start(Setting { tls: Some(source), ..Setting::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kubelets_swap_under_load_fails_no_request() {
    let (old, new) = (certificates(), certificates());
    let volume = tempfile::tempdir().expect("a directory");
    lay_out(volume.path(), "2026_11_24_01", &old);
    let server = start(source(volume.path())).await;
    let tls = trusting(&[&old.ca, &new.ca]);
    let stop = AtomicBool::new(false);
    let clients = async {
        let mut shown = (0, 0);
        let mut after_stop = 0;
        // Some more requests after the swap was seen: it must last.
        while after_stop < 5 {
            let certificate = ask(&server, &tls).await.expect("no request fails");
            if certificate == der(&old) {
                shown.0 += 1;
            } else {
                assert_eq!(certificate, der(&new));
                shown.1 += 1;
            }
            after_stop += usize::from(stop.load(Ordering::Relaxed));
        }
        shown
    };
    let swap = async {
        assert!(eventually(async || server.metric(ANSWERED) >= 5).await);
        lay_out(volume.path(), "2026_11_24_02", &new);
        server.metric_becomes(RELOADED, 1).await;
        stop.store(true, Ordering::Relaxed);
    };
    let (shown, ()) = tokio::join!(clients, swap);
    assert!(shown.0 >= 5 && shown.1 >= 4, "old and new certificate shown: {shown:?}");
    assert_eq!(ask(&server, &tls).await.expect("an answer"), der(&new));
    assert_eq!(server.metric(NOT_RELOADED), 0, "a swap is never seen in half");
}

/// Something that goes wrong with the files while the second certificate comes.
type Breakage = fn(&Path, &Issued);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_pair_leaves_the_old_one_in_place_until_the_files_are_right() {
    let (old, new) = (certificates(), certificates());
    let files = tempfile::tempdir().expect("a directory");
    let directory = files.path();
    old.write(directory, false).expect("files");
    let server = start(source(directory)).await;
    let tls = trusting(&[&old.ca, &new.ca]);
    let breakages: [(&str, Breakage); 4] = [
        ("a certificate that is none", |directory, _| {
            fs::write(directory.join("tls.crt"), "-----BEGIN CERTIFICATE-----\nMII")
                .expect("written");
        }),
        ("the new certificate with the old key", |directory, new| {
            fs::write(directory.join("tls.crt"), &new.certificate).expect("written");
        }),
        ("no key", |directory, _| {
            fs::remove_file(directory.join("tls.key")).expect("removed");
        }),
        ("an empty key", |directory, _| {
            fs::write(directory.join("tls.key"), "").expect("written");
        }),
    ];
    for (number, (name, breakage)) in (1..).zip(breakages) {
        breakage(directory, &new);
        server.metric_becomes(NOT_RELOADED, number).await;
        let shown = ask(&server, &tls).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(shown, der(&old), "{name}");
    }
    assert_eq!(server.metric(RELOADED), 0);
    new.write(directory, true).expect("files");
    server.metric_becomes(RELOADED, 1).await;
    assert_eq!(ask(&server, &tls).await.expect("an answer"), der(&new));
    assert_eq!(server.metric(NOT_RELOADED), 4, "each breakage is counted once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_keeps_the_server_from_being_ready() {
    let expired = certificates_of(SystemTime::now() - Duration::from_hours(48));
    let files = tempfile::tempdir().expect("a directory");
    expired.write(files.path(), false).expect("files");
    let server = start(source(files.path())).await;
    let answered = eventually(async || server.probe("/readyz").await.is_ok()).await;
    assert!(answered);
    let (status, reason) = server.probe("/readyz").await.expect("an answer");
    assert!(status == 503 && reason.contains("the served certificate expired at 20"), "{reason}");
    certificates().write(files.path(), true).expect("files");
    assert!(eventually(async || server.probe("/readyz").await.is_ok_and(|(s, _)| s == 200)).await);
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let not_after = server.metric("wavegate_certificate_not_after_timestamp_seconds");
    let left = not_after - i64::try_from(now).expect("before the year 292 billion");
    assert!((86_000..=86_400).contains(&left), "a day, not {left} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_served_is_said_at_the_start() {
    let (one, other) = (certificates(), certificates());
    let cases: [(&str, &str, &str, &[&str]); 7] = [
        ("no certificate block", "hello", &one.key, &["tls.crt", "no usable certificate"]),
        ("files swapped", &one.key, &one.certificate, &["tls.crt", "no usable certificate"]),
        ("an empty key", &one.certificate, "", &["tls.key", "no usable private key"]),
        (
            "a certificate for a key",
            &one.certificate,
            &one.ca,
            &["tls.key", "no usable private key"],
        ),
        (
            "a key without its end",
            &one.certificate,
            "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMG\n",
            &["tls.key", "no END line"],
        ),
        (
            "a key that is none",
            &one.certificate,
            "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n",
            &["tls.key", "no usable private key"],
        ),
        (
            "the key of another certificate",
            &one.certificate,
            &other.key,
            &["tls.key does not belong to the certificate in", "tls.crt"],
        ),
    ];
    for (name, certificate, key, words) in cases {
        let files = tempfile::tempdir().expect("a directory");
        fs::write(files.path().join("tls.crt"), certificate).expect("written");
        fs::write(files.path().join("tls.key"), key).expect("written");
        let error = start(source(files.path())).await.ended().await.expect_err(name).to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{name}: {error}");
        assert!(!error.contains("MIG"), "{name}: a key must not be quoted: {error}");
    }
    let nowhere = start(source(Path::new("/nonexistent"))).await.ended().await;
    let error = nowhere.expect_err("no files").to_string();
    assert!(error.contains("cannot read /nonexistent/tls.crt: "), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_client_ca_only_its_clients_are_answered() {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let mut client = CertificateParams::new(vec!["kube-apiserver".to_owned()]).expect("a name");
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client_key = KeyPair::generate().expect("a key");
    let client = client.signed_by(&client_key, &Issuer::new(ca, ca_key)).expect("a certificate");

    let files = tempfile::tempdir().expect("a directory");
    let issued = certificates();
    issued.write(files.path(), false).expect("files");
    let client_ca = files.path().join("client-ca.crt");
    fs::write(&client_ca, &ca_pem).expect("written");
    let server = start(TlsSource { client_ca: Some(client_ca), ..source(files.path()) }).await;

    let showing = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider speaks both versions")
        .with_root_certificates(roots(&[&issued.ca]))
        .with_client_auth_cert(
            vec![client.der().clone()],
            PrivateKeyDer::from_pem_slice(client_key.serialize_pem().as_bytes()).expect("a key"),
        )
        .expect("a pair");
    assert!(ask(&server, &Arc::new(showing)).await.is_ok());
    assert!(ask(&server, &trusting(&[&issued.ca])).await.is_err(), "no client certificate");
    server.metric_becomes(r#"wavegate_tls_handshake_failures_total{cause="failed"}"#, 1).await;
}
