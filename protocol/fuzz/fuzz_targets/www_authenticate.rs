//! Whatever reads as a challenge and can stand in a header reads again as the same challenge.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toll_protocol::{format_www_authenticate, parse_www_authenticate};

fuzz_target!(|data: &[u8]| {
    let Ok(challenges) = parse_www_authenticate(data) else { return };
    for challenge in challenges.payment {
        let _ = challenge.session_request();
        let _ = challenge.opaque_members();
        let _ = challenge.expires_at();
        if let Ok(value) = format_www_authenticate(&challenge) {
            let again = parse_www_authenticate(value).expect("it was written to fit");
            assert_eq!(again.payment, [challenge]);
            assert!(again.malformed.is_empty() && again.others.is_empty());
        }
    }
});
