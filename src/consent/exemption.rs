//! The part of the contact policy about confirmations and reminders of appointments.

use super::document::Table;
use super::policy::{Cap, Period, channel_list};
use super::words::{Channel, ContentClass};

/// Confirmations and reminders of appointments without a recorded consent, 47 CFR 64.1200(a)(9)(iv).
#[derive(Clone)]
pub(super) struct Exemption {
    pub(super) channels: Vec<Channel>,
    pub(super) content: ContentClass,
    /// They hold for these whatever the others say.
    pub(super) caps: Vec<Cap>,
}

/// `None` where it is not permitted; what is wrong in it is told all the same.
pub(super) fn read(table: Table<'_, '_>) -> Option<Exemption> {
    let permitted = table.required("permitted", "true or false", table.flag("permitted"));
    let channels = channel_list(&table, "channels");
    let most = table.need_parsed("content", "C0 or C1", |text| {
        ContentClass::from_name(text).filter(|class| *class < ContentClass::C2)
    });
    let limit = |key, most| {
        let found = table.required(key, "a number", table.count(key));
        if found.is_some_and(|found| !(1..=most).contains(&found)) {
            table.problem(key, &format!("1 to {most}"), "another number");
        }
        found
    };
    let (day, week) = (limit("at_most_a_day", 1), limit("at_most_a_week", 3));
    table.finish();
    let channels = channels?;
    let cap = |per, at_most| Cap {
        channels: channels.clone(),
        per,
        at_most,
    };
    let caps = vec![cap(Period::LocalDay, day?), cap(Period::Days(7), week?)];
    permitted?.then_some(Exemption {
        channels,
        content: most?,
        caps,
    })
}
