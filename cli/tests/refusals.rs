//! What `toll pay` refuses: an exit code, one line, no credential sent and nothing kept.

mod support;

use solana_pubkey::Pubkey;
use support::{Asking, Ended, Toll, acceptable, challenge};
use toll_cli::Exit;
use toll_protocol::{Amount, ChannelOffer, Network, SessionRequest, VoucherSigner};

/// Runs `toll pay` against a server that asks with `request`; nothing may have been signed.
async fn pay(request: &SessionRequest, arguments: &[&str]) -> Ended {
    refuse(&Asking::with_request(request).await, arguments).await
}

async fn refuse(asking: &Asking, arguments: &[&str]) -> Ended {
    let toll = Toll::with_key();
    let (url, rpc) = (asking.url(), asking.rpc());
    let mut all = vec!["pay", &url, "--rpc", &rpc];
    all.extend_from_slice(arguments);
    let ended = toll.run_beside(&all).await;
    assert_eq!(asking.credentials(), 0, "a credential was sent: {ended:?}");
    assert_eq!(toll.channels().len(), 0, "a channel was kept: {ended:?}");
    assert_eq!(ended.stdout, "", "something was printed: {ended:?}");
    ended
}

#[tokio::test]
async fn a_price_above_the_limit_is_refused() {
    let ended = pay(&acceptable(), &["--max-amount", "999"]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["1000", "999", "nothing was signed", "--max-amount"]);
}

#[tokio::test]
async fn a_limit_in_tokens_is_compared_in_base_units() {
    let ended = pay(&acceptable(), &["--max-amount", "0.000999"]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["999"]);
}

#[tokio::test]
async fn another_network_is_refused() {
    let mut request = acceptable();
    request.method_details.network = Network::Mainnet;
    pay(&request, &[]).await.fails_with(Exit::WrongCluster.code(), &["mainnet", "localnet"]);
}

#[tokio::test]
async fn an_unknown_program_is_refused() {
    let mut request = acceptable();
    request.method_details.channel_program = [9; 32].into();
    pay(&request, &[]).await.fails_with(Exit::WrongCluster.code(), &["program", "--program"]);
}

#[tokio::test]
async fn on_a_public_network_the_canonical_program_is_trusted_and_no_other() {
    let mut request = acceptable();
    request.method_details.network = Network::Devnet;
    let mint = request.currency.to_string();
    let arguments = ["--network", "devnet", "--mint", &mint];
    pay(&request, &arguments).await.fails_with(Exit::WrongCluster.code(), &["program", "--program"]);

    request.method_details.channel_program = toll_protocol::ProgramProfile::CANONICAL.id;
    // Trusted: what is refused is the chain it asks, which is not devnet.
    pay(&request, &arguments).await.fails_with(Exit::WrongCluster.code(), &["not on devnet"]);
    // One that is named is trusted in its place.
    let another = toll_protocol::PROGRAM_ID.to_string();
    let named = [&arguments[..], &["--program", &another]].concat();
    pay(&request, &named).await.fails_with(Exit::WrongCluster.code(), &["program", "--program"]);
}

#[tokio::test]
async fn a_payer_without_tokens_is_told_before_anything_is_signed() {
    pay(&acceptable(), &[]).await.fails_with(Exit::Funds.code(), &["has 0", "50000", "toll fund"]);
}

#[tokio::test]
async fn a_balance_that_cannot_be_read_stops_the_payment() {
    let asking = Asking::with_request(&acceptable()).await;
    let toll = Toll::with_key();
    let ended = toll.run_beside(&["pay", &asking.url(), "--rpc", "http://127.0.0.1:1"]).await;
    ended.fails_with(Exit::Network.code(), &["127.0.0.1:1", "--rpc"]);
    assert_eq!(asking.credentials(), 0);
    assert_eq!(toll.channels().len(), 0);
}

#[tokio::test]
async fn an_rpc_of_another_cluster_is_refused() {
    let mut request = acceptable();
    request.method_details.network = Network::Devnet;
    let program = toll_protocol::PROGRAM_ID.to_string();
    let mint = request.currency.to_string();
    let ended = pay(&request, &["--network", "devnet", "--program", &program, "--mint", &mint]).await;
    ended.fails_with(Exit::WrongCluster.code(), &["not on devnet", "genesis", "--rpc"]);
}

#[tokio::test]
async fn a_deposit_above_the_limit_is_refused() {
    let ended = pay(&acceptable(), &["--max-deposit", "9999"]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["10000", "9999", "--max-deposit"]);
}

#[tokio::test]
async fn a_deposit_below_the_servers_floor_is_refused() {
    let ended = pay(&acceptable(), &["--deposit", "9999"]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["10000", "9999", "--deposit"]);
}

#[tokio::test]
async fn a_grace_period_above_the_limit_is_refused() {
    let mut request = acceptable();
    if let ChannelOffer::New { grace_period, .. } = &mut request.method_details.channel {
        *grace_period = 86_401;
    }
    pay(&request, &[]).await.fails_with(Exit::AboveLimit.code(), &["86401", "--max-grace"]);
}

#[tokio::test]
async fn a_server_that_sponsors_no_fees_is_refused() {
    let mut request = acceptable();
    request.method_details.fee_payer_key = None;
    pay(&request, &[]).await.fails_with(Exit::AboveLimit.code(), &["SOL", "--pay-fees"]);
}

#[tokio::test]
async fn another_mint_than_the_one_named_is_refused() {
    let ended = pay(&acceptable(), &["--mint", "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9"]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["--mint"]);
}

#[tokio::test]
async fn a_session_in_which_the_server_signs_is_refused_unless_it_is_listed() {
    let mut request = acceptable();
    request.method_details.voucher_signer = VoucherSigner::Operator([4; 32].into());
    let ended = pay(&request, &[]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["sign the vouchers itself", "--operator"]);
}

#[tokio::test]
async fn an_expired_challenge_is_refused() {
    let asking = Asking::with(challenge(&acceptable(), 1_000_000_000)).await;
    refuse(&asking, &[]).await.fails_with(Exit::Unsupported.code(), &["expired", "2001"]);
}

#[tokio::test]
async fn a_402_without_a_challenge_is_no_offer() {
    let asking = Asking::with(String::new()).await;
    refuse(&asking, &[]).await.fails_with(Exit::Unsupported.code(), &["offers no solana session"]);
}

#[tokio::test]
async fn a_charge_is_not_mistaken_for_a_session() {
    let charge = challenge(&acceptable(), 4_000_000_000).replace("\"session\"", "\"charge\"");
    let asking = Asking::with(charge).await;
    let ended = refuse(&asking, &["--intent", "session"]).await;
    ended.fails_with(Exit::Unsupported.code(), &["offers no solana session"]);
}

#[tokio::test]
async fn a_session_is_not_taken_where_only_charges_are_wanted() {
    let asking = Asking::with_request(&acceptable()).await;
    let ended = refuse(&asking, &["--intent", "charge"]).await;
    ended.fails_with(Exit::Unsupported.code(), &["or charge that this payer makes"]);
}

#[tokio::test]
async fn another_price_than_the_one_that_was_named_is_refused_dearer_or_cheaper() {
    for amount in ["999", "1001", "0.002"] {
        let ended = pay(&acceptable(), &["--amount", amount]).await;
        ended.fails_with(Exit::AboveLimit.code(), &["the price is 1000 base units", "--amount"]);
    }
}

#[tokio::test]
async fn nobody_is_paid_who_is_not_among_the_recipients() {
    let other = Pubkey::new_from_array([9; 32]).to_string();
    let ended = pay(&acceptable(), &["--recipient", &other]).await;
    let payee = acceptable().recipient.to_string();
    ended.fails_with(Exit::AboveLimit.code(), &[&payee, "--recipient"]);
}

#[tokio::test]
async fn a_challenge_that_cannot_be_read_is_malformed() {
    for broken in ["Payment id=\"x", "Payment id=\"\", realm=\"r\", method=\"solana\", intent=\"session\""] {
        let asking = Asking::with(broken.into()).await;
        let ended = refuse(&asking, &[]).await;
        ended.fails_with(Exit::Unsupported.code(), &["malformed"]);
    }
}

#[tokio::test]
async fn a_zero_price_is_malformed() {
    let mut request = acceptable();
    request.amount = Amount::ZERO;
    pay(&request, &[]).await.fails_with(Exit::Unsupported.code(), &["malformed"]);
}

#[tokio::test]
async fn a_challenge_for_native_sol_is_malformed() {
    // The currency must be a mint: SOL has to be wrapped before.
    let value = challenge(&acceptable(), 4_000_000_000);
    let start = value.find("request=\"").unwrap() + 9;
    let end = start + value[start..].find('"').unwrap();
    let json = toll_protocol::base64url_decode(&value[start..end]).unwrap();
    let mint = acceptable().currency.to_string();
    let sol = String::from_utf8(json).unwrap().replace(&mint, "sol");
    let value = format!("{}{}{}", &value[..start], toll_protocol::base64url_encode(sol), &value[end..]);
    refuse(&Asking::with(value).await, &[]).await.fails_with(Exit::Unsupported.code(), &["malformed"]);
}

#[tokio::test]
async fn an_unknown_host_and_a_closed_port_are_network_errors() {
    let toll = Toll::with_key();
    for url in ["http://host.invalid/", "http://127.0.0.1:1/"] {
        let ended = toll.run_beside(&["pay", url]).await;
        ended.fails_with(Exit::Network.code(), &["cannot be reached"]);
    }
    assert_eq!(toll.channels().len(), 0);
}

#[tokio::test]
async fn an_error_with_json_is_a_document_as_well() {
    let asking = Asking::with_request(&acceptable()).await;
    let toll = Toll::with_key();
    let ended = toll.run_beside(&["--json", "pay", &asking.url(), "--max-amount", "1"]).await;
    ended.fails_with(Exit::AboveLimit.code(), &["1000"]);
    let document = ended.json();
    assert_eq!(document["error"]["code"], "above-limit");
    assert_eq!(document["error"]["exit"], Exit::AboveLimit.code());
    assert!(document["error"]["message"].as_str().unwrap().contains("1000"));
    assert!(document["error"]["remedy"].as_str().unwrap().contains("--max-amount"));
}
