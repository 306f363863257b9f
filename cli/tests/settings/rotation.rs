//! A challenge secret that is changed while `toll serve` runs.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use axum::{Router, routing::get};
use rustix::process::{Pid, Signal, kill_process};
use toll_client::Request;
use toll_protocol::{Challenge, ChallengeSecret, parse_www_authenticate};

use crate::support::Toll;
use crate::support::gateway::{Customer, Merchant, config_text};

/// A `toll serve` of the merchant's gateway, and what it sells.
struct Serving {
    process: Child,
    request: Request,
}

impl Serving {
    async fn start(toll: &Toll, folder: &Path) -> Self {
        let upstream = crate::support::serve(Router::new().route("/thing", get(|| async { "served" }))).await;
        let text = config_text().replace(
            "upstream = \"http://127.0.0.1:1\"",
            &format!("listen = \"127.0.0.1:0\"\nupstream = \"http://{upstream}\"\nsecret_file = \"own.key\""),
        );
        let file = folder.join("toll.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = toll.command();
        command.args(["--json", "serve", "--only", "gateway", "--config"]).arg(file).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
        let ready: String = lines.take_while(|line| line != "}").collect();
        let ready: serde_json::Value = serde_json::from_str(&(ready + "}")).unwrap();
        let url = format!("{}/thing", ready["address"].as_str().unwrap());
        Self { process, request: Request::get(url.parse().unwrap()) }
    }

    fn hang_up(&self) {
        kill_process(Pid::from_child(&self.process), Signal::HUP).unwrap();
    }

    async fn challenge(&self) -> Challenge {
        let response = reqwest::get(self.request.url.clone()).await.unwrap();
        assert_eq!(response.status(), 402);
        parse_www_authenticate(response.headers()["www-authenticate"].as_bytes()).unwrap().payment.remove(0)
    }

    /// A challenge under `secret`, once there is one.
    async fn challenge_under(&self, secret: &[u8]) -> Challenge {
        let secret = ChallengeSecret::new(secret).unwrap();
        for _ in 0..1_200 {
            let challenge = self.challenge().await;
            if challenge.is_authentic(&secret) {
                return challenge;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the secret was not taken up");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_changes_the_secret_and_sessions_go_on_under_the_one_before() {
    let (merchant, toll, customer) = (Merchant::start().await, Toll::new(), Customer::new());
    let file = merchant.folder.path().join("own.key");
    let (first, second, third) = ([b'a'; 32], [b'b'; 32], [b'c'; 32]);
    std::fs::write(&file, first).unwrap();
    let serving = Serving::start(&toll, merchant.folder.path()).await;
    assert!(serving.challenge().await.is_authentic(&ChallengeSecret::new(first).unwrap()));
    customer.payer.pay(&customer.book(), &serving.request).await.unwrap();
    let opened_with = customer.book().channels()[0].challenge.clone();

    std::fs::write(&file, second).unwrap();
    serving.hang_up();

    serving.challenge_under(&second).await;
    let reply = customer.payer.pay(&customer.book(), &serving.request).await.unwrap();
    assert_eq!(reply.body, b"served");
    assert_eq!(customer.book().channels()[0].challenge, opened_with, "it was not refused");
    // What is no secret changes nothing, and the next word is heard.
    std::fs::write(&file, "short").unwrap();
    serving.hang_up();
    std::fs::write(&file, third).unwrap();
    serving.hang_up();
    serving.challenge_under(&third).await;
    customer.payer.pay(&customer.book(), &serving.request).await.unwrap();
    assert_eq!(customer.book().channels()[0].challenge, opened_with);
    assert_eq!((merchant.channels().await, merchant.charged().await), (1, 3_000));
}
