//! What the logs of a whole session tell.

use std::io::Write;
use std::sync::{Arc, Mutex};

use crate::opening::Opening;
use crate::world::{DEPOSIT, PRICE, Session, World, payer_key};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_hold_no_credential_signature_or_secret() {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Global, because interest in a log line is: tests that run beside this one are listened to as well.
    tracing::subscriber::set_global_default(subscriber).expect("the only one");

    let world = World::new().await;
    let challenge = world.challenge("/paid").await;
    let opening = Opening::answering(&challenge, 7, DEPOSIT);
    let session = Session { id: opening.action.channel_id, challenge, key: payer_key() };
    let credentials = [
        opening.authorization(),
        session.voucher(1),
        session.voucher(PRICE),
        session.voucher(PRICE),
        session.close(PRICE),
    ];
    for credential in &credentials {
        world.get("/paid", credential).await;
    }
    world.get("/paid", "Payment !!").await;
    tracing::debug!(gateway = ?world.gateway, "the gateway itself");

    let log = String::from_utf8(captured.0.lock().expect("lock").clone()).expect("UTF-8");
    assert!(log.contains("refused"), "something was logged");
    let signature = session.signed(PRICE).signature.to_string();
    let tokens = credentials.iter().map(|credential| credential.strip_prefix("Payment ").expect("scheme"));
    let secret = format!("{:?}", [7u8; 32]);
    for kept_quiet in tokens.chain([signature.as_str(), secret.as_str(), session.challenge.id.as_str()]) {
        assert!(!log.contains(kept_quiet), "{kept_quiet}");
    }
}
