//! The log canary: invented values that must not be found anywhere but where a named operator asks
//! for them. The hub runs as a process at the finest log level and meets everything that can go
//! wrong; then every byte that it wrote is searched, for the values as they are and in disguise.

use std::fmt::Write as _;
use std::path::Path;

use crate::canary_content::read_as_crm;
use crate::support::behind::Behind;
use crate::support::broker::{self, Broker};
use crate::support::clinic::QUEUE;
use crate::support::database::Database;
use crate::support::hub::Setup;
use crate::support::on_each_store;
use crate::support::peer::lines;
use crate::support::serving::Serving;
use crate::support::wait::until;
use crate::support::webhook::Webhook;

/// Every spelling in which a protected value goes in or could come out.
const CANARIES: [&str; 30] = [
    "Zylophantine",
    "Quillamora",
    "Brontevix",
    "Ossifragus",
    "MRNX-77310942",
    "MRNX-88410077",
    "ACCT-5590127734",
    "(518)555-0177",
    "5185550177",
    "+15185550177",
    "518-555-0177",
    "19630417",
    "1963-04-17",
    "04/17/1963",
    "4417 Verdigris Hollow",
    "Chalcedonville",
    "12207-4417",
    "quillamora.z@example.org",
    "900-55-0177",
    "900550177",
    "Obsidianhart",
    "Canarynotetext",
    "Canarydiagnosistext",
    "CANARYVALUE913",
    "NOTADATE-KESTREL",
    "GARBLEDKESTREL",
    "HELDKESTREL",
    "CRMX-Canarynumber-5512",
    "EVENT-Canarykestrel",
    "HbA1c result on record",
];

/// An MSH segment.
fn head(kind: &str, id: &str, charset: &str) -> String {
    format!(r"MSH|^~\&|EPIC|RVS|CARELOOP|HUB|20250301120000||{kind}|{id}|P|2.5.1||||||{charset}")
}

/// A PID segment with a value in every field that has one.
fn person(number: &str, family: &str, born: &str) -> String {
    format!(
        "PID|1||{number}^^^RVS^MR~900-55-0177^^^USA^SS||{family}^Quillamora^Brontevix||{born}|F|||\
         4417 Verdigris Hollow^^Chalcedonville^NY^12207-4417^US||(518)555-0177^PRN^PH~\
         ^NET^Internet^quillamora.z@example.org|518-555-0177||||ACCT-5590127734"
    )
}

/// The people's messages: known, changed, booked, merged, in one that is held, one that is
/// malformed, and two whose fields do not fit.
fn messages() -> Vec<(&'static str, String)> {
    let known = person("MRNX-77310942", "Zylophantine", "19630417");
    let other = person("MRNX-88410077", "Ossifragus", "19630417");
    let nameless = person("", "Zylophantine", "NOTADATE-KESTREL");
    let dateless = person("MRNX-77310942", "Zylophantine", "NOTADATE-KESTREL");
    let rest =
        "NK1|1|Obsidianhart^Ada\nDG1|1||E11.9^Canarydiagnosistext^I10C|||F\nNTE|1||Canarynotetext";
    let value =
        "OBR|1|F-1|F-2|4548-4^HbA1c^LN|||20250301\nOBX|1|ST|4548-4^HbA1c^LN||CANARYVALUE913||||||F";
    let visit = "SCH|A-1|A-2|||||||30|min|^^30^20250401100000^20250401103000";
    let merge = "MRG|MRNX-88410077^^^RVS^MR";
    let event =
        |kind: &str, id: &str, what: &str| format!("{}\nEVN||20250301\n{what}", head(kind, id, ""));
    let held = head("ADT^A08", "C-7", "GB 18030-2000");
    vec![
        (
            "admit",
            event("ADT^A01", "C-1", &format!("{known}\n{rest}")),
        ),
        (
            "update",
            event("ADT^A08", "C-2", &format!("{known}\n{rest}")),
        ),
        ("other", event("ADT^A28", "C-3", &other)),
        (
            "booking",
            format!("{}\n{visit}\n{known}", head("SIU^S12", "C-4", "")),
        ),
        (
            "result",
            format!("{}\n{known}\n{value}", head("ORU^R01", "C-5", "")),
        ),
        (
            "merge",
            event("ADT^A40", "C-6", &format!("{known}\n{merge}")),
        ),
        ("held", format!("{held}\n{known}\nZZZ|HELDKESTREL")),
        ("no identifier", event("ADT^A08", "C-8", &nameless)),
        ("no date", event("ADT^A08", "C-9", &dateless)),
        (
            "unknown type",
            format!("{}\n{known}", head("ZZZ^Z01", "C-10", "")),
        ),
        (
            "malformed",
            "GARBLEDKESTREL|Zylophantine|MRNX-77310942|(518)555-0177".to_owned(),
        ),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks_exact(3) {
        let bits = chunk
            .iter()
            .fold(0_usize, |bits, byte| (bits << 8) | usize::from(*byte));
        for place in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[(bits >> place) & 63]));
        }
    }
    text
}

/// A canary as it is, and in each disguise that code gives bytes by habit.
fn disguises(canary: &str) -> Vec<Vec<u8>> {
    let hex = canary.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let listed: Vec<String> = canary.bytes().map(|byte| byte.to_string()).collect();
    let mut found = vec![
        canary.to_owned(),
        hex.to_uppercase(),
        hex,
        listed.join(", "),
    ];
    for shift in 0..3 {
        // Whatever stands before it, the whole groups inside are these.
        found.push(base64(&canary.as_bytes()[shift..]));
    }
    found
        .into_iter()
        .filter(|text| text.len() >= 6)
        .map(String::into_bytes)
        .collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Fails with the name of the place, never with what was found there.
pub(crate) fn search(place: &str, bytes: &[u8]) {
    for (index, canary) in CANARIES.iter().enumerate() {
        for (disguise, part) in disguises(canary).iter().enumerate() {
            let hit = holds(bytes, part);
            assert!(
                !hit,
                "{place} holds canary {index} ({canary}) in disguise {disguise}"
            );
        }
    }
}

/// Every file of the installation: database, write-ahead log, spool, log, standard output.
fn search_folder(folder: &Path) -> usize {
    let mut searched = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            searched += search_folder(&path);
        } else {
            search(&path.display().to_string(), &std::fs::read(&path).unwrap());
            searched += 1;
        }
    }
    searched
}

/// Every column of every row, as a dump would have it; bytes come as hexadecimal digits.
async fn search_tables(behind: &Behind) {
    if !behind.is_postgres() {
        return; // the file itself is searched
    }
    let tables = behind
        .texts(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
        )
        .await;
    assert!(tables.len() > 15, "{tables:?}");
    for table in tables {
        let rows = behind
            .texts(&format!("SELECT t::text FROM {table} AS t"))
            .await;
        search(&table, rows.join("\n").as_bytes());
    }
}

/// Sends everything, the last of it while tables are away.
async fn meet_everything(hub: &Serving, behind: &Behind) {
    let mut peer = hub.peer().await;
    for (what, text) in messages() {
        let ack = peer.send_bytes(lines(&text).as_bytes()).await;
        assert_eq!(ack.code, "AA", "{what}");
    }
    until("every message has an outcome", || async {
        hub.told(&["message", "count", "--json"])
            .contains(r#""waiting":0"#)
            .then_some(())
    })
    .await;
    let (_, update) = messages().swap_remove(1);
    let again = |id: &str| {
        lines(
            &update
                .replace("|C-2|", id)
                .replace("Brontevix", "Brontevix II"),
        )
    };
    let warnings = || hub.log().matches(" WARN ").count();
    let before = warnings();
    behind.run("ALTER TABLE contact_point RENAME TO away").await;
    assert_eq!(peer.send_bytes(again("|C-20|").as_bytes()).await.code, "AA");
    until("the pipeline has met the error", || async {
        let counts = hub.told(&["message", "count", "--json"]);
        (warnings() > before || counts.contains(r#""waiting":0"#)).then_some(())
    })
    .await;
    behind.run("ALTER TABLE away RENAME TO contact_point").await;
    behind.run("ALTER TABLE message RENAME TO away").await;
    assert_eq!(peer.send_bytes(again("|C-21|").as_bytes()).await.code, "AE");
    behind.run("ALTER TABLE away RENAME TO message").await;
    until("every message has an outcome", || async {
        hub.told(&["message", "count", "--json"])
            .contains(r#""waiting":0"#)
            .then_some(())
    })
    .await;
}

const OPEN_COMMANDS: [&[&str]; 11] = [
    &["message", "list", "--limit", "100"],
    &["message", "list", "--limit", "100", "--json"],
    &["message", "count", "--reasons"],
    &["message", "count", "--reasons", "--json"],
    &["task", "list"],
    &["task", "list", "--json"],
    &["task", "withheld", "--json"],
    &["task", "outbox", "--json"],
    &["person", "list"],
    &["keys", "status", "--json"],
    &["check"],
];

/// Who asks by name and purpose sees the values, and is on record for it.
async fn show(hub: &Serving, behind: &Behind) {
    let asker = ["--operator", "Test Operator", "--purpose", "support"];
    let person = hub.told(&["person", "list"]);
    let person = person.lines().next().unwrap();
    let shown = hub.told(&[&["person", "show", person][..], &asker[..]].concat());
    assert!(shown.contains("Zylophantine") && shown.contains("MRNX-77310942"));
    let listed = hub.told(&["message", "list", "--json", "--state", "held"]);
    let listed: serde_json::Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    let message = listed["id"].as_str().unwrap();
    let shown = hub.told(&[&["message", "show", message][..], &asker[..]].concat());
    assert!(shown.contains("Zylophantine"), "the canary was never there");
    let audited = behind
        .pairs("SELECT action, actor || ' for ' || purpose FROM audit WHERE actor LIKE 'operator:%' AND purpose IS NOT NULL ORDER BY action")
        .await;
    let who = "operator:Test Operator for support".to_owned();
    assert_eq!(
        audited,
        [
            ("message.show".to_owned(), who.clone()),
            ("person.show".to_owned(), who)
        ]
    );
}

async fn canary(database: Database, broker: Option<Broker>) {
    let url = broker.as_ref().map(Broker::url);
    let webhook = Webhook::listen().await;
    let setup = Setup {
        broker: url,
        more: format!("[alerts]\nwebhook = \"{}\"\n", webhook.url),
        ..Setup::default()
    };
    let mut hub = Serving::start(database, &setup, "trace").await;
    let behind = Behind::open(&hub.database).await;
    meet_everything(&hub, &behind).await;
    until("a task has left", || async {
        (!hub
            .told(&["task", "outbox", "--json"])
            .contains(r#""sent":0"#))
        .then_some(())
    })
    .await;
    read_as_crm(&hub).await;
    for path in ["/metrics", "/health/live", "/health/ready"] {
        search(path, hub.get(path).1.as_bytes());
    }
    for command in OPEN_COMMANDS {
        let output = hub.command(command);
        search(&command.join(" "), &output.stdout);
        search(&command.join(" "), &output.stderr);
    }
    if let Some(broker) = &broker {
        let taken = broker.take(QUEUE, 1).await;
        assert!(!taken.is_empty());
        for message in taken {
            search("the queue", &message.delivery.data);
            search(
                "the properties",
                format!("{:?}", message.delivery.properties).as_bytes(),
            );
        }
    }
    until("the webhook was told of what is held", || async {
        (!webhook.of("messages-held").is_empty()).then_some(())
    })
    .await;
    show(&hub, &behind).await;
    search_tables(&behind).await;
    assert!(hub.stop().success());
    search("the webhook", &webhook.bytes());
    let searched = search_folder(hub.database.folder.path());
    assert!(searched >= 5, "only {searched} files");
    let log = hub.log();
    for level in [" WARN ", " INFO ", " DEBUG ", " TRACE "] {
        println!("{} lines of{level}", log.matches(level).count());
    }
    assert!(log.contains("left for the next start") && log.contains(" WARN "));
}

on_each_store! {
    async fn no_protected_value_is_found_outside_a_named_operators_question(database) {
        canary(database, None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_protected_value_reaches_a_broker_or_its_client_library() {
    if let Some(broker) = broker::share().await {
        canary(Database::sqlite(), Some(broker)).await;
    }
}

#[test]
fn every_disguise_is_seen() {
    let text = b"..Quillamora..";
    let hidden = [
        String::from_utf8_lossy(text).into_owned(),
        format!("{text:?}"),
        format!("{:x?}", text).replace(", ", ""),
        format!("x{}", base64(b"xQuillamoraxx")),
        format!("x{}", base64(b"xxQuillamoraxxx")),
    ];
    for (index, hidden) in hidden.iter().enumerate() {
        let seen = disguises("Quillamora")
            .iter()
            .any(|part| holds(hidden.as_bytes(), part));
        assert!(seen, "{index}: {hidden}");
    }
}
