//! Hosts and ports.

use std::fmt;
use std::net::IpAddr;

use super::Unusable;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A DNS name or an IP address, without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl Address {
    /// Whether the host is this machine, whatever it is.
    pub(super) fn is_local(&self) -> bool {
        let host = self.host.trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = host.parse::<IpAddr>() {
            let address = address.to_canonical();
            return address.is_loopback() || address.is_unspecified();
        }
        let is_numeric = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        // The latter are names of /etc/hosts, as Kubernetes and distributions write it.
        matches!(
            host.as_str(),
            "localhost" | "localhost.localdomain" | "ip6-localhost" | "ip6-loopback"
        ) || host.ends_with(".localhost")
            || host.starts_with("127.") && is_numeric
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `host`, `host:port`, `[v6]:port`, a bare IPv6 address, or several of them with commas between. The ports
/// stand in for those that are missing: one for all hosts or one for each.
pub(super) fn list(hosts: &str, ports: &str) -> Result<Vec<Address>, Unusable> {
    let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
    let ports: Vec<&str> = ports.split(',').map(str::trim).collect();
    if ports.len() != 1 && ports.len() != hosts.len() {
        return Err(Unusable::Ports);
    }
    let mut every_port = ports.into_iter().cycle();
    hosts.into_iter().map(|host| one(host, every_port.next().unwrap_or_default())).collect()
}

fn one(text: &str, default_port: &str) -> Result<Address, Unusable> {
    let (host, port) = split(text);
    let host = host_name(host)?;
    let port = port.filter(|port| !port.is_empty()).unwrap_or(default_port);
    Ok(Address { host, port: port_number(port)? })
}

fn split(text: &str) -> (&str, Option<&str>) {
    if let Some(inside) = text.strip_prefix('[') {
        return match inside.split_once(']') {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            // No host contains a bracket, so it will not be readable.
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

fn host_name(text: &str) -> Result<String, Unusable> {
    if text.is_empty() {
        return Err(Unusable::NoHost);
    }
    // libpq takes a socket's path for a host, in URLs with %2F for the slash, and @ for an abstract one.
    if text.starts_with(['/', '@']) || text.get(..3).is_some_and(|c| c.eq_ignore_ascii_case("%2f"))
    {
        return Err(Unusable::Socket);
    }
    // SQL Server's named instance: the port is told apart from it.
    let text = text.split_once('\\').map_or(text, |(host, _)| host);
    let is_readable = |c: char| c.is_ascii_alphanumeric() || ".:_%-".contains(c);
    if text.is_empty() || !text.chars().all(is_readable) {
        return Err(Unusable::Host);
    }
    if text.contains(':') && !is_v6(text) {
        return Err(Unusable::Host);
    }
    Ok(text.to_owned())
}

/// An IPv6 address, perhaps with a zone.
fn is_v6(text: &str) -> bool {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<std::net::Ipv6Addr>().is_ok()
}

fn port_number(text: &str) -> Result<u16, Unusable> {
    if text.is_empty() {
        return Err(Unusable::NoPort);
    }
    match text.parse() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(Unusable::Port),
    }
}
