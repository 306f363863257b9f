use solana_pubkey::Pubkey;
use toll_protocol::*;

use crate::sample::*;

fn split(byte: u8, share_bps: u16) -> Split {
    Split { recipient: key(byte), share_bps }
}

#[test]
fn thirty_two_recipients_fit_and_one_more_does_not() {
    let splits = |count: u8| (0..count).map(|byte| split(byte, 1)).collect::<Vec<_>>();
    assert_eq!(Splits::new(splits(32)).map(|splits| splits.as_slice().len()), Ok(32));
    assert_eq!(Splits::new(splits(33)), Err(SplitsError::TooManyRecipients));
}

#[test]
fn zero_share_is_refused() {
    assert_eq!(Splits::new(vec![split(1, 1), split(2, 0)]), Err(SplitsError::ZeroShare));
}

#[test]
fn one_recipient_twice_is_refused() {
    assert_eq!(Splits::new(vec![split(1, 1), split(1, 2)]), Err(SplitsError::DuplicateRecipient));
}

#[test]
fn shares_may_take_everything_but_no_more() {
    let all = Splits::new(vec![split(1, 9_999), split(2, 1)]).expect("exactly everything");
    assert_eq!(all.payee_bps(), 0);
    assert_eq!(Splits::new(vec![split(1, 9_999), split(2, 2)]), Err(SplitsError::SharesOverflow));
    assert_eq!(Splits::new(vec![split(1, u16::MAX)]), Err(SplitsError::SharesOverflow));
}

#[test]
fn preimage_must_be_as_long_as_its_count_says() {
    let bytes = splits().preimage();
    assert_eq!(Splits::from_preimage(&bytes), Ok(splits()));
    assert_eq!(Splits::from_preimage(&bytes[..bytes.len() - 1]), Err(SplitsError::Length));
    assert_eq!(Splits::from_preimage(&[bytes.as_slice(), &[0]].concat()), Err(SplitsError::Length));
    assert_eq!(Splits::from_preimage(&[0; 3]), Err(SplitsError::Length));
    assert_eq!(Splits::from_preimage(&33u32.to_le_bytes()), Err(SplitsError::TooManyRecipients));
    assert_eq!(Splits::from_preimage(&[0xff; 4]), Err(SplitsError::TooManyRecipients));
}

#[test]
fn order_changes_the_hash() {
    let reversed = Splits::new(splits().as_slice().iter().rev().copied().collect()).expect("still valid");
    assert_ne!(reversed.hash(), splits().hash());
    assert_ne!(reversed, splits());
}

#[test]
fn splits_know_their_recipients() {
    assert!(splits().contains(&key(0x11)));
    assert!(!splits().contains(&Pubkey::default()));
    assert!(Splits::none().is_empty() && !splits().is_empty());
}

#[test]
fn splits_in_json_name_the_entry_that_is_wrong() {
    let read = |json: serde_json::Value| Splits::from_json(&json);
    let recipient = key(1).to_string();
    assert_eq!(read(serde_json::json!({})), Err(invalid("splits", "an array")));
    assert_eq!(read(serde_json::json!([{}])), Err(missing("splits[0].recipient")));
    assert_eq!(
        read(serde_json::json!([{ "recipient": recipient, "shareBps": "5" }])),
        Err(invalid("splits[0].shareBps", "an integer from 0 to 65535"))
    );
    assert_eq!(
        read(serde_json::json!([{ "recipient": recipient, "shareBps": 0 }])),
        Err(JsonError::Splits { member: "splits".to_owned(), source: SplitsError::ZeroShare })
    );
}
