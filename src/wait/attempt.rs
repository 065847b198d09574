//! One attempt at one target: every address of every host, until one is ready.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{self, Instant, timeout_at};

use super::probe::{Answer, Failure, reason};
use super::{mysql, open, postgres, redis};
use crate::domain::database::{Engine, Target};

/// The longest that an attempt may take.
const BOUND: Duration = Duration::from_secs(3);
/// How long after an address the next one is tried beside it (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// Asks the target once.
pub(super) async fn attempt(target: &Target) -> Answer {
    let end = Instant::now() + BOUND;
    let (addresses, mut reasons) = resolve(target, end).await;
    let several = addresses.len() > 1;
    // The last of many addresses gets its time as well.
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let stagger = STAGGER.min(BOUND / 2 / count);
    let mut probes = JoinSet::new();
    for ((name, address), turn) in addresses.into_iter().zip(0..) {
        let target = target.clone();
        probes.spawn(async move {
            time::sleep(stagger * turn).await;
            let answer = probe(&target, &name, address, end).await;
            (address, answer)
        });
    }
    while let Some(probed) = probes.join_next().await {
        match probed {
            Ok((address, Answer::Wait(reason))) if several => {
                reasons.push(format!("{}: {reason}", address.ip()));
            }
            Ok((_, Answer::Wait(reason))) => reasons.push(reason),
            Ok((_, answer)) => return answer,
            Err(error) if error.is_panic() => return Answer::Broken,
            Err(_) => {}
        }
    }
    reasons.dedup();
    if reasons.is_empty() {
        reasons.push("its name has no address".to_owned());
    }
    Answer::Wait(reasons.join("; "))
}

/// The addresses of all hosts, those that hosts share only once, and why there are none.
async fn resolve(target: &Target, end: Instant) -> (Vec<(String, SocketAddr)>, Vec<String>) {
    let (mut found, mut reasons) = (Vec::<(String, SocketAddr)>::new(), Vec::new());
    for address in target.addresses() {
        let host = address.host.as_str();
        match timeout_at(end, lookup_host((host, address.port))).await {
            Ok(Ok(resolved)) => {
                for resolved in resolved {
                    if found.iter().all(|(_, known)| *known != resolved) {
                        found.push((host.to_owned(), resolved));
                    }
                }
            }
            Ok(Err(error)) => {
                let text = reason(&error);
                let text = text.rsplit(": ").next().unwrap_or_default();
                reasons.push(format!("the name {host} cannot be resolved: {text}"));
            }
            Err(_) => reasons.push(format!("the name {host} was not resolved within 3 s")),
        }
    }
    (found, reasons)
}

async fn probe(target: &Target, name: &str, address: SocketAddr, end: Instant) -> Answer {
    match timeout_at(end, TcpStream::connect(address)).await {
        Err(_) => Answer::Wait("no answer to the connection attempt within 3 s".to_owned()),
        Ok(Err(error)) => Answer::Wait(reason(&error)),
        Ok(Ok(stream)) => drive(target, name, address, stream, end).await,
    }
}

async fn drive(
    target: &Target,
    name: &str,
    address: SocketAddr,
    stream: TcpStream,
    end: Instant,
) -> Answer {
    let asked = timeout_at(end, async {
        match target.engine() {
            Engine::Postgres => postgres::probe(target, name, address, stream).await,
            Engine::Mysql => mysql::probe(stream).await,
            Engine::Redis => redis::probe(target.tls(), name, address, stream).await,
            Engine::Tcp => open::probe(stream).await,
        }
    });
    match asked.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(Failure::Foreign)) if target.is_guessed() => {
            Answer::Ready(Some(format!("it does not speak {}", target.engine())))
        }
        Ok(Err(Failure::Foreign)) => {
            Answer::Wait(format!("its answer is not one of {}", target.engine()))
        }
        Ok(Err(failure)) => Answer::Wait(failure.to_string()),
        Err(_) => Answer::Wait("it accepts connections and does not answer within 3 s".to_owned()),
    }
}
