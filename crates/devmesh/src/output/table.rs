//! A table of text with a header.

use super::clean;

/// Characters of a cell that is not the last one.
const CELL_CHARS_MAX: usize = 48;

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(header: &[&'static str]) -> Table {
        Table { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; what comes from outside is cleaned.
    pub(crate) fn row(&mut self, cells: &[&str]) {
        let last = cells.len().saturating_sub(1);
        let cell = |(i, text): (usize, &&str)| {
            let text = clean(text);
            if i < last { shorten(&text) } else { text.into_owned() }
        };
        self.rows.push(cells.iter().enumerate().map(cell).collect());
    }

    /// Whether it has no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// As lines; columns padded but the last.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut widths: Vec<usize> = self.header.iter().map(|cell| cell.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let header: Vec<String> = self.header.iter().map(|cell| (*cell).to_owned()).collect();
        let mut text = line(&header, &widths);
        if colour {
            text = format!("\u{1b}[2m{text}\u{1b}[0m");
        }
        text.push('\n');
        for row in &self.rows {
            text += &line(row, &widths);
            text.push('\n');
        }
        text
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        if !text.is_empty() {
            text += "  ";
        }
        text += &format!("{cell:<width$}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// The text, with an ellipsis where it is too long for a column.
pub(super) fn shorten(text: &str) -> String {
    if text.chars().count() <= CELL_CHARS_MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(CELL_CHARS_MAX - 1).collect();
    short.push('…');
    short
}
