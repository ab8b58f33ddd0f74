//! Any text is a mapping, a table or a layer, or is refused with diagnostics; what compiles, runs.
#![no_main]

use std::sync::LazyLock;

use careloop::crm::Change;
use careloop::hl7::Message;
use careloop::mapping::{Bundle, Context, Files, Layer, Outcome};
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

const BASE: &str = include_str!("../seeds/mapping_file/base.toml");
const TABLES: &str = include_str!("../seeds/mapping_file/tables.toml");
const CONCEPT: &str = include_str!("../seeds/mapping_file/concept.toml");
const MESSAGE: &str = include_str!("../seeds/message/a08.hl7");
static SAMPLE: LazyLock<Message> = LazyLock::new(|| Message::parse(MESSAGE).unwrap());

fuzz_target!(|text: &str| {
    run(Bundle::compile(&around(("hl7v2/base.toml", text)), &[]));
    run(Bundle::compile(&around(("tables/tables.toml", text)), &[]));
    run(Bundle::compile(
        &around(("concepts/diabetes.toml", text)),
        &[],
    ));
    let layer = Layer::Text {
        name: "fuzzed.toml".to_owned(),
        text: text.to_owned(),
    };
    run(Bundle::compile(
        &around(("hl7v2/base.toml", BASE)),
        &[layer],
    ));
});

/// The base files with one of them replaced.
fn around((name, text): (&str, &str)) -> Files {
    let mut files = vec![
        ("hl7v2/base.toml", BASE),
        ("tables/tables.toml", TABLES),
        ("concepts/diabetes.toml", CONCEPT),
    ];
    files.retain(|(known, _)| *known != name);
    files.push((name, text));
    Files::of(&files)
}

fn run(compiled: Result<Bundle, Vec<careloop::mapping::Diagnostic>>) {
    match compiled {
        Ok(bundle) => {
            let hash = |parts: &[&str]| parts.len().to_string();
            let context = Context {
                zone: &TimeZone::UTC,
                hash: &hash,
                endpoint: "",
            };
            let mapped = bundle.apply(&SAMPLE, SAMPLE.header(), &context);
            if mapped.outcome == Outcome::Mapped {
                for change in mapped.changes {
                    let read = Change::read(change.entity, change.values.into_inner());
                    assert!(read.is_ok(), "{}: {:?}", change.block, read.err());
                }
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                drop(problem.to_string());
            }
        }
    }
}
