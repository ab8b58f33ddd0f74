//! What tenants, agreements, sources and teams may say, and what they default to.

use super::{CLINIC, load, one};
use crate::config::Mode;

#[test]
fn a_clinic_is_read_with_safe_defaults() {
    let config = load(CLINIC).map_err(|found| format!("{found:#?}")).unwrap();
    let tenant = &config.tenants[0];
    assert_eq!(
        tenant.zone.iana_name(),
        Some("America/New_York"),
        "the zone all sources share"
    );
    assert_eq!(tenant.locations[0].mode, Mode::Observe);
    assert_eq!(tenant.locations[1].mode, Mode::Live);
    assert_eq!(tenant.rule_modes["hba1c-due"], Mode::Live);
    assert!(!tenant.implied_treatment_contact);
    let source = &tenant.sources[0];
    assert_eq!(source.mode, Mode::Observe);
    assert_eq!(source.layers, ["overlay:epic", "file:clinic/site.toml"]);
    assert_eq!(
        source.identifiers[1],
        (Some("RVS".into()), Some("MR".into()))
    );
    assert_eq!(source.history_since["*"].to_string(), "2024-01-01");
    let agreement = &tenant.agreements[0];
    assert_eq!(
        (agreement.from, agreement.breach_notice_days),
        (agreement.signed, 60)
    );
    assert!(tenant.is_covered("careloop.tasks", agreement.until));
    assert!(!tenant.is_covered("careloop.tasks", agreement.until.tomorrow().unwrap()));
}

#[test]
fn languages_are_tags() {
    let with =
        |list: &str| CLINIC.replace("[[tenant]]", &format!("[[tenant]]\nlanguages = {list}"));
    let config = load(&with(r#"["en", "zh-hant"]"#)).ok().unwrap();
    assert_eq!(config.tenants[0].languages, ["en", "zh-hant"]);
    one(
        &with(r#"["english"]"#),
        &["languages", "expected a language tag"],
    );
}

#[test]
fn plaintext_stays_on_loopback_unless_named() {
    one(
        "[broker]\nurl = \"amqp://broker.example.org\"",
        &["expected amqps:// beyond loopback"],
    );
    one(
        "[store]\nurl = \"postgres://db.example.org/x\"",
        &["expected verified TLS"],
    );
    let open = CLINIC.replace("127.0.0.1:2575", "0.0.0.0:2575");
    let allowed = "[[source]]\nallow = [\"10.0.0.0/8\"]";
    one(
        &open.replace("[[source]]", allowed),
        &["source[0].listen", "plaintext_beyond_loopback"],
    );
    let named = format!("{allowed}\nplaintext_beyond_loopback = true");
    assert!(load(&open.replace("[[source]]", &named)).is_ok());
    let tls = format!("{allowed}\ntls = {{ certificate = \"a.pem\", key = \"/b.key\" }}");
    let config = load(&open.replace("[[source]]", &tls)).ok().unwrap();
    let tls = config.tenants[0].sources[0].tls.clone().unwrap();
    assert_eq!(
        (tls.certificate.to_str(), tls.key.to_str()),
        (Some("clinic/a.pem"), Some("/b.key"))
    );
    let alone = open.replace("[[source]]", "[[source]]\nplaintext_beyond_loopback = true");
    one(&alone, &["expected `allow`"]);
}

#[test]
fn names_must_be_known_and_unique() {
    let source = CLINIC
        .split("[[source]]")
        .nth(1)
        .unwrap()
        .split("[[team]]")
        .next()
        .unwrap();
    let twice = format!("{CLINIC}[[source]]{}", source.replace("2575", "2576"));
    one(&twice, &["source[1].name", "found one that is taken"]);
    let port = format!(
        "{CLINIC}[[source]]{}",
        source.replace("epic-adt", "epic-siu")
    );
    one(&port, &["source[1].listen", "port"]);
    let any = port.replace("127.0.0.1:2575", "127.0.0.1:0");
    assert!(load(&any).is_ok());
    one(
        &CLINIC.replace(
            "name = \"team-7\"\nlocation = \"main\"",
            "name = \"team-7\"\nlocation = \"east\"",
        ),
        &["team[0].location"],
    );
    one(
        &CLINIC.replace("covers = [\"epic-adt\"", "covers = [\"epic\""),
        &["agreement[0].covers"],
    );
    one(
        &CLINIC.replace("name = \"team-7\"", "name = \"Team 7\""),
        &["team[0].name", "expected a name"],
    );
    one(
        &CLINIC.replace("rules =", "source_rank = [\"other\"]\nrules ="),
        &["source_rank"],
    );
    one(
        &CLINIC.replace(
            "tenant = \"riverside\"\nname = \"team-7\"",
            "tenant = \"lakeside\"\nname = \"team-7\"",
        ),
        &["team[0].tenant"],
    );
}

#[test]
fn a_contact_policy_is_a_file_beside_the_configuration() {
    let with =
        |value: &str| CLINIC.replace("rules =", &format!("contact_policy = \"{value}\"\nrules ="));
    assert!(
        load(CLINIC).ok().unwrap().tenants[0]
            .contact_policy
            .is_none()
    );
    let config = load(&with("file:hours.toml")).ok().unwrap();
    let path = config.tenants[0].contact_policy.clone().unwrap();
    assert_eq!(path.to_str(), Some("clinic/hours.toml"));
    one(
        &with("hours.toml"),
        &["tenant[0].contact_policy", "expected file:PATH"],
    );
}

#[test]
fn agreements_are_ordered_and_give_notice_in_time() {
    one(
        &CLINIC.replace("until = 2029", "until = 2025"),
        &["until", "not before `signed`"],
    );
    one(
        &CLINIC.replace("until =", "from = 2026-02-01\nuntil ="),
        &["from", "not before `signed`"],
    );
    one(
        &CLINIC.replace("until =", "breach_notice_days = 61\nuntil ="),
        &["60 days", "45 CFR"],
    );
    one(
        &CLINIC.replace("until = 2029-03-01", "until = \"soon\""),
        &["expected a date"],
    );
    one(
        &CLINIC.replace("until = 2029-03-01", "until = 2029-03-01T00:00:00Z"),
        &["expected a date"],
    );
}

#[test]
fn sources_say_what_links_and_what_reads_them() {
    let named = "identifiers = [{ assigner = \"EPI\" }, { type = \"MR\", assigner = \"RVS\" }]";
    one(&CLINIC.replace(named, "identifiers = []"), &["found none"]);
    one(
        &CLINIC.replace(named, "identifiers = [{}]"),
        &["found neither"],
    );
    one(
        &CLINIC.replace(named, ""),
        &["source[0].identifiers", "expected a value, found none"],
    );
    one(
        &CLINIC.replace(named, "identifiers = [{ asigner = \"X\" }]"),
        &["identifiers[0].asigner"],
    );
    one(&CLINIC.replace("\"hl7v2\", ", ""), &["begin with the base"]);
    one(
        &CLINIC.replace("overlay:epic", "epic"),
        &["expected \"overlay:NAME\""],
    );
    one(
        &CLINIC.replace("kind = \"mllp\"", "kind = \"poll\""),
        &["expected \"mllp\""],
    );
    one(
        &CLINIC.replace("zone = \"America/New_York\"", ""),
        &["source[0].zone"],
    );
    one(
        &CLINIC.replace("location = \"main\"\nmappings", "mappings"),
        &["source[0].location"],
    );
}

/// The clinic with an endpoint beside its feed.
fn with_endpoint(keys: &str) -> String {
    let source = "[[source]]\ntenant = \"riverside\"\nname = \"ehr\"\nkind = \"fhir\"\n\
                  location = \"main\"\nzone = \"America/New_York\"\nidentifiers = [{ type = \"MR\" }]\n";
    format!("{CLINIC}\n{source}{keys}\n")
}

#[test]
fn an_endpoint_has_a_base_and_a_release_and_nothing_of_a_listener() {
    let right = "base = \"https://ehr.example.org/fhir/\"\nrelease = \"R4B\"";
    let config = load(&with_endpoint(right));
    let config = config.map_err(|found| format!("{found:#?}")).unwrap();
    let endpoint = config.tenants[0].sources[1].endpoint().unwrap();
    assert_eq!(endpoint.base, "https://ehr.example.org/fhir");
    assert_eq!(endpoint.release.to_string(), "R4B");
    for (keys, says) in [
        ("release = \"R4\"", &["base", "expected a value"]),
        (
            "base = \"https://ehr.example.org\"\nrelease = \"R3\"",
            &["release", "expected R4"],
        ),
        (
            "base = \"http://ehr.example.org\"\nrelease = \"R4\"",
            &["base", "expected https"],
        ),
        (
            "base = \"ehr\"\nrelease = \"R4\"",
            &["base", "expected an address"],
        ),
        (
            "base = \"https://ehr.example.org\"\nrelease = \"R4\"\nlisten = \"127.0.0.1:2600\"",
            &["listen", "one of kind \"mllp\""],
        ),
        (
            "base = \"https://ehr.example.org\"\nrelease = \"R4\"\nmappings = [\"hl7v2\"]",
            &["mappings", "expected \"fhir\" as the first"],
        ),
    ] {
        one(&with_endpoint(keys), says);
    }
    let told = format!(
        "[http]\nlisten = \"off\"\n{}",
        with_endpoint(&format!("{right}\nnotifications = \"env:TEST\""))
    );
    one(&told, &["notifications", "nothing could arrive"]);
    let beside = CLINIC.replace("kind = \"mllp\"", "kind = \"mllp\"\nrelease = \"R4\"");
    one(&beside, &["release", "one of kind \"fhir\""]);
}
