//! The settler is killed between any two steps of a close, and the next one finishes it, exactly once.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use solana_keypair::Keypair;
use solana_signer::Signer;
use toll_cli::server::Role;
use toll_client::Book;
use toll_ledger::{ChannelState, SubmissionKind, SubmissionState};
use toll_protocol::{ChannelId, ChannelStatus};
use toll_settler::Step;
use toll_tests::World;
use toll_tests::world::{AtShutdown, FUNDS, PRICE};

/// How long the settler may take to get to the step it dies at.
const PATIENCE: Duration = Duration::from_secs(30);

/// Paid requests on each channel.
const REQUESTS: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn settler_killed_between_any_two_steps_of_a_close_finishes_it_exactly_once() {
    let mut world = super::world(AtShutdown::LeaveOpen).await;
    let text = toml::to_string(&world.config).expect("a configuration is TOML");
    std::fs::write(world.folder().join("toll.toml"), text).expect("the configuration is written");

    for (number, step) in Step::ALL.into_iter().enumerate() {
        close_with_the_settler_killed_at(&mut world, number, step).await;
        let earned = (number as u64 + 1) * REQUESTS * PRICE.get();
        assert_eq!(world.balances().await, (FUNDS.get() - earned, earned), "{step:?}");
    }
}

async fn close_with_the_settler_killed_at(world: &mut World, number: usize, step: Step) {
    let (payer, book) = (world.payer(), world.book());
    let id = world.pay(&payer, &book, REQUESTS).await[0].payment.as_ref().expect("paid").channel;
    world.stop_server().await;
    world.start_server(Role::Gateway).await;

    let doomed = settler(world, Some(number));
    let closing = tokio::spawn(async move {
        payer.close(&book, &id).await.expect("the close is answered in the end");
    });
    kill_at(doomed, step).await;

    let mut heir = settler(world, None);
    closing.await.expect("the payer's side");
    let status = world.channel(&id).await.map(|account| account.status);
    assert_eq!(status, Some(ChannelStatus::Distributed), "{step:?}");
    // What the payer is told needs the channel alone; the record of the transaction may follow a moment later.
    let recorded = async {
        while landed_closes(world, &id).await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recorded).await.expect("the heir records that the close landed");
    heir.kill().expect("SIGKILL");
    heir.wait().expect("it is dead");

    assert_eq!(landed_closes(world, &id).await, 1, "{step:?}");
    world.stop_server().await;
    world.start_server(Role::Both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settler_killed_between_any_two_steps_of_a_close_of_two_channels_finishes_both_exactly_once() {
    let mut world = super::world(AtShutdown::LeaveOpen).await;
    let text = toml::to_string(&world.config).expect("a configuration is TOML");
    std::fs::write(world.folder().join("toll.toml"), text).expect("the configuration is written");
    let second = Keypair::new();
    world.fixture.mint_to(&second.pubkey(), FUNDS).await.expect("the second payer has funds");

    for (number, step) in Step::ALL.into_iter().enumerate() {
        let book = |name| Book::open(&world.folder().join(name), PATIENCE).expect("the state file opens");
        let payers = [
            (world.payer(), book("first.json")),
            (world.payer_with(second.insecure_clone()), book("second.json")),
        ];
        let mut ids = Vec::new();
        for (payer, book) in &payers {
            let paid = world.pay(payer, book, REQUESTS).await;
            ids.push(paid[0].payment.as_ref().expect("paid").channel);
        }
        world.stop_server().await;
        world.start_server(Role::Gateway).await;
        let closing: Vec<_> = payers
            .into_iter()
            .zip(ids.clone())
            .map(|((payer, book), id)| {
                tokio::spawn(async move {
                    payer.close(&book, &id).await.expect("the close is answered in the end");
                })
            })
            .collect();
        let asked = async {
            while world.server().ledger().channels(&[ChannelState::Closing]).await.expect("the ledger").len()
                < 2
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("both are asked to close");

        kill_at(settler(&world, Some(number)), step).await;

        let mut heir = settler(&world, None);
        for close in closing {
            close.await.expect("the payer's side");
        }
        for id in &ids {
            let status = world.channel(id).await.map(|account| account.status);
            assert_eq!(status, Some(ChannelStatus::Distributed), "{step:?}");
            let recorded = async {
                while landed_closes(&world, id).await == 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(PATIENCE, recorded).await.expect("the heir records that the close landed");
            assert_eq!(landed_closes(&world, id).await, 1, "{step:?}");
        }
        heir.kill().expect("SIGKILL");
        heir.wait().expect("it is dead");
        let closes = world.server().ledger().submissions_of(&ids[0]).await.expect("the ledger answers");
        let shared = closes.iter().any(|close| close.channels().len() == 2);
        assert!(shared, "both were in one transaction, {step:?}");
        world.stop_server().await;
        world.start_server(Role::Both).await;
        let earned = (number as u64 + 1) * 2 * REQUESTS * PRICE.get();
        assert_eq!(world.balances().await.1, earned, "{step:?}");
    }
}

/// Lets a settler come to the step at which it stands still, and kills it there.
async fn kill_at(mut doomed: Child, step: Step) {
    let mut lines = BufReader::new(doomed.stdout.take().expect("its output is piped")).lines();
    let reached = tokio::task::spawn_blocking(move || lines.next());
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    doomed.kill().expect("SIGKILL");
    doomed.wait().expect("it is dead");
    let line = reached.expect("the settler gets there in time").expect("reading its output");
    assert_eq!(line.and_then(Result::ok), Some(format!("{step:?}")));
}

async fn landed_closes(world: &World, id: &ChannelId) -> usize {
    let submissions = world.server().ledger().submissions_of(id).await.expect("the ledger answers");
    submissions
        .iter()
        .filter(|submission| submission.kind == SubmissionKind::Close)
        .filter(|submission| submission.state == SubmissionState::Landed)
        .count()
}

fn settler(world: &World, stop_at: Option<usize>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stoppable-settler"))
        .arg(world.folder())
        .args(stop_at.map(|number| number.to_string()))
        .stdout(Stdio::piped())
        .spawn()
        .expect("the settler's process starts")
}
