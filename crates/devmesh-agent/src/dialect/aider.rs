//! `aider --no-pretty`: text. An error of the provider is told in words and the exit code stays 0;
//! a line with its tokens ends each whole answer, so an error after the last such line is final.

use super::{Done, Fact, Scope, Usage, status_in};

/// Names of errors that the tool's library gives, and what each stands for.
const ERRORS: [(&str, Option<u16>); 8] = [
    ("litellm.RateLimitError", Some(429)),
    ("litellm.AuthenticationError", Some(401)),
    ("litellm.PermissionDeniedError", Some(403)),
    ("litellm.NotFoundError", Some(404)),
    ("litellm.BadRequestError", Some(400)),
    ("litellm.InternalServerError", Some(500)),
    ("litellm.ServiceUnavailableError", Some(503)),
    ("litellm.", None),
];

#[derive(Debug, Default)]
pub(super) struct Reader {
    failing: Option<Done>,
}

impl Reader {
    pub(super) fn read(&mut self, line: &str) -> Vec<Fact> {
        let line = line.trim_end();
        if line.is_empty() {
            return Vec::new();
        }
        if let Some(path) = line.strip_prefix("Applied edit to ") {
            return vec![Fact::Edit(path.to_owned())];
        }
        if let Some(usage) = line.strip_prefix("Tokens: ").and_then(usage) {
            self.failing = None;
            return vec![Fact::Usage(usage)];
        }
        if let Some(wait) = line.strip_prefix("Retrying in ") {
            let is_limit = self.failing.as_ref().is_some_and(|it| it.status == Some(429));
            let retry_ms = wait.split_whitespace().next().and_then(milliseconds);
            return is_limit.then_some(Fact::Throttled { retry_ms }).into_iter().collect();
        }
        if let Some((_, status)) = ERRORS.iter().find(|(name, _)| line.starts_with(name)) {
            let status = status_in(line).filter(|it| *it == 429).or(*status);
            self.failing = Some(Done::failure(line, status));
        }
        vec![Fact::Message(line.to_owned())]
    }

    pub(super) fn end(&mut self) -> Vec<Fact> {
        self.failing.take().map(Fact::Done).into_iter().collect()
    }
}

fn milliseconds(seconds: &str) -> Option<u64> {
    let seconds: f64 = seconds.parse().ok()?;
    (0.0..=1e6).contains(&seconds).then_some((seconds * 1_000.0) as u64)
}

/// `1.9k sent, 33 received. Cost: $0.01 message, $0.02 session.`: the tool's own estimate.
fn usage(line: &str) -> Option<Usage> {
    let mut usage = Usage { tokens_scope: Scope::Step, ..Usage::default() };
    let (tokens, cost) = line.split_once("Cost: ").unwrap_or((line, ""));
    for part in tokens.split(',') {
        let mut words = part.trim().trim_end_matches('.').splitn(2, ' ');
        let count = words.next().and_then(count);
        match words.next().map(|word| word.trim_end_matches('.')) {
            Some("sent") => usage.input_tokens = count,
            Some(word) if word.starts_with("received") => usage.output_tokens = count,
            _ => {}
        }
    }
    usage.output_tokens?;
    let price = cost.strip_prefix('$').and_then(|it| it.split_whitespace().next());
    let price = price.and_then(|it| it.parse::<f64>().ok()).filter(|it| (0.0..1e9).contains(it));
    usage.cost_micros = price.map(|dollars| (dollars * 1_000_000.0).round() as u64);
    Some(usage)
}

/// `33`, `1.9k`, `2M`.
fn count(word: &str) -> Option<u64> {
    let (number, times) = match word.strip_suffix('k') {
        Some(number) => (number, 1_000.0),
        None => word.strip_suffix('M').map_or((word, 1.0), |number| (number, 1_000_000.0)),
    };
    let value: f64 = number.replace(',', "").parse().ok()?;
    (0.0..1e12).contains(&value).then_some((value * times) as u64)
}
