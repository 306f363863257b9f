//! Which header field carries the credential that answers a challenge.

/// A header field for credentials, as a challenge selects it.
///
/// The scheme knows these two and no other, so that no challenge makes a client write `Host` or `Content-Length`.
/// Source: draft-httpauth-payment-01, "Credentials".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CredentialField {
    /// `Authorization`, where a challenge says nothing.
    #[default]
    Authorization,
    /// `Payment-Authorization`: leaves `Authorization` to whatever else the server asks for, an API key for instance.
    PaymentAuthorization,
}

impl CredentialField {
    /// The field's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorization => "Authorization",
            Self::PaymentAuthorization => "Payment-Authorization",
        }
    }

    /// The value of the challenge's `header` parameter; without one it is `Authorization`.
    pub const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Authorization => None,
            Self::PaymentAuthorization => Some(self.name()),
        }
    }

    /// The field that a `header` parameter selects; `None` for a value that the scheme does not know, which makes the
    /// challenge one of another scheme.
    pub fn selected_by(parameter: Option<&str>) -> Option<Self> {
        match parameter {
            None => Some(Self::Authorization),
            Some(value) => {
                (Some(value) == Self::PaymentAuthorization.parameter()).then_some(Self::PaymentAuthorization)
            }
        }
    }
}
