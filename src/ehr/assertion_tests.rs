//! Assertions as a token server reads them.

use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA384, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::keys::{self, Algorithm, PublicKey};
use super::super::origin::Base;
use super::*;

const TOKEN_URL: &str = "https://EHR.example.org:443/token";

fn decoded(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pem(keys::generate(algorithm).unwrap().as_bytes()).unwrap()
}

fn signed(key: &SigningKey, jku: Option<&str>, skew: SignedDuration) -> Assertion {
    let base = Base::parse("https://ehr.example.org").unwrap();
    let asks = Asks {
        client_id: "hub-1",
        token_url: &base.configured_token_url(TOKEN_URL).unwrap(),
        jku,
    };
    let now = "2026-11-22T12:00:00Z".parse().unwrap();
    sign(key, &asks, now, skew).unwrap()
}

/// Whether the signature is that of the key, by what the key set shows of it alone.
fn verifies(key: &PublicKey, assertion: &str) -> bool {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let signature = decoded(signature);
    match key {
        PublicKey::Rsa { n, e } => {
            let (n, e) = (decoded(n), decoded(e));
            RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA384, signed.as_bytes(), &signature)
                .is_ok()
        }
        PublicKey::Ec { x, y } => {
            let point = [vec![4], decoded(x), decoded(y)].concat();
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point)
                .verify(signed.as_bytes(), &signature)
                .is_ok()
        }
    }
}

fn parts(assertion: &Assertion) -> (Value, Value) {
    let mut parts = assertion.open().split('.');
    let mut part = || serde_json::from_slice(&decoded(parts.next().unwrap())).unwrap();
    (part(), part())
}

#[test]
fn an_assertion_says_what_the_specification_asks_for() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let assertion = signed(&key, None, SignedDuration::ZERO);
        let (header, claims) = parts(&assertion);
        let expected = json!({ "alg": algorithm.name(), "kid": key.kid(), "typ": "JWT" });
        assert_eq!(header, expected);
        let id = claims["jti"].as_str().unwrap();
        assert!(Uuid::try_parse(id).is_ok());
        let noon = 1_795_348_800;
        let expected = json!({
            "iss": "hub-1", "sub": "hub-1", "aud": TOKEN_URL, "exp": noon + 240, "jti": id
        });
        assert_eq!(claims, expected);
    }
}

#[test]
fn an_assertion_verifies_by_the_key_set_and_by_no_other_key() {
    for algorithm in Algorithm::ALL {
        let (own, other) = (key(algorithm), key(algorithm));
        let assertion = signed(&own, None, SignedDuration::ZERO);
        assert!(verifies(own.public(), assertion.open()));
        assert!(!verifies(other.public(), assertion.open()));
        let tampered = assertion.open().replacen('e', "f", 1);
        assert!(!verifies(own.public(), &tampered));
    }
}

#[test]
fn each_try_has_an_id_of_its_own() {
    let key = key(Algorithm::Es384);
    let id = || parts(&signed(&key, None, SignedDuration::ZERO)).1["jti"].clone();
    assert_ne!(id(), id());
}

#[test]
fn a_clock_that_is_ahead_or_behind_is_made_up_for() {
    let key = key(Algorithm::Es384);
    let exp =
        |seconds| parts(&signed(&key, None, SignedDuration::from_secs(seconds))).1["exp"].as_i64();
    let (even, ahead, behind) = (exp(0).unwrap(), exp(100).unwrap(), exp(-100).unwrap());
    assert_eq!((even - ahead, behind - even), (100, 100));
}

#[test]
fn the_address_of_the_key_set_is_said_where_it_is_wanted() {
    let url = "https://hub.example.org/jwks/ehr-1";
    let (header, _) = parts(&signed(
        &key(Algorithm::Es384),
        Some(url),
        SignedDuration::ZERO,
    ));
    assert_eq!(header["jku"], url);
}
