//! Channel programs that are known: where they are deployed, who owns their treasury, what they can do beyond the
//! draft.
//!
//! A profile is a fact about a deployment, not a judgement of it. Programs that have none are served and trusted as
//! well, by whoever names them.

use solana_pubkey::Pubkey;

use crate::{Network, PROGRAM_ID, TREASURY_OWNER};

/// What a channel program has beside the draft's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `settle_batch`: one signature settles many channels.
    pub batch: bool,
    /// `rearm`: pay out, and go on in the same account.
    pub rearm: bool,
    /// `settle_up_to`: settle less than a voucher allows.
    pub capture: bool,
    /// `settle_closing`: anybody settles a channel that its payer closes.
    pub settle_closing: bool,
    /// `checkpoint`: a channel's whole state as an event.
    pub checkpoint: bool,
}

/// A channel program that is known by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramProfile {
    /// The program's address, the same on every cluster it is deployed to.
    pub id: Pubkey,
    /// Owner of the treasury's token accounts, for each cluster where there is a deployment: it is compiled in.
    pub deployments: &'static [(Network, Pubkey)],
    /// What it has beside the draft's instructions. What a profile lacks is not used.
    pub capabilities: Capabilities,
}

impl ProgramProfile {
    /// The canonical program of the draft, on the public clusters. The treasury owners are those of its builds for
    /// mainnet (tag v1.0.0) and for devnet.
    pub const CANONICAL: Self = Self {
        id: Pubkey::from_str_const("CHNLxYvVA28MJP9PrFuDXccuoGXAx7jBacfLEkahyGsX"),
        deployments: &[
            (Network::Mainnet, Pubkey::from_str_const("Cs2zdfUNonRdRGsiZUQQLdTxzxVvJZmgiX2mpLYKuEqP")),
            (Network::Devnet, Pubkey::from_str_const("4zTeC5mVqWLruDexgU2mV66p9t5vCA9JyiZqdGDUspap")),
        ],
        capabilities: Capabilities {
            batch: false,
            rearm: false,
            capture: false,
            settle_closing: false,
            checkpoint: false,
        },
    };

    /// The program of this repository as it is committed: for a chain of one's own.
    pub const TOLLKEEPER: Self = Self {
        id: PROGRAM_ID,
        deployments: &[(Network::Localnet, TREASURY_OWNER)],
        capabilities: Capabilities {
            batch: true,
            rearm: true,
            capture: true,
            settle_closing: true,
            checkpoint: true,
        },
    };

    /// Every profile.
    pub const ALL: [Self; 2] = [Self::CANONICAL, Self::TOLLKEEPER];

    /// The profile of a program, if it has one.
    pub fn of(program: &Pubkey) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.id == *program)
    }

    /// The program that is served, and trusted, on a cluster where nobody names another.
    pub const fn default_on(network: Network) -> Self {
        match network {
            Network::Mainnet | Network::Devnet => Self::CANONICAL,
            Network::Localnet => Self::TOLLKEEPER,
        }
    }

    /// Owner of the treasury's token accounts on a cluster, if the program is deployed there.
    pub fn treasury_owner(&self, network: Network) -> Option<Pubkey> {
        self.deployments.iter().find(|(deployed, _)| *deployed == network).map(|(_, owner)| *owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORKS: [Network; 3] = [Network::Mainnet, Network::Devnet, Network::Localnet];

    #[test]
    fn the_default_of_every_cluster_is_deployed_there_with_a_treasury_of_its_own() {
        let owners = NETWORKS.map(|network| ProgramProfile::default_on(network).treasury_owner(network));
        assert!(owners.iter().all(Option::is_some), "{owners:?}");
        assert!(owners[0] != owners[1] && owners[1] != owners[2] && owners[0] != owners[2]);
    }

    #[test]
    fn the_program_of_this_repository_is_deployed_on_no_public_cluster() {
        let ours = ProgramProfile::of(&PROGRAM_ID).unwrap();
        assert_eq!(ours.treasury_owner(Network::Mainnet), None);
        assert_eq!(ours.treasury_owner(Network::Devnet), None);
        assert!(ours.capabilities.batch && ours.capabilities.settle_closing);
    }

    #[test]
    fn the_canonical_program_has_the_drafts_instructions_and_no_others() {
        let canonical = ProgramProfile::default_on(Network::Mainnet);
        assert_eq!(canonical.capabilities, Capabilities::default());
        assert_eq!(canonical.treasury_owner(Network::Localnet), None);
    }

    #[test]
    fn an_unknown_program_has_no_profile() {
        assert_eq!(ProgramProfile::of(&Pubkey::new_from_array([9; 32])), None);
    }
}
