//! The certificates, keys and kubeconfig files of the control plane.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::json;

use super::NODE_IP;

/// The first address of the API server's `--service-cluster-ip-range`: the Service `kubernetes`.
const SERVICE_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Who may call the API server: the kubeconfig's name, the user name, the group. Kubernetes takes the
/// user from the certificate's common name and the groups from its organisations.
const CLIENTS: [(&str, &str, Option<&str>); 7] = [
    ("admin", "kubernetes-admin", Some("system:masters")),
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kwok", "kwok", Some("system:masters")),
    ("kubelet", "system:node:node-1", Some("system:nodes")),
    ("kube-proxy", "system:kube-proxy", None),
    ("coredns", "coredns", Some("system:masters")),
];

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

/// The files of one certificate authority, in PEM.
#[derive(Debug)]
pub(super) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Writes the authority, the API server's certificate, the clients' certificates and the key pair
    /// that signs service account tokens into `folder`.
    pub(super) fn write(folder: PathBuf) -> Result<Self, CertificatesError> {
        fs::create_dir_all(&folder)
            .map_err(|source| CertificatesError::Write { path: folder.clone(), source })?;
        let certificates = Self { folder };

        let mut params = named("wavegate-test-ca", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        put(&certificates.authority(), authority.as_ref().pem())?;

        certificates.issue("apiserver", &server(), &authority)?;
        for (name, user, group) in CLIENTS {
            let mut params = named(user, group);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            certificates.issue(name, &params, &authority)?;
        }

        let tokens = KeyPair::generate()?;
        put(&certificates.key("tokens"), tokens.serialize_pem())?;
        put(&certificates.token_verifier(), tokens.public_key_pem())?;
        Ok(certificates)
    }

    /// The certificate authority's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.certificate("ca")
    }

    /// A certificate, by its name: `apiserver` or a client.
    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.crt"))
    }

    /// A private key, by its name: `apiserver`, a client, or `tokens`.
    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    /// The public half of the key `tokens`.
    pub(super) fn token_verifier(&self) -> PathBuf {
        self.folder.join("tokens.pub")
    }

    /// The kubeconfig of a client.
    pub(super) fn kubeconfig(&self, client: &str) -> PathBuf {
        self.folder.join(format!("{client}.kubeconfig"))
    }

    /// Writes every client's kubeconfig for an API server at `address`.
    pub(super) fn write_kubeconfigs(&self, address: SocketAddr) -> Result<(), CertificatesError> {
        for (client, ..) in CLIENTS {
            // JSON is YAML, so every reader of kubeconfig files takes it.
            let kubeconfig = json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{ "name": "test", "cluster": {
                    "server": format!("https://{address}"),
                    "certificate-authority": self.authority(),
                }}],
                "users": [{ "name": client, "user": {
                    "client-certificate": self.certificate(client),
                    "client-key": self.key(client),
                }}],
                "contexts": [{ "name": "test", "context": { "cluster": "test", "user": client } }],
                "current-context": "test",
            });
            put(&self.kubeconfig(client), format!("{kubeconfig:#}\n"))?;
        }
        Ok(())
    }

    fn issue(
        &self,
        name: &str,
        params: &CertificateParams,
        authority: &CertifiedIssuer<'_, KeyPair>,
    ) -> Result<(), CertificatesError> {
        let key = KeyPair::generate()?;
        put(&self.certificate(name), params.signed_by(&key, authority)?.pem())?;
        put(&self.key(name), key.serialize_pem())
    }
}

/// The API server's certificate: for clients on this machine, for the Service, and for the Node.
fn server() -> CertificateParams {
    let mut params = named("kube-apiserver", None);
    let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    params.subject_alt_names = names
        .into_iter()
        .filter_map(|name| name.try_into().ok().map(SanType::DnsName))
        .chain([IpAddr::V4(Ipv4Addr::LOCALHOST), SERVICE_IP, NODE_IP].map(SanType::IpAddress))
        .collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn named(common_name: &str, organisation: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    params
}

/// The control plane's directory is closed to other users, so the keys need no mode of their own.
fn put(path: &Path, content: String) -> Result<(), CertificatesError> {
    fs::write(path, content)
        .map_err(|source| CertificatesError::Write { path: path.to_owned(), source })
}
