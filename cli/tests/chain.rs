//! Commands that talk to a chain: leaving a channel without its server, funding, settling once.

mod support;

use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use support::Toll;
use support::rogue::{self, Rogue};
use toll_chain::Cluster;
use toll_cli::Exit;
use toll_localnet::program::{ELF, PROGRAM_ID};
use toll_localnet::{Actors, Fixture, Localnet, LocalnetConfig};
use toll_protocol::{Agreement, Amount, ChannelId, ChannelTerms, Open, Splits, TOKEN_PROGRAM};

const GRACE: u32 = 60;

/// A chain with the program, and the keys of everybody in the home of the command.
struct World {
    localnet: Localnet,
    fixture: Fixture,
    actors: Actors,
    toll: Toll,
}

impl World {
    async fn new() -> Self {
        let toll = Toll::new();
        let localnet =
            Localnet::start(LocalnetConfig { slot_ms: 100, ..LocalnetConfig::default() }).await.unwrap();
        localnet.deploy(&PROGRAM_ID, ELF).await.unwrap();
        let actors = Actors::in_folder(toll.home.path()).unwrap();
        let fixture = Fixture::prepare(Cluster::new(&localnet.rpc_url), &actors).await.unwrap();
        fixture.mint_to(&actors.payer.pubkey(), Amount::new(50_000)).await.unwrap();
        Self { localnet, fixture, actors, toll }
    }

    /// A channel that holds 10,000, opened without any server.
    async fn open(&self) -> ChannelId {
        self.open_with(1).await
    }

    async fn open_with(&self, salt: u64) -> ChannelId {
        self.open_signed_by(salt, &self.actors.payer.pubkey()).await
    }

    /// The same, with vouchers that `signer` signs.
    async fn open_for(&self, signer: &Pubkey) -> ChannelId {
        self.open_signed_by(1, signer).await
    }

    async fn open_signed_by(&self, salt: u64, signer: &Pubkey) -> ChannelId {
        let payer = self.actors.payer.pubkey();
        let open = Open {
            agreement: Agreement {
                program: PROGRAM_ID,
                terms: ChannelTerms {
                    payer,
                    payee: self.actors.payee.pubkey(),
                    mint: self.fixture.mint,
                    authorized_signer: *signer,
                    salt,
                    open_slot: self.fixture.cluster.slot().await.unwrap(),
                },
                grace_period: GRACE,
                splits: Splits::none(),
                rent_payer: self.actors.fee_payer.pubkey(),
                token_program: TOKEN_PROGRAM,
            },
            deposit: Amount::new(10_000),
        };
        let signers = [&self.actors.payer];
        self.fixture.cluster.send(&[open.instruction()], &self.actors.fee_payer, &signers).await.unwrap();
        open.channel_id()
    }

    /// Runs a command as the payer, on this chain.
    async fn run(&self, arguments: &[&str]) -> support::Ended {
        let mut all = vec!["--json"];
        all.extend_from_slice(arguments);
        all.extend(["--rpc", &self.localnet.rpc_url]);
        self.toll.run_beside(&all).await
    }

    async fn payer_tokens(&self) -> u64 {
        self.fixture.tokens(&self.actors.payer.pubkey()).await.unwrap().get()
    }

    fn config(&self) -> String {
        let (payee, fee_payer) = (self.actors.payee.pubkey(), self.actors.fee_payer.pubkey());
        let (mint, rpc) = (self.fixture.mint, &self.localnet.rpc_url);
        format!(
            "[ledger]\npath = \"ledger.db\"\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://127.0.0.1:1\"\nrealm = \"test\"\n\
             [session]\nnetwork = \"localnet\"\npayee = \"{payee}\"\nfee_payer = \"{fee_payer}\"\n\
             mint = \"{mint}\"\nallowed_mints = [\"{mint}\"]\ndecimals = 6\nminimum_deposit = \"0.01\"\n\
             [settler]\nrpc = \"{rpc}\"\nfee_payer = \"fee-payer.json\"\npayee = \"payee.json\"\n\
             [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n"
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_without_sol_leaves_a_silent_server_and_gets_everything_back() {
    let world = World::new().await;
    let id = world.open().await.to_string();
    assert_eq!(world.payer_tokens().await, 40_000);
    let payer = ["--keypair", "payer.json"];
    let sponsored = ["--keypair", "payer.json", "--fee-payer", "fee-payer.json"];
    let with = |command: &'static str, flags: &[&'static str]| -> Vec<String> {
        [&[command, &id][..], flags].concat().iter().map(|text| (*text).to_string()).collect()
    };
    let run = async |arguments: Vec<String>| {
        world.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    };

    run(with("request-close", &payer)).await.fails_with(Exit::Funds.code(), &["--fee-payer"]);
    run(with("withdraw", &sponsored)).await.fails_with(Exit::Refused.code(), &["still open"]);
    let not_ours = run(with("request-close", &["--keypair", "payee.json"])).await;
    not_ours.fails_with(Exit::Key.code(), &["belongs to", "--keypair"]);

    let closing = run(with("request-close", &sponsored)).await;
    assert_eq!(closing.succeeds().json()["gracePeriodSeconds"], GRACE);
    run(with("request-close", &sponsored)).await.fails_with(Exit::Refused.code(), &["is not open"]);
    run(with("withdraw", &sponsored)).await.fails_with(Exit::Refused.code(), &["grace period", "s more"]);
    assert_eq!(run(with("show", &[])).await.succeeds().json()["chain"]["status"], "closing");

    world.localnet.advance_seconds(u64::from(GRACE) + 1).await.unwrap();
    // For people, amounts are in tokens, also of a channel that the state file does not know.
    let mut withdraw = with("withdraw", &sponsored);
    withdraw.extend(["--rpc".into(), world.localnet.rpc_url.clone()]);
    let withdraw: Vec<&str> = withdraw.iter().map(String::as_str).collect();
    let withdrawn = world.toll.run_beside(&withdraw).await;
    assert!(withdrawn.succeeds().stdout.starts_with("0.01 refunded"), "{withdrawn:?}");
    assert_eq!(world.payer_tokens().await, 50_000);
    run(with("withdraw", &sponsored)).await.fails_with(Exit::Refused.code(), &["was taken"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_lost_its_state_finds_its_channels_by_its_key_and_leaves_them() {
    let world = World::new().await;
    world.toll.write("toll.toml", &world.config());
    let server = Serving::start(&world.toll);
    let url = format!("{}/x", server.address);
    world.run(&["pay", &url, "--keypair", "payer.json", "--deposit", "20000"]).await;
    let opened = world.toll.channels()[0]["channelId"].as_str().unwrap().to_owned();
    std::fs::remove_file(world.toll.state()).unwrap();
    // One that another client of the same payer opened, with vouchers that a stranger signs.
    let delegated = world.open_for(&Keypair::new().pubkey()).await.to_string();
    let recover = ["channels", "--recover", "--keypair", "payer.json"];

    let found = world.run(&recover).await.succeeds().json();

    let of = |id: &str| {
        let channels = found["channels"].as_array().unwrap();
        channels.iter().find(|channel| channel["channelId"] == id).unwrap().clone()
    };
    assert_eq!(found["channels"].as_array().unwrap().len(), 2);
    for (id, deposit, ours) in [(&opened, "20000", true), (&delegated, "10000", false)] {
        let channel = of(id);
        assert_eq!((channel["status"].as_str(), channel["deposit"].as_str()), (Some("open"), Some(deposit)));
        assert_eq!((&channel["signerIsOurs"], &channel["remembered"]), (&ours.into(), &false.into()));
        assert_eq!(channel["next"], "toll request-close");
    }
    let others = world.run(&["channels", "--recover", "--keypair", "payee.json"]).await.succeeds().json();
    assert_eq!(others["channels"], serde_json::json!([]));

    let leave = ["request-close", &delegated, "--keypair", "payer.json", "--fee-payer", "fee-payer.json"];
    world.run(&leave).await.succeeds();
    let found = world.run(&recover).await.succeeds().json();
    let left =
        found["channels"].as_array().unwrap().iter().find(|channel| channel["channelId"] == *delegated);
    assert_eq!(
        (&left.unwrap()["status"], &left.unwrap()["next"]),
        (&"closing".into(), &"toll withdraw".into())
    );
    server.signal(rustix::process::Signal::TERM);
    server.ended();
}

/// A server of acceptable terms that says of every deposit that it is not the one agreed.
async fn refuses_every_open(world: &World) -> Rogue {
    let mut request = support::acceptable();
    request.recipient = world.actors.payee.pubkey();
    request.currency = world.fixture.mint;
    Rogue::start(request.clone(), move |_, _| rogue::refuse(&request, "open-mismatch", 0)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_landed_although_it_was_called_refused_is_found_again() {
    let world = World::new().await;
    let refusing = refuses_every_open(&world).await;
    let pay = ["pay", refusing.url.as_str(), "--keypair", "payer.json", "--deposit", "10000"];
    world.run(&pay).await.fails_with(Exit::Refused.code(), &["open-mismatch"]);
    // The server lands a deposit after all: another one, put in the place of the one on record.
    let landed = world.open().await.to_string();
    let text = std::fs::read_to_string(world.toll.state()).unwrap();
    let refused = world.toll.channels()[0]["channelId"].as_str().unwrap().to_owned();
    std::fs::write(world.toll.state(), text.replace(&refused, &landed)).unwrap();

    world.run(&pay).await.fails_with(Exit::Refused.code(), &["open-mismatch"]);

    // It is presented with a voucher; no second deposit is made.
    assert_eq!(refusing.loot().deposits.len(), 1);
    assert_eq!(refusing.loot().vouchers, [1_000]);
    let channels = world.toll.channels();
    assert_eq!((channels.len(), channels[0]["stage"].as_str()), (1, Some("open")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_collects_deposits_and_calls_them_closed_gets_no_third_one() {
    let world = World::new().await;
    let collecting = refuses_every_open(&world).await;
    let pay = ["pay", collecting.url.as_str(), "--keypair", "payer.json", "--deposit", "10000"];
    for salt in [1, 2] {
        world.run(&pay).await.fails_with(Exit::Refused.code(), &["open-mismatch"]);
        // As if it had landed, and been closed by the server's word only.
        let landed = world.open_with(salt).await.to_string();
        let opened = world.toll.channels().last().unwrap()["channelId"].as_str().unwrap().to_owned();
        let text = std::fs::read_to_string(world.toll.state()).unwrap();
        let text = text.replace(&opened, &landed).replace("\"abandoned\"", "\"closing\"");
        std::fs::write(world.toll.state(), text).unwrap();
    }

    let ended = world.run(&pay).await;

    ended.fails_with(Exit::Refused.code(), &["still open on chain", "toll request-close"]);
    assert_eq!(collecting.loot().deposits.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_did_not_happen_on_chain_is_not_believed() {
    let world = World::new().await;
    let mut request = support::acceptable();
    request.recipient = world.actors.payee.pubkey();
    request.currency = world.fixture.mint;
    let id = world.open().await;
    let lying = Rogue::start(request, move |_, loot| match loot.deposits.first() {
        // The record of `id` comes from an open of another channel, as above.
        Some((opened, _)) if loot.vouchers.is_empty() => rogue::receipt(*opened, 0, None),
        _ => rogue::receipt(id, 0, Some(10_000)),
    })
    .await;
    let pay = ["pay", lying.url.as_str(), "--keypair", "payer.json", "--deposit", "10000"];
    world.run(&pay).await;
    let text = std::fs::read_to_string(world.toll.state()).unwrap();
    let opened = world.toll.channels()[0]["channelId"].as_str().unwrap().to_owned();
    std::fs::write(world.toll.state(), text.replace(&opened, &id.to_string())).unwrap();

    let ended = world.run(&["close", &id.to_string(), "--keypair", "payer.json"]).await;

    ended.fails_with(Exit::Refused.code(), &["still open on chain", "toll request-close"]);
    assert_eq!(world.toll.channels()[0]["stage"], "closing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_misstates_a_mints_decimals_gets_no_deposit() {
    let world = World::new().await;
    let mut request = support::acceptable();
    request.currency = world.fixture.mint;
    request.method_details.decimals = 2;
    let lying = Rogue::start(request, |_, _| unreachable!()).await;
    let pay = ["pay", lying.url.as_str(), "--keypair", "payer.json", "--decimals", "2", "--deposit", "10000"];

    let ended = world.run(&[&pay[..], &["--max-amount", "1000", "--max-deposit", "10000"]].concat()).await;

    ended.fails_with(Exit::Unsupported.code(), &["2 decimals, which has 6"]);
    assert!(lying.loot().deposits.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_without_sol_signs_no_deposit_that_nobody_sponsors() {
    let world = World::new().await;
    let mut request = support::acceptable();
    request.currency = world.fixture.mint;
    request.method_details.fee_payer_key = None;
    let unsponsored = Rogue::start(request, |_, _| unreachable!()).await;
    let pay = ["pay", unsponsored.url.as_str(), "--keypair", "payer.json", "--pay-fees", "--deposit", "0.01"];

    let ended = world.run(&pay).await;

    let rent = world.fixture.cluster.rent().await.unwrap();
    let needed = 5_000 + rent.minimum(256) + rent.minimum(165) + rent.minimum(0);
    ended.fails_with(Exit::Funds.code(), &["has 0 lamports", &needed.to_string(), "nothing was signed"]);
    assert!(unsponsored.loot().deposits.is_empty() && world.toll.channels().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_without_sol_signs_no_top_up_at_its_own_cost() {
    let world = World::new().await;
    let mut request = support::acceptable();
    request.currency = world.fixture.mint;
    let serves = |action: &toll_protocol::Action, loot: &rogue::Loot| match action {
        toll_protocol::Action::Open(open) => rogue::receipt(open.channel_id, 0, None),
        _ => rogue::receipt(loot.deposits[0].0, 1_000, None),
    };
    let sponsored = Rogue::start(request.clone(), serves).await;
    let pay = ["pay", sponsored.url.as_str(), "--keypair", "payer.json", "--deposit", "0.01"];
    world.run(&pay).await.succeeds();
    let id = world.toll.channels()[0]["channelId"].as_str().unwrap().to_owned();
    // The same server, which sponsors nothing any more.
    request.method_details.fee_payer_key = None;
    let unsponsored = Rogue::start(request, |_, _| unreachable!()).await;
    let port = |url: &reqwest::Url| format!("127.0.0.1:{}", url.port().unwrap());
    let text = std::fs::read_to_string(world.toll.state()).unwrap();
    std::fs::write(world.toll.state(), text.replace(&port(&sponsored.url), &port(&unsponsored.url))).unwrap();

    let ended = world.run(&["top-up", &id, "0.01", "--keypair", "payer.json", "--pay-fees"]).await;

    ended.fails_with(Exit::Funds.code(), &["has 0 lamports", "raise a deposit", "nothing was signed"]);
    assert!(world.toll.channels()[0]["pending"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn balance_and_fund_agree_with_each_other() {
    let world = World::new().await;
    let address = Pubkey::new_from_array([77; 32]).to_string();
    let mint = world.fixture.mint.to_string();
    let funded = world
        .run(&[
            "fund",
            &address,
            "--sol",
            "1.5",
            "--tokens",
            "2.5",
            "--mint",
            &mint,
            "--mint-authority",
            "mint-authority.json",
        ])
        .await;
    funded.succeeds();

    let balance = world.run(&["balance", &address, "--mint", &mint]).await.succeeds().json();

    assert_eq!(balance["lamports"], 1_500_000_000);
    assert_eq!(balance["tokens"]["amount"], "2500000");
    assert_eq!(balance["tokens"]["decimals"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_an_empty_ledger_once_does_nothing_and_succeeds() {
    let world = World::new().await;
    world.toll.write("toll.toml", &world.config());
    let done = world.toll.run_beside(&["--json", "settle", "--once"]).await;
    let document = done.succeeds().json();
    assert_eq!(document["transactions"], serde_json::json!([]));
    assert_eq!(document["feesLamports"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_nodes_the_next_is_asked_while_one_does_not_answer() {
    let world = World::new().await;
    let rpc = format!("rpc = \"{}\"", world.localnet.rpc_url);
    let config = world.config();
    assert!(config.contains(&rpc));
    let with = |nodes: &str| world.toll.write("toll.toml", &config.replace(&rpc, &format!("rpc = {nodes}")));

    with(&format!("[\"http://127.0.0.1:9\", \"{}\"]", world.localnet.rpc_url));
    world.toll.run_beside(&["--json", "settle", "--once"]).await.succeeds();

    with("[\"http://127.0.0.1:9\"]");
    world.toll.run_beside(&["settle", "--once"]).await.fails_with(Exit::Network.code(), &["127.0.0.1:9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_another_cluster_stops_the_settler() {
    let world = World::new().await;
    world.toll.write("toll.toml", &world.config());
    let ledger =
        toll_ledger::Ledger::open(world.toll.home.path().join("ledger.db"), toll_ledger::SystemClock);
    let elsewhere = toll_ledger::ClusterIdentity {
        network: toll_protocol::Network::Localnet,
        genesis_hash: Keypair::new().pubkey().to_string(),
        program: PROGRAM_ID,
    };
    ledger.unwrap().bind_cluster(&elsewhere).await.unwrap();

    for command in [&["settle", "--once"][..], &["serve"], &["settler"]] {
        let ended = world.toll.run_beside(command).await;
        ended.fails_with(Exit::WrongCluster.code(), &["bound to", "settler.rpc"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_program_or_the_network_named_stops_the_settler() {
    let world = World::new().await;
    let elsewhere = Pubkey::new_from_array([78; 32]);
    let other_program =
        world.config().replace("[session]\n", &format!("[session]\nprogram = \"{elsewhere}\"\n"));
    world.toll.write("toll.toml", &other_program);
    let ended = world.toll.run_beside(&["settle", "--once"]).await;
    ended.fails_with(Exit::WrongCluster.code(), &["no program"]);

    let owner = format!("[settler]\ntreasury_owner = \"{elsewhere}\"\n");
    let devnet = world.config().replace("\"localnet\"", "\"devnet\"").replace("[settler]\n", &owner);
    world.toll.write("toll.toml", &devnet);
    let ended = world.toll.run_beside(&["settle", "--once"]).await;
    ended.fails_with(Exit::WrongCluster.code(), &["devnet", "genesis"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_port_is_taken_does_not_start_and_leaves_its_channels_open() {
    let world = World::new().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    world.toll.write("toll.toml", &world.config().replace("127.0.0.1:0", &port));
    world.toll.run_beside(&["serve"]).await.fails_with(Exit::Network.code(), &[&port, "gateway.listen"]);
}

/// A `toll serve` of the config in its home, once it is ready: where it listens, and what it prints afterwards.
struct Serving {
    process: std::process::Child,
    lines: std::io::Lines<std::io::BufReader<std::process::ChildStdout>>,
    address: String,
}

impl Serving {
    fn start(toll: &Toll) -> Self {
        let mut command = toll.command();
        command.args(["--json", "serve"]).stdout(std::process::Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(process.stdout.take().unwrap()));
        let ready: String = lines.by_ref().map(Result::unwrap).take_while(|line| line != "}").collect();
        let ready: serde_json::Value = serde_json::from_str(&(ready + "}")).unwrap();
        let address = ready["address"].as_str().unwrap().to_owned();
        Self { process, lines, address }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.process), signal).unwrap();
    }

    /// Waits for its end, and gives the kinds of transactions that it sent.
    fn ended(mut self) -> Vec<String> {
        let rest: String = self.lines.map(Result::unwrap).collect();
        assert!(self.process.wait().unwrap().success());
        let done: serde_json::Value = serde_json::from_str(&rest).unwrap();
        let sent = done["transactions"].as_array().unwrap();
        sent.iter().map(|it| it["kind"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_in_its_time_although_a_request_hangs_upstream() {
    let world = World::new().await;
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("upstream = \"http://{}\"", hanging.local_addr().unwrap());
    let config = world.config().replace("upstream = \"http://127.0.0.1:1\"", &upstream);
    // Nobody waits for that hour.
    let config = config.replace("realm = ", "upstream_timeout_seconds = 3600\nrealm = ");
    world.toll.write("toll.toml", &format!("{config}[gateway.transport]\ndrain_timeout_seconds = 1\n"));
    let server = Serving::start(&world.toll);
    let url = format!("{}/x", server.address);
    let pay = ["pay", &url, "--keypair", "payer.json", "--deposit", "20000"];

    let (paid, sent) = tokio::join!(world.run(&pay), async {
        // The paid request has arrived, and is never answered.
        let _asking = hanging.accept().await.unwrap();
        server.signal(rustix::process::Signal::TERM);
        let ended = tokio::task::spawn_blocking(|| server.ended());
        tokio::time::timeout(std::time::Duration::from_secs(60), ended).await.expect("it ends").unwrap()
    });

    paid.fails_with(Exit::Network.code(), &["cannot be reached"]);
    assert_eq!(sent, ["open"]);
    // It was charged and not answered: the payer asks again at no charge, and has the voucher on record for that.
    assert_eq!(world.toll.channels()[0]["unanswered"].as_array().unwrap().len(), 1);
    let ledger = world.toll.home.path().join("ledger.db");
    let ledger = toll_ledger::Ledger::open(ledger, toll_ledger::SystemClock).unwrap();
    let [channel] = &ledger.channels(toll_ledger::ChannelState::ALL).await.unwrap()[..] else { panic!() };
    assert_eq!((channel.state, channel.watermarks.spent.get()), (toll_ledger::ChannelState::Open, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_paid_in_earnest_and_stops_in_order() {
    let world = World::new().await;
    world
        .toll
        .write("toll.toml", &world.config().replace("[settler]\n", "[settler]\nclose_on_shutdown = true\n"));
    let server = Serving::start(&world.toll);
    let url = format!("{}/x", server.address);

    let pay = ["pay", &url, "--keypair", "payer.json", "--deposit", "20000"];
    let paid = world.run(&pay).await;
    // Nobody serves behind the gateway: the deposit is made, the answer is a 502, and that is said.
    paid.fails_with(Exit::Refused.code(), &["502"]);
    assert_eq!(world.payer_tokens().await, 30_000);

    // SIGINT closes the channel on the way out and gives the deposit back.
    server.signal(rustix::process::Signal::INT);
    assert_eq!(server.ended(), ["open", "close"]);
    assert!(world.payer_tokens().await >= 49_000);
}
