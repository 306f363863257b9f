//! Transactions that one channel makes fail for all that share them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use solana_instruction::{AccountMeta, Instruction};
use solana_keypair::Keypair;
use solana_pubkey::Pubkey;
use solana_signer::Signer;
use tokio::sync::watch;
use toll_chain::{Cluster, RpcChain};
use toll_cli::server::Role;
use toll_ledger::{ChannelState, SubmissionKind, SubmissionState};
use toll_protocol::{TOKEN_PROGRAM, associated_token_address, create_associated_token_account};
use toll_settler::{ListedMint, Settler, SettlerKeys, Step};

use crate::attacker::Attacker;
use crate::report::Row;
use crate::scene::Scene;

/// SPL Token's `CloseAccount`.
const CLOSE_ACCOUNT: u8 = 9;

const DEPOSIT: u64 = 5_000;

/// How often the attacker gets in between.
const TIMES: u64 = 3;

/// A payer whose token account is there whenever a close is simulated, and gone when it lands.
#[derive(Clone)]
struct Saboteur {
    payer: Arc<Keypair>,
    relayer: Arc<Keypair>,
    mint: Pubkey,
    rpc: String,
    times: Arc<AtomicU64>,
}

impl Saboteur {
    /// Gets in between while it has not done so often enough.
    fn at(&self, step: Step) {
        match step {
            Step::Recorded if self.times.load(Ordering::SeqCst) < TIMES => {
                self.times.fetch_add(1, Ordering::SeqCst);
                let owner = self.payer.pubkey();
                let account = associated_token_address(&owner, &self.mint, &TOKEN_PROGRAM);
                let accounts = vec![
                    AccountMeta::new(account, false),
                    AccountMeta::new(owner, false),
                    AccountMeta::new_readonly(owner, true),
                ];
                self.send(
                    Instruction { program_id: TOKEN_PROGRAM, accounts, data: vec![CLOSE_ACCOUNT] },
                    true,
                );
            }
            Step::Confirmed => {
                let (relayer, owner) = (self.relayer.pubkey(), self.payer.pubkey());
                self.send(
                    create_associated_token_account(&relayer, &owner, &self.mint, &TOKEN_PROGRAM),
                    false,
                );
            }
            _ => {}
        }
    }

    /// Sends and waits, while the settler does.
    fn send(&self, instruction: Instruction, signs: bool) {
        let this = self.clone();
        let sending = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let signers: &[&Keypair] = if signs { &[&this.payer] } else { &[] };
            let cluster = Cluster::new(this.rpc.as_str());
            let instructions = [instruction];
            let sent = cluster.send(&instructions, &this.relayer, signers);
            runtime.expect("a runtime").block_on(sent).is_ok()
        });
        sending.join().expect("it is sent");
    }
}

/// Two channels share the transaction that closes them, and the payer of one makes it fail. The fee is gone once for
/// both; from then on each goes by itself.
pub async fn closes_that_a_member_makes_fail() -> Row {
    let mut scene = Scene::set(|config, _| {
        config.settler.close_on_shutdown = false;
        config.settler.poll_interval_ms = 100;
    })
    .await;
    let mut attackers = Vec::new();
    for _ in 0..2 {
        attackers.push(Attacker::with_tokens(&scene.world, DEPOSIT).await);
    }
    let mut channels = Vec::new();
    for attacker in &attackers {
        channels.push(attacker.open(DEPOSIT).await.expect("the sponsor opens"));
    }
    let (charge, ids) = (scene.open_charge().await, [channels[0].id, channels[1].id]);
    scene.world.stop_server().await;
    scene.world.start_server(Role::Gateway).await;
    let ledger = scene.ledger();
    let saboteur = Saboteur {
        payer: Arc::new(attackers[0].key.insecure_clone()),
        relayer: Arc::new(scene.world.fixture.mint_authority.insecure_clone()),
        mint: scene.mint(),
        rpc: scene.world.chain.rpc_url().to_string(),
        times: Arc::default(),
    };
    let closing = futures::future::join_all(
        attackers.iter().zip(&channels).map(|(attacker, channel)| attacker.close(channel, 1)),
    );
    let settling = async {
        while ledger.count_channels(&[ChannelState::Closing]).await.expect("the ledger answers") < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let (stop, mut stopped) = watch::channel(false);
        let settler = settler(&scene).await.on_step(move |kind, step| {
            if kind == SubmissionKind::Close {
                saboteur.at(step);
            }
        });
        let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let running = tokio::spawn(settler.run(until));
        scene.wait_for_none(&[ChannelState::Closing]).await;
        stop.send_replace(true);
        running.await.expect("it does not panic").expect("the settler runs");
    };
    let (closed, ()) = futures::future::join(closing, settling).await;
    assert!(closed.iter().all(Result::is_ok), "{closed:?}");

    let mut failed = [0, 0];
    for (id, failed) in ids.iter().zip(&mut failed) {
        let closes = ledger.submissions_of(id).await.expect("the ledger answers");
        let of_closes = closes.iter().filter(|one| one.kind == SubmissionKind::Close);
        *failed = of_closes.filter(|one| one.state == SubmissionState::Failed).count() as u64;
    }
    assert!(failed[0] >= 1 && failed[0] <= TIMES, "{failed:?}");
    assert!(failed[1] <= 1, "the other is held up once: {failed:?}");
    scene.world.stop_server().await;
    scene.world.config.settler.close_on_shutdown = true;
    scene.world.start_server(Role::Both).await;
    let losses = scene.end(2).await;
    Row {
        attack: "packed closes that a member makes fail",
        asked: TIMES,
        granted: failed[0],
        risked: 2 * DEPOSIT,
        paid: 2,
        lost: losses.lost,
        // Two signatures and two vouchers for both at most, once for each time.
        bound: 2 * charge + TIMES * 20_000,
    }
}

/// A settler of the server's own making, with nothing in between.
async fn settler(scene: &Scene) -> Settler {
    let (config, actors) = (&scene.world.config, &scene.world.actors);
    let keys = SettlerKeys {
        fee_payer: actors.fee_payer.insecure_clone(),
        payee: actors.payee.insecure_clone(),
        operator: None,
    };
    let mint = ListedMint { mint: config.session.mint, token_program: config.session.token_program };
    let settings = config.settler_config(vec![mint]).expect("settings");
    let chain = Arc::new(RpcChain::new(&config.settler.rpc));
    Settler::start(scene.ledger(), chain, keys, settings).await.expect("the settler starts")
}
