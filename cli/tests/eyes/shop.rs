//! A whole server on a chain of its own, and somebody who pays.

use std::path::Path;

use axum::{Router, routing::get};
use reqwest::StatusCode;
use solana_signer::Signer;
use toll_chain::Cluster;
use toll_cli::config::Config;
use toll_cli::server::{Role, Server};
use toll_client::Request;
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::Amount;

use crate::support;
use crate::support::gateway::Customer;

/// A chain, and the files of a server in a folder.
pub(crate) struct Shop {
    pub(crate) folder: tempfile::TempDir,
    actors: Actors,
    fixture: Fixture,
    localnet: Localnet,
}

impl Shop {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() };
        let localnet = Localnet::start(config).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(folder.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        Self { folder, actors, fixture, localnet }
    }

    /// A server that sells, with more sections in its file.
    pub(crate) async fn open(&self, role: Role, sections: &str) -> Server {
        let upstream = support::serve(Router::new().route("/thing", get(|| async { "served" }))).await;
        let (payee, fee_payer) = (self.actors.payee.pubkey(), self.actors.fee_payer.pubkey());
        let (mint, rpc) = (self.fixture.mint, &self.localnet.rpc_url);
        let text = format!(
            "[ledger]\npath = \"ledger.db\"\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"\nrealm = \"test\"\n\
             [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{fee_payer}\"\n\
             mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.001\"\n\
             [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
             [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n{sections}"
        );
        let config = Config::parse(&text, self.folder.path()).unwrap();
        Server::start(&config, role).await.unwrap()
    }

    /// A customer with tokens.
    pub(crate) async fn customer(&self) -> Customer {
        let customer = Customer::new();
        self.fixture.mint_to(&customer.key.pubkey(), Amount::new(50_000)).await.unwrap();
        customer
    }
}

/// Pays for one request, after one that brings no credential.
pub(crate) async fn buy(server: &Server, customer: &Customer) {
    let url = format!("http://{}/thing", server.address.unwrap());
    let unpaid = reqwest::get(&url).await.unwrap();
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    customer.payer.pay(&customer.book(), &Request::get(url.parse().unwrap())).await.unwrap();
}

/// What the admin listener answers under `path`.
pub(crate) async fn look(server: &Server, path: &str, token: Option<&str>) -> (StatusCode, String) {
    let mut request = reqwest::Client::new().get(format!("http://{}{path}", server.admin_address.unwrap()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

/// The value of the series that begins so.
pub(crate) fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{scrape}")).parse().unwrap()
}

/// A file at the root of the repository.
pub(crate) fn repository_file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}
