//! The environment of a coding CLI: an allow-list. Credentials of the mesh and keys of other
//! tools are not in it unless a profile or the configuration names them.

use std::ffi::{OsStr, OsString};

/// Variables that every CLI gets; a star ends a prefix.
const ALLOWED: [&str; 34] = [
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "FTP_PROXY",
    "GIT_SSL_CAINFO",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSH_AUTH_SOCK",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The variables of `source` that are allowed in general or by a pattern of `pass`.
pub fn allowed(
    source: impl IntoIterator<Item = (OsString, OsString)>,
    pass: &[String],
) -> Vec<(OsString, OsString)> {
    let passes = |key: &OsStr| {
        let Some(key) = key.to_str() else { return false };
        ALLOWED.iter().copied().chain(pass.iter().map(String::as_str)).any(|entry| {
            match entry.strip_suffix('*') {
                Some(prefix) => key.starts_with(prefix),
                None => key == entry,
            }
        })
    };
    source.into_iter().filter(|(key, _)| passes(key)).collect()
}
