//! A Rust source seen three ways: as it is, as code alone, and as string literals alone.
//!
//! The rules look for words; a word in a comment or a string is no name, and a word in code is no
//! SQL. Both views keep every line break, so that a position in one is a position in all.

/// The two views of one source.
pub(crate) struct Views {
    /// Comments and the insides of literals are blank.
    pub(crate) code: String,
    /// Everything but the insides of string literals is blank.
    pub(crate) strings: String,
}

impl Views {
    /// Splits a source; total, so that a file that does not parse is read as far as it goes.
    pub(crate) fn of(text: &str) -> Views {
        let mut splitter = Splitter::new(text);
        while splitter.at < splitter.chars.len() {
            splitter.step();
        }
        Views { code: splitter.code, strings: splitter.strings }
    }
}

struct Splitter {
    chars: Vec<char>,
    at: usize,
    code: String,
    strings: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Text,
    Neither,
}

impl Splitter {
    fn new(text: &str) -> Splitter {
        let chars: Vec<char> = text.chars().collect();
        let (code, strings) =
            (String::with_capacity(text.len()), String::with_capacity(text.len()));
        Splitter { chars, at: 0, code, strings }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Takes one character into the view it belongs to.
    fn take(&mut self, kind: Kind) {
        let Some(c) = self.peek(0) else { return };
        let blank = if c == '\n' { '\n' } else { ' ' };
        self.code.push(if kind == Kind::Code { c } else { blank });
        self.strings.push(if kind == Kind::Text { c } else { blank });
        self.at += 1;
    }

    fn take_n(&mut self, n: usize, kind: Kind) {
        for _ in 0..n {
            self.take(kind);
        }
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (Some('/'), Some('/')) => self.line_comment(),
            (Some('/'), Some('*')) => self.block_comment(),
            (Some('"'), _) => self.string(),
            (Some('\''), _) => self.quote(),
            (Some('r'), _) if !self.follows_name() || self.follows_prefix() => self.raw_or_name(),
            _ => self.take(Kind::Code),
        }
    }

    fn follows_name(&self) -> bool {
        self.at.checked_sub(1).is_some_and(|i| is_name(self.chars[i]))
    }

    /// Whether the `r` here is the second letter of `br` or `cr`.
    fn follows_prefix(&self) -> bool {
        let before = |n: usize| self.at.checked_sub(n).map(|i| self.chars[i]);
        matches!(before(1), Some('b' | 'c')) && !before(2).is_some_and(is_name)
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.take(Kind::Neither);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.take(Kind::Neither);
                    continue;
                }
            }
            self.take_n(2, Kind::Neither);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take(Kind::Code);
        loop {
            match self.peek(0) {
                Some('\\') => self.take_n(2, Kind::Text),
                Some('"') => return self.take(Kind::Code),
                Some(_) => self.take(Kind::Text),
                None => return,
            }
        }
    }

    /// A character literal, or the tick of a lifetime.
    fn quote(&mut self) {
        let is_escape = self.peek(1) == Some('\\');
        if !is_escape && self.peek(2) != Some('\'') {
            return self.take(Kind::Code);
        }
        self.take(Kind::Code);
        if is_escape {
            self.take_n(2, Kind::Neither);
        } else {
            self.take(Kind::Neither);
        }
        while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
            self.take(Kind::Neither);
        }
        self.take(Kind::Code);
    }

    fn raw_or_name(&mut self) {
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        if self.peek(1 + hashes) != Some('"') {
            return self.take(Kind::Code);
        }
        self.take_n(hashes + 2, Kind::Code);
        while let Some(c) = self.peek(0) {
            let closing = (1..=hashes).all(|i| self.peek(i) == Some('#'));
            if c == '"' && closing {
                return self.take_n(hashes + 1, Kind::Code);
            }
            self.take(Kind::Text);
        }
    }
}

/// Whether a character can stand in a Rust name.
pub(crate) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
