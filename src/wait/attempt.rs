//! One attempt at one target: every address of every host, until one is ready.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{self, Instant, timeout_at};

use super::probe::{Answer, Failure, reason};
use super::report::seconds;
use super::{mysql, open, postgres, redis};
use crate::domain::database::{Engine, Target};

/// How long the first attempt may take, and what attempts grow to. Resolvers go on to the second nameserver after 5 s,
/// and a server under load may take longer. A connection that a server forgot must not hold up a long wait, though.
const FIRST: Duration = Duration::from_secs(3);
const LONGEST: Duration = Duration::from_secs(24);
/// How long after an address the next one is tried beside it (RFC 8305, section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// How long an attempt may take: twice as long after each that ran out of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(Duration);

impl Limit {
    /// Within a wait of this bound, so that even a short one can tell what its first attempt waited for.
    pub(super) fn within(bound: Duration) -> Self {
        Self(FIRST.min(bound * 9 / 10))
    }

    /// For the attempt behind one that took this long.
    pub(super) fn after(self, took: Duration) -> Self {
        if took < self.0 { self } else { Self((self.0 * 2).min(LONGEST)) }
    }
}

/// When an attempt ends.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Instant,
    limit: Duration,
}

impl End {
    /// For people.
    fn within(self) -> String {
        format!("within {} s", seconds(self.limit))
    }
}

/// Asks the target once.
pub(super) async fn attempt(target: &Target, Limit(limit): Limit) -> Answer {
    let end = End { at: Instant::now() + limit, limit };
    let (addresses, mut reasons) = resolve(target, end).await;
    let several = addresses.len() > 1;
    // The last of many addresses gets its time as well.
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let stagger = STAGGER.min(limit / 2 / count);
    let mut useless = None;
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
            // Another address may be ready, or be so later.
            Ok((_, Answer::Useless(reason))) => useless = Some(reason),
            Ok((_, answer)) => return answer,
            Err(error) if error.is_panic() => return Answer::Broken,
            Err(_) => {}
        }
    }
    match useless {
        Some(reason) if reasons.is_empty() => return Answer::Useless(reason),
        useless => reasons.extend(useless),
    }
    reasons.dedup();
    if reasons.is_empty() {
        reasons.push("its name has no address".to_owned());
    }
    Answer::Wait(reasons.join("; "))
}

/// The addresses of all hosts, those that hosts share only once, and why there are none.
async fn resolve(target: &Target, end: End) -> (Vec<(String, SocketAddr)>, Vec<String>) {
    let (mut found, mut reasons) = (Vec::<(String, SocketAddr)>::new(), Vec::new());
    for address in target.addresses() {
        let host = address.host.as_str();
        match timeout_at(end.at, lookup_host((host, address.port))).await {
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
            Err(_) => reasons.push(format!("the name {host} was not resolved {}", end.within())),
        }
    }
    (found, reasons)
}

async fn probe(target: &Target, name: &str, address: SocketAddr, end: End) -> Answer {
    match timeout_at(end.at, TcpStream::connect(address)).await {
        Err(_) => Answer::Wait(format!("no answer to the connection attempt {}", end.within())),
        Ok(Err(error)) => Answer::Wait(reason(&error)),
        Ok(Ok(stream)) => drive(target, name, address, stream, end).await,
    }
}

async fn drive(
    target: &Target,
    name: &str,
    address: SocketAddr,
    stream: TcpStream,
    end: End,
) -> Answer {
    let asked = timeout_at(end.at, async {
        match target.engine() {
            Engine::Postgres => postgres::probe(target, name, address, stream).await,
            Engine::Mysql => mysql::probe(stream, end.at).await,
            Engine::Redis => redis::probe(target.tls(), name, address, stream).await,
            Engine::Tcp => open::probe(stream, end.at).await,
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
        Err(_) => {
            Answer::Wait(format!("it accepts connections and does not answer {}", end.within()))
        }
    }
}
