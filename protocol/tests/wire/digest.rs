use toll_protocol::*;

// RFC 9530, "The Content-Digest Field": the second is the digest of no content.
#[test]
fn a_body_digest_is_a_content_digest_member() {
    let hello = "sha-256=:CFdtBA5fXO1HaQ8sdv75T9kcnF5ed8M5LhPNrKzrx/I=:";
    assert_eq!(BodyDigest::of(br#"{"q":"hello"}"#), hello);
    assert_eq!(BodyDigest::of(b""), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
    let mut digest = BodyDigest::default();
    [r#"{"q":"#, r#""hello"}"#].iter().for_each(|piece| digest.update(piece.as_bytes()));
    assert_eq!(digest.finish(), hello);
}
