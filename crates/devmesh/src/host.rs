//! More than one host: invitations and the hosts that took one, on the side that has the mesh;
//! what it joined, on the other.

pub(crate) mod gate;
mod git;
pub(crate) mod invitations;
mod joined;
pub(crate) mod members;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use invitations::Code;
pub(crate) use joined::{Joined, ask, odd};
pub(crate) use words::{Answer, Ask, Hello};

/// Where the gate listens unless told otherwise.
const PORT: u16 = 7711;

/// Reads where to listen: `HOST`, `HOST:PORT`, `[IPV6]:PORT`; gives it with its port.
pub(crate) fn listen_address(text: &str) -> std::result::Result<String, String> {
    let bad = || format!("give it as HOST or HOST:PORT, not {text:?}");
    let (host, port) = match text.rsplit_once(':') {
        _ if text.parse::<std::net::Ipv6Addr>().is_ok() => (format!("[{text}]"), PORT),
        Some((host, port)) => (host.to_owned(), port.parse().map_err(|_| bad())?),
        None => (text.to_owned(), PORT),
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '/';
    if host.is_empty() || host.contains(odd) { Err(bad()) } else { Ok(format!("{host}:{port}")) }
}

/// Milliseconds since 1970, by this host's clock.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A secret that nobody guesses, in letters that survive a chat and a shell.
fn secret() -> crate::error::Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)
        .map_err(|error| crate::error::Error::failed("make a secret").because(error.to_string()))?;
    Ok(data_encoding::BASE64URL_NOPAD.encode(&bytes))
}
