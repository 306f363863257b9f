//! Whatever reads as a credential is written, and reads again as what writes the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toll_protocol::{Action, HeaderError};
use toll_protocol::{base64url_encode, decode_transaction, format_authorization, parse_authorization};

fuzz_target!(|data: &[u8]| {
    let _ = parse_authorization(data);
    // Most inputs never get past base64url, so the same bytes are also taken as the JSON inside.
    let header = format!("Payment {}", base64url_encode(data));
    let Some(Ok(credential)) = parse_authorization(header) else { return };
    if let Action::Open(open) = &credential.action {
        let _ = decode_transaction(&open.transaction);
    }
    let _ = credential.challenge.session_request();
    let _ = credential.challenge.expires_at();
    match format_authorization(&credential) {
        Ok(value) => {
            let again = parse_authorization(&value).expect("the scheme").expect("what was written");
            assert_eq!(format_authorization(&again), Ok(value));
        }
        // Escapes make some texts longer than they came.
        Err(error) => assert!(matches!(error, HeaderError::TooLarge(_)), "{error}"),
    }
});
