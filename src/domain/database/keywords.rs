//! libpq's connection strings: `host=db port=5432 dbname=shop password='it\'s'`.

use super::{Engine, Target, Tls, Unusable, address};

/// The pairs of a connection string; nothing if the text is none. Drivers add parameters of the server, such as
/// `TimeZone`.
///
/// Source: libpq's `conninfo_parse`.
pub(super) fn read(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=')?;
        let name = name.trim_end();
        let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return None;
        }
        let (value, behind) = value(behind.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = behind.trim_start();
    }
    (!pairs.is_empty()).then_some(pairs)
}

/// A value and what stands behind it; nothing where its quote is not closed.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('\'');
    let mut chars = quoted.unwrap_or(text).chars();
    let mut value = String::new();
    loop {
        match chars.next() {
            Some('\\') => value.extend(chars.next()),
            Some('\'') if quoted.is_some() => break,
            Some(c) if quoted.is_none() && c.is_whitespace() => break,
            Some(c) => value.push(c),
            None if quoted.is_some() => return None,
            None => break,
        }
    }
    Some((value, chars.as_str()))
}

/// What the pairs name.
pub(super) fn target(pairs: &[(String, String)]) -> Result<Target, Unusable> {
    let find = |name: &str| {
        let pair = pairs.iter().rev().find(|(key, value)| key == name && !value.is_empty());
        pair.map(|(_, value)| value.clone())
    };
    let hosts = find("hostaddr").or_else(|| find("host")).ok_or(Unusable::NoHost)?;
    let port = find("port").unwrap_or_else(|| "5432".to_owned());
    let tls = match (find("sslmode").as_deref(), find("sslnegotiation").as_deref()) {
        (_, Some("direct")) => Tls::Direct,
        (Some("disable"), _) => Tls::Never,
        _ => Tls::Offered,
    };
    Ok(Target {
        engine: Engine::Postgres,
        is_guessed: false,
        addresses: address::list(&hosts, &port)?,
        user: find("user"),
        database: find("dbname").filter(|name| !name.contains(['=', ':'])),
        tls,
    })
}
