//! A batch leaves the same behind as its messages one by one.

use std::collections::BTreeMap;

use crate::support::behind::Behind;
use crate::support::database::Database;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::peer::lines;
use crate::support::wait::until;

use careloop::clock;
use careloop::store::{Ahead, Lease, PLANNING};
use jiff::SignedDuration;
use uuid::Uuid;

const DIABETES: &str = "DG1|1||E11.9^Type 2 diabetes^I10C|||F";

/// A message of the time `2025MMDDHHMM`.
fn message(kind: &str, id: &str, time: &str, person: &str, rest: &str) -> String {
    lines(&format!(
        r"
        MSH|^~\&|EPIC|RVS|CARELOOP|HUB|2025{time}00||{kind}|{id}|P|2.5.1
        EVN||2025{time}00
        {person}
        {rest}
        "
    ))
}

fn pid(number: &str, family: &str, phone: &str, rest: &str) -> String {
    format!(
        "PID|1||{number}^^^RVS^MR||{family}^Ada||19700102|F|||1 Sample St^^Albany^NY^12207^US||{phone}^PRN^PH{rest}"
    )
}

/// Several messages of one person, late ones among them; a merge, somebody who died, and neighbours
/// that are held and ignored.
fn feed() -> Vec<String> {
    let one = pid("TEST-1", "Example", "(518)555-0101", "");
    let moved = pid("TEST-1", "Example", "(518)555-0102", "");
    let renamed = pid("TEST-1", "Invented", "(518)555-0103", "");
    let two = pid("TEST-2", "Example", "(518)555-0101", "");
    let three = pid("TEST-3", "Fictional", "(518)555-0101", "");
    let four = pid("TEST-4", "Pretend", "(518)555-0104", "");
    let dead = pid("TEST-4", "Pretend", "(518)555-0104", &"|".repeat(16)) + "|Y";
    let nobody = "PID|1||TEST-5^^^OTHER^XX||Nobody^Ada||19700102|F";
    vec![
        message("ADT^A28", "M-01", "03011200", &one, ""),
        message("ADT^A08", "M-02", "03011205", &one, DIABETES),
        message("ADT^A08", "M-03", "03011210", &two, DIABETES),
        message("ADT^A08", "M-04", "03011201", nobody, DIABETES),
        message("ADT^A08", "M-05", "03011215", &moved, ""),
        message("ADT^A20", "M-06", "03011215", "", "NPU|A^1^1^RVS|C"),
        // Late: it never undoes what was told of a later time.
        message("ADT^A08", "M-07", "03011202", &renamed, ""),
        message("ADT^A28", "M-08", "03011220", &three, DIABETES),
        message("ADT^A40", "M-09", "03011225", &moved, "MRG|TEST-2^^^RVS^MR"),
        message("ADT^A08", "M-10", "03011230", &two, ""),
        message("ADT^A08", "M-11", "03011230", &four, DIABETES),
        message("ADT^A08", "M-12", "03011235", &dead, DIABETES),
        message("ADT^A08", "M-13", "03011240", &four, DIABETES),
        message("ADT^A08", "M-14", "03011245", &three, DIABETES),
    ]
}

/// Three messages each of many people, turn by turn, so that each person's are spread over the batch;
/// every fourth has the phone of all the others of these.
fn crowd() -> Vec<String> {
    let mut feed = Vec::new();
    for turn in 0..3 {
        for number in 0..48 {
            let phone = match (number % 4, turn) {
                (0, _) => "(518)555-0100".to_owned(),
                (_, turn) => format!("(5{:02})555-01{:02}", 10 + number, turn + 1),
            };
            let person = pid(&format!("TEST-{number}"), "Example", &phone, "");
            let (kind, rest) = if turn == 0 {
                ("ADT^A28", "")
            } else {
                ("ADT^A08", DIABETES)
            };
            let time = format!("030112{:02}", turn * 10);
            let id = format!("M-{turn}-{number:02}");
            feed.push(message(kind, &id, &time, &person, rest));
        }
    }
    feed
}

/// What can be seen of the rows, without ids and times.
const SEEN: [&str; 10] = [
    "SELECT control_id || ' ' || state || ' ' || coalesce(code, '') || ' ' || coalesce(place, '') FROM message ORDER BY 1",
    "SELECT 'people ' || CAST(count(*) AS TEXT) FROM person",
    "SELECT 'identifiers ' || CAST(count(*) AS TEXT) FROM person_identifier",
    "SELECT 'links ' || CAST(count(*) AS TEXT) FROM person_link WHERE until_at IS NULL",
    "SELECT 'contact ' || CAST(rank AS TEXT) || CASE WHEN ended_at IS NULL THEN ' now ' ELSE ' ended ' END || CAST(count(*) AS TEXT) FROM contact_point GROUP BY rank, CASE WHEN ended_at IS NULL THEN ' now ' ELSE ' ended ' END ORDER BY 1",
    "SELECT 'finding ' || state || ' ' || CAST(count(*) AS TEXT) FROM finding GROUP BY state ORDER BY 1",
    "SELECT 'task ' || state || ' ' || CAST(version AS TEXT) || ' ' || CAST(count(*) AS TEXT) FROM task GROUP BY state, version ORDER BY 1",
    "SELECT 'envelope ' || kind || ' ' || state || ' ' || CAST(version AS TEXT) || ' ' || CAST(count(*) AS TEXT) FROM outbox GROUP BY kind, state, version ORDER BY 1",
    "SELECT 'decision ' || stage || ' ' || result || ' ' || reason_codes || ' ' || CAST(count(*) AS TEXT) FROM consent_decision GROUP BY stage, result, reason_codes ORDER BY 1",
    "SELECT 'audit ' || action || ' ' || CAST(count(*) AS TEXT) FROM audit WHERE actor = 'pipeline' GROUP BY action ORDER BY 1",
];

/// Sends the feed in one frame, which is stored in one commit, and gives what it leaves behind.
async fn left_by(database: Database, feed: &[String], batch: u32) -> Vec<String> {
    // No agreement for tasks: they stay in the outbox, so that publishing takes no part.
    let setup = Setup {
        batch,
        covers: r#"["adt"]"#,
        ..Setup::default()
    };
    let hub = Hub::start(database, setup).await;
    let mut peer = hub.peer("adt").await;
    peer.write(feed.concat().as_bytes()).await;
    for _ in feed {
        assert_eq!(peer.answer().await.unwrap().code, "AA");
    }
    hub.processed().await;
    let behind = Behind::open(&hub.database).await;
    let mut seen = told(&hub, &behind).await;
    hub.daemon.stop().await;
    for statement in SEEN {
        seen.extend(behind.texts(statement).await);
    }
    behind.close().await;
    seen
}

/// What stands of people, by what it is about and when it happened.
async fn told(hub: &Hub, behind: &Behind) -> Vec<String> {
    let people = format!("SELECT {} FROM person", behind.hex("id"));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for person in behind.texts(&people).await {
        let mut tx = hub.store().read(hub.tenant).await.unwrap();
        let person: Uuid = person.parse().unwrap();
        let record = tx.load(person, clock::now()).await.unwrap().unwrap();
        for told in record
            .assertions
            .iter()
            .filter(|told| told.person == person)
        {
            let what = format!("{:?} {}", told.group, told.event_time);
            *counts.entry(what).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect()
}

/// What a feed leaves behind singly, which is the same as together.
async fn both_ways(database: Database, feed: &[String]) -> Vec<String> {
    let other = match database.behind {
        Some(_) => Database::postgres().await.unwrap(),
        None => Database::sqlite(),
    };
    let singly = left_by(database, feed, 1).await;
    assert_eq!(singly, left_by(other, feed, 256).await);
    singly
}

on_each_store! {
    async fn a_batch_leaves_the_same_as_its_messages_one_by_one(database) {
        let singly = both_ways(database, &feed()).await;
        for expected in ["M-04 held", "M-06 ignored", "links 1", "audit person.merge 1"] {
            assert!(
                singly.iter().any(|line| line.starts_with(expected)),
                "{expected} is not in {singly:#?}"
            );
        }
    }
}

on_each_store! {
    async fn a_crowd_is_written_in_lanes_and_leaves_the_same_as_one_by_one(database) {
        let singly = both_ways(database, &crowd()).await;
        for expected in ["people 48", "M-2-47 processed", "finding open 48"] {
            assert!(
                singly.iter().any(|line| line.starts_with(expected)),
                "{expected} is not in {singly:#?}"
            );
        }
    }
}

/// What is asked for each batch, and the column by which it must be found.
const ASKED: [(&str, &str); 5] = [
    (
        "SELECT own.value_index, own.person FROM person_identifier AS own LEFT JOIN identifier_assignment AS assigned \
         ON assigned.tenant = $1 AND assigned.value_index = own.value_index AND assigned.until_at IS NULL \
         WHERE own.tenant = $1 AND own.value_index = ANY($2::bytea[])",
        "value_index",
    ),
    (
        "SELECT id FROM finding WHERE tenant = $1 AND person = ANY($2::uuid[])",
        "person",
    ),
    (
        "SELECT id FROM task WHERE tenant = $1 AND person = ANY($2::uuid[])",
        "person",
    ),
    (
        "SELECT cell FROM assertion WHERE tenant = $1 AND person = ANY($2::uuid[])",
        "person",
    ),
    (
        "UPDATE message SET state = 'processed' WHERE tenant = $1 AND id = ANY($2::uuid[])",
        "id",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_plans_for_many_people_while_there_are_few() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let hub = Hub::start(database, Setup::default()).await;
    let mut peer = hub.peer("adt").await;
    peer.write(crowd().concat().as_bytes()).await;
    for _ in crowd() {
        assert_eq!(peer.answer().await.unwrap().code, "AA");
    }
    hub.processed().await;
    let owner = hub.database.url.replace("careloop_app@", "careloop_owner@");
    let owner = sqlx::PgPool::connect(&owner).await.unwrap();
    sqlx::query("ANALYZE").execute(&owner).await.unwrap();
    owner.close().await;
    let pool = sqlx::PgPool::connect(&hub.database.url).await.unwrap();
    let mut session = pool.acquire().await.unwrap();
    for (name, value) in PLANNING {
        let set = sqlx::AssertSqlSafe(format!("SET {name} = '{value}'"));
        sqlx::query(set).execute(&mut *session).await.unwrap();
    }
    for (place, (statement, column)) in ASKED.iter().enumerate() {
        let prepare = format!("PREPARE asked_{place} (bigint) AS {statement}");
        let prepare = sqlx::AssertSqlSafe(prepare);
        sqlx::raw_sql(prepare).execute(&mut *session).await.unwrap();
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE asked_{place} (1, NULL)"));
        let plan: Vec<(String,)> = sqlx::query_as(explain)
            .fetch_all(&mut *session)
            .await
            .unwrap();
        let wanted = format!("{column} = ANY ($2)");
        let found = plan
            .iter()
            .any(|(line,)| line.contains("Index Cond") && line.contains(&wanted));
        assert!(found, "{statement}: {plan:#?}");
    }
    hub.daemon.stop().await;
}

on_each_store! {
    async fn nothing_is_claimed_past_a_claim_and_nothing_ahead_that_was_claimed_before(database) {
        let setup = Setup { pace: "lease = \"1s\"".to_owned(), ..Setup::default() };
        let hub = Hub::start(database, setup).await;
        // Another process has the source, from the moment on when this one's own lease is over.
        let (lease, then) = (Lease::new("source:adt"), clock::now() + SignedDuration::from_hours(1));
        let until_then = then + SignedDuration::from_hours(1);
        assert!(hub.store().hold(hub.tenant, &lease, then, until_then).await.unwrap());
        let taken = clock::now();
        until("the hub's own lease is over", async || {
            (clock::now() > taken + SignedDuration::from_secs(1)).then_some(())
        })
        .await;
        let mut peer = hub.peer("adt").await;
        for number in ["TEST-1", "TEST-2", "TEST-3", "TEST-4"] {
            let told = message("ADT^A28", number, "03011200", &pid(number, "Example", "(518)555-0101", ""), "");
            assert_eq!(peer.send_bytes(told.as_bytes()).await.code, "AA");
        }
        let claim = async |limit: u32, minutes: i64, ahead: Ahead| {
            let now = clock::now() + SignedDuration::from_mins(minutes);
            let until = (now, now + SignedDuration::from_mins(1), ahead);
            let claimed = hub.store().claim_messages(hub.tenant, "adt", limit, until).await;
            claimed.unwrap().len()
        };
        assert_eq!(claim(2, 0, Ahead::No).await, 2);
        assert_eq!(claim(2, 0, Ahead::No).await, 0, "two are claimed and come first");
        assert_eq!(claim(1, 0, Ahead::Yes).await, 1, "what follows them may be claimed ahead");
        // Their claims have ended without an outcome: they go alone, and nobody ahead of them.
        assert_eq!(claim(4, 5, Ahead::Yes).await, 0);
        assert_eq!(claim(4, 5, Ahead::No).await, 1);
        assert_eq!(claim(4, 5, Ahead::No).await, 0);
        hub.daemon.stop().await;
    }
}
