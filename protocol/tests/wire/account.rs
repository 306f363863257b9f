use toll_protocol::*;

use crate::sample::*;

fn account() -> ChannelAccount {
    ChannelAccount {
        bump: 254,
        status: ChannelStatus::Closing,
        salt: 0x0102_0304_0506_0708,
        deposit: Amount::new(50_000),
        settled: Amount::new(33),
        payout_watermark: Amount::new(16),
        closure_started_at: 1_763_675_932,
        payer_withdrawn_at: -1,
        grace_period: 900,
        distribution_hash: splits().hash(),
        payer: key(1),
        payee: key(2),
        authorized_signer: key(3),
        mint: key(4),
        rent_payer: key(5),
        open_slot: 352_114_093,
    }
}

#[test]
fn account_reads_back_what_was_written() {
    assert_eq!(ChannelAccount::decode(&account().encode()), Ok(account()));
}

#[test]
fn fields_lie_where_the_layout_puts_them() {
    let bytes = account().encode();
    assert_eq!(bytes[..4], [1, 1, 254, 2]);
    assert_eq!(bytes[4..12], [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(bytes[12..20], 50_000u64.to_le_bytes());
    assert_eq!(bytes[20..28], 33u64.to_le_bytes());
    assert_eq!(bytes[28..36], 16u64.to_le_bytes());
    assert_eq!(bytes[36..44], 1_763_675_932i64.to_le_bytes());
    assert_eq!(bytes[44..52], [0xff; 8]);
    assert_eq!(bytes[52..56], 900u32.to_le_bytes());
    assert_eq!(bytes[56..88], splits().hash());
    for (offset, byte) in [(88, 1), (120, 2), (152, 3), (184, 4), (216, 5)] {
        assert_eq!(bytes[offset..offset + 32], [byte; 32]);
    }
    assert_eq!(bytes[248..], 352_114_093u64.to_le_bytes());
}

#[test]
fn account_of_another_size_is_refused() {
    let bytes = account().encode();
    assert_eq!(ChannelAccount::decode(&bytes[..248]), Err(AccountError::Size(248)));
    assert_eq!(ChannelAccount::decode(&[bytes.as_slice(), &[0]].concat()), Err(AccountError::Size(257)));
    assert_eq!(ChannelAccount::decode(&[]), Err(AccountError::Size(0)));
}

#[test]
fn blank_account_is_no_channel() {
    assert_eq!(ChannelAccount::decode(&[0; CHANNEL_SIZE]), Err(AccountError::Discriminator(0)));
}

#[test]
fn unknown_layout_and_status_are_refused() {
    let mut bytes = account().encode();
    bytes[1] = 2;
    assert_eq!(ChannelAccount::decode(&bytes), Err(AccountError::Version(2)));
    bytes[1] = 1;
    bytes[3] = 4;
    assert_eq!(ChannelAccount::decode(&bytes), Err(AccountError::Status(4)));
}

#[test]
fn status_bytes_are_the_programs() {
    let statuses =
        [ChannelStatus::Open, ChannelStatus::Sealed, ChannelStatus::Closing, ChannelStatus::Distributed];
    assert_eq!(statuses.map(|status| status as u8), [0, 1, 2, 3]);
    for status in statuses {
        assert_eq!(ChannelStatus::try_from(status as u8), Ok(status));
    }
}

#[test]
fn terms_are_the_seeds_of_the_account() {
    let terms = account().terms();
    assert_eq!((terms.payer, terms.payee, terms.mint), (key(1), key(2), key(4)));
    assert_eq!((terms.authorized_signer, terms.salt), (key(3), 0x0102_0304_0506_0708));
    assert_eq!(terms.open_slot, 352_114_093);
}
