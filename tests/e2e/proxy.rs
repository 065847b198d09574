//! A proxy between wavegate and the API server, which can fail as networks do.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

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
    /// By how much each piece of an answer is late.
    late: Duration,
    open: Vec<TcpStream>,
}

impl Proxy {
    /// A proxy to the API server with this URL.
    pub(crate) fn to(server: &str) -> Self {
        let target: SocketAddr =
            server.trim_start_matches("https://").parse().expect("an address and a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared =
            Arc::new(Mutex::new(Shared { mode: Mode::On, late: Duration::ZERO, open: Vec::new() }));
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

    /// From now on whatever the API server says comes late, also on open connections.
    pub(crate) fn delay(&self, late: Duration) {
        self.shared.lock().expect("the proxy's lock").late = late;
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

fn accept(client: &TcpStream, target: SocketAddr, all: &Arc<Mutex<Shared>>) -> io::Result<()> {
    let mut shared = all.lock().expect("the proxy's lock");
    match shared.mode {
        Mode::Off => return Ok(()),
        Mode::Silent => shared.open.push(client.try_clone()?),
        Mode::On => {
            let server = TcpStream::connect(target)?;
            shared.open.extend([client.try_clone()?, server.try_clone()?]);
            copy(client.try_clone()?, server.try_clone()?, || Duration::ZERO);
            let all = Arc::clone(all);
            let late = move || all.lock().expect("the proxy's lock").late;
            copy(server, client.try_clone()?, late);
        }
    }
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, late: impl Fn() -> Duration + Send + 'static) {
    thread::spawn(move || {
        let mut piece = vec![0; 1 << 16];
        // Either end may be closed at any time.
        while let Ok(read @ 1..) = from.read(&mut piece) {
            thread::sleep(late());
            if to.write_all(&piece[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
