//! Why a request was not paid for.

use toll_protocol::{Amount, ChannelId, Network};

use solana_pubkey::Pubkey;

use toll_chain::ChainError;

use crate::error::{CliError, Exit};

/// Why a request was not paid for, or not answered.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// No answer over HTTP.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The resource.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// A 402 without a challenge for this method and intent.
    #[error("{url} asks for a payment, but offers no solana session")]
    NoOffer {
        /// The resource.
        url: String,
    },
    /// A challenge that breaks its own rules.
    #[error("the challenge is malformed: {0}")]
    Malformed(String),
    /// A challenge that expired before it could be answered.
    #[error("the challenge expired at {0}")]
    Expired(String),
    /// Sessions in which the server signs the vouchers.
    #[error("the server wants to sign the vouchers itself")]
    OperatorSigned,
    /// Another network than the payer's.
    #[error("the challenge is for {challenged}, this payer is on {expected}")]
    WrongNetwork {
        /// What the challenge says.
        challenged: Network,
        /// What the payer is on.
        expected: Network,
    },
    /// A program that is not on the payer's list for the network.
    #[error("channel program {program} is not known on {network}")]
    UnknownProgram {
        /// What the challenge says.
        program: Pubkey,
        /// The payer's network.
        network: Network,
    },
    /// Another mint than the one the payer asked for.
    #[error("the challenge is for mint {challenged}, not {expected}")]
    WrongMint {
        /// What the challenge says.
        challenged: Pubkey,
        /// What the payer allows.
        expected: Pubkey,
    },
    /// A mint for which the payer's limits mean something else.
    #[error("the challenge is for a mint of {challenged} decimals, the limits were given for {expected}")]
    WrongDecimals {
        /// What the challenge says.
        challenged: u8,
        /// What the limits are in.
        expected: u8,
    },
    /// A server that leaves fees and rent to the payer.
    #[error("the server sponsors nothing: fees and rent would be the payer's, in SOL")]
    Unsponsored,
    /// A credential would travel in the clear.
    #[error("{origin} would be paid over plain HTTP, for everybody on the way to read")]
    Cleartext {
        /// Scheme, host and port.
        origin: String,
    },
    /// More than the payer wants to hold in memory.
    #[error("{origin} sends more than {limit} bytes")]
    TooLarge {
        /// Scheme, host and port.
        origin: String,
        /// Bytes.
        limit: usize,
    },
    /// The price of one request is above the payer's limit.
    #[error("the price is {price} base units per request, above the limit of {limit}")]
    PriceAboveLimit {
        /// Base units.
        price: Amount,
        /// Base units.
        limit: Amount,
    },
    /// The deposit needed is above the payer's limit.
    #[error("a deposit of {needed} base units is needed, above the limit of {limit}")]
    DepositAboveLimit {
        /// Base units, in all.
        needed: Amount,
        /// Base units, in all.
        limit: Amount,
    },
    /// The deposit asked for on the command line is too small for this server.
    #[error("a deposit of {deposit} base units is below the {minimum} that the server asks for")]
    DepositTooSmall {
        /// Base units.
        deposit: Amount,
        /// Base units.
        minimum: Amount,
    },
    /// A forced close would hold the deposit for too long.
    #[error("the grace period is {challenged} s, above the limit of {limit} s")]
    GraceAboveLimit {
        /// Seconds.
        challenged: u32,
        /// Seconds.
        limit: u32,
    },
    /// The payer has too few tokens.
    #[error("{payer} has {available} base units of {mint}, the deposit is {needed}")]
    Funds {
        /// Whose account.
        payer: Pubkey,
        /// Which token.
        mint: Pubkey,
        /// Base units needed.
        needed: Amount,
        /// Base units there.
        available: Amount,
    },
    /// The server did not take the credential.
    #[error("the server refused ({status} {code}): {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The problem's `code`, or its type.
        code: String,
        /// The problem's `detail`.
        detail: String,
    },
    /// The request was paid for and answered before, and the server has not kept the answer.
    #[error("the request was paid for and answered before, and the server did not keep the answer")]
    AnswerLost,
    /// The server claims more than was signed, or contradicts itself.
    #[error("the server's figures cannot be right: {0}")]
    Dishonest(String),
    /// A server that takes deposits and serves nothing for them.
    #[error("the server closed the channel that was opened for this request")]
    ClosedAtOnce,
    /// A server that calls channels closed and leaves their deposits in escrow.
    #[error("{origin} closed channels that are still open on chain, {channel} among them")]
    LeftBehind {
        /// Scheme, host and port.
        origin: String,
        /// The older one.
        channel: ChannelId,
    },
    /// No open channel where one is needed.
    #[error("there is no open channel {0} in the state file")]
    NoChannel(ChannelId),
    /// The exchange went on for too long.
    #[error("the server kept asking for something else")]
    Endless,
    /// The state file, the RPC, or a key.
    #[error(transparent)]
    Other(#[from] CliError),
    /// The cluster could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl From<PayError> for CliError {
    fn from(error: PayError) -> Self {
        let error = match error {
            PayError::Other(error) => return error,
            PayError::Chain(error) => return error.into(),
            error => error,
        };
        let (exit, remedy) = match &error {
            PayError::Other(_) | PayError::Chain(_) => unreachable!("returned above"),
            PayError::Unreachable { .. } => (Exit::Network, "check the URL and that the server runs"),
            PayError::NoOffer { .. } | PayError::OperatorSigned => {
                (Exit::Unsupported, "nothing was signed; use a client that speaks this payment method")
            }
            PayError::Malformed(_) => {
                (Exit::Unsupported, "nothing was signed for it; report it to the server's operator")
            }
            PayError::Expired(_) => {
                (Exit::Unsupported, "nothing was signed; check this machine's clock, then ask the operator")
            }
            PayError::WrongNetwork { .. } => {
                (Exit::WrongCluster, "nothing was signed; choose with --network")
            }
            PayError::UnknownProgram { .. } => {
                (Exit::WrongCluster, "nothing was signed; add it with --program if you trust it")
            }
            PayError::WrongMint { .. } => (Exit::AboveLimit, "nothing was signed; allow it with --mint"),
            PayError::WrongDecimals { .. } => (
                Exit::AboveLimit,
                "nothing was signed; if you mean that mint, give --decimals and limits for it",
            ),
            PayError::Unsponsored => (Exit::AboveLimit, "nothing was signed; allow it with --pay-fees"),
            PayError::Cleartext { .. } => {
                (Exit::Usage, "nothing was signed; use https://, or allow it with --allow-http")
            }
            PayError::TooLarge { .. } => {
                (Exit::Refused, "raise --max-body and run it again; a paid answer is not charged twice")
            }
            PayError::PriceAboveLimit { .. } => {
                (Exit::AboveLimit, "nothing was signed; raise --max-amount to accept it")
            }
            PayError::DepositAboveLimit { .. } => {
                (Exit::AboveLimit, "nothing was signed for it; raise --max-deposit to accept it")
            }
            PayError::DepositTooSmall { .. } => (Exit::AboveLimit, "nothing was signed; raise --deposit"),
            PayError::GraceAboveLimit { .. } => {
                (Exit::AboveLimit, "nothing was signed; raise --max-grace to accept it")
            }
            PayError::Funds { .. } => {
                (Exit::Funds, "nothing was signed; fund the account (on test clusters with `toll fund`)")
            }
            PayError::Refused { code, .. } => (Exit::Refused, remedy_for(code)),
            PayError::AnswerLost => (Exit::Refused, "run the command again to pay for a new answer"),
            PayError::Dishonest(_) => (
                Exit::Refused,
                "stop using it, unless another copy of the state file signed that; `toll request-close` recovers \
                 the deposit",
            ),
            PayError::ClosedAtOnce => {
                (Exit::Refused, "stop using it; `toll channels` names the channel, `toll show` its state")
            }
            PayError::LeftBehind { .. } => (
                Exit::Refused,
                "nothing was signed; `toll request-close` and `toll withdraw` recover their deposits",
            ),
            PayError::NoChannel(_) => (Exit::State, "see `toll channels`"),
            PayError::Endless => (Exit::Refused, "report it to the server's operator"),
        };
        Self::new(exit, error, remedy)
    }
}

fn remedy_for(code: &str) -> &'static str {
    match code {
        "unavailable" | "rate-limited" | "opens-suspended" => "try again later; nothing was lost",
        "channel-closing" | "channel-closed" | "channel-not-found" => "run it again to open a new channel",
        _ => "run it again, or report it to the server's operator",
    }
}
