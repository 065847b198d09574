//! PostgreSQL: a login up to where the server asks for the password.
//!
//! Source: the manual's chapter "Message Flow", and `ProcessStartupPacket` in `postmaster.c`: a server that is
//! not ready says so before it looks at who asks.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::probe::{Answer, Failure, Stream, quoted, receive, receive_until, send};
use super::tls;
use crate::domain::database::{Target, Tls};

/// Asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Protocol version 3.0.
const VERSION: [u8; 4] = [0, 3, 0, 0];
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
/// Longest message that is read, in bytes. libpq takes longer ones for no message, too.
const MESSAGE: usize = 30_000;
/// Who asks where the target names nobody.
const NOBODY: &str = "wavegate";

/// Asks over this connection, and over another one without TLS where the server's is not understood.
pub(super) async fn probe(
    target: &Target,
    name: &str,
    address: SocketAddr,
    mut stream: TcpStream,
) -> Result<Answer, Failure> {
    let secured = match target.tls() {
        Tls::Never => return login(&mut stream, target).await,
        Tls::Direct => tls::handshake(stream, name, address, Some(b"postgresql")).await,
        Tls::Offered => {
            send(&mut stream, &SSL_REQUEST).await?;
            match receive(&mut stream, 1).await?.as_slice() {
                b"S" => tls::handshake(stream, name, address, None).await,
                b"N" => return login(&mut stream, target).await,
                b"E" => return error(&mut stream).await,
                _ => return Err(Failure::Foreign),
            }
        }
    };
    match secured {
        Ok(mut stream) => login(&mut stream, target).await,
        Err(_) => login(&mut TcpStream::connect(address).await?, target).await,
    }
}

async fn login(stream: &mut impl Stream, target: &Target) -> Result<Answer, Failure> {
    send(stream, &startup(target)).await?;
    loop {
        match receive(stream, 1).await?.as_slice() {
            b"E" => return error(stream).await,
            // Without a password the login goes on, and may end with an error after all.
            b"R" if message(stream).await?.starts_with(&[0, 0, 0, 0]) => {}
            // Where a password is asked for, a farewell would be a wrong one to the server's log.
            b"R" => return Ok(Answer::READY),
            b"Z" => break,
            // What the server tells of itself meanwhile; the last one is a protocol that it does not speak.
            b"S" | b"K" | b"N" | b"v" => {
                message(stream).await?;
            }
            _ => return Err(Failure::Foreign),
        }
    }
    // The answer is known; the farewell only keeps the server's log clean.
    let _ = send(stream, &TERMINATE).await;
    Ok(Answer::READY)
}

fn startup(target: &Target) -> Vec<u8> {
    let database = target.database().or(target.user()).unwrap_or("postgres");
    let user = target.user().unwrap_or(NOBODY);
    let mut body = VERSION.to_vec();
    for text in ["user", user, "database", database, "application_name", "wavegate wait-for-db"] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

/// A message behind its type.
async fn message(stream: &mut impl Stream) -> Result<Vec<u8>, Failure> {
    let length = receive(stream, 4).await?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    match length.checked_sub(4) {
        Some(length) if length <= MESSAGE => receive(stream, length).await,
        _ => Err(Failure::Foreign),
    }
}

/// An error behind its type. A server that cannot even start a process writes a line of text without a length.
async fn error(stream: &mut impl Stream) -> Result<Answer, Failure> {
    let head = receive(stream, 4).await?;
    if head.first() != Some(&0) {
        let rest = receive_until(stream, 0, MESSAGE).await?;
        return Ok(Answer::Wait(format!("it says {:?}", quoted(&[head, rest].concat()))));
    }
    let length = head.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let length = length.checked_sub(4).filter(|length| *length <= MESSAGE);
    let body = receive(stream, length.ok_or(Failure::Foreign)?).await?;
    let fields: Vec<&[u8]> = body.split(|byte| *byte == 0).collect();
    let field = |name: u8| {
        let field = fields.iter().find(|field| field.first() == Some(&name));
        quoted(field.and_then(|field| field.get(1..)).unwrap_or_default())
    };
    Ok(meaning(&field(b'C'), &field(b'M'), &field(b'D')))
}

/// What an error means for somebody who waits.
fn meaning(code: &str, text: &str, detail: &str) -> Answer {
    let detail = if detail.is_empty() { String::new() } else { format!(" ({detail})") };
    let said = format!("it says {text:?}{detail}");
    match code {
        // Starting up, shutting down, recovering; too many connections; ended by an administrator or a crash.
        "57P03" | "53300" | "57P01" | "57P02" => Answer::Wait(said),
        _ if is_of_pooler(code, text) => Answer::Wait(said),
        _ => Answer::Ready(Some(format!("{said}, SQLSTATE {code}"))),
    }
}

/// What PgBouncer says while it cannot reach its server, with a code that it uses for everything.
///
/// Source: PgBouncer's `server_login_retry`, `query_wait_timeout` and `disconnect_server`.
fn is_of_pooler(code: &str, text: &str) -> bool {
    let texts = ["server login has been failing", "pgbouncer cannot connect", "query_wait_timeout"];
    code.starts_with("08") && texts.iter().any(|start| text.starts_with(start))
        || code.starts_with("08") && text.contains("the database system is ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        for code in ["57P03", "53300", "57P01", "57P02"] {
            let answer = meaning(code, "the database system is starting up", "");
            let said = "it says \"the database system is starting up\"".to_owned();
            assert_eq!(answer, Answer::Wait(said), "{code}");
        }
        for code in ["28000", "28P01", "3D000", "0A000", "08P01"] {
            assert!(matches!(meaning(code, "no", ""), Answer::Ready(Some(_))), "{code}");
        }
    }

    #[test]
    fn a_login_names_who_asks_for_what() {
        let target = Target::parse("postgres://ann:secret@db/shop").unwrap();
        let bytes = startup(&target);
        assert_eq!(usize::from(bytes[3]), bytes.len());
        let text = String::from_utf8_lossy(&bytes[8..]).replace('\0', " ");
        assert_eq!(text, "user ann database shop application_name wavegate wait-for-db  ");
    }
}
