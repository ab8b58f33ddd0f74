//! The client of a FHIR endpoint before SEKMET, whose reading of SMART and FHIR is not ours.

use careloop::config::Secret;
use careloop::ehr::{
    self, Algorithm, Auth, Client, Endpoint, Error, Limits, OauthCode, SigningKey, TokenError,
    assertion,
};
use careloop::fhir::Bundle;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::support::fhir_server::{FhirServer, Reply};
use crate::support::sekmet::Sekmet;
use crate::support::wait::until;

const SCOPES: &str = "system/Patient.rs system/Condition.read";

/// A client's key: as it is kept, and read as often as a client needs it.
struct Key(Zeroizing<String>);

impl Key {
    fn new(algorithm: Algorithm) -> Self {
        Self(ehr::keys::generate(algorithm).unwrap())
    }

    fn read(&self) -> SigningKey {
        SigningKey::from_pem(self.0.as_bytes()).unwrap()
    }
}

fn by_key(client_id: &str, key: &Key) -> Auth {
    Auth::PrivateKeyJwt {
        client_id: client_id.to_owned(),
        key: key.read(),
        jku: None,
    }
}

fn client(sekmet: &Sekmet, auth: Auth, scopes: &str) -> Client {
    Client::new(Endpoint {
        base: sekmet.base.clone(),
        auth,
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        token_url: None,
        headers: Vec::new(),
        limits: Limits {
            per_second: 100,
            ..Limits::default()
        },
        ca: None,
        client_certificate: None,
    })
    .unwrap()
}

fn denied(answer: Result<ehr::Answer, Error>) -> TokenError {
    match answer.err().unwrap() {
        Error::Token(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_server_of_others_takes_what_the_client_shows_and_gives() {
    let (rsa, ec) = (Key::new(Algorithm::Rs384), Key::new(Algorithm::Es384));
    let hub = FhirServer::listen().await;
    let sets = [
        ("rsa", vec![&rsa]),
        ("ec", vec![&ec]),
        // In the middle of a rotation the key that signs is shown first.
        ("both", vec![&ec, &rsa]),
    ];
    let mut clients = Vec::new();
    for (name, keys) in &sets {
        let keys: Vec<SigningKey> = keys.iter().map(|key| key.read()).collect();
        let shown = ehr::keys::jwks(keys.iter().map(SigningKey::public));
        let shown = Reply::new(200, &shown).header("Content-Type", "application/json");
        hub.script(&format!("/jwks/{name}"), [shown]);
        let url = format!("{}/jwks/{name}", hub.root);
        clients.push(json!({ "client_id": name, "jwks_url": url, "scopes": SCOPES }));
    }
    clients
        .push(json!({ "client_id": "secret", "client_secret": "TEST-SECRET", "scopes": SCOPES }));
    let Some(sekmet) = Sekmet::start(Value::from(clients), 4).await else {
        return;
    };
    for number in 1..=5 {
        let name = json!([{ "family": "Example", "given": ["Ada"] }]);
        let id = format!("TEST-{number}");
        sekmet
            .put(&json!({ "resourceType": "Patient", "id": id, "name": name }))
            .await;
    }
    for (name, key) in [("rsa", &rsa), ("ec", &ec), ("both", &ec)] {
        let client = client(&sekmet, by_key(name, key), SCOPES);
        assert_eq!(pages(&client).await, (3, 5), "{name}");
        assert_eq!(client.missing_scopes(), Some(Vec::new()));
    }
    scopes(&sekmet, &rsa).await;
    secrets(&sekmet).await;
    strangers(&sekmet, &ec).await;
    expiry(&sekmet, &ec).await;
}

/// Reads a search to its end: its pages and resources.
async fn pages(client: &Client) -> (usize, usize) {
    let mut place = "Patient?_count=2&_sort=_id".to_owned();
    let (mut pages, mut resources) = (0, 0);
    loop {
        let answer = client
            .get(&place)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(answer.date.is_some());
        let bundle = Bundle::read(&answer.body).unwrap();
        pages += 1;
        resources += bundle.len();
        match bundle.link("next") {
            Some(next) => place = next.into_owned(),
            None => return (pages, resources),
        }
    }
}

async fn scopes(sekmet: &Sekmet, key: &Key) {
    let asked = "system/Patient.read system/Condition.rs system/Observation.rs";
    let client = client(sekmet, by_key("rsa", key), asked);
    assert!(client.get("Patient/TEST-1").await.is_ok());
    assert_eq!(
        client.missing_scopes(),
        Some(vec!["system/Observation.rs".to_owned()])
    );
    for (place, status) in [("Observation", 403), ("Patient/TEST-99", 404)] {
        match client.get(place).await.err().unwrap() {
            Error::Refused(refusal) => {
                assert_eq!(refusal.status, status);
                assert!(refusal.outcome.unwrap().is_failure());
            }
            other => panic!("{other}"),
        }
    }
    let none = self::client(sekmet, by_key("rsa", key), "system/Observation.rs");
    let error = denied(none.get("Patient").await);
    assert_eq!(error, TokenError::Denied(OauthCode::InvalidScope));
}

async fn secrets(sekmet: &Sekmet) {
    let auth = |secret: &str| Auth::Secret {
        client_id: "secret".to_owned(),
        secret: Secret::new(secret.to_owned()),
    };
    assert!(
        client(sekmet, auth("TEST-SECRET"), SCOPES)
            .get("Patient")
            .await
            .is_ok()
    );
    let error = denied(
        client(sekmet, auth("TEST-OTHER"), SCOPES)
            .get("Patient")
            .await,
    );
    assert_eq!(error, TokenError::Denied(OauthCode::InvalidClient));
}

/// Nobody else's key is taken, nor an assertion twice.
async fn strangers(sekmet: &Sekmet, key: &Key) {
    let stranger = client(sekmet, by_key("ec", &Key::new(Algorithm::Es384)), SCOPES);
    let error = denied(stranger.get("Patient").await);
    assert_eq!(error, TokenError::Denied(OauthCode::InvalidClient));
    let signed = signed(sekmet, key).await;
    assert_eq!(ask(&signed).await.0, 200);
    assert_eq!(ask(&signed).await.0, 401);
}

/// A token request as a test puts it.
struct Signed {
    url: String,
    assertion: String,
}

async fn signed(sekmet: &Sekmet, key: &Key) -> Signed {
    let client = client(sekmet, by_key("ec", key), SCOPES);
    let offer = client
        .discover()
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(Algorithm::ALL.into_iter().all(|one| offer.takes(one)));
    let asks = assertion::Asks {
        client_id: "ec",
        token_url: &offer.token_url,
        jku: None,
    };
    let assertion = assertion::sign(&key.read(), &asks, Timestamp::now(), SignedDuration::ZERO);
    Signed {
        url: offer.token_url.as_str().to_owned(),
        assertion: assertion.unwrap().open().to_owned(),
    }
}

async fn ask(signed: &Signed) -> (u16, Value) {
    let mut form = reqwest::Url::parse("http://form.invalid").unwrap();
    form.query_pairs_mut().extend_pairs([
        ("grant_type", "client_credentials"),
        ("scope", SCOPES),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", &signed.assertion),
    ]);
    let request = reqwest::Client::new()
        .post(&signed.url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form.query().unwrap().to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// The client's token ends before one that was given later; the client goes on.
async fn expiry(sekmet: &Sekmet, key: &Key) {
    let client = client(sekmet, by_key("ec", key), SCOPES);
    assert!(client.get("Patient/TEST-1").await.is_ok());
    let (_, later) = ask(&signed(sekmet, key).await).await;
    let later = later["access_token"].as_str().unwrap();
    let place = format!("{}/Patient/TEST-1", sekmet.base);
    until("a token ended", || async {
        let request = reqwest::Client::new().get(&place).bearer_auth(later);
        let status = request.send().await.unwrap().status();
        (status == 401).then_some(())
    })
    .await;
    assert!(client.get("Patient/TEST-1").await.is_ok());
}
