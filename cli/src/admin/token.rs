//! The token of the admin listener.

use std::path::Path;

use axum::http::HeaderValue;
use subtle::ConstantTimeEq;

use crate::error::{CliError, Exit, Result};

/// Shortest token, in bytes.
const SHORTEST: usize = 16;

/// What a request must bring. Never shown.
pub(super) struct Token(Vec<u8>);

impl Token {
    /// Reads the file that `admin.token_file` names. White space around the token is not part of it.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let refuse = |what: String| {
            let what = format_args!("admin.token_file: {}: {what}", path.display()).to_string();
            CliError::new(Exit::Config, what, "write a random token of at least 16 bytes into it")
        };
        let token = std::fs::read(path).map_err(|error| refuse(error.to_string()))?.trim_ascii().to_vec();
        match token.len() {
            length if length < SHORTEST => Err(refuse(format!("has {length} bytes"))),
            _ => Ok(Self(token)),
        }
    }

    /// Whether an `Authorization` brings it. Takes as long for every token of the right length.
    pub(super) fn is_in(&self, authorization: Option<&HeaderValue>) -> bool {
        let brought = authorization.and_then(|value| value.as_bytes().split_at_checked(7));
        brought.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(token.ct_eq(&self.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_whole_token_or_none() {
        let token = Token(b"sixteen-bytes-ok".to_vec());
        let brought = |value: &'static str| token.is_in(Some(&HeaderValue::from_static(value)));
        assert!(brought("Bearer sixteen-bytes-ok"));
        assert!(brought("bearer sixteen-bytes-ok"));
        for wrong in [
            "Bearer sixteen-bytes-o",
            "Bearer sixteen-bytes-okk",
            "Basic sixteen-bytes-ok",
            "Bearer ",
            "Bear",
        ] {
            assert!(!brought(wrong), "{wrong}");
        }
        assert!(!token.is_in(None));
    }

    #[test]
    fn a_short_token_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "short\n").unwrap();
        let refused = Token::read(file.path()).err().unwrap();
        assert_eq!(refused.exit, Exit::Config);
        assert!(refused.to_string().contains("admin.token_file"), "{refused}");
        std::fs::write(file.path(), "sixteen-bytes-ok\n").unwrap();
        assert_eq!(Token::read(file.path()).ok().unwrap().0, b"sixteen-bytes-ok");
    }
}
