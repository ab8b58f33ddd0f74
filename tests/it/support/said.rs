//! What an EHR says about an invented person, field by field.

use careloop::clock;
use careloop::crm::Identifier;
use careloop::store::{MessageRow, MessageSelection, Record};
use jiff::{SignedDuration, tz::TimeZone};
use uuid::Uuid;

use super::hub::Hub;
use super::peer::lines;

/// A problem that asks for a test: one task for whoever has it.
pub(crate) const DIABETES: &str = "DG1|1||E11.9^Type 2 diabetes^I10C|||F";

/// One message.
#[derive(Clone)]
pub(crate) struct Said<'a> {
    /// MSH-9.
    pub(crate) kind: &'a str,
    /// MSH-10.
    pub(crate) id: &'a str,
    /// MSH-7.
    pub(crate) at: String,
    /// MSH-11.
    pub(crate) processing: &'a str,
    /// PID-3, as sent.
    pub(crate) numbers: &'a str,
    /// PID-5.
    pub(crate) name: &'a str,
    /// PID-7.
    pub(crate) born: &'a str,
    /// PID-30.
    pub(crate) died: &'a str,
    /// Segments after PID.
    pub(crate) rest: String,
}

impl<'a> Said<'a> {
    /// An update about the person with this number.
    pub(crate) fn of(kind: &'a str, id: &'a str, numbers: &'a str) -> Self {
        Self {
            kind,
            id,
            at: hours_ago(48),
            processing: "P",
            numbers,
            name: "Example^Ada",
            born: "19700102",
            died: "",
            rest: String::new(),
        }
    }

    /// With segments after PID.
    pub(crate) fn with(self, rest: impl Into<String>) -> Self {
        Self {
            rest: rest.into(),
            ..self
        }
    }

    /// As it goes over the wire.
    pub(crate) fn text(&self) -> String {
        let Self {
            kind,
            id,
            at,
            processing,
            name,
            born,
            died,
            rest,
            ..
        } = self;
        let numbers: Vec<String> = self
            .numbers
            .split('~')
            .map(|number| format!("{number}^^^RVS^MR"))
            .collect();
        let numbers = numbers.join("~");
        lines(&format!(
            r"
            MSH|^~\&|EPIC|RVS|CARELOOP|HUB|{at}||{kind}|{id}|{processing}|2.5.1
            PID|1||{numbers}||{name}||{born}|F|||1 Sample St^^Albany^NY^12207^US||(555)555-0101^PRN^PH|||||||||||||||||{died}
            {rest}
            "
        ))
    }
}

/// Hours before now, in the zone of the source.
pub(crate) fn hours_ago(hours: i64) -> String {
    let zone = TimeZone::get("America/New_York").unwrap();
    let at = (clock::now() - SignedDuration::from_hours(hours)).to_zoned(zone);
    at.strftime("%Y%m%d%H%M%S").to_string()
}

impl Hub {
    /// Sends what is said, one after the other, and waits until all of it has its outcome.
    pub(crate) async fn hear(&self, said: &[Said<'_>]) {
        let mut peer = self.peer("adt").await;
        for one in said {
            let ack = peer.send_bytes(one.text().as_bytes()).await;
            assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", one.id));
        }
        self.processed().await;
    }

    /// The stored message with this control id.
    pub(crate) async fn message(&self, control_id: &str) -> MessageRow {
        let all = MessageSelection::default();
        let mut found = self
            .store()
            .messages(self.tenant, &all, 1_000)
            .await
            .unwrap();
        found.retain(|row| row.control_id == control_id);
        assert_eq!(found.len(), 1, "{control_id} is stored once");
        found.remove(0)
    }

    /// The state and code of a message.
    pub(crate) async fn ended(&self, control_id: &str) -> (String, String) {
        let row = self.message(control_id).await;
        (row.state, row.code.unwrap_or_default())
    }

    /// Everything known of a person.
    pub(crate) async fn record(&self, person: Uuid) -> Record {
        let mut tx = self.store().read(self.tenant).await.unwrap();
        tx.load(person, clock::now()).await.unwrap().unwrap()
    }

    /// Everybody to whom an identifier leads, each once.
    pub(crate) async fn reached(&self, number: &str) -> Vec<Uuid> {
        let identifier = Identifier {
            value: number.to_owned(),
            assigner: Some("RVS".to_owned()),
            kind: Some("MR".to_owned()),
        };
        let mut tx = self.store().read(self.tenant).await.unwrap();
        tx.find_people(&[identifier]).await.unwrap()
    }

    /// What became of each task in the spool, in order: kind and version.
    pub(crate) fn told(&self, task: &str) -> Vec<(String, u64)> {
        let task: Uuid = task.parse().unwrap();
        let id = careloop::outbox::envelope::ulid(task);
        let told = self.spooled();
        let told = told.iter().map(super::clinic::told);
        told.filter(|(_, of, _)| *of == id)
            .map(|(kind, _, version)| (kind, version))
            .collect()
    }
}
