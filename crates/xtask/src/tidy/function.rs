//! The functions of a source and their lengths, by counting braces.

use super::views::is_name;

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// The line of the word `fn`, from 1.
    pub(crate) line: usize,
    /// From that line to the one with the closing brace, both counted.
    pub(crate) lines: usize,
}

/// Every function with a body, nested ones too, in the order they begin. Takes the code view.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let chars: Vec<char> = code.chars().collect();
    let mut found = Vec::new();
    let mut line = 1;
    for at in 0..chars.len() {
        if chars[at] == '\n' {
            line += 1;
        }
        if let Some((name, after)) = declared_at(&chars, at)
            && let Some(lines) = lines_to_end(&chars, at, after)
        {
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// The name of the function whose `fn` begins here, and where its parameters do.
fn declared_at(chars: &[char], at: usize) -> Option<(String, usize)> {
    let is_word = chars[at..].starts_with(&['f', 'n'])
        && !at.checked_sub(1).is_some_and(|i| is_name(chars[i]))
        && chars.get(at + 2).is_some_and(|c| c.is_whitespace());
    if !is_word {
        return None;
    }
    let start = at + 2 + chars[at + 2..].iter().position(|c| !c.is_whitespace())?;
    let name: String = chars[start..].iter().take_while(|c| is_name(**c)).collect();
    let after = start + name.chars().count();
    (!name.is_empty()).then_some((name, after))
}

/// How many lines until the body closes; none for a function without a body.
fn lines_to_end(chars: &[char], from: usize, after: usize) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (i, c) in chars.iter().enumerate().skip(after) {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return Some(1 + chars[from..i].iter().filter(|c| **c == '\n').count());
                }
            }
            _ => {}
        }
    }
    None
}
