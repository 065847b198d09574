//! What names a database, as far as waiting for it asks: where it listens and what it speaks.
//!
//! Passwords are skipped and kept nowhere, so nothing here can give one away. An error never quotes what it
//! is about.

mod address;
mod discovery;
mod keywords;
pub mod shown;
mod url;
pub mod variables;

use std::fmt;

use thiserror::Error;

pub use address::Address;
pub use discovery::{Discovery, discover};

/// What a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The protocol of PostgreSQL, which CockroachDB speaks as well.
    Postgres,
    /// The protocol of MySQL and MariaDB.
    Mysql,
    /// The protocol of Redis and Valkey.
    Redis,
    /// Anything else: that its port is open is all that can be told.
    Tcp,
}

impl Engine {
    /// The engine that listens on a port by custom.
    fn of_port(port: u16) -> Self {
        match port {
            5432 | 6432 | 26257 => Self::Postgres,
            3306 => Self::Mysql,
            6379 => Self::Redis,
            _ => Self::Tcp,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL",
            Self::Redis => "Redis",
            Self::Tcp => "TCP",
        })
    }
}

/// Whether to speak TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// As the server likes, which only PostgreSQL is asked for.
    #[default]
    Offered,
    /// Never.
    Never,
    /// From the first byte: `rediss://`, and libpq's `sslnegotiation=direct`.
    Direct,
}

/// A database that can be waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    engine: Engine,
    is_guessed: bool,
    /// Never empty.
    addresses: Vec<Address>,
    user: Option<String>,
    database: Option<String>,
    tls: Tls,
}

/// Why there is nothing that can be waited for. It completes a sentence that begins with what names the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unusable {
    /// Nothing is written.
    #[error("it is empty")]
    Empty,
    /// No host, which most clients take for this machine or a socket.
    #[error("it names no host")]
    NoHost,
    /// Neither the text nor the scheme tells the port.
    #[error("it names no port")]
    NoPort,
    /// A Unix socket.
    #[error("it names a Unix socket")]
    Socket,
    /// A connection that the driver makes in its own way, through a proxy for example.
    #[error("its driver does not simply connect to its host")]
    Indirect,
    /// A database in a file or in memory.
    #[error("its database is a file of its own")]
    File,
    /// A scheme that stands for no database that is known here.
    #[error("its scheme is not known")]
    Scheme,
    /// The hosts are found in DNS by the driver.
    #[error("its host is found by DNS SRV")]
    Srv,
    /// An `@` that may belong to the password or stand behind it.
    #[error("it cannot be told apart from its credentials")]
    Credentials,
    /// The host has characters that no host has, such as those of a variable that was not replaced.
    #[error("its host is not readable")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("its port is not readable")]
    Port,
    /// Several ports for another number of hosts.
    #[error("it does not name a port for each host")]
    Ports,
}

impl Target {
    /// Reads a database's address as people and programs write it: `host:port`, a URL with or without `jdbc:`
    /// and a driver's name, the form of Go's MySQL driver, libpq's keywords.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        read(text, &Hint::default())
    }

    /// What it speaks.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Whether the engine is only what listens on such a port by custom.
    pub fn is_guessed(&self) -> bool {
        self.is_guessed
    }

    /// Where it listens, one address at least. Any of them will do, as for libpq.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Whom a client of PostgreSQL logs in as.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Which database it asks for.
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Whether to speak TLS.
    pub fn tls(&self) -> Tls {
        self.tls
    }

    /// Whether all of it is this pod, where nothing that an init container waits for can run.
    pub fn is_local(&self) -> bool {
        self.addresses.iter().all(Address::is_local)
    }
}

/// Without credentials, user and database.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, address) in self.addresses.iter().enumerate() {
            let separator = if at == 0 { "" } else { "," };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

/// What is known of a target apart from its text.
#[derive(Clone, Debug, Default)]
struct Hint<'a> {
    engine: Option<Engine>,
    /// A port, or one for each host.
    port: &'a str,
}

fn read(text: &str, hint: &Hint<'_>) -> Result<Target, Unusable> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    if text.starts_with('/') {
        return Err(Unusable::Socket);
    }
    match keywords::read(text) {
        Some(keywords) => keywords::target(&keywords),
        None => url::target(text, hint),
    }
}

#[cfg(test)]
mod tests;
