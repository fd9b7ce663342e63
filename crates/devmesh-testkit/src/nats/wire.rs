//! The few words of the NATS protocol that a test needs to arrange a server from outside.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::WAIT_MS_MAX;

/// How long one request may take.
const ANSWER: Duration = Duration::from_secs(2);

/// One request of the JetStream API, retried until it is answered without an error.
///
/// # Panics
/// If that does not come about within [`WAIT_MS_MAX`].
pub async fn api(url: &str, subject: &str, body: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_millis(WAIT_MS_MAX);
    let subject = format!("$JS.API.{subject}");
    loop {
        let answer = request(url, &subject, body.to_string().as_bytes()).await;
        let answer: Option<Value> = answer.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(answer) = &answer
            && answer.get("error").is_none()
        {
            return answer.clone();
        }
        assert!(Instant::now() < deadline, "{subject} is not answered well: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One request; `None` where nobody answers.
pub async fn request(url: &str, subject: &str, body: &[u8]) -> Option<Vec<u8>> {
    timeout(ANSWER, exchange(url, subject, body)).await.ok()?
}

async fn exchange(url: &str, subject: &str, body: &[u8]) -> Option<Vec<u8>> {
    let address = url.strip_prefix("nats://").unwrap_or(url);
    let (read, mut write) = TcpStream::connect(address).await.ok()?.into_split();
    let mut lines = BufReader::new(read);
    let hello = "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n\
                 SUB _T.inbox 1\r\n";
    // One inbox name for all: the connection, and with it the subscription, lives for one request,
    // but a name of its own keeps simultaneous requests apart.
    let inbox = format!("_T.{}", uuid::Uuid::now_v7().simple());
    let hello = hello.replace("_T.inbox", &inbox);
    write.write_all(hello.as_bytes()).await.ok()?;
    write.write_all(format!("PUB {subject} {inbox} {}\r\n", body.len()).as_bytes()).await.ok()?;
    write.write_all(body).await.ok()?;
    write.write_all(b"\r\n").await.ok()?;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.first().copied() {
            Some("MSG") => {
                let mut payload = vec![0; words.last()?.parse().ok()?];
                lines.read_exact(&mut payload).await.ok()?;
                return Some(payload);
            }
            // Headers without a body: no responders.
            Some("HMSG" | "-ERR") => return None,
            Some("PING") => write.write_all(b"PONG\r\n").await.ok()?,
            _ => {}
        }
    }
}
