//! Redis and Valkey: `PING`, which is refused before a login, but not while the data is being loaded.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::probe::{Answer, Failure, Stream, quoted, receive_until, send};
use super::tls;
use crate::domain::database::Tls;

/// Longest line that is read, in bytes.
const LINE: usize = 1024;
/// Errors that pass by themselves. `-BUSY`: a script has run for too long.
const PASSING: [&str; 3] = ["LOADING", "MASTERDOWN", "BUSY"];

pub(super) async fn probe(
    tls: Tls,
    name: &str,
    address: SocketAddr,
    mut stream: TcpStream,
) -> Result<Answer, Failure> {
    if tls != Tls::Direct {
        return ping(&mut stream).await;
    }
    let asked = async {
        let mut stream = tls::handshake(stream, name, address, None).await?;
        ping(&mut stream).await
    };
    match asked.await {
        // A server that asks for a client's certificate says so only after the client's part of the handshake.
        Err(Failure::Io(error)) if tls::wants_certificate(&error) => {
            Ok(Answer::Ready(Some("it wants a client certificate".to_owned())))
        }
        asked => asked,
    }
}

async fn ping(stream: &mut impl Stream) -> Result<Answer, Failure> {
    send(stream, b"*1\r\n$4\r\nPING\r\n").await?;
    let line = receive_until(stream, b'\n', LINE).await?;
    Ok(match line.split_first() {
        Some((b'+', _)) => Answer::READY,
        Some((b'-', error)) => {
            let error = quoted(error);
            let code = error.split(' ').next().unwrap_or_default();
            match code {
                _ if PASSING.contains(&code) => Answer::Wait(format!("it says {error:?}")),
                "NOAUTH" | "NOPERM" => Answer::READY,
                _ => Answer::Ready(Some(format!("it says {error:?}"))),
            }
        }
        _ => return Err(Failure::Foreign),
    })
}
