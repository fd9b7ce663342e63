//! Who may come in: the address they used, the origin they come from, and who they are.
//!
//! A page elsewhere can make a browser send requests here, and a name it owns can point here
//! (DNS rebinding). So a request must name this server by one of its own addresses, and whatever
//! is not a plain GET, or opens a socket, must come from a page of this server.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY, UPGRADE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use devmesh_protocol::MeshId;

use super::Web;
use super::secret::{LINK_MS_MAX, Secret, Ticket, now_ms};

/// What a page of ours may do: its own scripts and styles, its own socket, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// On every answer, errors included.
const HEADERS: [(HeaderName, &str); 9] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Tickets that are remembered as used.
const USED_MAX: usize = 256;
/// How far another program's clock may be ahead: it is this machine's, read a moment later.
const AHEAD_MS_MAX: u64 = 1_000;

/// Who may come in.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    hosts: BTreeSet<String>,
    cookie: String,
    secret: Secret,
    used: Mutex<Used>,
}

/// Tickets that were used.
#[derive(Debug)]
struct Used {
    /// Those made before are not looked at: they may have been used.
    from_ms: u64,
    tickets: VecDeque<Ticket>,
}

impl Gate {
    pub(crate) fn new(
        address: SocketAddr,
        host_names: &[String],
        mesh: &MeshId,
        secret: Secret,
    ) -> Self {
        let port = address.port();
        let mut names: Vec<String> = host_names.iter().map(|name| name.to_lowercase()).collect();
        match address.ip() {
            ip if ip.is_unspecified() => {}
            IpAddr::V4(ip) => names.push(ip.to_string()),
            IpAddr::V6(ip) => names.push(format!("[{ip}]")),
        }
        if address.ip().is_loopback() {
            names.extend(["127.0.0.1", "[::1]", "localhost"].map(ToOwned::to_owned));
        }
        let mut hosts: BTreeSet<String> =
            names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names);
        }
        // A browser keeps one cookie of a name for all ports of a host.
        let cookie = format!("devmesh_{mesh}_{port}");
        let used = Used { from_ms: now_ms(), tickets: VecDeque::new() };
        Self { address, hosts, cookie, secret, used: Mutex::new(used) }
    }

    /// The address of the page.
    pub(crate) fn url(&self) -> String {
        if !self.address.ip().is_unspecified() {
            return format!("http://{}/", self.address);
        }
        // Nobody's address; a name that was given is one.
        let named = self.hosts.first().cloned();
        let host = named.unwrap_or_else(|| format!("localhost:{}", self.address.port()));
        format!("http://{host}/")
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The host the request was sent to, if it is this server by one of its own names.
    fn host(&self, request: &Request) -> Option<String> {
        let host = one(request.headers(), &HOST)?.to_lowercase();
        let named = request.uri().authority().map(|named| named.as_str().to_lowercase());
        let agree = named.is_none_or(|named| named == host);
        (agree && self.hosts.contains(&host)).then_some(host)
    }

    /// Whether the browser that asks has signed in.
    pub(crate) fn knows(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|c| c.split_once('='));
        pairs.any(|(name, value)| name.trim() == self.cookie && self.secret.is_cookie(value.trim()))
    }

    /// Uses up a ticket. `Some`: the header that signs the browser in.
    pub(crate) fn sign_in(&self, ticket: &str) -> Option<HeaderValue> {
        let ticket = self.secret.read_ticket(ticket)?;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.take(ticket, now_ms()).then_some(())?;
        let (name, value) = (&self.cookie, self.secret.cookie());
        let days_s = 30 * 24 * 3_600;
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={days_s}");
        HeaderValue::from_str(&text).ok()
    }
}

impl Used {
    /// Whether it is good, once.
    fn take(&mut self, ticket: Ticket, now_ms: u64) -> bool {
        let good = ticket.made_ms >= self.from_ms
            && ticket.made_ms <= now_ms.saturating_add(AHEAD_MS_MAX)
            && now_ms.saturating_sub(ticket.made_ms) <= LINK_MS_MAX
            && !self.tickets.contains(&ticket);
        if good {
            self.tickets.push_back(ticket);
            if self.tickets.len() > USED_MAX
                && let Some(oldest) = self.tickets.pop_front()
            {
                self.from_ms = self.from_ms.max(oldest.made_ms + 1);
            }
        }
        good
    }
}

/// The middleware around everything.
pub(super) async fn pass(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&web.0.gate, &request) {
        Some((status, why)) => (status, why).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(gate: &Gate, request: &Request) -> Option<(StatusCode, &'static str)> {
    let Some(host) = gate.host(request) else {
        let why = "This server does not go by that name. Use the address that devmesh printed.\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    };
    let headers = request.headers();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let must = !reads || headers.contains_key(UPGRADE);
    let own = || one(headers, &ORIGIN).is_some_and(|origin| *origin == format!("http://{host}"));
    if (must || headers.contains_key(ORIGIN)) && !own() {
        return Some((StatusCode::FORBIDDEN, "Only a page of this server may ask for that.\n"));
    }
    None
}

/// The value of a header that is there once.
fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests;
