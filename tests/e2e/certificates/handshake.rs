//! Connections as the API server makes them.

use std::io::{self, Error, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// What a client shows, in PEM.
pub(crate) struct Client {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The certificate that this server shows, if who trusts `bundle` accepts it.
pub(super) fn handshake(address: &str, bundle: &[u8]) -> io::Result<Vec<u8>> {
    connect(address, bundle, None).map(|(certificate, ..)| certificate)
}

/// Whether this server answers a client that shows this. With TLS 1.3 a client learns only after its own part of the
/// handshake that it was refused.
pub(crate) fn handshake_as(
    address: &str,
    bundle: &[u8],
    client: Option<&Client>,
) -> io::Result<()> {
    let (_, mut client, mut stream) = connect(address, bundle, client)?;
    client.writer().write_all(b"GET / HTTP/1.1\r\nHost: wavegate\r\n\r\n")?;
    let mut answer = [0; 8];
    rustls::Stream::new(&mut client, &mut stream).read_exact(&mut answer)?;
    assert_eq!(&answer, b"HTTP/1.1");
    Ok(())
}

fn connect(
    address: &str,
    bundle: &[u8],
    client: Option<&Client>,
) -> io::Result<(Vec<u8>, ClientConnection, TcpStream)> {
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_slice_iter(bundle) {
        roots.add(ca.map_err(Error::other)?).map_err(Error::other)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::other)?
        .with_root_certificates(roots);
    let config = match client {
        Some(client) => {
            let certificate = CertificateDer::from_pem_slice(client.certificate.as_bytes());
            let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).map_err(Error::other)?;
            let chain = vec![certificate.map_err(Error::other)?];
            config.with_client_auth_cert(chain, key).map_err(Error::other)?
        }
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from("127.0.0.1").map_err(Error::other)?;
    let mut client = ClientConnection::new(Arc::new(config), name).map_err(Error::other)?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    while client.is_handshaking() {
        client.complete_io(&mut stream)?;
    }
    let certificate = client.peer_certificates().unwrap_or_default().first();
    let certificate = certificate.expect("a certificate").to_vec();
    Ok((certificate, client, stream))
}

/// What a Service is to the API server: connections go to one replica after the other, and to none that is gone.
pub(super) struct Balancer(SocketAddr);

impl Balancer {
    pub(super) fn over(targets: [&str; 2]) -> Self {
        let targets = targets.map(|target| target.parse::<SocketAddr>().expect("an address"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        thread::spawn(move || {
            for (client, turn) in listener.incoming().flatten().zip(0_usize..) {
                let server = (turn..turn + 2).find_map(|n| TcpStream::connect(targets[n % 2]).ok());
                if let Some(server) = server {
                    copy(&client, &server);
                    copy(&server, &client);
                }
            }
        });
        Self(address)
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.0)
    }
}

fn copy(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
