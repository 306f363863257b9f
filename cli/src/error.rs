//! What went wrong, what to do about it, and the exit code that says so.

use std::fmt::Display;

use toll_chain::ChainError;
#[cfg(feature = "localnet")]
use toll_localnet::LocalnetError;

mod client;

/// Why the command ended. The numbers are the process's exit codes and are part of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Something this program did not foresee.
    Internal = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The configuration is missing, unreadable or wrong.
    Config = 3,
    /// A host is unknown, refuses connections or does not answer.
    Network = 4,
    /// The server, or the cluster, refused.
    Refused = 5,
    /// The payer or the fee payer cannot cover it.
    Funds = 6,
    /// The price, deposit, grace period or mint is outside the limits given.
    AboveLimit = 7,
    /// Another network, another cluster, or a program that is not on the list or not deployed.
    WrongCluster = 8,
    /// A key file is missing, unreadable, or belongs to somebody else.
    Key = 9,
    /// The channel state file is unreadable, newer than this program, or in use.
    State = 10,
    /// The ledger is unreadable, newer than this program, or in another settler's hands.
    Ledger = 11,
    /// The figures do not add up.
    Mismatch = 12,
    /// The server asked for a payment this program cannot make.
    Unsupported = 13,
}

impl Exit {
    /// Every exit code but success, for the help text.
    pub const ALL: [Self; 13] = [
        Self::Internal,
        Self::Usage,
        Self::Config,
        Self::Network,
        Self::Refused,
        Self::Funds,
        Self::AboveLimit,
        Self::WrongCluster,
        Self::Key,
        Self::State,
        Self::Ledger,
        Self::Mismatch,
        Self::Unsupported,
    ];

    /// The process's exit code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One word for machines: the `code` member of `--json` errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Network => "network",
            Self::Refused => "refused",
            Self::Funds => "funds",
            Self::AboveLimit => "above-limit",
            Self::WrongCluster => "wrong-cluster",
            Self::Key => "key",
            Self::State => "state",
            Self::Ledger => "ledger",
            Self::Mismatch => "mismatch",
            Self::Unsupported => "unsupported",
        }
    }

    /// Half a line for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Internal => "unforeseen error",
            Self::Usage => "wrong command line",
            Self::Config => "configuration missing, unreadable or wrong",
            Self::Network => "host unknown or unreachable",
            Self::Refused => "refused by the server or the cluster",
            Self::Funds => "not enough tokens, or no SOL where it is needed",
            Self::AboveLimit => "price, deposit, grace period or mint outside the limits given",
            Self::WrongCluster => "another network or cluster, or an unknown program",
            Self::Key => "key file missing, unreadable or not the right one",
            Self::State => "channel state file unreadable, too new, or in use",
            Self::Ledger => "ledger unreadable, too new, or in use by another settler",
            Self::Mismatch => "the figures do not add up",
            Self::Unsupported => "the server asks for a payment this program cannot make",
        }
    }
}

/// An error as the user sees it: one line, `what; remedy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct CliError {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, in lower case, with its values.
    pub what: String,
    /// What the user can do about it.
    pub remedy: String,
}

impl CliError {
    /// An error ending with `exit`. Both texts are flattened to one line that is safe to show.
    pub fn new(exit: Exit, what: impl Display, remedy: impl Display) -> Self {
        let what = one_line(&what.to_string());
        Self { exit, what: what.trim_end_matches('.').into(), remedy: one_line(&remedy.to_string()) }
    }
}

impl From<ChainError> for CliError {
    fn from(error: ChainError) -> Self {
        let (exit, remedy) = match &error {
            ChainError::Unreachable { .. } => {
                (Exit::Network, "check --rpc, or start a local chain with `toll localnet`")
            }
            ChainError::Refused { .. } => (Exit::Refused, "look at the node's message"),
            ChainError::Malformed { .. } => {
                (Exit::Network, "the node answers nonsense; use another with --rpc")
            }
            ChainError::WrongCluster { .. } => (Exit::WrongCluster, "check --rpc and --network"),
            ChainError::StrayNode { .. } => (Exit::WrongCluster, "name nodes of one cluster only"),
            ChainError::NoNode => (Exit::Config, "name an RPC endpoint"),
            ChainError::Behind { .. } => (Exit::Network, "try again, or name another RPC endpoint"),
            ChainError::NoMint { .. } => (Exit::WrongCluster, "check --mint and --rpc"),
            ChainError::NotAChannel { .. } => {
                (Exit::WrongCluster, "check the channel id, --program and --rpc")
            }
            ChainError::NoAirdrop { .. } => {
                (Exit::Refused, "airdrops exist on test clusters only, and devnet rations them")
            }
            ChainError::AirdropLost { .. } => (Exit::Network, "try again"),
            ChainError::Signing(_) => (Exit::Internal, "report this"),
            ChainError::NotTaken(_) => (Exit::Refused, "nothing was changed"),
            ChainError::DidNotRun { .. } => (Exit::Funds, "give the fee payer SOL and try again"),
            ChainError::Failed { .. } => (Exit::Refused, "look at its logs on chain"),
            ChainError::Unconfirmed { .. } => (Exit::Network, "look it up before sending another"),
        };
        Self::new(exit, error, remedy)
    }
}

#[cfg(feature = "localnet")]
impl From<LocalnetError> for CliError {
    fn from(error: LocalnetError) -> Self {
        match error {
            LocalnetError::Chain(error) => error.into(),
            LocalnetError::Key(error) => error.into(),
            LocalnetError::Port { .. } => {
                Self::new(Exit::Network, error, "stop what runs there, or choose another port")
            }
            LocalnetError::Broken(_) => {
                Self::new(Exit::Internal, error, "run again with RUST_LOG=debug and report what it prints")
            }
        }
    }
}

/// A command's result.
pub type Result<T, E = CliError> = std::result::Result<T, E>;

/// Servers' words are in here too: nothing in them may move the cursor or turn the line around.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control() && !turns_text(*c)).collect()
}

/// Whether `c` changes the direction of the text around it.
pub(crate) fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_distinct_and_never_zero() {
        let codes: std::collections::BTreeSet<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes.len(), Exit::ALL.len());
        assert!(!codes.contains(&0));
    }

    #[test]
    fn a_usage_error_has_the_code_clap_uses() {
        assert_eq!(Exit::Usage.code(), 2);
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let error = CliError::new(Exit::Network, "connection\n  refused", "start\nit");
        assert_eq!(error.to_string(), "connection refused; start it");
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        let error = CliError::new(Exit::Refused, "\u{1b}[2Jno\u{7}\u{9b}1A \u{202e}yes\u{0}", "\u{1b}]0;x");
        assert_eq!(error.to_string(), "[2Jno1A yes; ]0;x");
    }

    #[test]
    fn a_full_stop_does_not_meet_the_semicolon() {
        assert_eq!(CliError::new(Exit::Refused, "limit reached.", "wait").to_string(), "limit reached; wait");
    }
}
