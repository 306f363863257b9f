//! Whatever reads as a receipt is written and read again as the same receipt.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toll_protocol::{base64url_encode, format_receipt, parse_receipt};

fuzz_target!(|data: &[u8]| {
    let _ = parse_receipt(data);
    let Ok(mut receipt) = parse_receipt(base64url_encode(data)) else { return };
    // Times before 1970 are written as 1970.
    receipt.timestamp = receipt.timestamp.max(0);
    assert_eq!(parse_receipt(format_receipt(&receipt)), Ok(receipt));
});
