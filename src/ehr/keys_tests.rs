//! Keys as others read them.

use serde_json::Value;

use super::*;

#[test]
fn a_thumbprint_is_that_of_the_specification() {
    // RFC 7638, 3.1.
    let key = PublicKey::Rsa {
        n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_\
            BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_\
            FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI\
            4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
            .to_owned(),
        e: "AQAB".to_owned(),
    };
    assert_eq!(
        key.thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn a_key_that_was_made_is_read_and_shown_without_its_secret() {
    for (algorithm, kind, members) in [
        (Algorithm::Rs384, "RSA", &["n", "e"][..]),
        (Algorithm::Es384, "EC", &["crv", "x", "y"][..]),
    ] {
        let pem = generate(algorithm).unwrap();
        assert!(pem.lines().all(|line| line.len() <= 64));
        let key = SigningKey::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let shown: Value = serde_json::from_str(&jwks([key.public()])).unwrap();
        let shown = shown["keys"][0].as_object().unwrap();
        assert_eq!(shown["kty"], kind);
        assert_eq!(shown["alg"], algorithm.name());
        assert_eq!(shown["use"], "sig");
        assert_eq!(shown["kid"], key.kid());
        let mut expected = vec!["kty", "alg", "use", "kid"];
        expected.extend(members);
        assert_eq!(shown.len(), expected.len());
        for name in expected {
            assert!(shown.contains_key(name), "{name}");
        }
    }
}

#[test]
fn two_keys_have_two_names() {
    let key = || SigningKey::from_pem(generate(Algorithm::Es384).unwrap().as_bytes()).unwrap();
    assert_ne!(key().kid(), key().kid());
}

#[test]
fn other_keys_are_refused_with_advice() {
    let refused = |pem: &str| SigningKey::from_pem(pem.as_bytes()).err().unwrap();
    assert_eq!(refused("nothing"), KeyError::NotPem);
    let pem = generate(Algorithm::Es384).unwrap();
    let sec1 = pem.replace("PRIVATE KEY", "EC PRIVATE KEY");
    assert!(refused(&sec1).to_string().contains("openssl pkcs8 -topk8"));
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert_eq!(refused(&other.serialize_pem()), KeyError::Kind);
    let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    assert_eq!(refused(&p256.serialize_pem()), KeyError::Kind);
}
