//! The only place that prints: tables, JSON lines and plain lines on standard output, errors on
//! standard error.
//!
//! A reader that goes away (`careloop message list | head`) is no failure.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

/// The width that tables are wrapped at on a terminal; a pipe gets them unwrapped.
const WIDTH: u16 = 120;

/// Prints a table.
pub fn table(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
    let stdout = io::stdout();
    let width = stdout.is_terminal().then_some(WIDTH);
    tolerant(writeln!(stdout.lock(), "{}", layout(headers, rows, width)))
}

/// Prints a table to be read as a page: wrapped wherever it goes, with one line below its head.
pub fn page(headers: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> io::Result<()> {
    let mut table = build(headers, rows, Some(WIDTH));
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    tolerant(writeln!(io::stdout().lock(), "{}", table.trim_fmt()))
}

/// Prints a value as one line of JSON.
pub fn json_line(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    tolerant(io::stdout().lock().write_all(text.as_bytes()))
}

/// Prints a line, or several.
pub fn line(text: &str) -> io::Result<()> {
    tolerant(writeln!(io::stdout().lock(), "{}", printable(text)))
}

/// Empties the screen before the next look; a pipe is left alone.
pub fn clear() -> io::Result<()> {
    let mut stdout = io::stdout();
    if !stdout.is_terminal() {
        return Ok(());
    }
    tolerant(stdout.write_all(b"\x1b[2J\x1b[H"))
}

/// Prints an error. There is nowhere to report that this failed.
pub fn error(text: &str) {
    drop(writeln!(io::stderr().lock(), "{}", printable(text)));
}

fn layout(
    headers: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    width: Option<u16>,
) -> String {
    let mut table = build(headers, rows, width);
    table.load_style(UTF8_HORIZONTAL_ONLY).trim_fmt()
}

fn build(
    headers: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    width: Option<u16>,
) -> Table {
    let mut table = Table::new();
    table.set_header(headers.iter().copied());
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    table
}

/// Text without control characters, which could drive a terminal: some of it was sent by others.
fn printable(text: &str) -> String {
    let replace = |c: char| {
        if c.is_control() && c != '\n' && c != '\t' {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(replace).collect()
}

/// Takes a reader that went away as an end, not as a failure.
fn tolerant(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{layout, printable, tolerant};
    use std::io;

    #[test]
    fn a_table_shows_headers_and_cells() {
        let rows = vec![vec!["held".to_owned(), "3".to_owned()]];
        let text = layout(&["state", "count"], rows, None);
        assert!(text.contains("state") && text.contains("held"), "{text}");
    }

    #[test]
    fn long_cells_wrap_on_a_terminal_only() {
        let row = || vec![vec!["why ".repeat(60)]];
        let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest(&layout(&["reason"], row(), Some(60))) <= 60);
        assert!(longest(&layout(&["reason"], row(), None)) > 200);
    }

    #[test]
    fn what_others_sent_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\r"), "a\u{fffd}[2Jb\nc\u{fffd}");
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        assert!(tolerant(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(tolerant(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
