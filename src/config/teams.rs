//! Teams as written: where they work, and to whom their tasks go when nobody takes them.

use super::file;
use super::load::{Check, Place};
use super::parties::{Directory, location, owner};
use super::{DEFAULT_TEAM, Team};

/// One `[[team]]`, with the tenant it belongs to.
pub(super) fn team(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Team,
    directory: &Directory,
) -> Option<(String, Team)> {
    let owner = owner(check, place, &written.tenant, directory);
    let name = check.need(place, "name", &written.name);
    let own = check.need(place, "location", &written.location);
    let (owner, name, own) = (owner?, name?, own?);
    location(check, &place.key("location", own), own, owner.1);
    let to = written.escalate_to.as_ref();
    if let Some(to) = to {
        let (wider, at) = (&to.get_ref().0, place.key("escalate_to", to));
        let known = owner.1.teams.contains(wider) || wider == DEFAULT_TEAM;
        if !known && !check.is_taken_out("team") {
            let says =
                "expected another [[team]] of the tenant or coordination, found an unknown name";
            check.report(&at, says, "add the [[team]] or correct the name");
        }
        if *wider == name.get_ref().0 {
            let says = "expected another team, found the team itself";
            check.report(&at, says, "name the team that is wider");
        }
    }
    if let (Some(after), None) = (&written.escalate_after, to) {
        let says = "expected `escalate_to` beside it, found none";
        let next = "add escalate_to = \"coordination\", or leave both out";
        check.report(&place.key("escalate_after", after), says, next);
    }
    let team = Team {
        name: name.get_ref().0.clone(),
        location: own.get_ref().0.clone(),
        escalate_after: written
            .escalate_after
            .as_ref()
            .map(|after| after.get_ref().0.clone())
            .unwrap_or_default(),
        escalate_to: to.map(|to| to.get_ref().0.clone()),
    };
    Some((owner.0, team))
}
