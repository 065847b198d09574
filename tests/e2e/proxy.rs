//! A proxy between wavegate and the API server, which can fail as networks do.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They reach the API server.
    On,
    /// Open ones are cut, new ones closed at once.
    Off,
    /// Open ones are cut, new ones never answered.
    Silent,
}

/// A running proxy. It ends with the process.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    mode: Mode,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy to the API server with this URL.
    pub(crate) fn to(server: &str) -> Self {
        let target: SocketAddr =
            server.trim_start_matches("https://").parse().expect("an address and a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Mutex::new(Shared { mode: Mode::On, open: Vec::new() }));
        let proxy = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that cannot be passed on is closed by being dropped.
                let _ = accept(&client, target, &shared);
            }
        });
        proxy
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set(&self, mode: Mode) {
        let mut shared = self.shared.lock().expect("the proxy's lock");
        shared.mode = mode;
        for connection in shared.open.drain(..) {
            // It may have ended by itself.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(client: &TcpStream, target: SocketAddr, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut shared = shared.lock().expect("the proxy's lock");
    match shared.mode {
        Mode::Off => return Ok(()),
        Mode::Silent => shared.open.push(client.try_clone()?),
        Mode::On => {
            let server = TcpStream::connect(target)?;
            shared.open.extend([client.try_clone()?, server.try_clone()?]);
            copy(client.try_clone()?, server.try_clone()?);
            copy(server, client.try_clone()?);
        }
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
