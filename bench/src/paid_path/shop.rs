//! A gateway before an upstream, and the one challenge that every request of the benchmark echoes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use solana_hash::Hash;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use toll_gateway::{Config, Gateway, PaymentLayer, RouteTable, bind, proxy_router, route_table, serve};
use toll_ledger::{ChannelFixture, Ledger, Tip};
use toll_protocol::{
    Action, Challenge, ChallengeSecret, Credential, SignedVoucher, VoucherAction, format_authorization,
    parse_www_authenticate,
};
use tower::{Layer, ServiceExt};

use super::Failure;
use super::channels::payee;
use super::upstream::Upstream;

/// What costs [`super::PRICE`].
pub(super) const PAID: &str = "/paid";

/// What costs nothing.
pub(super) const FREE: &str = "/free";

/// How often the settler would say what it sees of the chain.
const TIP_EVERY: Duration = Duration::from_secs(5);

/// A running server with what it takes.
pub(super) struct Shop {
    pub(super) ledger: Ledger,
    pub(super) address: SocketAddr,
    layer: PaymentLayer,
    challenge: Challenge,
    runtime: Runtime,
    _stop: oneshot::Sender<()>,
    _upstream: Upstream,
}

impl Shop {
    /// Starts everything on `runtime`.
    pub(super) fn open(runtime: Runtime, ledger: Ledger) -> Result<Self, Failure> {
        let upstream = Upstream::start()?;
        let config = Config::parse(&configuration(upstream.address()))?;
        let terms = config.session.terms(&config.gateway)?;
        let routes: Arc<RouteTable> = Arc::new(route_table(&config.routes, &terms, config.gateway.unpriced)?);
        let secret = ChallengeSecret::new(vec![7; 32])?;
        let gateway = Arc::new(Gateway::new(ledger.clone(), terms, secret));
        let layer = PaymentLayer::new(Arc::clone(&gateway), Arc::clone(&routes) as _);
        let router = proxy_router(gateway, routes, &config.gateway)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, challenge) = runtime.block_on(async {
            look(&ledger).await?;
            tokio::spawn(keep_looking(ledger.clone()));
            let listener = bind(&config.gateway).await?;
            let address = listener.local_addr()?;
            let running = serve(listener, router, &config.gateway, async { stopped.await.unwrap_or(()) });
            tokio::spawn(running);
            Ok::<_, Failure>((address, challenge(&layer).await?))
        })?;
        Ok(Self { ledger, address, layer, challenge, runtime, _stop: stop, _upstream: upstream })
    }

    /// Where its tasks run.
    pub(super) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// The `Authorization` that pays with `signed`.
    pub(super) fn authorization(&self, signed: &SignedVoucher) -> Result<String, Failure> {
        authorization(&self.challenge, signed)
    }

    /// The guarded service in process.
    pub(super) fn layer(&self) -> &PaymentLayer {
        &self.layer
    }
}

/// The `Authorization` that answers `challenge` with `signed`.
pub(super) fn authorization(challenge: &Challenge, signed: &SignedVoucher) -> Result<String, Failure> {
    let action = VoucherAction { channel_id: signed.voucher.channel_id, voucher: signed.clone() };
    let action = Action::Voucher(action);
    Ok(format_authorization(&Credential { challenge: challenge.clone(), action, source: None })?)
}

/// Answers as the upstream does.
pub(super) async fn answer(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::from(super::upstream::ANSWER)))
}

/// Pays through the layer, without sockets.
pub(super) async fn pay_in_process(layer: &PaymentLayer, authorization: &str) -> Result<(), Failure> {
    let request = Request::builder().uri(PAID).header(AUTHORIZATION, authorization).body(Body::empty())?;
    let response = layer.layer(tower::service_fn(answer)).oneshot(request).await?;
    match response.status().is_success() {
        true => Ok(()),
        false => Err(format!("a paid request was answered {}", response.status()).into()),
    }
}

async fn challenge(layer: &PaymentLayer) -> Result<Challenge, Failure> {
    let request = Request::builder().uri(PAID).body(Body::empty())?;
    let response = layer.layer(tower::service_fn(answer)).oneshot(request).await?;
    let value = response.headers().get(WWW_AUTHENTICATE).ok_or("no challenge")?;
    parse_www_authenticate(value)?.payment.pop().ok_or_else(|| "no challenge".into())
}

/// What a settler writes down when it has looked at the chain.
async fn look(ledger: &Ledger) -> Result<(), Failure> {
    let now = ledger.now();
    let slot = now.unsigned_abs();
    let tip = Tip {
        blockhash: Hash::new_from_array([5; 32]),
        slot,
        block_height: slot,
        last_valid_block_height: slot + 150,
        published_at: now,
    };
    ledger.publish_tip(tip).await?;
    ledger.mark_channels_observed(now).await?;
    Ok(())
}

async fn keep_looking(ledger: Ledger) {
    while look(&ledger).await.is_ok() {
        tokio::time::sleep(TIP_EVERY).await;
    }
}

fn configuration(upstream: SocketAddr) -> String {
    let terms = ChannelFixture::new(0, 1).channel.agreement.terms;
    format!(
        r#"
[gateway]
listen = "127.0.0.1:0"
upstream = "http://{upstream}"
realm = "api.example.com"
unpriced = "free"

[gateway.limits]
vouchers_per_second = 1000000

[session]
network = "localnet"
payee = "{payee}"
fee_payer = "{payee}"
mint = "{mint}"
allowed_mints = ["{mint}"]
decimals = 6
minimum_deposit = "0.0001"

[[routes]]
path = "{PAID}"
price = "0.000016"
"#,
        payee = payee(),
        mint = terms.mint,
    )
}
