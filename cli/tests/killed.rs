//! `toll pay`, killed with SIGKILL at the worst moment.

mod support;

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::Toll;
use support::gateway::Merchant;

const LIMITS: [&str; 3] = ["--no-balance-check", "--deposit", "10000"];

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_signing_and_the_answer_it_pays_once_and_gets_the_answer_later() {
    let (merchant, toll) = (Merchant::start().await, Toll::with_key());
    let url = merchant.url.to_string();
    let mut arguments = vec!["--json", "pay", url.as_str()];
    arguments.extend(LIMITS);
    toll.run_beside(&arguments).await.succeeds();

    merchant.stall.store(true, Ordering::SeqCst);
    let mut command = toll.command();
    command.args(&arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = command.spawn().unwrap();
    while merchant.served() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    merchant.stall.store(false, Ordering::SeqCst);
    assert_eq!(toll.channels()[0]["signed"], "2000");
    assert_eq!(toll.channels()[0]["accepted"], "1000");

    let again = toll.run_beside(&arguments).await;

    let document = again.succeeds().json();
    assert_eq!(document["body"], "answer 1");
    assert_eq!(document["payment"]["receipt"]["spent"], "2000");
    assert_eq!(merchant.charged().await, 2_000);
    assert_eq!(merchant.served(), 2);
    assert_eq!(merchant.channels().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_opening_it_goes_on_with_the_same_channel() {
    let (merchant, toll) = (Merchant::start().await, Toll::with_key());
    let url = merchant.url.to_string();
    let mut arguments = vec!["--json", "pay", url.as_str()];
    arguments.extend(LIMITS);

    let mut command = toll.command();
    command.args(&arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let mut killed = command.spawn().unwrap();
    while merchant.channels().await == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    killed.kill().unwrap();
    killed.wait().unwrap();

    let document = toll.run_beside(&arguments).await.succeeds().json();

    assert_eq!(document["status"], 200);
    assert_eq!(merchant.channels().await, 1);
    assert_eq!(toll.channels().len(), 1);
    assert!(merchant.charged().await <= 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_goes_to_stdout_and_everything_else_to_stderr() {
    let (merchant, toll) = (Merchant::start().await, Toll::with_key());
    let url = merchant.url.to_string();
    let mut arguments = vec!["pay", url.as_str()];
    arguments.extend(LIMITS);

    let ended = toll.run_beside(&arguments).await;

    assert_eq!(ended.succeeds().stdout, "answer 0");
    assert!(ended.stderr.starts_with("paid 0.001 from channel "), "{ended:?}");
    let listed = toll.run(&["--json", "channels"]).succeeds().json();
    assert_eq!(listed["channels"][0]["spent"], "1000");
    assert_eq!(listed["channels"][0]["stage"], "open");
    assert!(listed["channels"][0].get("challenge").is_none(), "credentials are not listed");
}
