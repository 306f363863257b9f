//! Why a request was not paid for.

use solana_pubkey::Pubkey;
use solana_signature::Signature;
use toll_chain::ChainError;
use toll_protocol::{Amount, ChannelId, Network};

use crate::book::BookError;

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
    /// A 402 without a challenge for this method and an intent that the payer's policy names.
    #[error("{url} asks for a payment, but offers no solana session or charge that this payer makes")]
    NoOffer {
        /// The resource.
        url: String,
    },
    /// The request's `Authorization` is the caller's, and the credential would belong in the same header.
    #[error(
        "{url} takes its payment in the Authorization header, which the request needs for something else"
    )]
    AuthorizationTaken {
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
    #[error("the server wants to sign the vouchers itself, as {operator}")]
    OperatorSigned {
        /// Who would sign.
        operator: Pubkey,
    },
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
    /// A request that cannot be sent twice.
    #[error(
        "{url} asks for a payment, and the request's body is a stream that cannot be sent again; give it as bytes"
    )]
    Streaming {
        /// The resource.
        url: String,
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
    /// Another price than the one that the payer named.
    #[error("the price is {asked} base units, not the {expected} that were to be paid")]
    OtherPrice {
        /// Base units.
        asked: Amount,
        /// Base units.
        expected: Amount,
    },
    /// Somebody would be paid who is not on the payer's list.
    #[error("{recipient} would be paid, who is not among the recipients that may be")]
    UnknownRecipient {
        /// The key.
        recipient: Pubkey,
    },
    /// Somebody is to be paid who has no account for the token.
    #[error("{owner} has no token account for {mint}, so nothing can be transferred there")]
    NoAccount {
        /// The key.
        owner: Pubkey,
        /// The token.
        mint: Pubkey,
    },
    /// A charge that landed and is not answered.
    #[error("the request was paid for by transaction {signature}, and the server does not answer it")]
    Charged {
        /// The transaction.
        signature: Signature,
    },
    /// A charge that was handed out and may have landed, or may yet.
    #[error("a transaction over {amount} base units was handed out for the request, and may still land")]
    MaybeCharged {
        /// Base units.
        amount: Amount,
    },
    /// A server that asks for more after it has named its price.
    #[error("the server asked {quoted} base units for the request and now asks {asked}")]
    PriceRaised {
        /// Base units, as first asked for this request.
        quoted: Amount,
        /// Base units, as asked afterwards.
        asked: Amount,
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
    /// The payer has too little SOL for what it would pay for itself.
    #[error("{payer} has {available} lamports, to {purpose} at its own cost takes {needed}")]
    Sol {
        /// Whose account.
        payer: Pubkey,
        /// What for.
        purpose: &'static str,
        /// Lamports needed: fee, rent, and what the payer's own account must keep.
        needed: u64,
        /// Lamports there.
        available: u64,
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
    /// The server called a channel closed, and redeemed the request's voucher from it.
    #[error(
        "the server says that channel {channel} is closed, and has redeemed the voucher for this request: {settled} base units are settled"
    )]
    Redeemed {
        /// The channel.
        channel: ChannelId,
        /// What it redeemed in all, in base units.
        settled: Amount,
    },
    /// The server called a channel closed, and may have redeemed the request's voucher from it, or may yet.
    #[error(
        "the server says that channel {channel} is closed, but it may still redeem the voucher for this request, over {cumulative} base units"
    )]
    MaybeRedeemed {
        /// The channel.
        channel: ChannelId,
        /// The voucher's cumulative amount, in base units.
        cumulative: Amount,
    },
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
    /// A channel whose vouchers another key signs.
    #[error("vouchers of channel {channel} are signed by {signer}, which this payer's key does not lead to")]
    ForeignSigner {
        /// The channel.
        channel: ChannelId,
        /// Its authorized signer.
        signer: Pubkey,
    },
    /// No open channel where one is needed.
    #[error("there is no open channel {0} in the state file")]
    NoChannel(ChannelId),
    /// The exchange went on for too long.
    #[error("the server kept asking for something else")]
    Endless,
    /// No HTTP client can be made on this machine.
    #[error("no HTTP client: {0}")]
    NoClient(String),
    /// The state file cannot be used.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The cluster could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}
