//! Channels that no state file remembers: the payer's key and the chain know enough to leave them.

use toll_chain::key_file;
use toll_protocol::{ChannelAccount, ChannelId};

use solana_pubkey::Pubkey;

use crate::error::PayError;
use crate::payer::Payer;
use crate::voucher_key::VoucherKeySeeds;

/// A channel of the payer's on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundChannel {
    /// Its address.
    pub id: ChannelId,
    /// The channel program.
    pub program: Pubkey,
    /// What the chain says of it.
    pub account: ChannelAccount,
    /// Whether the payer's key leads to the one that signs its vouchers.
    pub is_ours_to_sign: bool,
}

impl Payer {
    /// Every channel that this payer opened under the policy's programs and that is still on chain, the newest first.
    /// Nothing without a cluster.
    ///
    /// What was signed for them is known to their servers only, so they are left without vouchers: `request_close`,
    /// and after the grace period `withdraw_payer`, name nothing that is not in the account.
    pub async fn find_channels(&self) -> Result<Vec<FoundChannel>, PayError> {
        let Some(cluster) = &self.cluster else { return Ok(Vec::new()) };
        cluster.check_network(self.policy.network).await?;
        let mut found = Vec::new();
        for program in &self.policy.programs {
            for (id, account) in cluster.channels_of(&self.address(), program).await? {
                let is_ours_to_sign = self.leads_to_signer(program, &account);
                found.push(FoundChannel { id, program: *program, account, is_ours_to_sign });
            }
        }
        found.sort_by_key(|channel| std::cmp::Reverse(channel.account.open_slot));
        Ok(found)
    }

    fn leads_to_signer(&self, program: &Pubkey, account: &ChannelAccount) -> bool {
        let ChannelAccount { payee, mint, salt, open_slot, .. } = *account;
        let seeds = VoucherKeySeeds { program: *program, payee, mint, salt, open_slot };
        [seeds.derive(&self.key), key_file::voucher_key(&self.key)]
            .iter()
            .any(|key| key.verifying_key().to_bytes() == account.authorized_signer.to_bytes())
    }
}
