//! What the paying client reports, with an exit code and a remedy.

use toll_client::{BookError, PayError};
use toll_protocol::{RefusalCode, Remedy};

use super::{CliError, Exit};

impl From<BookError> for CliError {
    fn from(error: BookError) -> Self {
        let remedy = match error {
            BookError::Unreadable { .. } => {
                "check its owner and permissions, or name another file with --state"
            }
            BookError::Damaged { .. } => {
                "restore it, or name another file with --state; deposits stay recoverable with `toll request-close`"
            }
            BookError::Version { .. } => "use the program that wrote it, or name another file with --state",
            BookError::InUse(_) => "wait for the other command, or name another file with --state",
            BookError::Unwritable { .. } => {
                "check the folder's owner and free space, or name another file with --state"
            }
            BookError::Unusable { .. } => "restore it, or leave the channel with `toll request-close`",
        };
        Self::new(Exit::State, error, remedy)
    }
}

impl From<PayError> for CliError {
    fn from(error: PayError) -> Self {
        let error = match error {
            PayError::Book(error) => return error.into(),
            PayError::Chain(error) => return error.into(),
            error => error,
        };
        let (exit, remedy) = match &error {
            PayError::Book(_) | PayError::Chain(_) => unreachable!("returned above"),
            PayError::Unreachable { .. } => (Exit::Network, "check the URL and that the server runs"),
            PayError::NoOffer { .. } => {
                (Exit::Unsupported, "nothing was signed; use a client that speaks this payment method")
            }
            PayError::AuthorizationTaken { .. } => (
                Exit::Unsupported,
                "its operator can ask for Payment-Authorization: routes.credential_header",
            ),
            PayError::OperatorSigned { .. } => (
                Exit::AboveLimit,
                "nothing was signed; if that server may take the whole deposit, list the key with --operator",
            ),
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
            PayError::Unsponsored => (Exit::AboveLimit, "nothing more was signed; allow it with --pay-fees"),
            PayError::Cleartext { .. } => {
                (Exit::Usage, "nothing was signed; use https://, or allow it with --allow-http")
            }
            PayError::Streaming { .. } => (Exit::Unsupported, "give the body as bytes"),
            PayError::TooLarge { .. } => {
                (Exit::Refused, "raise --max-body and run it again; a paid answer is not charged twice")
            }
            PayError::PriceAboveLimit { .. } => {
                (Exit::AboveLimit, "nothing was signed; raise --max-amount to accept it")
            }
            PayError::OtherPrice { .. } => (
                Exit::AboveLimit,
                "nothing was signed for it; leave --amount out to pay any price up to --max-amount",
            ),
            PayError::UnknownRecipient { .. } => {
                (Exit::AboveLimit, "nothing was signed; add the key with --recipient if it may be paid")
            }
            PayError::NoAccount { .. } => {
                (Exit::Refused, "nothing was signed; report it to the server's operator")
            }
            PayError::Charged { .. } => (
                Exit::Refused,
                "nothing more was signed; run it again for the answer, or pay once more with --pay-again",
            ),
            PayError::MaybeCharged { .. } => (
                Exit::Refused,
                "nothing more was signed; run it again in two minutes, or pay once more with --pay-again",
            ),
            PayError::PriceRaised { .. } => {
                (Exit::Refused, "no more than the first price was signed; report it to the server's operator")
            }
            PayError::DepositAboveLimit { .. } => {
                (Exit::AboveLimit, "nothing was signed for it; raise --max-deposit to accept it")
            }
            PayError::DepositTooSmall { .. } => (Exit::AboveLimit, "nothing was signed; raise --deposit"),
            PayError::GraceAboveLimit { .. } => {
                (Exit::AboveLimit, "nothing was signed; raise --max-grace to accept it")
            }
            PayError::Sol { .. } => {
                (Exit::Funds, "nothing was signed; give it SOL (on test clusters with `toll fund`)")
            }
            PayError::Funds { .. } => {
                (Exit::Funds, "nothing was signed; fund the account (on test clusters with `toll fund`)")
            }
            PayError::Refused { code, .. } => (Exit::Refused, remedy_for(code)),
            PayError::Redeemed { .. } => (
                Exit::Refused,
                "the request is paid for and nothing more was signed; `--pay-again` pays once more, from a new channel",
            ),
            PayError::MaybeRedeemed { .. } => (
                Exit::Refused,
                "nothing more was signed; run it again when `toll show` has the channel sealed or distributed, or pay \
                 once more with --pay-again",
            ),
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
            PayError::ForeignSigner { .. } => {
                (Exit::Key, "leave it with `toll request-close`, which needs no voucher")
            }
            PayError::NoChannel(_) => (Exit::State, "see `toll channels`"),
            PayError::NoClient(_) => (Exit::Internal, "check the system's certificates and limits"),
            PayError::Endless => (Exit::Refused, "report it to the server's operator"),
        };
        Self::new(exit, error, remedy)
    }
}

fn remedy_for(code: &str) -> &'static str {
    match code.parse().map(RefusalCode::remedy) {
        Ok(Remedy::Repeat) => "try again later; nothing was lost",
        Ok(Remedy::OpenAnother) => "run it again to open a new channel",
        _ => "run it again, or report it to the server's operator",
    }
}
