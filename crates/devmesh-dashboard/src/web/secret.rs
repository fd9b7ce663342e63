//! The secret of a dashboard: sign-in links are made with it and browsers known by it.
//!
//! The secret itself never leaves the process and its file. A link carries a ticket, made and
//! checked with the secret, good once and for twelve hours; a browser that brings one is given
//! the cookie. Whoever can read the file can make tickets, without asking the process.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use devmesh_protocol::Digest;

use crate::{Error, Result};

/// How long a link is good.
pub const LINK_MS_MAX: u64 = 12 * 3_600 * 1_000;
/// Characters of a secret that somebody chose, at least: 128 bits in base64.
const CHARS_MIN: usize = 22;
/// Bytes of a file that are read.
const FILE_BYTES_MAX: u64 = 4_096;
/// A ticket: when it was made, a random name, and the proof.
const TICKET_BYTES: usize = 8 + 16 + 32;

/// A secret.
#[derive(Clone)]
pub struct Secret(Digest);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a valid ticket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// Its name: it is good once.
    pub name: [u8; 16],
}

impl Secret {
    /// 256 random bits.
    ///
    /// # Errors
    /// Where the system gives none.
    pub fn random() -> Result<Self> {
        Ok(Self(Digest(random()?)))
    }

    /// The secret in a file that only its owner can read; made where there is no file.
    ///
    /// # Errors
    /// Where it cannot be read or made, others may read it, or it is too short to be a secret.
    pub fn read_or_make(path: &Path) -> Result<Self> {
        let fail = |why: String| Error::TokenFile { path: path.to_owned(), why };
        match fs::metadata(path) {
            Ok(_) => Self::read(path),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = Digest(random()?).to_string();
                let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                let written = file.and_then(|mut file| writeln!(file, "{text}"));
                match written {
                    Ok(()) => Ok(Self(Digest::of(text.as_bytes()))),
                    // Another was quicker.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::read(path),
                    Err(error) => Err(fail(error.to_string())),
                }
            }
            Err(error) => Err(fail(error.to_string())),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let fail = |why: String| Error::TokenFile { path: path.to_owned(), why };
        let meta = fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let why = format!("others may use it too (mode {mode:o}); run chmod 600 on it");
            return Err(fail(why));
        }
        if !meta.is_file() || meta.len() > FILE_BYTES_MAX {
            return Err(fail("it is no small file".to_owned()));
        }
        let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let text = text.trim();
        if text.len() < CHARS_MIN {
            return Err(fail(format!("it holds less than {CHARS_MIN} characters")));
        }
        Ok(Self(Digest::of(text.as_bytes())))
    }

    /// What the cookie of a browser that signed in says.
    pub(crate) fn cookie(&self) -> String {
        Digest::of_pair(&self.0.0, b"devmesh dashboard cookie").to_string()
    }

    /// Whether that is the cookie.
    pub(crate) fn is_cookie(&self, text: &str) -> bool {
        same(&Digest::of(text.as_bytes()), &Digest::of(self.cookie().as_bytes()))
    }

    /// A link to the page at `url` that signs one browser in.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn link(&self, url: &str) -> Result<String> {
        let ticket = Ticket { made_ms: now_ms(), name: random()? };
        Ok(format!("{url}?token={}", self.write(&ticket)))
    }

    fn write(&self, ticket: &Ticket) -> String {
        let mut bytes = ticket.made_ms.to_be_bytes().to_vec();
        bytes.extend_from_slice(&ticket.name);
        let proof = self.proof(&bytes);
        bytes.extend_from_slice(&proof.0);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Reads a ticket that was made with this secret; whether it is still good is not looked at.
    pub(crate) fn read_ticket(&self, text: &str) -> Option<Ticket> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let bytes: [u8; TICKET_BYTES] = bytes.try_into().ok()?;
        let (said, proof) = bytes.split_at(TICKET_BYTES - 32);
        let proof = Digest(proof.try_into().ok()?);
        if !same(&self.proof(said), &proof) {
            return None;
        }
        let (made, name) = said.split_at(8);
        Some(Ticket {
            made_ms: u64::from_be_bytes(made.try_into().ok()?),
            name: name.try_into().ok()?,
        })
    }

    fn proof(&self, said: &[u8]) -> Digest {
        let key = Digest::of_pair(&self.0.0, b"devmesh dashboard ticket");
        Digest::of_pair(&key.0, said)
    }
}

/// Makes a link that signs one browser in at the dashboard at `url`, whose secret is in that file.
///
/// # Errors
/// Where the file cannot be read.
pub fn sign_in_link(url: &str, token_file: &Path) -> Result<String> {
    Secret::read(token_file)?.link(url)
}

/// Compares in a time that does not depend on where they differ.
fn same(a: &Digest, b: &Digest) -> bool {
    let differs = a.0.iter().zip(&b.0).fold(0_u8, |differs, (a, b)| differs | (a ^ b));
    std::hint::black_box(differs) == 0
}

/// The wall clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
