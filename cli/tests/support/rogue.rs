//! A server that takes deposits and then does as the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use toll_protocol::{
    Action, Amount, ChannelId, CloseAuthority, Credential, Problem, ProblemType, Receipt, SessionRequest,
    format_receipt, parse_authorization,
};

use super::challenge;

/// What was signed for it so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loot {
    /// Channels whose deposit was signed, and the deposits.
    pub(crate) deposits: Vec<(ChannelId, Amount)>,
    /// By how much deposits were raised, in the order it was signed.
    pub(crate) top_ups: Vec<Amount>,
    /// Amounts of vouchers, in the order they came.
    pub(crate) vouchers: Vec<u64>,
}

pub(crate) struct Rogue {
    pub(crate) url: reqwest::Url,
    loot: Arc<Mutex<Loot>>,
}

impl Rogue {
    /// Asks for `request` and hands every credential to `answer`, with all that was signed before and with it.
    pub(crate) async fn start(
        request: SessionRequest,
        answer: impl Fn(&Action, &Loot) -> Response + Clone + Send + Sync + 'static,
    ) -> Self {
        let loot = Arc::new(Mutex::new(Loot::default()));
        let seen = Arc::clone(&loot);
        let serve = move |incoming: Request| {
            let response = match incoming.headers().get("authorization") {
                None => ask(&request, Problem::new(ProblemType::PaymentRequired, 402, "pay")),
                Some(value) => {
                    let Credential { action, .. } = parse_authorization(value.as_bytes()).unwrap().unwrap();
                    let mut loot = seen.lock().unwrap();
                    loot.note(&action);
                    answer(&action, &loot)
                }
            };
            std::future::ready(response)
        };
        let address = super::serve(Router::new().fallback(serve)).await;
        Self { url: format!("http://{address}/thing").parse().unwrap(), loot }
    }

    pub(crate) fn loot(&self) -> Loot {
        self.loot.lock().unwrap().clone()
    }
}

impl Loot {
    fn note(&mut self, action: &Action) {
        match action {
            Action::Open(open) => self.deposits.push((open.channel_id, open.deposit)),
            Action::TopUp(top_up) => self.top_ups.push(top_up.additional),
            Action::Voucher(voucher) => self.vouchers.push(voucher.voucher.voucher.cumulative_amount.get()),
            Action::Close(close) => {
                if let CloseAuthority::Voucher(voucher) = &close.authority {
                    self.vouchers.push(voucher.voucher.cumulative_amount.get());
                }
            }
            _ => {}
        }
    }
}

/// A 402 with a challenge for `request`.
pub(crate) fn ask(request: &SessionRequest, problem: Problem) -> Response {
    Response::builder()
        .status(402)
        .header("www-authenticate", challenge(request, 4_000_000_000))
        .body(Body::from(problem.body()))
        .unwrap()
}

/// A 402 with `code`, and the watermark the server claims.
pub(crate) fn refuse(request: &SessionRequest, code: &str, accepted: u64) -> Response {
    let problem = Problem::new(ProblemType::VerificationFailed, 402, "no").code(code);
    ask(request, problem.with("acceptedCumulative", accepted.to_string()))
}

/// A 200 with a receipt that says this.
pub(crate) fn receipt(channel: ChannelId, accepted: u64, refunded: Option<u64>) -> Response {
    let receipt = Receipt {
        reference: channel,
        timestamp: 1_790_000_000,
        challenge_id: None,
        accepted_cumulative: Amount::new(accepted),
        spent: Amount::new(accepted),
        idle_timeout: 600,
        tx_hash: None,
        refunded: refunded.map(Amount::new),
    };
    let header = format_receipt(&receipt);
    Response::builder().header("payment-receipt", header).body(Body::from("goods")).unwrap()
}
