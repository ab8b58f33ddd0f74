//! Sources: listeners, their zone, mappings and identifiers, and who may connect.

use std::net::{IpAddr, SocketAddr};

use toml::Spanned;

use super::file::{self, File, Maybe};
use super::load::{Check, Place};
use super::parties::{self, Directory, Known};
use super::replies;
use super::words::{self, Listen, Name};
use super::{Mode, Source, SourceKind, TlsConfig, endpoint};

/// The kinds of sources, each named like the base packs that it starts from but for MLLP's.
const KINDS: &[(&str, &str)] = &[("mllp", "hl7v2"), ("fhir", "fhir")];

/// One source with the name of its tenant.
pub(super) fn source(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Source,
    directory: &Directory,
) -> Option<(String, Source)> {
    let (kind, base) = kind(check, place, &written.kind);
    let owner = parties::owner(check, place, &written.tenant, directory);
    let name = check.need(place, "name", &written.name);
    let is_fhir = kind == "fhir";
    endpoint::keys_of_the_other_kind(check, place, written, is_fhir);
    let (listen, from) = if is_fhir {
        let from = endpoint::endpoint(check, place, written);
        (None, from.map(SourceKind::Fhir))
    } else {
        let listen = check.need(place, "listen", &written.listen);
        let address = listen.map(|listen| listen.get_ref().0);
        (listen, address.map(|listen| SourceKind::Mllp { listen }))
    };
    let zone = check.need(place, "zone", &written.zone);
    let location = owner
        .as_ref()
        .and_then(|(_, known)| location(check, place, written, known));
    let layers = layers(check, place, (base, &written.mappings));
    let identifiers = identifiers(check, place, &written.identifiers);
    let tls = written
        .tls
        .as_ref()
        .and_then(|tls| tls_config(check, &place.key("tls", tls), tls));
    let application_ack = replies::application_ack(check, place, &written.application_ack);
    if let Some(listen) = listen {
        beyond_loopback(check, place, written, listen);
    }
    texts(check, place, written);
    let (zone, history) = (zone?.get_ref().clone(), written.history_since.iter());
    let source = Source {
        name: name?.get_ref().0.clone(),
        kind: from?,
        zone: zone.zone,
        zone_name: zone.name,
        mode: written.mode.unwrap_or(Mode::Observe),
        location: location?,
        layers,
        identifiers,
        default_assigner: written.default_assigner.clone(),
        default_type: written.default_type.clone(),
        charset: written.charset.clone(),
        history_since: history
            .map(|(concept, day)| (concept.clone(), day.get_ref().0))
            .collect(),
        consents_verified: written.consents_verified.unwrap_or(false),
        tls,
        allow: written.allow.clone(),
        plaintext_beyond_loopback: is_named(written),
        silent_after: written.silent_after.as_ref().map(|lasting| lasting.0),
        sequence_numbers: written.sequence_numbers.unwrap_or(false),
        application_ack,
    };
    Some((owner?.0, source))
}

/// The forms of texts that are used much later, where nobody would look for the mistake.
fn texts(check: &mut Check<'_>, place: &Place, written: &file::Source) {
    for (key, text) in [
        ("charset", &written.charset),
        ("default_type", &written.default_type),
    ] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            let at = Place {
                span: place.span.clone(),
                at: format!("{}.{key}", place.at),
            };
            check.report(
                &at,
                "expected a value, found empty text",
                "leave the key out instead",
            );
        }
    }
    for (concept, day) in &written.history_since {
        if concept != "*" && !words::is_name(concept) {
            let says = "expected concept keys and \"*\", found a key of another form";
            check.report(
                &place.key("history_since", day),
                says,
                "correct the concept key",
            );
        }
    }
}

fn is_named(written: &file::Source) -> bool {
    written
        .plaintext_beyond_loopback
        .as_ref()
        .is_some_and(|named| *named.get_ref())
}

/// The kind, and its base packs.
fn kind(
    check: &mut Check<'_>,
    place: &Place,
    written: &Maybe<String>,
) -> (&'static str, &'static str) {
    let mllp = ("mllp", "hl7v2");
    let Some(kind) = check.need(place, "kind", written) else {
        return mllp;
    };
    let known = KINDS.iter().find(|(name, _)| name == kind.get_ref());
    if known.is_none() {
        check.report(
            &place.key("kind", kind),
            "expected \"mllp\" or \"fhir\", found another kind",
            "write mllp for HL7 v2 over MLLP, or fhir for the resources of an endpoint",
        );
    }
    known.copied().unwrap_or(mllp)
}

/// The source's location; a tenant with one location need not repeat it.
fn location(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Source,
    known: &Known,
) -> Option<String> {
    if let Some(name) = &written.location {
        parties::location(check, &place.key("location", name), name, known);
        return Some(name.get_ref().0.clone());
    }
    let mut locations = known.locations.iter();
    if let (Some(only), None) = (locations.next(), locations.next()) {
        return Some(only.clone());
    }
    let missing: &Maybe<Name> = &None;
    if !check.is_taken_out("tenant") {
        check.need(place, "location", missing);
    }
    None
}

/// The layers over the base packs, which are named first.
fn layers(
    check: &mut Check<'_>,
    place: &Place,
    (base, written): (&str, &Maybe<Vec<Spanned<String>>>),
) -> Vec<String> {
    let Some(mappings) = written else {
        return Vec::new();
    };
    let mut rest = mappings.get_ref().iter();
    if rest.next().is_none_or(|first| first.get_ref() != base) {
        let at = place.key("mappings", mappings);
        let says = format!("expected \"{base}\" as the first mapping, found another or none");
        let next = format!("begin with the base: mappings = [\"{base}\", \"file:site.toml\"]");
        check.report(&at, &says, &next);
        return Vec::new();
    }
    let mut layers = Vec::new();
    for layer in rest {
        match layer.get_ref().split_once(':') {
            Some(("overlay", name)) if !name.is_empty() => layers.push(format!("overlay:{name}")),
            Some(("file", path)) if !path.is_empty() => {
                let path = check.layers.path(&layer.span(), path);
                layers.push(format!("file:{}", path.display()));
            }
            _ => check.report(
                &place.key("mappings", layer),
                "expected \"overlay:NAME\" or \"file:PATH\", found another text",
                "correct the layer",
            ),
        }
    }
    layers
}

fn identifiers(
    check: &mut Check<'_>,
    place: &Place,
    written: &Maybe<Vec<Spanned<file::Identifier>>>,
) -> Vec<(Option<String>, Option<String>)> {
    let Some(all) = check.need(place, "identifiers", written) else {
        return Vec::new();
    };
    let mut trusted = Vec::new();
    let blank = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
    if all.get_ref().is_empty() {
        check.report(
            &place.key("identifiers", all),
            "expected at least one identifier that may link people, found none",
            "add one, such as { assigner = \"EPI\", type = \"MR\" }",
        );
    }
    for (index, identifier) in all.get_ref().iter().enumerate() {
        let file::Identifier { assigner, r#type } = identifier.get_ref();
        let is_reported = check.is_taken_out(&format!("{}.identifiers[{index}]", place.at));
        if blank(assigner) && blank(r#type) && !is_reported {
            check.report(
                &place.key("identifiers", identifier),
                "expected an assigner or a type, found neither",
                "name at least one: otherwise every identifier would link",
            );
        }
        trusted.push((assigner.clone(), r#type.clone()));
    }
    trusted
}

/// TLS of a listener, as its table says.
pub(super) fn tls_config(
    check: &mut Check<'_>,
    place: &Place,
    written: &Spanned<file::Tls>,
) -> Option<TlsConfig> {
    let written = written.get_ref();
    let certificate = check.need(place, "certificate", &written.certificate);
    let key = check.need(place, "key", &written.key);
    let path = |file: &Spanned<String>| check.layers.path(&file.span(), file.get_ref());
    Some(TlsConfig {
        certificate: path(certificate?),
        key: path(key?),
        client_ca: written.client_ca.as_ref().map(path),
    })
}

/// What a listener that others can reach must say.
fn beyond_loopback(
    check: &mut Check<'_>,
    place: &Place,
    written: &file::Source,
    listen: &Spanned<Listen>,
) {
    let at = place.key("listen", listen);
    if listen.get_ref().0.ip().to_canonical().is_loopback() {
        return;
    }
    let tls = written.tls.is_some() || check.is_taken_out(&format!("{}.tls", place.at));
    if !tls && !is_named(written) {
        check.report(
            &at,
            "expected TLS on a listener beyond loopback, found plaintext",
            "add `tls = { certificate = …, key = … }`; in a network that is protected otherwise, \
             `plaintext_beyond_loopback = true`",
        );
    }
    if written.allow.is_empty() && !check.is_taken_out(&format!("{}.allow", place.at)) {
        check.report(
            &at,
            "expected `allow` on a listener beyond loopback, found none: nobody could connect",
            "add the senders, such as allow = [\"10.20.0.0/16\"]",
        );
    }
}

/// Reports two listeners on one port.
pub(super) fn ports(check: &mut Check<'_>, written: &File) {
    let mut seen: Vec<SocketAddr> = Vec::new();
    let door = written.http.listen.as_ref();
    seen.extend(door.and_then(|door| door.get_ref().0));
    for (index, source) in written.source.iter().enumerate() {
        let Some(listen) = &source.get_ref().listen else {
            continue;
        };
        let address = listen.get_ref().0;
        if address.port() != 0 && seen.iter().any(|other| collide(*other, address)) {
            let at = Place::of(&format!("source[{index}].listen"), listen);
            let says = "expected a port of its own, found one that another listener has";
            check.report(
                &at,
                says,
                "choose another port (sources and [http] share the ports)",
            );
        }
        seen.push(address);
    }
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip): (IpAddr, IpAddr) = (one.ip(), other.ip());
    one.port() == other.port()
        && (ip == other_ip || ip.is_unspecified() || other_ip.is_unspecified())
}
