//! The small format that a prompt carries: fenced blocks, some for certain attempts only.

#[cfg(test)]
mod tests;

/// One fenced block that concerns this attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Shell commands, run as they stand.
    Shell(String),
    /// Instructions to the stand-in itself.
    Scripted(Vec<Instruction>),
}

/// One line of a `scripted` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Print a message.
    Say(String),
    /// Take this many milliseconds.
    Sleep(u64),
    /// Never end.
    Hang,
    /// Fail with a message.
    Fail(String),
    /// Fail as a provider's limit does, with the seconds to wait.
    RateLimit(u64),
    /// Claim this usage: tokens read, tokens written, micro-dollars.
    Usage(u64, u64, u64),
}

/// The blocks of a prompt for one attempt, in order.
///
/// # Errors
/// When a block's attempt or an instruction cannot be read: a script with a slip of the pen
/// must not pass for one that does nothing.
pub fn blocks(prompt: &str, attempt: u32) -> Result<Vec<Block>, String> {
    let mut out = Vec::new();
    let mut lines = prompt.lines();
    while let Some(line) = lines.next() {
        let Some((fence, info)) = opening(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let body: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !closes(line, fence))
            .map(|line| dedent(line, indent))
            .collect();
        let mut words = info.split_whitespace();
        let kind = words.next().unwrap_or_default();
        if !matches!(kind, "sh" | "scripted") || !concerns(words, attempt)? {
            continue;
        }
        out.push(match kind {
            "sh" => Block::Shell(body.join("\n")),
            _ => Block::Scripted(instructions(&body)?),
        });
    }
    Ok(out)
}

/// The length of the fence and its info string.
fn opening(line: &str) -> Option<(usize, &str)> {
    let text = line.trim();
    let fence = text.len() - text.trim_start_matches('`').len();
    (fence >= 3 && !text[fence..].contains('`')).then(|| (fence, &text[fence..]))
}

fn closes(line: &str, fence: usize) -> bool {
    let text = line.trim();
    text.len() >= fence && text.chars().all(|letter| letter == '`')
}

/// A block inside a list is indented as a whole; its own indentation stays.
fn dedent(line: &str, indent: usize) -> &str {
    let own = line.len() - line.trim_start().len();
    &line[own.min(indent)..]
}

fn concerns<'a>(words: impl Iterator<Item = &'a str>, attempt: u32) -> Result<bool, String> {
    for word in words {
        let Some(range) = word.strip_prefix("attempt=") else {
            return Err(format!("a block cannot be marked {word:?}"));
        };
        let number =
            |text: &str| text.parse::<u32>().map_err(|_| format!("{range:?} names no attempts"));
        let (from, to) = match (range.strip_suffix('+'), range.split_once('-')) {
            (Some(from), _) => (number(from)?, u32::MAX),
            (None, Some((from, to))) => (number(from)?, number(to)?),
            (None, None) => (number(range)?, number(range)?),
        };
        if !(from..=to).contains(&attempt) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn instructions(lines: &[&str]) -> Result<Vec<Instruction>, String> {
    let filled = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    filled.map(instruction).collect()
}

fn instruction(line: &str) -> Result<Instruction, String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let unread = || format!("{line:?} is no instruction");
    let number = |text: &str| text.parse::<u64>().map_err(|_| unread());
    match verb {
        "say" => Ok(Instruction::Say(rest.to_owned())),
        "sleep" => Ok(Instruction::Sleep(number(rest)?)),
        "hang" => Ok(Instruction::Hang),
        "fail" => Ok(Instruction::Fail(rest.to_owned())),
        "rate-limit" => Ok(Instruction::RateLimit(number(rest)?)),
        "usage" => match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [input, output, cost] => {
                let cost = micro_dollars(cost).ok_or_else(unread)?;
                Ok(Instruction::Usage(number(input)?, number(output)?, cost))
            }
            _ => Err(unread()),
        },
        _ => Err(unread()),
    }
}

/// Decimal dollars as integers, so that a cost comes out as it went in.
pub(super) fn micro_dollars(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 6 || !part.chars().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}
