//! The client of a FHIR endpoint on real sockets, before servers that fail in every way they have.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use careloop::config::Secret;
use careloop::ehr::{
    self, Algorithm, Auth, Client, Content, Endpoint, Error, Limits, OauthCode, SigningKey,
    TokenError, Transport,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::support::fhir_server::{FhirServer, PAGE, Reply, token};
use crate::support::wait::until;

const PATIENTS: &str = "/fhir/Patient";

/// Tests do not wait for an even rate.
fn limits() -> Limits {
    Limits {
        concurrent: 8,
        per_second: 1000,
        ..Limits::default()
    }
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pem(ehr::keys::generate(algorithm).unwrap().as_bytes()).unwrap()
}

fn endpoint(server: &FhirServer) -> Endpoint {
    Endpoint {
        base: server.base(),
        auth: Auth::PrivateKeyJwt {
            client_id: "hub-1".to_owned(),
            key: key(Algorithm::Es384),
            jku: None,
        },
        scopes: vec!["system/Patient.rs".into(), "system/Appointment.rs".into()],
        token_url: None,
        headers: vec![("X-Client-ID".into(), "hub-1".into())],
        limits: limits(),
        ca: None,
        client_certificate: None,
    }
}

fn client(server: &FhirServer) -> Client {
    Client::new(endpoint(server)).unwrap()
}

fn with(server: &FhirServer, limits: Limits) -> Client {
    let endpoint = endpoint(server);
    Client::new(Endpoint { limits, ..endpoint }).unwrap()
}

fn refused(status: u16) -> Reply {
    Reply::new(status, "Ada Example, TEST-1")
}

/// The claims of the assertion that a token was asked for with.
fn claims(request: &crate::support::fhir_server::Request) -> Value {
    let assertion = request.field("client_assertion").unwrap();
    let claims = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn a_search_goes_with_a_token_that_was_asked_for_as_smart_has_it() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    assert_eq!(client.missing_scopes(), None);
    for place in ["Patient?_id=TEST-1", "Patient?_id=TEST-2"] {
        let answer = client.get(place).await.ok().unwrap();
        assert_eq!(answer.body, PAGE.as_bytes());
    }
    assert_eq!(client.missing_scopes(), Some(Vec::new()));
    let asked = server.heard("/token");
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("scope", "system/Patient.rs system/Appointment.rs"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
    ] {
        assert_eq!(asked[0].field(name).as_deref(), Some(value));
    }
    assert_eq!(claims(&asked[0])["aud"], format!("{}/token", server.root));
    let searches = server.heard(PATIENTS);
    assert_eq!(searches[1].path, "/fhir/Patient?_id=TEST-2");
    for (name, value) in [
        ("authorization", "Bearer TEST-TOKEN-1"),
        ("accept", "application/fhir+json"),
        ("cache-control", "no-cache"),
        ("x-client-id", "hub-1"),
    ] {
        assert_eq!(searches[1].headers[name], value);
    }
    for request in server.heard("/fhir/.well-known/smart-configuration") {
        assert!(!request.headers.contains_key("authorization"));
    }
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced_once() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    server.script(PATIENTS, [refused(401)]);
    assert!(client.get("Patient").await.is_ok());
    let with: Vec<String> = server
        .heard(PATIENTS)
        .iter()
        .map(|request| request.headers["authorization"].clone())
        .collect();
    assert_eq!(with, ["Bearer TEST-TOKEN-1", "Bearer TEST-TOKEN-2"]);
    server.script(PATIENTS, [refused(401), refused(401), refused(401)]);
    assert!(matches!(
        client.get("Patient").await,
        Err(Error::Unauthorized)
    ));
    assert_eq!(server.heard(PATIENTS).len(), 4);
    assert_eq!(server.heard("/token").len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_takes_no_token_is_left_alone() {
    let server = FhirServer::listen().await;
    let client = with(
        &server,
        Limits {
            failures: 2,
            ..limits()
        },
    );
    server.script(PATIENTS, (0..4).map(|_| refused(401)));
    for _ in 0..2 {
        let error = client.get("Patient").await.err().unwrap();
        assert!(matches!(error, Error::Unauthorized), "{error}");
    }
    assert!(matches!(client.get("Patient").await, Err(Error::Down(_))));
    assert_eq!(server.heard(PATIENTS).len(), 4);
    // The second question began with the token that the first one ended with.
    assert_eq!(server.heard("/token").len(), 3);
}

#[tokio::test]
async fn a_token_that_does_not_change_is_not_tried_twice() {
    let server = FhirServer::listen().await;
    let auth = Auth::Bearer(Secret::new("TEST-STATIC".into()));
    let endpoint = endpoint(&server);
    let client = Client::new(Endpoint { auth, ..endpoint }).unwrap();
    assert!(client.get("Patient").await.is_ok());
    server.script(PATIENTS, [refused(401)]);
    assert!(matches!(
        client.get("Patient").await,
        Err(Error::Unauthorized)
    ));
    assert_eq!(
        server.heard(PATIENTS)[0].headers["authorization"],
        "Bearer TEST-STATIC"
    );
    assert_eq!(server.all().len(), 2);
    let auth = Auth::Bearer(Secret::new("TEST-STATIC\n".into()));
    let endpoint = self::endpoint(&server);
    let refused = Client::new(Endpoint { auth, ..endpoint }).err().unwrap();
    assert!(!refused.to_string().contains("STATIC"), "{refused}");
}

#[tokio::test]
async fn a_shared_secret_goes_as_basic_and_nowhere_else() {
    let server = FhirServer::listen().await;
    let auth = Auth::Secret {
        client_id: "hub-1".into(),
        secret: Secret::new("TEST-SECRET".into()),
    };
    let endpoint = endpoint(&server);
    let client = Client::new(Endpoint { auth, ..endpoint }).unwrap();
    assert!(client.get("Patient").await.is_ok());
    let asked = &server.heard("/token")[0];
    // base64 of hub-1:TEST-SECRET
    assert_eq!(
        asked.headers["authorization"],
        "Basic aHViLTE6VEVTVC1TRUNSRVQ="
    );
    assert!(!asked.body.contains("SECRET") && asked.field("client_assertion").is_none());
}

#[tokio::test]
async fn a_busy_endpoint_is_asked_again_when_it_wants_it() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    // A whole second that is not over yet when the answer is there.
    let second = Timestamp::now().as_second() + 2;
    let date = Timestamp::from_second(second).unwrap();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    server.script(
        PATIENTS,
        [
            refused(429).header("Retry-After", "1"),
            refused(503).header("Retry-After", &date),
        ],
    );
    assert!(client.get("Patient").await.is_ok());
    assert!(Timestamp::now().as_second() >= second);
    let heard = server.heard(PATIENTS);
    assert_eq!(heard.len(), 3);
    assert!(heard[1].at - heard[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn an_endpoint_that_stays_busy_is_told_of() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    let busy = || refused(429).header("Retry-After", "0");
    server.script(PATIENTS, [busy(), busy(), busy(), busy()]);
    assert!(matches!(client.get("Patient").await, Err(Error::Busy(429))));
    assert_eq!(server.heard(PATIENTS).len(), 3);
}

#[tokio::test]
async fn an_answer_that_is_cut_off_is_never_taken_for_a_whole_one() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    server.script(PATIENTS, [Reply::new(200, PAGE).cut()]);
    assert_eq!(
        client.get("Patient").await.ok().unwrap().body,
        PAGE.as_bytes()
    );
    let cut = || Reply::new(200, PAGE).cut();
    server.script(PATIENTS, [cut(), cut(), cut()]);
    let error = client.get("Patient").await.err().unwrap();
    assert!(matches!(error, Error::Transport(Transport::Cut)), "{error}");
}

#[tokio::test]
async fn an_answer_without_end_is_left_at_the_limit() {
    let server = FhirServer::listen().await;
    let max_bytes = 64 * 1024;
    let client = with(
        &server,
        Limits {
            max_bytes,
            ..limits()
        },
    );
    let huge = Reply::new(200, PAGE).header("Content-Length", "99999999999");
    server.script(PATIENTS, [Reply::new(200, PAGE).endless(), huge]);
    for _ in 0..2 {
        let error = client.get("Patient").await.err().unwrap();
        assert!(error.to_string().contains("at most 65536 bytes"), "{error}");
    }
    // Nor is a refusal heard without end.
    server.script(PATIENTS, [Reply::new(404, "x").endless()]);
    assert!(client.get("Patient").await.is_err());
    assert_eq!(server.heard(PATIENTS).len(), 3);
    for (length, fits) in [(max_bytes, true), (max_bytes + 1, false)] {
        let page = format!("{PAGE}{}", " ".repeat(length - PAGE.len()));
        let replies = [Reply::new(200, &page), Reply::new(200, &page).unsaid()];
        server.script(PATIENTS, replies);
        for _ in 0..2 {
            assert_eq!(client.get("Patient").await.is_ok(), fits, "{length}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_too_slow_is_not_waited_for() {
    let server = FhirServer::listen().await;
    let never = Arc::new(Semaphore::new(0));
    let short = Duration::from_millis(300);
    let once = Limits {
        tries: 1,
        max_bytes: usize::MAX,
        ..limits()
    };
    for (reply, limits) in [
        (
            Reply::new(200, PAGE).held(&never),
            Limits {
                read: short,
                ..once.clone()
            },
        ),
        // Something comes all the time, but there is no end of it.
        (
            Reply::new(200, PAGE).dripping(),
            Limits {
                total: short,
                ..once
            },
        ),
    ] {
        server.script(PATIENTS, [reply]);
        let asked = Endpoint {
            auth: Auth::Bearer(Secret::new("TEST-STATIC".into())),
            limits,
            ..endpoint(&server)
        };
        let error = Client::new(asked).unwrap().get("Patient").await;
        let error = error.err().unwrap();
        assert!(
            matches!(error, Error::Transport(Transport::Late)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nobody_follows_an_endpoint_to_another_host() {
    let (server, other) = (FhirServer::listen().await, FhirServer::listen().await);
    let client = client(&server);
    assert!(client.get("Patient").await.is_ok());
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = format!("{}/fhir/Patient", other.root);
        server.script(PATIENTS, [refused(status).header("Location", &elsewhere)]);
        let error = client.get("Patient").await.err().unwrap();
        assert!(
            matches!(error, Error::Redirected(found) if found == status),
            "{error}"
        );
    }
    let next = format!("{}/fhir/Patient?page=2", other.root);
    assert!(matches!(client.get(&next).await, Err(Error::Address(_))));
    let next = format!("{}/fhir/Patient?page=2", server.root);
    assert!(client.get(&next).await.is_ok());
    assert!(other.all().is_empty());
}

#[tokio::test]
async fn a_token_server_that_sends_elsewhere_gets_no_second_assertion() {
    let (server, other) = (FhirServer::listen().await, FhirServer::listen().await);
    let client = client(&server);
    let elsewhere = format!("{}/token", other.root);
    server.script("/token", [refused(307).header("Location", &elsewhere)]);
    let error = client.get("Patient").await.err().unwrap();
    assert!(
        matches!(error, Error::Token(TokenError::Status(307))),
        "{error}"
    );
    assert!(other.all().is_empty());
    assert!(server.heard(PATIENTS).is_empty());
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_of_a_run_is_renewed() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    server.script(
        "/token",
        [token("TEST-SHORT-1", 1), token("TEST-SHORT-2", 1)],
    );
    until("a third token was asked for", || async {
        assert!(client.get("Patient").await.is_ok());
        (server.heard("/token").len() == 3).then_some(())
    })
    .await;
    assert!(client.get("Patient").await.is_ok());
    let last = server.heard(PATIENTS).pop().unwrap();
    assert_eq!(last.headers["authorization"], "Bearer TEST-TOKEN-1");
}

#[tokio::test]
async fn however_many_wait_a_token_is_asked_for_once() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    let gate = Arc::new(Semaphore::new(0));
    server.script("/token", [token("TEST-FIRST", 300).held(&gate)]);
    let all = join_all((0..8).map(|_| client.get("Patient")));
    let release = async {
        until("the token was asked for", || async {
            (!server.heard("/token").is_empty()).then_some(())
        })
        .await;
        gate.add_permits(1);
    };
    let (answers, ()) = tokio::join!(all, release);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.heard("/token").len(), 1);
    assert_eq!(
        server.heard("/fhir/.well-known/smart-configuration").len(),
        1
    );
    // All at once they find that it is not taken any more.
    server.script(PATIENTS, (0..8).map(|_| refused(401)));
    let answers = join_all((0..8).map(|_| client.get("Patient"))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.heard("/token").len(), 2);
}

#[tokio::test]
async fn a_client_that_is_refused_does_not_insist() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    let body = r#"{"error":"invalid_client","error_description":"Ada Example","error_uri":"https://TEST-1"}"#;
    server.script("/token", [Reply::new(401, body)]);
    let error = client.get("Patient").await.err().unwrap();
    let denied = TokenError::Denied(OauthCode::InvalidClient);
    assert!(
        matches!(&error, Error::Token(found) if *found == denied),
        "{error}"
    );
    for _ in 0..3 {
        let error = client.get("Patient").await.err().unwrap();
        let text = format!("{error} {error:?}");
        assert!(
            text.contains("invalid_client") && text.contains("not asked for again"),
            "{text}"
        );
        assert!(!text.contains("Ada") && !text.contains("TEST-1"), "{text}");
    }
    assert_eq!(server.heard("/token").len(), 1);
    assert!(server.heard(PATIENTS).is_empty());
}

#[tokio::test]
async fn a_refusal_without_a_reason_is_tried_once_more_with_another_assertion() {
    for status in [400, 500] {
        let server = FhirServer::listen().await;
        let client = client(&server);
        server.script("/token", [refused(status)]);
        assert!(client.get("Patient").await.is_ok());
        let asked = server.heard("/token");
        assert_eq!(asked.len(), 2);
        assert_ne!(claims(&asked[0])["jti"], claims(&asked[1])["jti"]);
    }
    let server = FhirServer::listen().await;
    server.script("/token", [token("TEST-CUT", 300).cut()]);
    assert!(client(&server).get("Patient").await.is_ok());
    assert_eq!(server.heard("/token").len(), 2);
    let server = FhirServer::listen().await;
    server.script("/token", [refused(400), refused(400), refused(400)]);
    let error = client(&server).get("Patient").await.err().unwrap();
    assert!(
        matches!(error, Error::Token(TokenError::Status(400))),
        "{error}"
    );
    assert_eq!(server.heard("/token").len(), 2);
}

#[tokio::test]
async fn a_server_with_another_clock_gets_an_assertion_of_its_own_time() {
    let server = FhirServer::listen().await;
    let behind = Timestamp::from_second(Timestamp::now().as_second() - 900).unwrap();
    let date = behind.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let body = r#"{"error":"invalid_client"}"#;
    server.script("/token", [Reply::new(401, body).header("Date", &date)]);
    assert!(client(&server).get("Patient").await.is_ok());
    let asked = server.heard("/token");
    let exp = claims(&asked[1])["exp"].as_i64().unwrap();
    let holds = exp - behind.as_second();
    assert!((180..=300).contains(&holds), "{holds}");
}

#[tokio::test]
async fn scopes_that_were_not_granted_are_named() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    let granted = r#"{"access_token":"TEST-LESS","expires_in":300,"scope":"system/Patient.read"}"#;
    server.script("/token", [Reply::new(200, granted)]);
    assert!(client.get("Patient").await.is_ok());
    assert_eq!(
        client.missing_scopes(),
        Some(vec!["system/Appointment.rs".to_owned()])
    );
}

#[tokio::test]
async fn where_tokens_come_from_is_read_in_the_capability_statement_too() {
    let server = FhirServer::listen().await;
    server.script(
        "/fhir/.well-known/smart-configuration",
        [refused(404), refused(404)],
    );
    let statement = format!(
        r#"{{"resourceType":"CapabilityStatement","rest":[{{"security":{{"extension":[{{
        "url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension":[{{"url":"token","valueUri":"{}/token"}}]}}]}}}}]}}"#,
        server.root
    );
    server.script(
        "/fhir/metadata",
        [Reply::new(200, &statement), refused(404)],
    );
    let client = client(&server);
    assert!(client.get("Patient").await.is_ok());
    let error = client.discover().await.err().unwrap().to_string();
    assert!(
        error.contains("(found status 404)") && !error.contains("Ada"),
        "{error}"
    );
}

#[tokio::test]
async fn an_algorithm_that_is_not_offered_is_not_tried() {
    let server = FhirServer::listen().await;
    let offer = format!(
        r#"{{"token_endpoint":"{}/token","token_endpoint_auth_signing_alg_values_supported":["RS384"]}}"#,
        server.root
    );
    server.script(
        "/fhir/.well-known/smart-configuration",
        [Reply::new(200, &offer)],
    );
    let error = client(&server)
        .get("Patient")
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("expected an endpoint that takes ES384"),
        "{error}"
    );
    assert!(server.heard("/token").is_empty());
}

#[tokio::test]
async fn what_an_endpoint_refuses_is_told_without_its_words() {
    let server = FhirServer::listen().await;
    let client = client(&server);
    let outcome = r#"{"resourceType":"OperationOutcome","issue":[{"severity":"error",
        "code":"not-found","diagnostics":"Ada Example, TEST-1"}]}"#;
    server.script(PATIENTS, [Reply::new(404, outcome), refused(422)]);
    let error = client.get("Patient").await.err().unwrap();
    let Error::Refused(refusal) = &error else {
        panic!("{error}")
    };
    assert!(refusal.outcome.as_ref().unwrap().has("not-found"));
    let other = client.get("Patient").await.err().unwrap();
    for text in [format!("{error} {error:?}"), format!("{other} {other:?}")] {
        assert!(!text.contains("Ada") && !text.contains("TEST-1"), "{text}");
        assert!(!text.contains(&server.root), "{text}");
    }
    let page = Reply::new(200, "<html>Ada</html>").header("Content-Type", "text/html");
    server.script(PATIENTS, [page]);
    let error = client.get("Patient").await.err().unwrap();
    assert!(matches!(error, Error::NotFhir(Content::Html)), "{error}");
    assert_eq!(server.heard(PATIENTS).len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_left_alone() {
    let server = FhirServer::listen().await;
    let client = with(
        &server,
        Limits {
            failures: 2,
            tries: 2,
            ..limits()
        },
    );
    server.script(PATIENTS, [refused(500), refused(502)]);
    let error = client.get("Patient").await.err().unwrap();
    assert!(
        matches!(&error, Error::Refused(found) if found.status == 502),
        "{error}"
    );
    assert!(matches!(client.get("Patient").await, Err(Error::Down(_))));
    assert_eq!(server.heard(PATIENTS).len(), 2);
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_told_of_without_its_address() {
    let server = FhirServer::listen().await;
    // Nothing listens at the port of discard.
    let base = "http://127.0.0.1:9/fhir".to_owned();
    let endpoint = endpoint(&server);
    let client = Client::new(Endpoint { base, ..endpoint }).unwrap();
    let error = client.get("Patient").await.err().unwrap().to_string();
    assert!(error.contains("expected a connection"), "{error}");
    assert!(!error.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn so_many_are_under_way_and_a_slow_endpoint_delays_no_other() {
    let (slow, quick) = (FhirServer::listen().await, FhirServer::listen().await);
    let client = with(
        &slow,
        Limits {
            concurrent: 2,
            ..limits()
        },
    );
    assert!(client.get("metadata").await.is_ok());
    let gate = Arc::new(Semaphore::new(0));
    slow.script(PATIENTS, (0..6).map(|_| Reply::new(200, PAGE).held(&gate)));
    let all = join_all((0..6).map(|_| client.get("Patient")));
    let other = async {
        until("two were there", || async {
            (slow.heard(PATIENTS).len() == 2).then_some(())
        })
        .await;
        assert!(self::client(&quick).get("Patient").await.is_ok());
        gate.add_permits(6);
    };
    let (answers, ()) = tokio::join!(all, other);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(slow.most_under_way(), 2);
}
