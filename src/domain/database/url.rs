//! URLs of databases, and what stands for one without a scheme.

use super::{Engine, Hint, Target, Tls, Unusable, address};

/// What a scheme stands for: names, engine, port.
const SCHEMES: &[(&str, Engine, &str)] = &[
    (
        "postgres postgresql pgsql pgx pgx4 pgx5 pq postgis psycopg psycopg2",
        Engine::Postgres,
        "5432",
    ),
    ("redshift", Engine::Postgres, "5439"),
    ("cockroach cockroachdb crdb crdb-postgres crdb-pgx", Engine::Postgres, "26257"),
    ("mysql mysql2 mariadb trilogy mysqlgis", Engine::Mysql, "3306"),
    // MySQL's other protocol.
    ("mysqlx", Engine::Tcp, "33060"),
    ("redis rediss valkey valkeys", Engine::Redis, "6379"),
    ("sqlserver mssql", Engine::Tcp, "1433"),
    ("clickhouse ch", Engine::Tcp, "9000"),
    ("mongodb mongo", Engine::Tcp, "27017"),
    ("tcp", Engine::Tcp, ""),
];

/// Parameters that name a Unix socket.
const SOCKETS: &[&str] = &["unix_socket", "socket", "localSocket"];
/// Parameters with which a driver connects in another way.
const INDIRECT: &[&str] = &["socketFactory", "cloudSqlInstance", "pipe", "socksProxyHost"];

/// Schemes of databases in a file or in memory.
const FILES: &str = "sqlite sqlite2 sqlite3 spatialite file libsql duckdb h2 hsqldb derby memory";

/// Reads a URL, `host:port`, or the form of Go's MySQL driver.
pub(super) fn target(text: &str, hint: &Hint<'_>) -> Result<Target, Unusable> {
    if let Some(address) = go_mysql(text) {
        return Ok(Target {
            engine: Engine::Mysql,
            is_guessed: false,
            addresses: address::list(address?, "3306")?,
            user: None,
            database: None,
            tls: Tls::default(),
        });
    }
    let (scheme, rest) = split_scheme(text)?;
    let known = scheme.map(engine).transpose()?;
    let (engine, port) = match known {
        // A Service's address in the variable of a host.
        Some((Engine::Tcp, "")) => (hint.engine.or(Some(Engine::Tcp)), hint.port),
        Some((engine, port)) => (Some(engine), port),
        None => (hint.engine, hint.port),
    };
    let parts = match scheme {
        Some(name) if name.eq_ignore_ascii_case("sqlserver") && text.starts_with("jdbc:") => {
            Parts::of_sqlserver(rest)
        }
        _ => Parts::of(rest)?,
    };
    // A password's @ in what is neither a URL nor well-formed keywords must not make a host of its end.
    if scheme.is_none() && parts.user.is_some_and(|credentials| credentials.contains('=')) {
        return Err(Unusable::Credentials);
    }
    let is_of_jdbc = text.starts_with("jdbc:");
    let scheme = scheme.map(str::to_ascii_lowercase);
    let port = match &scheme {
        Some(scheme) => parts.default_port(scheme, is_of_jdbc, port),
        None => port.to_owned(),
    };
    let addresses = parts.addresses(engine, &port, is_of_jdbc)?;
    let by_custom = || addresses.first().map_or(Engine::Tcp, |first| Engine::of_port(first.port));
    let is_direct = matches!(scheme.as_deref(), Some("rediss" | "valkeys"));
    let is_guessed = engine.is_none();
    let engine = engine.unwrap_or_else(by_custom);
    // Redis' old URLs have the password in the place of the user, and nobody else is told one.
    let has_user = engine == Engine::Postgres;
    let user = || parts.user.and_then(user).or_else(|| parts.parameter("user"));
    Ok(Target {
        engine,
        is_guessed,
        user: has_user.then(user).flatten(),
        database: parts.database(),
        tls: if is_direct { Tls::Direct } else { parts.tls() },
        addresses,
    })
}

/// The address in `user:password@tcp(host:port)/database`. The password may hold anything, so the last `@tcp(`
/// counts.
fn go_mysql(text: &str) -> Option<Result<&str, Unusable>> {
    if text.contains("://") {
        return None;
    }
    if text.starts_with("unix(") || text.contains("@unix(") {
        return Some(Err(Unusable::Socket));
    }
    let rest = match text.rsplit_once("@tcp(") {
        Some((_, rest)) => rest,
        None => text.strip_prefix("tcp(")?,
    };
    Some(rest.split_once(')').map(|(address, _)| address).ok_or(Unusable::Host))
}

/// The name in front of `://`, without what JDBC and drivers add: `jdbc:mysql:loadbalance`, `postgresql+asyncpg`.
/// Text without one may still have a scheme that names no host, such as `sqlite:file.db`.
fn split_scheme(text: &str) -> Result<(Option<&str>, &str), Unusable> {
    let Some((scheme, rest)) = text.split_once("://") else {
        let bare = text.strip_prefix("jdbc:").unwrap_or(text);
        let name = bare.split(':').next().unwrap_or_default();
        if is_listed(FILES, &name.to_ascii_lowercase()) && bare.contains(':') && !is_port(bare) {
            return Err(Unusable::File);
        }
        if bare.len() == text.len() {
            return Ok((None, text));
        }
        // `jdbc:postgresql:database` means this machine.
        return Err(engine(name).err().unwrap_or(Unusable::NoHost));
    };
    // The first :// may stand in a parameter: then what is before it is no scheme.
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:_".contains(&byte)) {
        return Ok((None, text));
    }
    let mut names = scheme.split(':').filter(|name| *name != "jdbc");
    let known = names.find(|name| !matches!(engine(name), Err(Unusable::Scheme)));
    Ok((Some(known.unwrap_or(scheme)), rest))
}

/// Whether a text such as `file:5432` is a host and a port.
fn is_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

fn engine(scheme: &str) -> Result<(Engine, &'static str), Unusable> {
    let scheme = scheme.to_ascii_lowercase();
    let (name, driver) = scheme.split_once('+').unwrap_or((&scheme, ""));
    if driver == "srv" {
        return Err(Unusable::Srv);
    }
    if matches!(driver, "unix" | "socket") || name == "unix" {
        return Err(Unusable::Socket);
    }
    if is_listed(FILES, name) {
        return Err(Unusable::File);
    }
    let known = SCHEMES.iter().find(|(names, ..)| is_listed(names, name));
    known.map(|(_, engine, port)| (*engine, *port)).ok_or(Unusable::Scheme)
}

fn is_listed(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|listed| listed == name)
}

/// What stands behind the scheme.
struct Parts<'a> {
    user: Option<&'a str>,
    hosts: &'a str,
    /// With what separates it from the hosts.
    path: &'a str,
    /// Separated by `&` or, for SQL Server, by `;`.
    parameters: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Self, Unusable> {
        let end = text.find(['/', '?', ';']).unwrap_or(text.len());
        let (authority, rest) = text.split_at(end);
        // Only the authority may hold credentials: an @ behind it means that a password was cut, or cannot be told.
        if rest.contains('@') {
            return Err(Unusable::Credentials);
        }
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let hosts = hosts.strip_prefix("tcp(").and_then(|h| h.strip_suffix(')')).unwrap_or(hosts);
        if hosts.starts_with("unix(") {
            return Err(Unusable::Socket);
        }
        let (path, parameters) = rest.split_at(rest.find(['?', ';']).unwrap_or(rest.len()));
        Ok(Self { user: credentials, hosts, path, parameters })
    }

    /// The form of Microsoft's driver, which has no credentials in front of the host.
    fn of_sqlserver(text: &'a str) -> Self {
        let (hosts, parameters) = text.split_at(text.find(';').unwrap_or(text.len()));
        Self { user: None, hosts: hosts.trim_end_matches('/'), path: "", parameters }
    }

    /// The hosts of the authority, or those of the parameters, which libpq reads before it.
    fn addresses(
        &self,
        engine: Option<Engine>,
        port: &str,
        is_of_jdbc: bool,
    ) -> Result<Vec<address::Address>, Unusable> {
        if SOCKETS.iter().any(|name| self.parameter(name).is_some()) {
            return Err(Unusable::Socket);
        }
        if INDIRECT.iter().any(|name| self.parameter(name).is_some()) {
            return Err(Unusable::Indirect);
        }
        let named: Vec<String> = self.all("host").chain(self.all("hostaddr")).collect();
        if engine == Some(Engine::Postgres) && !is_of_jdbc && !named.is_empty() {
            let ports = self.parameter("port").unwrap_or_else(|| port.to_owned());
            return address::list(&named.join(","), &ports);
        }
        address::list(self.hosts, port)
    }

    /// The port of hosts without one; empty where it depends on what is not known here.
    fn default_port(&self, scheme: &str, is_of_jdbc: bool, port: &str) -> String {
        let (name, driver) = scheme.split_once('+').unwrap_or((scheme, ""));
        let is_known = match name {
            // The host may be the name of a data source, unless there is a driver for it.
            _ if driver == "pyodbc" => self.parameter("driver").is_some(),
            "sqlserver" | "mssql" => {
                let number = self.parameter("portNumber").or_else(|| self.parameter("port"));
                if let Some(number) = number {
                    return number;
                }
                // The server's browser service tells the port of an instance. The path is one to Go's driver.
                let is_instance = name == "sqlserver" && self.path.len() > 1;
                let is_named =
                    self.hosts.contains(['\\']) || self.parameter("instanceName").is_some();
                !is_instance && !is_named
            }
            // Each protocol has a port, with TLS another one; drivers of Java speak HTTP.
            "clickhouse" | "ch" => {
                let secured = ["secure", "ssl", "tls", "protocol"];
                let is_plain = secured.iter().all(|name| self.parameter(name).is_none());
                is_plain && !is_of_jdbc && !driver.starts_with("http")
            }
            _ => true,
        };
        if is_known { port.to_owned() } else { String::new() }
    }

    fn database(&self) -> Option<String> {
        let name = self.path.strip_prefix('/')?.split('/').next()?;
        decoded(name).filter(|name| is_plain(name))
    }

    fn tls(&self) -> Tls {
        if self.parameter("sslnegotiation").as_deref() == Some("direct") {
            return Tls::Direct;
        }
        match self.parameter("sslmode").as_deref() {
            Some("disable") => Tls::Never,
            _ => Tls::Offered,
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = String> + use<'a, 'n> {
        let pairs = self.parameters.split(['?', '&', ';']).filter_map(|pair| pair.split_once('='));
        let named = pairs.filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.filter_map(|(_, value)| decoded(value)).filter(|value| is_plain(value))
    }
}

/// The user of `user:password`.
fn user(credentials: &str) -> Option<String> {
    let user = credentials.split(':').next().unwrap_or_default();
    decoded(user).filter(|user| is_plain(user))
}

/// Whether a text may be sent to a server as a name.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && !text.chars().any(char::is_control)
}

/// Resolves `%20`. What is no such sequence stays as it is.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (byte, digit(ahead.next()), digit(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).ok()?);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}
