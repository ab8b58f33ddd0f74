//! The project's goals for speed, beside what was found.

use crate::report::Figures;

/// Which side of the goal is good.
#[derive(Clone, Copy)]
enum Side {
    Least(f64),
    Most(f64),
}

use Side::{Least, Most};

/// A figure, what it is measured in where that is another figure, and the goal.
type Goal = (&'static str, Option<&'static str>, Side);

const GOALS: &[Goal] = &[
    (
        "whole pipeline/s, 64 connections",
        Some("glue persist+publish/s, 64 connections"),
        Least(1.5),
    ),
    (
        "whole pipeline/s, 64 connections",
        Some("limit: rows/s, 256 a commit, 2 connections"),
        Least(0.15),
    ),
    (
        "tasks confirmed/s, one from every message",
        Some("limit: confirms/s, window 256"),
        Least(0.7),
    ),
    (
        "accepted alone/s, 1 connection",
        Some("glue persist/s, 1 connection"),
        Least(1.0),
    ),
    (
        "accepted alone/s, 8 connections",
        Some("glue persist/s, 8 connections"),
        Least(1.5),
    ),
    (
        "accepted alone/s, 64 connections",
        Some("glue persist/s, 64 connections"),
        Least(3.0),
    ),
    (
        "flush 2 ms: accepted alone/s, 1 connection",
        Some("flush 2 ms: glue persist/s, 1 connection"),
        Least(0.95),
    ),
    (
        "flush 2 ms: accepted alone/s, 8 connections",
        Some("flush 2 ms: glue persist/s, 8 connections"),
        Least(1.0),
    ),
    (
        "flush 2 ms: accepted alone/s, 64 connections",
        Some("flush 2 ms: glue persist/s, 64 connections"),
        Least(2.0),
    ),
    (
        "accepted alone p99 ms, 64 connections",
        Some("glue persist p99 ms, 64 connections"),
        Most(1.0),
    ),
    (
        "acknowledged p99 ms, pipeline at work, 64 connections",
        Some("glue persist p99 ms, 64 connections"),
        Most(1.0),
    ),
    (
        "open loop p99 ms",
        Some("open loop: 2 flushes + 5 ms"),
        Most(1.0),
    ),
    (
        "broker away: acknowledged/s",
        Some("broker there: acknowledged/s"),
        Least(0.9),
    ),
    (
        "broker away: acknowledged p99 ms",
        Some("broker there: acknowledged p99 ms"),
        Most(1.2),
    ),
    ("acknowledged messages lost", None, Most(0.0)),
    ("tasks lost", None, Most(0.0)),
    ("memory idle, MB", None, Most(30.0)),
    ("memory of 1,000 idle connections, MB", None, Most(4.0)),
    ("most memory, MB", None, Most(150.0)),
];

/// Each goal that was measured, whether it is met, and whether half of it is.
pub(crate) fn table(figures: &Figures) -> String {
    let mut text = String::from("| goal | found | whole | half | met |\n|---|---|---|---|---|\n");
    for (figure, of, side) in GOALS {
        let Some(found) = ratio(figures, figure, *of) else {
            continue;
        };
        let (sign, whole, half) = match *side {
            Least(whole) => (">=", whole, whole / 2.0),
            Most(whole) => ("<=", whole, whole * 2.0),
        };
        let meets = |goal: f64| match side {
            Least(_) => found >= goal,
            Most(_) => found <= goal,
        };
        let met = match (meets(whole), meets(half)) {
            (true, _) => "whole",
            (false, true) => "half",
            (false, false) => "no",
        };
        let of = of.map_or_else(String::new, |of| format!(" / {of}"));
        text.push_str(&format!(
            "| {figure}{of} | {found:.2} | {sign} {whole:.2} | {half:.2} | {met} |\n"
        ));
    }
    text
}

fn ratio(figures: &Figures, figure: &str, of: Option<&str>) -> Option<f64> {
    let found = figures.median(figure)?;
    match of {
        Some(of) => Some(found / figures.median(of)?),
        None => Some(found),
    }
}
