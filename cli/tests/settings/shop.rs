//! A gateway as a file makes it, in front of a service, asked without money.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use solana_hash::Hash;
use toll_gateway::{Gateway, PaymentLayer, RouteTable, Terms};
use toll_ledger::{Ledger, ManualClock, Tip};
use toll_protocol::{Challenge, ChallengeSecret, ChannelOffer, SessionRequest, parse_www_authenticate};
use tower::ServiceExt;

/// When everything is asked, in unix seconds.
pub(super) const NOW: i64 = 1_790_000_000;

/// The answer to a request that carries no credential.
pub(super) struct Asked {
    pub(super) status: StatusCode,
    challenge: Option<Challenge>,
}

impl Asked {
    pub(super) fn challenge(&self) -> &Challenge {
        self.challenge.as_ref().expect("it asks for money")
    }

    pub(super) fn request(&self) -> SessionRequest {
        self.challenge().session_request().expect("a session")
    }

    /// Grace period and idle timeouts of the channel asked for.
    pub(super) fn new_channel(&self) -> (u32, Vec<u32>) {
        match self.request().method_details.channel {
            ChannelOffer::New { grace_period, idle_timeout_options, .. } => {
                (grace_period, idle_timeout_options)
            }
            other => panic!("{other:?}"),
        }
    }
}

/// What a gateway of these terms and routes answers to `method` of `path`.
pub(super) fn ask(terms: Terms, routes: RouteTable, method: &Method, path: &str) -> Asked {
    let folder = tempfile::tempdir().unwrap();
    let asking = async {
        let ledger = Ledger::open(folder.path().join("ledger.db"), ManualClock::new(NOW)).unwrap();
        let tip = Tip {
            blockhash: Hash::new_from_array([5; 32]),
            slot: 2_000,
            block_height: 2_000,
            last_valid_block_height: 2_150,
            published_at: NOW,
        };
        ledger.publish_tip(tip).await.unwrap();
        let secret = ChallengeSecret::new(vec![7; 32]).unwrap();
        let layer = PaymentLayer::new(Arc::new(Gateway::new(ledger, terms, secret)), Arc::new(routes));
        let router = Router::new().fallback(|| async { "served" }).layer(layer);
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let offered = response.headers().get("www-authenticate");
        let challenge = offered.map(|value| parse_www_authenticate(value).unwrap().payment.remove(0));
        Asked { status: response.status(), challenge }
    };
    tokio::runtime::Runtime::new().unwrap().block_on(asking)
}
