//! Bytes that read as a voucher, an Ed25519 instruction, splits or an instruction are written back as they were.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toll_protocol::{
    ChannelAccount, ChannelInstruction, Splits, Voucher, decode_ed25519, decode_transaction, ed25519_verify,
    encode_transaction, static_instructions,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(Ok(voucher)) = data.try_into().map(Voucher::decode) {
        assert_eq!(voucher.encode(), data);
    }
    if let Ok(voucher) = decode_ed25519(data) {
        let _ = voucher.verify(&voucher.voucher.channel_id, &voucher.signer);
        assert_eq!(ed25519_verify(&voucher).data, data);
    }
    if let Ok(splits) = Splits::from_preimage(data) {
        assert_eq!(splits.preimage(), data);
    }
    if let Ok(account) = ChannelAccount::decode(data) {
        assert_eq!(account.encode(), data);
    }
    if let Ok(transaction) = decode_transaction(data) {
        assert_eq!(encode_transaction(&transaction), data);
        for instruction in static_instructions(&transaction).into_iter().flatten() {
            let keys: Vec<_> = instruction.accounts.iter().map(|meta| meta.pubkey).collect();
            let _ = ChannelInstruction::decode(&instruction.data, &keys);
        }
    }
});
