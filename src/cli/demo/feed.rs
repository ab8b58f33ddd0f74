//! The shipped feed: invented messages whose times are counted from the moment of playing.

use anyhow::{Context, bail};
use jiff::civil::Time;
use jiff::{ToSpan, Zoned};

/// The feed's text, which begins with its own description.
const FEED: &str = include_str!("feed.hl7");

/// One step of the demo.
pub(super) enum Act {
    /// Send a message.
    Send {
        /// What it is, in words.
        title: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Send the message before once more.
    Again,
    /// Record what people permit and deny.
    Consents,
    /// Wait until all is processed and published.
    Settle,
}

/// The steps of the shipped feed as of `now`, whose zone is the clinic's.
pub(super) fn steps(now: &Zoned) -> anyhow::Result<Vec<Act>> {
    read(FEED, now)
}

fn read(text: &str, now: &Zoned) -> anyhow::Result<Vec<Act>> {
    let mut steps = Vec::new();
    // The first paragraph describes the file.
    for paragraph in text.split("\n\n").skip(1) {
        let lines: Vec<&str> = paragraph.lines().filter(|line| !line.is_empty()).collect();
        let Some((first, rest)) = lines.split_first() else {
            continue;
        };
        match *first {
            "@again" => steps.push(Act::Again),
            "@consents" => steps.push(Act::Consents),
            "@settle" => steps.push(Act::Settle),
            title => {
                let title = title.strip_prefix("# ");
                let title = title.context("demo feed: expected a line that begins with `# `")?;
                let segments: anyhow::Result<Vec<String>> =
                    rest.iter().map(|line| filled(line, now)).collect();
                let mut bytes = segments?.join("\r").into_bytes();
                bytes.push(b'\r');
                steps.push(Act::Send {
                    title: title.to_owned(),
                    bytes,
                });
            }
        }
    }
    Ok(steps)
}

/// A line with its times written in.
fn filled(line: &str, now: &Zoned) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let (token, after) = after
            .split_once('}')
            .context("demo feed: expected `}` after `{`")?;
        out.push_str(before);
        out.push_str(&time(token, now)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// `now`, `-8d`, `-8d 10:00` or `-8d date`, as HL7 writes it.
fn time(token: &str, now: &Zoned) -> anyhow::Result<String> {
    let (day, clock) = token.split_once(' ').unwrap_or((token, ""));
    let back: i64 = match day.strip_prefix('-').and_then(|day| day.strip_suffix('d')) {
        Some(days) => days.parse()?,
        None if day == "now" => 0,
        None => bail!("demo feed: expected `now` or `-8d`, found another token"),
    };
    let at = now.checked_sub(back.days())?;
    let form = match clock {
        "" => return Ok(at.strftime("%Y%m%d%H%M%S").to_string()),
        "date" => return Ok(at.strftime("%Y%m%d").to_string()),
        clock => clock.parse::<Time>()?,
    };
    Ok(at
        .date()
        .to_datetime(form)
        .strftime("%Y%m%d%H%M%S")
        .to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn noon() -> Zoned {
        "2026-03-09T12:30:15[America/New_York]".parse().unwrap()
    }

    #[test]
    fn times_are_counted_from_the_moment_of_playing() {
        let at = |token: &str| time(token, &noon()).unwrap();
        assert_eq!(at("now"), "20260309123015");
        assert_eq!(at("-1d"), "20260308123015");
        assert_eq!(at("-9d 10:00"), "20260228100000");
        assert_eq!(at("-60d date"), "20260108");
        assert!(time("tomorrow", &noon()).is_err());
    }

    #[test]
    fn every_message_of_the_feed_has_a_control_id_of_its_own_and_no_open_token() {
        let mut seen = BTreeSet::new();
        for act in steps(&noon()).unwrap() {
            let Act::Send { bytes, .. } = act else {
                continue;
            };
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains(['{', '}', '\n']), "{text}");
            let id = text.split('|').nth(9).unwrap().to_owned();
            assert!(seen.insert(id), "{text}");
        }
        assert!(seen.len() > 20);
    }
}
