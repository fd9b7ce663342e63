//! When a limit ends, from the words of the tools.

/// Seconds after which a number is a time of day and not a span.
const EPOCH_S_MIN: u64 = 1_600_000_000;
/// A reset further away than this is a misreading.
const RESET_MS_MAX: u64 = 14 * 24 * 3_600_000;

/// The wall time (milliseconds UTC) at which the limit named in `text` ends: `…|1749924000` as
/// claude writes it, or a span (`retry after 30`, `try again in 3 hours 12 minutes`, `in 1h2m`).
pub fn reset_at_ms(text: &str, now_ms: u64) -> Option<u64> {
    let at = epoch(text).or_else(|| span_ms(text).map(|span| now_ms + span))?;
    (at > now_ms && at - now_ms <= RESET_MS_MAX).then_some(at)
}

fn epoch(text: &str) -> Option<u64> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    let candidates = text.split('|').skip(1).map(digits);
    candidates
        .filter_map(|digits| digits.parse::<u64>().ok())
        .find(|seconds| (EPOCH_S_MIN..EPOCH_S_MIN * 4).contains(seconds))
        .map(|seconds| seconds * 1_000)
}

fn span_ms(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let starts = [
        "retry after",
        "retry-after",
        "try again in",
        "retry in",
        "reset in",
        "resets in",
        "reset after",
        "wait ",
    ];
    let (at, words) =
        starts.iter().filter_map(|words| lower.find(words).map(|at| (at, words))).min()?;
    let rest = lower.get(at + words.len()..)?;
    let rest = rest.trim_start_matches([':', ' ', '"', '=']);
    let (mut sum, mut seen, mut rest) = (0_u64, false, rest);
    loop {
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let Ok(count) = rest[..digits].parse::<u64>() else { break };
        // A fraction of a unit is not worth waiting for; the next whole one is.
        let after = rest[digits..].strip_prefix('.').map_or((&rest[digits..], 0), |part| {
            (part.trim_start_matches(|c: char| c.is_ascii_digit()), 1)
        });
        let unit_text = after.0.trim_start();
        let word: String = unit_text.chars().take_while(char::is_ascii_alphabetic).collect();
        let Some(unit) = unit_ms(&word, seen) else { break };
        sum = sum.saturating_add((count + after.1).saturating_mul(unit));
        seen = true;
        rest = unit_text[word.len()..].trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    seen.then_some(sum)
}

/// A number without a unit is seconds, as in the HTTP header, unless others had one.
fn unit_ms(word: &str, seen: bool) -> Option<u64> {
    match word {
        "ms" | "milliseconds" => Some(1),
        "d" | "day" | "days" => Some(86_400_000),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3_600_000),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60_000),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1_000),
        _ if !seen => Some(1_000),
        _ => None,
    }
}
