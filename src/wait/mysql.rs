//! MySQL and MariaDB: the greeting, and a login that the server refuses.
//!
//! The greeting tells that the server is ready. A client that leaves then counts as an error of its host, and
//! after `max_connect_errors` of them the server blocks the host, which behind NAT is a node with all its pods.
//! A refused login is no such error. It is that of a user of our own, as an account may be locked after failed
//! logins.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::probe::{Answer, Failure, quoted, receive, send};

/// Long passwords, protocol 4.1, salts, login by plugins.
const CAPABILITIES: u32 = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
/// Longest packet that is read, in bytes.
const PACKET: usize = 64 << 10;
const UTF8: u8 = 33;
const USER: &str = "wavegate";
const COM_QUIT: &[u8] = &[1];
/// Steps of a login, plugins that are asked for another included.
const STEPS: u8 = 8;
/// How long the login may take. The plugin `connection_control` delays the answer to each that fails more and more.
const LOGIN: Duration = Duration::from_secs(2);

/// A packet, and its number within the exchange.
struct Packet {
    number: u8,
    body: Vec<u8>,
}

/// Asks; the greeting must come before the end, the login is given up there.
pub(super) async fn probe(mut stream: TcpStream, end: Instant) -> Result<Answer, Failure> {
    let greeting = packet(&mut stream).await?;
    match greeting.body.first() {
        Some(10) => {}
        Some(255) => return Ok(meaning(&greeting.body)),
        _ => return Err(Failure::Foreign),
    }
    // The greeting was the answer, so a login that fails in an unknown way, or takes too long, takes nothing back.
    let end = end.min(Instant::now() + LOGIN);
    let left = timeout_at(end, leave(&mut stream, greeting.number)).await;
    Ok(left.ok().and_then(Result::ok).unwrap_or(Answer::READY))
}

/// Whether these are the first bytes of a greeting, or of an error in its place.
pub(super) fn is_greeting(head: [u8; 5]) -> bool {
    matches!(head, [_, _, 0, 0, 10 | 255])
}

/// Logs in to be refused.
async fn leave(stream: &mut TcpStream, number: u8) -> Result<Answer, Failure> {
    write(stream, number.wrapping_add(1), &login()).await?;
    for _ in 0..STEPS {
        let reply = packet(stream).await?;
        match reply.body.first() {
            Some(255) => return Ok(meaning(&reply.body)),
            // Another plugin, or more of the same: there is no password.
            Some(254 | 1) => write(stream, reply.number.wrapping_add(1), &[]).await?,
            _ => break,
        }
    }
    // Anybody may log in.
    write(stream, 0, COM_QUIT).await?;
    Ok(Answer::READY)
}

fn login() -> Vec<u8> {
    let mut body = CAPABILITIES.to_le_bytes().to_vec();
    body.extend_from_slice(&(1_u32 << 24).to_le_bytes());
    body.push(UTF8);
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(USER.as_bytes());
    // The end of the name, and a password of no bytes.
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(b"mysql_native_password\0");
    body
}

async fn packet(stream: &mut TcpStream) -> Result<Packet, Failure> {
    let head = receive(stream, 4).await?;
    let (length, number) = match head.as_slice() {
        [low, middle, high, number] => {
            (usize::from(*low) | usize::from(*middle) << 8 | usize::from(*high) << 16, *number)
        }
        _ => return Err(Failure::Foreign),
    };
    if length == 0 || length > PACKET {
        return Err(Failure::Foreign);
    }
    Ok(Packet { number, body: receive(stream, length).await? })
}

async fn write(stream: &mut TcpStream, number: u8, body: &[u8]) -> Result<(), Failure> {
    let length = u32::try_from(body.len()).unwrap_or_default();
    let [low, middle, high, _] = length.to_le_bytes();
    send(stream, &[&[low, middle, high, number], body].concat()).await?;
    Ok(())
}

/// What an error means for somebody who waits. Before the login it has no SQLSTATE, which is `#` and five letters.
fn meaning(body: &[u8]) -> Answer {
    let (code, text) = match body {
        [_, low, high, text @ ..] => (u16::from(*low) | u16::from(*high) << 8, text),
        _ => return Answer::Wait("its error is not readable".to_owned()),
    };
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    let said = format!("it says {:?}, error {code}", quoted(text));
    match code {
        // Too many connections, and shutting down.
        1040 | 1053 => Answer::Wait(said),
        // The host is blocked until somebody clears the server's host cache.
        1129 => Answer::Useless(said),
        // Access denied: what was asked for.
        1045 | 1698 => Answer::READY,
        _ => Answer::Ready(Some(said)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, text: &str) -> Answer {
        meaning(&[&[255], code.to_le_bytes().as_slice(), text.as_bytes()].concat())
    }

    #[test]
    fn an_error_tells_whether_to_wait() {
        let shutdown = "it says \"Server shutdown in progress\", error 1053".to_owned();
        assert_eq!(answer(1053, "#08S01Server shutdown in progress"), Answer::Wait(shutdown));
        assert!(matches!(answer(1040, "Too many connections"), Answer::Wait(_)));
        assert!(matches!(answer(1129, "Host 'h' is blocked"), Answer::Useless(_)));
        assert!(matches!(answer(1130, "Host 'h' is not allowed"), Answer::Ready(Some(_))));
        assert_eq!(answer(1045, "#28000Access denied"), Answer::READY);
        assert!(matches!(meaning(&[255]), Answer::Wait(_)));
    }
}
