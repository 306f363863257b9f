//! Program against model, and each step against the one before.

use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq};
use toll_program_tests::{Channel, ChannelState, Status, TokenState};

use super::Run;
use crate::model::{Channel as Expected, Stage};
use crate::op::{Op, Way};

impl Run {
    /// Both sides agree on every channel, every balance and every law.
    pub(super) fn compare(&self) -> Result<(), TestCaseError> {
        for (open_slot, expected) in &self.model.channels {
            self.compare_channel(&self.channels[open_slot], expected)?;
        }
        for (open_slot, channel) in &self.channels {
            let held = self.model.escrows.get(open_slot).copied();
            let actual = self.world.token_state(&channel.escrow).map(|state| state.amount);
            prop_assert_eq!(actual, held, "escrow of the channel opened in slot {}", open_slot);
        }
        for (party, (_, address)) in self.parties().into_iter().enumerate() {
            prop_assert_eq!(
                self.world.tokens(&address),
                self.model.tokens[party],
                "tokens of party {}",
                party
            );
        }
        prop_assert_eq!(self.supply(), u128::from(self.model.supply), "tokens on the whole ledger");
        let rent_payer = self.world.lamports(&self.world.channel.plan.rent_payer);
        prop_assert_eq!(rent_payer, self.model.rent_payer, "lamports of the rent payer");
        prop_assert_eq!(
            self.world.lamports(&self.world.channel.plan.payer),
            self.wallets,
            "lamports of the payer"
        );
        Ok(())
    }

    fn compare_channel(&self, channel: &Channel, expected: &Expected) -> Result<(), TestCaseError> {
        if expected.stage == Stage::Gone {
            prop_assert!(self.world.is_gone(&channel.address));
            return Ok(());
        }
        let mut world_channel = channel.opened();
        let account = self.world.svm.get_account(&channel.address);
        let account = account.ok_or_else(|| TestCaseError::fail("the channel account is gone"))?;
        let actual = ChannelState::decode(&account.data);
        prop_assert!(actual.payout_watermark <= actual.settled && actual.settled <= actual.deposit);
        let (status, since) = match expected.stage {
            Stage::Open => (Status::Open, 0),
            Stage::Closing { since } => (Status::Closing, since),
            Stage::Sealed => (Status::Sealed, 0),
            Stage::Distributed | Stage::Gone => (Status::Distributed, 0),
        };
        world_channel.status = status as u8;
        world_channel.closure_started_at = since;
        world_channel.deposit = expected.deposit;
        world_channel.settled = expected.settled;
        world_channel.payout_watermark = expected.paid;
        // When exactly is the business of `withdraw_payer`'s own tests.
        world_channel.payer_withdrawn_at = actual.payer_withdrawn_at;
        if expected.stage != Stage::Distributed {
            prop_assert_eq!(actual.payer_withdrawn_at != 0, expected.refunded);
        }
        prop_assert_eq!(actual, world_channel);
        prop_assert_eq!(account.lamports, expected.lamports);
        Ok(())
    }

    /// Every token of the mint, wherever it is.
    fn supply(&self) -> u128 {
        let channel = &self.world.channel;
        let accounts = self.world.svm.get_program_accounts(&channel.token_program);
        let tokens = accounts.iter().filter(|(address, _)| *address != channel.mint).map(|(_, account)| {
            let state = TokenState::decode(&account.data);
            assert_eq!(state.mint, channel.mint);
            u128::from(state.amount)
        });
        tokens.sum()
    }

    /// What holds from one step to the next whatever the model thinks.
    pub(super) fn keep_laws(&mut self, op: Op) -> Result<(), TestCaseError> {
        let rearms = matches!(op, Op::Rearm { .. } | Op::Replay { by: Way::Rearm, .. });
        for (open_slot, channel) in &self.channels {
            let Some(now) = self.channel_state(&channel.address) else {
                self.before.remove(open_slot);
                continue;
            };
            let promised = self.promised.get(open_slot).copied().unwrap_or(0);
            prop_assert!(now.settled <= promised, "more is settled than was ever signed");
            if let Some(before) = self.before.insert(*open_slot, now.clone()) {
                prop_assert!(now.settled >= before.settled, "a watermark went back");
                prop_assert!(now.payout_watermark >= before.payout_watermark, "a payout went back");
                prop_assert!(now.deposit >= before.deposit || rearms, "a deposit went back");
                prop_assert!(now.deposit >= before.settled, "a refund took what was settled");
                let frozen = [1, 3].contains(&before.status);
                prop_assert!(!frozen || now.settled == before.settled, "a sealed channel settled");
                let moves = [(0, 0), (0, 2), (0, 1), (2, 2), (2, 1), (1, 1), (1, 3), (3, 3)];
                prop_assert!(moves.contains(&(before.status, now.status)), "no such move");
            }
        }
        Ok(())
    }
}
