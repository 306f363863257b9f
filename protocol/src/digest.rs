//! The digest that binds a challenge to the body of one request.
//!
//! It has the form of a `Content-Digest` member: `sha-256=:` base64 `:`, over the content as it was received.
//! Sources: draft-httpauth-payment, "Request Body Binding"; RFC 9530.

use sha2::{Digest, Sha256};

use crate::base64_encode;

/// The digest of a body that arrives in pieces.
#[derive(Clone, Debug, Default)]
pub struct BodyDigest(Sha256);

impl BodyDigest {
    /// The digest of a whole body.
    pub fn of(body: &[u8]) -> String {
        let mut digest = Self::default();
        digest.update(body);
        digest.finish()
    }

    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest as challenges carry it.
    pub fn finish(self) -> String {
        format!("sha-256=:{}:", base64_encode(self.0.finalize()))
    }
}
