//! Telling one cluster from another: by the hash of its first block, never by its URL.

use toll_protocol::Network;

use crate::ChainError;

/// Genesis hash of the public main network.
pub const MAINNET_GENESIS: &str = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d";

/// Genesis hash of the public development network.
pub const DEVNET_GENESIS: &str = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG";

/// Refuses a `found` genesis hash that is not `network`'s: a public network has its own, a local one may have
/// any other. `node` is named in the error.
pub fn check_genesis(network: Network, found: &str, node: &str) -> Result<(), ChainError> {
    let (right, expected) = match network {
        Network::Mainnet => (found == MAINNET_GENESIS, MAINNET_GENESIS),
        Network::Devnet => (found == DEVNET_GENESIS, DEVNET_GENESIS),
        Network::Localnet => {
            (![MAINNET_GENESIS, DEVNET_GENESIS].contains(&found), "any but a public network's")
        }
    };
    if right {
        return Ok(());
    }
    Err(ChainError::WrongCluster { node: node.to_owned(), network, expected, found: found.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_network_has_its_own_genesis_and_a_local_one_any_other() {
        let of = |network, found| check_genesis(network, found, "node").is_ok();
        assert!(of(Network::Mainnet, MAINNET_GENESIS) && of(Network::Devnet, DEVNET_GENESIS));
        assert!(of(Network::Localnet, "something"));
        assert!(!of(Network::Mainnet, DEVNET_GENESIS) && !of(Network::Devnet, "something"));
        assert!(!of(Network::Localnet, MAINNET_GENESIS) && !of(Network::Localnet, DEVNET_GENESIS));
    }
}
