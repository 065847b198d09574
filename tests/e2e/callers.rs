//! Only the API server may call: it shows a certificate, as `docs/certificates.md` configures it, and nobody else can.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::certificates::handshake::{Client, handshake_as};
use crate::cluster::wavegate::{Wavegate, install, own_kubeconfig, until_asked};
use crate::cluster::{ControlPlane, eventually};

const PAGE: &str = include_str!("../../docs/certificates.md");
const FAILURES: &str = "wavegate_tls_handshake_failures_total{cause=\"failed\"}";

/// A CA and a certificate that it gave to a client.
fn authority() -> (String, Client) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("a CA");
    let mut params = CertificateParams::new(vec!["kube-apiserver".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, &authority).expect("a certificate").pem();
    (authority.as_ref().pem(), Client { certificate, key: key.serialize_pem() })
}

/// The files of the page, in the folder in place of /etc/kubernetes, for a webhook that is called at this address.
fn configure(folder: &Path, address: &str, client: &Client) -> String {
    let (_, section) = PAGE.split_once("## Only the API server may call").expect("the section");
    let mut blocks = section.split("```yaml\n").skip(1);
    let mut block = |name: &str, user: &str| {
        let text = blocks.next().and_then(|text| text.split("```").next()).expect("a block");
        assert!(text.contains("/etc/kubernetes") && text.contains(user), "{name}: {text}");
        let text = text.replace("/etc/kubernetes", &folder.display().to_string());
        let path = folder.join(name);
        fs::write(&path, text.replace("wavegate.wavegate.svc", address)).expect("a file");
        path
    };
    let admission = block("admission.yaml", "kubeConfigFile");
    block("webhooks.kubeconfig", "name: wavegate.wavegate.svc");
    fs::create_dir_all(folder.join("pki")).expect("a folder");
    fs::write(folder.join("pki/webhook-client.crt"), &client.certificate).expect("a file");
    fs::write(folder.join("pki/webhook-client.key"), &client.key).expect("a file");
    format!("--admission-control-config-file={}", admission.display())
}

#[test]
fn with_a_client_ca_the_api_server_is_answered_and_nobody_else() {
    let mut control_plane = ControlPlane::start().unwrap_or_else(|error| panic!("{error}"));
    install(&control_plane);
    let (ca, api_server) = authority();
    let (_, stranger) = authority();
    let folder = control_plane.directory().join("callers");
    fs::create_dir_all(&folder).expect("a folder");
    let client_ca = folder.join("client-ca.crt");
    fs::write(&client_ca, ca).expect("a file");
    let wavegate = Wavegate::launch(
        &control_plane,
        Path::new(env!("CARGO_BIN_EXE_wavegate")),
        "callers",
        &own_kubeconfig(&control_plane, None),
        &["--client-ca", &client_ca.display().to_string()],
    );
    wavegate.until_ready();
    let failures = || wavegate.metric(FAILURES).unwrap_or_default();

    // An API server that shows nothing is not answered, and says why.
    let configurations = wavegate.configurations(&control_plane);
    control_plane.kubectl().args(["apply", "--filename=-"]).stdin(configurations).ok();
    let shut = control_plane.namespace("callers::shut", &[("wavegate.dev/mode", "enforce")]);
    let app = ["create", "--dry-run=server", "--filename=examples/shop/app.yaml"];
    eventually("the API server is refused", Duration::from_secs(30), || {
        let output = shut.kubectl().args(app).run();
        output.stderr.contains("certificate required").then_some(())
    });
    eventually("it is counted", Duration::from_secs(10), || (failures() >= 1.0).then_some(()));
    drop(shut);

    let argument = configure(&folder, wavegate.address(), &api_server);
    control_plane.reconfigure_api_server(&[argument]);
    until_asked(&control_plane);
    let open = control_plane.namespace("callers::open", &[("wavegate.dev/mode", "enforce")]);
    let migration = ["create", "--filename=examples/shop/migration.yaml"];
    open.kubectl().args(migration).ok();
    let job = open.kubectl().args(["get", "job", "shop-migrate"]).json();
    // Both configurations are called.
    assert_eq!(job["metadata"]["labels"]["stamp.wavegate.dev/tracked"], "true");
    wavegate.until_decided(open.name(), "shop-migrate", |decisions| decisions.len() == 2);

    let server_ca = fs::read(control_plane.directory().join("callers-certs/ca.crt")).expect("a CA");
    let before = failures();
    let connect = |client| handshake_as(wavegate.address(), &server_ca, client);
    connect(Some(&api_server)).expect("a client of the CA is let in");
    assert_eq!(failures().to_bits(), before.to_bits());
    for (number, client) in [None, Some(&stranger)].into_iter().enumerate() {
        assert!(connect(client).is_err(), "client {number}");
        let counted = before + f64::from(u32::try_from(number).expect("a few")) + 1.0;
        eventually("it is counted", Duration::from_secs(10), || {
            (failures().to_bits() == counted.to_bits()).then_some(())
        });
    }
}
