//! NATS tokens, version 2: JSON Web Tokens signed with an nkey, as nats-io/jwt writes them.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde::Serialize;
use sha2::{Digest, Sha512_256};

use super::Error;

/// The header of every token of version 2.
const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// What every token says; `nats` says the rest.
#[derive(Debug, Serialize)]
struct Claims<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    jti: String,
    iat: i64,
    iss: String,
    name: &'a str,
    sub: &'a str,
    nats: &'a T,
}

/// Of whom a token speaks and for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a str,
    /// Seconds since 1970.
    pub(super) issued_at: i64,
    /// Seconds since 1970; none is for ever.
    pub(super) expires_at: Option<i64>,
}

/// Signs what `nats` says of `subject`.
pub(super) fn sign<T: Serialize>(
    issuer: &KeyPair,
    subject: Subject<'_>,
    nats: &T,
) -> Result<String, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Sign { detail: e.to_string() };
    let mut claims = Claims {
        exp: subject.expires_at,
        jti: String::new(),
        iat: subject.issued_at,
        iss: issuer.public_key(),
        name: subject.name,
        sub: subject.key,
        nats,
    };
    // The id is the digest of the claims without it, so that equal tokens have equal ids.
    let unnamed = serde_json::to_vec(&claims).map_err(|e| failed(&e))?;
    claims.jti = BASE32_NOPAD.encode(&Sha512_256::digest(&unnamed));
    let payload = serde_json::to_vec(&claims).map_err(|e| failed(&e))?;
    let header = BASE64URL_NOPAD.encode(HEADER.as_bytes());
    let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(&payload));
    let signature = issuer.sign(signed.as_bytes()).map_err(|e| failed(&e))?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// The text of a `.creds` file, as every NATS client reads it.
pub(super) fn creds(token: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         ************************* IMPORTANT *************************\n\
         NKEY Seed printed below can be used to sign and prove identity.\n\
         NKEYs are sensitive and should be treated as secrets.\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n\n\
         *************************************************************\n"
    )
}
