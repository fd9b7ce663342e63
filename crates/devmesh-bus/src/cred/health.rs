//! Whether a server still writes what it is sent, as it says itself.
//!
//! After one failed write (a full disk, one that was made read-only) nats-server 2.15 takes nothing
//! more for that stream, and answers no publish to it, until it is started again; its health check
//! says so and why.

use serde::Deserialize;

use super::Trust;

/// The health check of every server there is; only one may be.
const HEALTH: &str = "$SYS.REQ.SERVER.PING.HEALTHZ";
/// What stands in the error of a stream whose store has failed.
const WRITE_ERROR: &str = "write error";

#[derive(Deserialize)]
struct Answer {
    data: Health,
}

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    error: String,
}

impl Trust {
    /// The failed write that stops a stream of the single server at `url`; none where all are
    /// well.
    ///
    /// # Errors
    /// In words, where the server does not say.
    pub async fn failed_write(&self, url: &str) -> Result<Option<String>, String> {
        let client = self.system_user(HEALTH, url).await?;
        let reply = client.request(HEALTH, "".into()).await.map_err(|e| e.to_string())?;
        let answer: Answer = serde_json::from_slice(&reply.payload).map_err(|e| e.to_string())?;
        let error = answer.data.error;
        Ok(error.contains(WRITE_ERROR).then_some(error))
    }
}
