//! Tenants with their sources, teams and agreements: what spans keys and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::file::{self, File, Maybe};
use super::load::{Check, Place};
use super::words::Name;
use super::{Agreement, Location, Mode, Source, Team, Tenant};
use super::{agreement, feedback, sources, teams};

/// Tasks a day in pilot mode, where the tenant names no number.
const PILOT_DAILY_CAP: u32 = 20;

/// What a tenant's parts may refer to.
pub(super) struct Known {
    /// The names of its locations.
    pub(super) locations: BTreeSet<String>,
    /// The names of its sources.
    pub(super) sources: BTreeSet<String>,
    /// The names of its teams.
    pub(super) teams: BTreeSet<String>,
}

/// The known names of each tenant.
pub(super) type Directory = BTreeMap<String, Known>;

/// All tenants with everything that belongs to them.
pub(super) fn tenants(check: &mut Check<'_>, written: &File) -> Vec<Tenant> {
    let directory = directory(check, written);
    let mut sources: Vec<(String, Source)> = each("source", &written.source)
        .filter_map(|(place, source)| sources::source(check, &place, source, &directory))
        .collect();
    let mut teams: Vec<(String, Team)> = each("team", &written.team)
        .filter_map(|(place, written)| teams::team(check, &place, written, &directory))
        .collect();
    unique(check, "team", &written.team, |team| {
        (&team.tenant, &team.name)
    });
    let mut agreements: Vec<(String, Agreement)> = each("agreement", &written.agreement)
        .filter_map(|(place, written)| agreement::agreement(check, &place, written, &directory))
        .collect();
    let mut tenants = Vec::new();
    for (place, written) in each("tenant", &written.tenant) {
        let Some(mut tenant) = tenant(check, &place, written, &directory) else {
            continue;
        };
        tenant.sources = take(&mut sources, &tenant.name);
        tenant.teams = take(&mut teams, &tenant.name);
        tenant.agreements = take(&mut agreements, &tenant.name);
        if let Some(zone) = zone(check, &place, written, &tenant.sources) {
            tenant.zone = zone;
        }
        tenants.push(tenant);
    }
    tenants
}

/// The elements of an array of tables with their places.
fn each<'w, T>(
    array: &'w str,
    written: &'w [Spanned<T>],
) -> impl Iterator<Item = (Place, &'w T)> + 'w {
    written.iter().enumerate().map(move |(index, element)| {
        (
            Place::of(&format!("{array}[{index}]"), element),
            element.get_ref(),
        )
    })
}

fn take<T>(all: &mut Vec<(String, T)>, tenant: &str) -> Vec<T> {
    let (own, others) = std::mem::take(all)
        .into_iter()
        .partition(|(name, _)| name == tenant);
    *all = others;
    let own: Vec<(String, T)> = own;
    own.into_iter().map(|(_, element)| element).collect()
}

fn directory(check: &mut Check<'_>, written: &File) -> Directory {
    let mut directory = Directory::new();
    for (place, tenant) in each("tenant", &written.tenant) {
        let Some(name) = check.need(&place, "name", &tenant.name) else {
            continue;
        };
        let locations = tenant
            .locations
            .iter()
            .filter_map(|location| location.get_ref().name.clone());
        let known = Known {
            locations: locations.map(|name| name.0).collect(),
            sources: BTreeSet::new(),
            teams: BTreeSet::new(),
        };
        if directory.insert(name.get_ref().0.clone(), known).is_some() {
            twice(check, &place.key("name", name));
        }
    }
    for (_, team) in each("team", &written.team) {
        if let (Some(tenant), Some(name)) = (&team.tenant, &team.name)
            && let Some(known) = directory.get_mut(&tenant.get_ref().0)
        {
            known.teams.insert(name.get_ref().0.clone());
        }
    }
    for (_, source) in each("source", &written.source) {
        if let (Some(tenant), Some(name)) = (&source.tenant, &source.name)
            && let Some(known) = directory.get_mut(&tenant.get_ref().0)
        {
            known.sources.insert(name.get_ref().0.clone());
        }
    }
    unique(check, "source", &written.source, |source| {
        (&source.tenant, &source.name)
    });
    directory
}

fn twice(check: &mut Check<'_>, place: &Place) {
    let says = "expected a name of its own, found one that is taken";
    check.report(place, says, "choose another name, or remove one of the two");
}

/// Reports names that are given twice within a tenant.
fn unique<T>(
    check: &mut Check<'_>,
    array: &str,
    written: &[Spanned<T>],
    names: impl Fn(&T) -> (&Maybe<Name>, &Maybe<Name>),
) {
    let mut seen = BTreeSet::new();
    for (place, element) in each(array, written) {
        if let (Some(tenant), Some(name)) = names(element)
            && !seen.insert((tenant.get_ref(), name.get_ref()))
        {
            twice(check, &place.key("name", name));
        }
    }
}

/// The tenant that something belongs to.
pub(super) fn owner<'d>(
    check: &mut Check<'_>,
    place: &Place,
    written: &Maybe<Name>,
    directory: &'d Directory,
) -> Option<(String, &'d Known)> {
    let tenant = check.need(place, "tenant", written)?;
    let name = &tenant.get_ref().0;
    let known = directory.get(name);
    // Where a tenant itself could not be read, its parts are not to blame.
    if known.is_none() && !check.is_taken_out("tenant") {
        let says = "expected the name of a [[tenant]], found an unknown name";
        check.report(
            &place.key("tenant", tenant),
            says,
            "add the [[tenant]] or correct the name",
        );
    }
    Some((name.clone(), known?))
}

/// Reports a location that the tenant does not have.
pub(super) fn location(check: &mut Check<'_>, place: &Place, name: &Spanned<Name>, known: &Known) {
    if !known.locations.contains(&name.get_ref().0) && !check.is_taken_out("tenant") {
        let says = "expected one of the tenant's locations, found an unknown name";
        check.report(
            place,
            says,
            "add it to `locations` of the [[tenant]] or correct the name",
        );
    }
}

fn tenant(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Tenant,
    directory: &Directory,
) -> Option<Tenant> {
    let name = written.name.as_ref()?.get_ref().0.clone();
    let mut locations: Vec<Location> = Vec::new();
    for location in &written.locations {
        let at = place.key("locations", location);
        match &location.get_ref().name {
            Some(name) if locations.iter().any(|other| other.name == name.0) => twice(check, &at),
            Some(name) => locations.push(Location {
                name: name.0.clone(),
                mode: location.get_ref().mode.unwrap_or(Mode::Observe),
            }),
            None => check.report(
                &at,
                "expected a name, found none",
                "add `name` to the location",
            ),
        }
    }
    if written.locations.is_empty() && !check.is_taken_out(&format!("{}.locations", place.at)) {
        let says = "expected at least one location, found none";
        check.report(place, says, "add `locations = [\"main\"]`");
    }
    let known = directory.get(&name);
    let mut rank = Vec::new();
    for source in &written.source_rank {
        let (at, source) = (place.key("source_rank", source), &source.get_ref().0);
        if !known.is_some_and(|known| known.sources.contains(source))
            && !check.is_taken_out("source")
        {
            let says = "expected one of the tenant's sources, found an unknown name";
            check.report(&at, says, "add the [[source]] or correct the name");
        }
        if rank.contains(source) {
            twice(check, &at);
        }
        rank.push(source.clone());
    }
    Some(Tenant {
        name,
        zone: TimeZone::UTC,
        locations,
        teams: Vec::new(),
        sources: Vec::new(),
        agreements: Vec::new(),
        rule_modes: written
            .rules
            .iter()
            .map(|(rule, mode)| (rule.0.clone(), *mode))
            .collect(),
        source_rank: rank,
        implied_treatment_contact: written.implied_treatment_contact.unwrap_or(false),
        languages: languages(check, place, &written.languages),
        contact_policy: contact_policy(check, place, &written.contact_policy),
        pilot_daily_cap: written.pilot_daily_cap.unwrap_or(PILOT_DAILY_CAP),
        feedback: feedback::of(check, place, written),
    })
}

/// The languages of the clinic's texts and callers.
fn languages(check: &mut Check<'_>, place: &Place, written: &[Spanned<Name>]) -> Vec<String> {
    for language in written {
        let tag = &language.get_ref().0;
        let primary = tag.split('-').next().unwrap_or_default();
        if !(2..=3).contains(&primary.len()) || !primary.chars().all(|c| c.is_ascii_lowercase()) {
            let says = "expected a language tag of BCP 47, found text of another form";
            let at = place.key("languages", language);
            check.report(&at, says, "write languages = [\"en\", \"es\"]");
        }
    }
    let tags = written.iter().map(|language| language.get_ref().0.clone());
    tags.collect()
}

/// The site's own contact policy.
fn contact_policy(
    check: &mut Check<'_>,
    place: &Place,
    written: &Maybe<String>,
) -> Option<PathBuf> {
    let written = written.as_ref()?;
    let path = written.get_ref().strip_prefix("file:");
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        check.report(
            &place.key("contact_policy", written),
            "expected file:PATH, found text of another form",
            "write contact_policy = \"file:contact-policy.toml\", or leave it out for the one that ships",
        );
        return None;
    };
    Some(check.layers.path(&written.span(), path))
}

/// The tenant's zone: its own, or the one that all its sources share.
fn zone(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Tenant,
    sources: &[Source],
) -> Option<TimeZone> {
    if let Some(zone) = &written.zone {
        return Some(zone.get_ref().zone.clone());
    }
    let first = sources.first();
    let shared = first.filter(|first| sources.iter().all(|it| it.zone_name == first.zone_name));
    // A source that could not be read might have had the zone.
    if shared.is_none() && !check.is_taken_out(&format!("{}.zone", place.at)) && !check.has_found()
    {
        let at = Place {
            span: place.span.clone(),
            at: format!("{}.zone", place.at),
        };
        let says = "expected a time zone, found none and no zone that all sources share";
        check.report(&at, says, "add `zone`, such as \"America/New_York\"");
    }
    shared.map(|source| source.zone.clone())
}
