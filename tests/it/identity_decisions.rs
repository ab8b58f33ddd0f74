//! Who is who, decided by named people: links proposed, made, refused and undone; doubtful messages
//! settled and run again.

use careloop::care::FindingState;
use careloop::crm::View;
use serde_json::Value;
use uuid::Uuid;

use crate::support::behind::Behind;
use crate::support::hub::{Hub, Setup};
use crate::support::on_each_store;
use crate::support::operator::ASKER;
use crate::support::said::{DIABETES, Said, hours_ago};
use crate::support::wait::until;

const WHY: [&str; 4] = [
    "--operator",
    "Test Operator",
    "--reason",
    "checked with the clinic",
];

/// Runs `careloop identity …` with who decides and why.
async fn decide(hub: &Hub, arguments: &[&str]) -> String {
    let arguments = [&["identity"], arguments, &WHY].concat();
    hub.run(&arguments).await
}

/// The lines of the work list of one kind.
async fn listed(hub: &Hub, what: &str) -> Vec<Value> {
    let text = hub
        .run(&["identity", "list", "--what", what, "--json"])
        .await;
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The only line of a kind, once there is one.
async fn only(hub: &Hub, what: &str) -> Value {
    until(&format!("one is {what}"), || async {
        let mut found = listed(hub, what).await;
        (found.len() == 1).then(|| found.remove(0))
    })
    .await
}

fn merge<'a>(id: &'a str, survivor: &'a str, retired: &str) -> Said<'a> {
    Said::of("ADT^A40", id, survivor).with(format!("MRG|{retired}^^^RVS^MR"))
}

fn ill<'a>(id: &'a str, number: &'a str) -> Said<'a> {
    Said::of("ADT^A08", id, number).with(DIABETES)
}

async fn family(hub: &Hub, person: Uuid) -> String {
    let view = View::of(&hub.record(person).await.assertions, &[]);
    view.demographics.names[0].family.clone().unwrap()
}

/// The states of a person's tasks and open findings.
async fn work(hub: &Hub, person: Uuid) -> (Vec<String>, usize) {
    let record = hub.record(person).await;
    let mut states: Vec<String> = record
        .tasks
        .iter()
        .map(|task| task.state.name().to_owned())
        .collect();
    states.sort_unstable();
    let open = record.findings.iter();
    let open = open.filter(|finding| finding.state == FindingState::Open);
    (states, open.count())
}

/// The audit names who decided about a person, once, and the reason is nowhere to be read.
async fn audited(behind: &Behind, action: &str, person: Uuid) {
    let of = format!("{} = '{}'", behind.hex("entity_id"), person.simple());
    let who = format!("SELECT actor FROM audit WHERE action = '{action}' AND {of}");
    let who = behind.texts(&who).await;
    assert_eq!(who, ["operator:Test Operator"], "{action}");
    let reason = "SELECT count(*) FROM audit WHERE detail LIKE '%checked with%'";
    assert_eq!(behind.number(reason).await, 0);
}

on_each_store! {
    async fn an_undone_merge_gives_each_record_its_own_and_its_work_back(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[ill("D-1", "TEST-1"), ill("D-2", "TEST-2")]).await;
        hub.settled().await;
        let (ada, bea) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        hub.hear(&[
            merge("M-1", "TEST-1", "TEST-2"),
            Said { name: "Sample^Bea", at: hours_ago(1), ..Said::of("ADT^A08", "NEWS", "TEST-2") },
        ])
        .await;
        hub.settled().await;
        assert_eq!(hub.reached("TEST-2").await, [ada]);
        hub.run(&["consent", "opt-out", &ada.to_string(), "--channel", "sms", "--operator", "T"]).await;
        decide(&hub, &["unmerge", &bea.to_string()]).await;
        hub.settled().await;
        assert_eq!((hub.reached("TEST-1").await, hub.reached("TEST-2").await), (vec![ada], vec![bea]));
        assert_eq!((family(&hub, ada).await, family(&hub, bea).await), ("Example".into(), "Sample".into()));
        // Nobody lost open work: each has a task that left; the one that the merge had ended is made anew.
        for person in [ada, bea] {
            let (states, open) = work(&hub, person).await;
            assert_eq!(open, 1);
            assert_eq!(states.iter().filter(|state| *state == "requested").count(), 1, "{states:?}");
        }
        let denied = [hub.record(ada).await.opt_outs.len(), hub.record(bea).await.opt_outs.len()];
        assert_eq!(denied, [1, 1], "what was denied while they were one holds for both");
        let behind = Behind::open(&hub.database).await;
        audited(&behind, "person.unmerge", bea).await;
        // Neither a second command nor a replay of the merge changes anything.
        let again = decide(&hub, &["unmerge", &bea.to_string()]).await;
        assert!(again.contains("nothing changed"), "{again}");
        let id = hub.message("M-1").await.id;
        hub.run(&["message", "replay", "--id", &id, "--operator", "T"]).await;
        hub.processed().await;
        assert_eq!(hub.reached("TEST-2").await, [bea]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn demographics_propose_and_only_a_named_person_links(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let child = Said { born: "19990909", ..Said::of("ADT^A28", "CHILD", "TEST-3") };
        hub.hear(&[ill("D-1", "TEST-1"), ill("D-2", "TEST-2"), child]).await;
        let (ada, bea) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        let line = only(&hub, "proposed").await;
        assert!(!line.to_string().contains("Example"), "the list shows nobody: {line}");
        assert_ne!(hub.reached("TEST-2").await, [ada], "agreement links nobody");
        let id = line["id"].as_str().unwrap().to_owned();
        let shown = hub.run(&[&["identity", "show", &id, "--json"], &ASKER[..]].concat()).await;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["people"].as_array().unwrap().len(), 2);
        assert_eq!(shown["people"][0]["names"][0]["family"], "Example");
        let behind = Behind::open(&hub.database).await;
        let shown_once = "SELECT count(*) FROM audit WHERE action = 'identity.show'";
        assert_eq!(behind.number(shown_once).await, 1);
        decide(&hub, &["link", &id, "--to", &ada.to_string()]).await;
        assert_eq!(hub.reached("TEST-2").await, [ada]);
        audited(&behind, "person.link", bea).await;
        assert!(listed(&hub, "proposed").await.is_empty());
        let tasks = hub.settled().await;
        let live = tasks.iter().filter(|task| task.state == "requested").count();
        assert_eq!(live, 1, "one person is called once: {tasks:?}");
        // What a person linked, a person can undo.
        decide(&hub, &["unmerge", &bea.to_string()]).await;
        assert_eq!(hub.reached("TEST-2").await, [bea]);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn people_kept_apart_are_proposed_again_only_when_they_change(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[Said::of("ADT^A28", "A-1", "TEST-1"), Said::of("ADT^A28", "A-2", "TEST-2")]).await;
        let line = only(&hub, "proposed").await;
        decide(&hub, &["keep-apart", line["id"].as_str().unwrap()]).await;
        assert!(listed(&hub, "proposed").await.is_empty());
        let behind = Behind::open(&hub.database).await;
        audited(&behind, "person.keep-apart", hub.person("TEST-2").await).await;
        // A new number is no reason to ask again; another name that agrees is.
        let moved = |id, number, name| Said { name, at: hours_ago(2), ..Said::of("ADT^A08", id, number) };
        let text = moved("PHONE", "TEST-2", "Example^Ada").text().replace("555-0101", "555-0109");
        let mut peer = hub.peer("adt").await;
        peer.send_bytes(text.as_bytes()).await;
        hub.processed().await;
        until("everybody is compared", || async {
            let waiting = behind.number("SELECT count(*) FROM identity_check").await;
            (waiting == 0).then_some(())
        })
        .await;
        assert!(listed(&hub, "proposed").await.is_empty());
        hub.hear(&[moved("N-1", "TEST-1", "Sample^Ada"), moved("N-2", "TEST-2", "Sample^Ada")]).await;
        only(&hub, "proposed").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_doubtful_message_waits_for_a_name_and_then_runs_with_those_behind_it(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "A-1", "TEST-1"),
            Said::of("ADT^A28", "A-2", "TEST-2"),
            Said { at: hours_ago(9), name: "First^Ada", ..Said::of("ADT^A08", "BOTH-1", "TEST-1~TEST-2") },
            Said { at: hours_ago(8), name: "Second^Ada", ..Said::of("ADT^A08", "BOTH-2", "TEST-1~TEST-2") },
        ])
        .await;
        let ada = hub.person("TEST-1").await;
        assert_eq!(listed(&hub, "held").await.len(), 2);
        // One message is settled by itself.
        let id = hub.message("BOTH-1").await.id;
        decide(&hub, &["link", &id, "--to", &ada.to_string()]).await;
        hub.processed().await;
        assert_eq!(hub.ended("BOTH-1").await.0, "processed");
        assert_eq!(hub.ended("BOTH-2").await.0, "held", "what one message means says nothing of others");
        assert_eq!(family(&hub, ada).await, "First");
        // Linking the people settles the rest.
        let bea = hub.person("TEST-2").await;
        decide(&hub, &["link", &bea.to_string(), "--to", &ada.to_string()]).await;
        hub.processed().await;
        assert_eq!(hub.ended("BOTH-2").await.0, "processed");
        assert_eq!(family(&hub, ada).await, "Second");
        assert!(listed(&hub, "held").await.is_empty());
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn held_messages_run_again_in_the_order_in_which_they_came(database) {
        // One at a time, so that each has an end of its own.
        let hub = Hub::start(database, Setup { batch: 1, ..Setup::default() }).await;
        let behind = Behind::open(&hub.database).await;
        let ran = async |of: &str| {
            let ended = format!("SELECT control_id FROM message WHERE control_id LIKE '{of}-%' ORDER BY finished_at");
            behind.texts(&ended).await
        };
        // All told in one second: what ran last stands.
        let at = hours_ago(9);
        let said = |id, number, name, born| Said { at: at.clone(), name, born, ..Said::of("ADT^A08", id, number) };
        let both = |id, name| said(id, "TEST-1~TEST-2", name, "19700102");
        hub.hear(&[Said::of("ADT^A28", "A-1", "TEST-1"), Said::of("ADT^A28", "A-2", "TEST-2")]).await;
        hub.hear(&[both("BOTH-1", "First^Ada"), both("BOTH-2", "Second^Ada"), both("BOTH-3", "Third^Ada")]).await;
        assert_eq!(listed(&hub, "held").await.len(), 3);
        let (ada, other) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        decide(&hub, &["link", &other.to_string(), "--to", &ada.to_string()]).await;
        hub.processed().await;
        assert!(listed(&hub, "held").await.is_empty());
        assert_eq!(ran("BOTH").await, ["BOTH-1", "BOTH-2", "BOTH-3"]);
        assert_eq!(family(&hub, ada).await, "Third");

        // The message that is decided about is neither the first nor the last.
        let stranger = |id, name| said(id, "TEST-8", name, "19550505");
        hub.hear(&[ill("D-1", "TEST-8~TEST-9")]).await;
        hub.hear(&[stranger("NEW-1", "One^Bea"), stranger("NEW-2", "Two^Bea"), stranger("NEW-3", "Three^Bea")]).await;
        assert_eq!(listed(&hub, "held").await.len(), 3);
        let id = hub.message("NEW-2").await.id;
        decide(&hub, &["keep-apart", &id]).await;
        hub.processed().await;
        assert!(listed(&hub, "held").await.is_empty());
        assert_eq!(ran("NEW").await, ["NEW-1", "NEW-2", "NEW-3"]);
        let (bea, first) = (hub.person("TEST-8").await, hub.person("TEST-9").await);
        assert_eq!((family(&hub, bea).await, family(&hub, first).await), ("Three".into(), "Example".into()));
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_number_that_was_given_to_somebody_else_leaves_the_first_ones_past(database) {
        let hub = Hub::start(database, Setup::default()).await;
        let stranger = Said { name: "Other^Bea", born: "19550505", ..Said::of("ADT^A08", "CONFLICT", "TEST-1") };
        hub.hear(&[ill("D-1", "TEST-1~TEST-7"), stranger]).await;
        let ada = hub.person("TEST-7").await;
        assert_eq!(hub.ended("CONFLICT").await.1, "identity-conflict");
        let id = hub.message("CONFLICT").await.id;
        decide(&hub, &["keep-apart", &id]).await;
        hub.processed().await;
        assert_eq!(hub.ended("CONFLICT").await.0, "processed");
        let bea = hub.person("TEST-1").await;
        assert_ne!(bea, ada);
        assert_eq!((family(&hub, ada).await, family(&hub, bea).await), ("Example".into(), "Other".into()));
        assert_eq!(work(&hub, ada).await.1, 1, "what was said of the first one stays with them");
        assert_eq!(work(&hub, bea).await.1, 0);
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn a_message_with_numbers_of_both_is_held_after_they_are_apart_again(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[
            Said::of("ADT^A28", "A-1", "TEST-1"),
            Said::of("ADT^A28", "A-2", "TEST-2"),
            merge("M-1", "TEST-1", "TEST-2"),
            ill("BOTH", "TEST-1~TEST-2"),
        ])
        .await;
        let bea = hub.store().read(hub.tenant).await.unwrap().links(1).await.unwrap()[0].retired;
        let said = decide(&hub, &["unmerge", &bea.to_string()]).await;
        assert!(said.contains("messages run again"), "{said}");
        hub.settled().await;
        assert_eq!(hub.ended("BOTH").await.1, "identity-ambiguous");
        for number in ["TEST-1", "TEST-2"] {
            assert_eq!(work(&hub, hub.person(number).await).await.1, 0, "its diagnosis is nobody's for now");
        }
        hub.daemon.stop().await;
    }
}

/// A link or unlink of two records that say the same.
fn alike<'a>(kind: &'a str, id: &'a str, hours: i64) -> Said<'a> {
    Said {
        at: hours_ago(hours),
        ..Said::of(kind, id, "TEST-1").with("PID|2||TEST-2^^^RVS^MR||Example^Ada||19700102|F")
    }
}

/// A link or unlink of two people who have little in common.
fn told<'a>(kind: &'a str, id: &'a str, hours: i64) -> Said<'a> {
    Said {
        at: hours_ago(hours),
        ..Said::of(kind, id, "TEST-1").with("PID|2||TEST-2^^^RVS^MR||Sample^Bea||19910304|F")
    }
}

on_each_store! {
    async fn a_link_of_the_ehr_is_proposed_and_its_unlink_keeps_the_two_apart(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[told("ADT^A24", "L-1", 20)]).await;
        assert_eq!(hub.ended("L-1").await.0, "processed");
        let proposal = only(&hub, "proposed").await;
        let (ada, bea) = (hub.person("TEST-1").await, hub.person("TEST-2").await);
        assert_ne!(ada, bea, "nobody is merged");
        assert!(proposal["reason"].as_str().unwrap().contains("the EHR links them"), "{proposal}");
        let id = proposal["id"].as_str().unwrap().to_owned();
        let ask = ["identity", "show", &id, "--operator", "Test Operator", "--purpose", "operations", "--json"];
        let beside: Value = serde_json::from_str(&hub.run(&ask).await).unwrap();
        assert_eq!((&beside["told"], &beside["differ"][0]), (&true.into(), &"birth_date".into()));
        // A name that changes does not end what the EHR says; an unlink from before the link neither.
        let renamed = Said { at: hours_ago(19), name: "Sample^Beata", born: "19910304", ..ill("D-2", "TEST-2") };
        hub.hear(&[renamed, told("ADT^A37", "U-0", 30)]).await;
        hub.settled().await;
        assert_eq!(only(&hub, "proposed").await["id"], proposal["id"]);
        hub.hear(&[told("ADT^A37", "U-1", 10)]).await;
        assert_eq!(hub.ended("U-1").await.0, "processed");
        assert!(listed(&hub, "proposed").await.is_empty());
        let apart = only(&hub, "kept-apart").await;
        assert!(apart["decided_by"].as_str().unwrap().starts_with("message "), "{apart}");
        // The link once more, as it was said before the unlink, changes nothing; a new one does.
        hub.hear(&[told("ADT^A24", "L-2", 15)]).await;
        assert!(listed(&hub, "proposed").await.is_empty());
        hub.hear(&[told("ADT^A24", "L-3", 5)]).await;
        only(&hub, "proposed").await;
        hub.daemon.stop().await;
    }
}

on_each_store! {
    async fn an_unlink_of_two_who_are_one_here_waits_for_the_unmerge(database) {
        let hub = Hub::start(database, Setup::default()).await;
        hub.hear(&[alike("ADT^A24", "L-1", 20)]).await;
        let proposal = only(&hub, "proposed").await;
        let gone = hub.person("TEST-2").await.to_string();
        let keep = hub.person("TEST-1").await.to_string();
        decide(&hub, &["link", proposal["id"].as_str().unwrap(), "--to", &keep]).await;
        hub.hear(&[alike("ADT^A24", "L-2", 15), alike("ADT^A37", "U-1", 10)]).await;
        assert_eq!(hub.ended("L-2").await.0, "processed", "it says what stands");
        assert_eq!(hub.ended("U-1").await, ("held".to_owned(), "link-unresolved".to_owned()));
        assert_eq!(only(&hub, "held").await["people"], serde_json::json!([]));
        decide(&hub, &["unmerge", &gone]).await;
        hub.processed().await;
        assert_eq!(hub.ended("U-1").await.0, "processed");
        assert_ne!(hub.person("TEST-1").await, hub.person("TEST-2").await);
        assert!(listed(&hub, "proposed").await.is_empty());
        hub.daemon.stop().await;
    }
}
