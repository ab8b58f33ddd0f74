//! What an endpoint may and may not lead its client to.

use proptest::prelude::*;

use super::*;

fn base() -> Base {
    Base::parse("https://ehr.example.org/r4/tenant-1").unwrap()
}

#[test]
fn a_path_goes_below_the_base_and_a_link_to_the_same_origin() {
    for (place, expected) in [
        ("Patient/TEST-1", "/r4/tenant-1/Patient/TEST-1"),
        ("metadata", "/r4/tenant-1/metadata"),
        (
            "Patient?_id=TEST-1&_count=5",
            "/r4/tenant-1/Patient?_id=TEST-1&_count=5",
        ),
        ("?page=2", "/r4/tenant-1/?page=2"),
        (
            "https://ehr.example.org/r4/other?page=2#x",
            "/r4/other?page=2",
        ),
        ("https://EHR.example.org:443/r4?page=2", "/r4?page=2"),
    ] {
        let url = base().url(place).unwrap();
        assert_eq!(url.as_str(), format!("https://ehr.example.org{expected}"));
    }
}

#[test]
fn a_link_to_another_origin_is_refused() {
    for place in [
        "https://ehr.example.com/r4/tenant-1/Patient",
        "https://ehr.example.org.example.com/r4",
        "https://ehr.example.org:8443/r4/tenant-1/Patient",
        "https://127.0.0.1/r4",
        "https://[::1]/r4",
        "https://169.254.169.254/latest",
        "http://127.0.0.1/r4",
        "http://localhost:8080/r4",
        "//ehr.example.com/r4",
        "\\\\ehr.example.com/r4",
        "/\t/ehr.example.com/r4",
    ] {
        assert_eq!(
            base().url(place).err(),
            Some(Refused::OtherOrigin),
            "{place}"
        );
    }
    for (place, why) in [
        ("http://ehr.example.org/r4/tenant-1/Patient", Refused::Plain),
        (
            "https://ehr.example.org@ehr.example.com/r4",
            Refused::Userinfo,
        ),
        ("https://user:secret@ehr.example.org/r4", Refused::Userinfo),
        ("ftp://ehr.example.org/r4", Refused::Plain),
        ("file:///etc/passwd", Refused::NotUrl),
        ("data:text/plain,x", Refused::NotUrl),
        ("/r4/tenant-2/Patient", Refused::OutsideBase),
        ("../tenant-2/Patient", Refused::OutsideBase),
        (
            "Patient/%2e%2e/%2E./.%2e/tenant-2/Patient",
            Refused::OutsideBase,
        ),
        ("..\\tenant-2\\Patient", Refused::OutsideBase),
    ] {
        assert_eq!(base().url(place).err(), Some(why), "{place}");
    }
}

#[test]
fn a_base_is_https_or_on_loopback() {
    for text in [
        "https://ehr.example.org",
        "https://10.1.2.3:8443/fhir/",
        "http://127.0.0.1:8080/fhir",
        "http://localhost/fhir",
        "http://[::1]:8080/fhir",
    ] {
        assert!(Base::parse(text).is_ok(), "{text}");
    }
    for (text, why) in [
        ("http://ehr.example.org/fhir", Refused::Plain),
        ("http://10.1.2.3/fhir", Refused::Plain),
        ("http://127.0.0.1.example.org/fhir", Refused::Plain),
        ("https://ehr.example.org/fhir?x=1", Refused::NotBase),
        ("https://ehr.example.org/fhir#x", Refused::NotBase),
        ("https://user@ehr.example.org/fhir", Refused::Userinfo),
        ("ehr.example.org/fhir", Refused::NotUrl),
        ("", Refused::NotUrl),
    ] {
        assert_eq!(Base::parse(text).err(), Some(why), "{text}");
    }
}

#[test]
fn an_endpoint_names_a_token_address_elsewhere_but_not_inside() {
    let base = base();
    for text in [
        "https://ehr.example.org/token",
        "https://authorization.example.com/tenants/1/token",
    ] {
        assert!(base.discovered_token_url(text).is_ok(), "{text}");
    }
    for text in [
        "https://127.0.0.1/token",
        "http://localhost:9/token",
        "https://localhost/token",
        "https://hub.localhost/token",
        "https://10.0.0.1/token",
        "https://172.16.0.1/token",
        "https://192.168.0.1/token",
        "https://169.254.169.254/token",
        "https://100.64.0.1/token",
        "https://0.0.0.0/token",
        "https://[::1]/token",
        "https://[fd00::1]/token",
        "https://[fe80::1]/token",
        "https://[::ffff:10.0.0.1]/token",
        "https://0x7f000001/token",
        "https://2130706433/token",
    ] {
        assert_eq!(
            base.discovered_token_url(text).err(),
            Some(Refused::Private),
            "{text}"
        );
    }
    assert_eq!(
        base.discovered_token_url("http://authorization.example.com/token")
            .err(),
        Some(Refused::Plain)
    );
    // An endpoint inside may name itself, and a person may name anything.
    let inside = Base::parse("https://10.1.2.3/fhir").unwrap();
    assert!(
        inside
            .discovered_token_url("https://10.1.2.3:9/token")
            .is_ok()
    );
    assert!(base.configured_token_url("https://10.0.0.1/token").is_ok());
    assert!(base.configured_token_url("http://10.0.0.1/token").is_err());
}

proptest! {
    #[test]
    fn whatever_a_server_writes_the_client_stays_at_its_origin(place in "[a-z:/\\\\.@?#%0-9\t ]{0,40}") {
        if let Ok(url) = base().url(&place) {
            prop_assert_eq!(url.host_str(), Some("ehr.example.org"));
            prop_assert_eq!(url.scheme(), "https");
            prop_assert_eq!(url.port_or_known_default(), Some(443));
        }
    }
}
