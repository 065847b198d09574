//! Servers of which nothing more is known than their port.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::mysql;
use super::probe::{Answer, Failure};

/// A proxy without a server behind it closes within this time of the connection.
const PATIENCE: Duration = Duration::from_millis(300);

/// Ready is what keeps the connection open or says something. A server of MySQL is told by its greeting, since
/// leaving it there would count against this host.
pub(super) async fn probe(stream: TcpStream, end: Instant) -> Result<Answer, Failure> {
    let mut head = [0; 5];
    match timeout(PATIENCE, stream.peek(&mut head)).await {
        Ok(Ok(0)) => Err(Failure::Closed),
        Ok(Ok(_)) if mysql::is_greeting(head) => mysql::probe(stream, end).await,
        Ok(Ok(_)) | Err(_) => Ok(Answer::READY),
        Ok(Err(error)) => Err(error.into()),
    }
}
