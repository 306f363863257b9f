//! What connections may take, over real sockets. Settings are short, and nothing is measured but that an end comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use toll_gateway::{GatewayConfig, GatewayError, serve};

use crate::proxy::configured;

/// Long enough for anything that ends at all.
const AT_LAST: Duration = Duration::from_secs(60);

struct Listening {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), GatewayError>>,
}

impl Listening {
    async fn start(router: Router, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let config = configured("http://127.0.0.1:1", change).gateway;
        config.validate().expect("valid");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let stopped = async move { drop(stopped.await) };
        let served = tokio::spawn(serve(listener, router, &config, stopped));
        Self { address, stop, served }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("a connection")
    }

    /// Sends `text` on a connection of its own.
    async fn say(&self, text: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.expect("sent");
        stream
    }

    async fn stop(self) {
        self.stop.send(()).expect("running");
        ended("the server", self.served).await.expect("joined").expect("drained");
    }
}

async fn ended<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(AT_LAST, work).await.unwrap_or_else(|_| panic!("{what} goes on and on"))
}

/// Everything until the server closes the connection, which may reset it.
async fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    drop(ended("a connection", stream.read_to_end(&mut text)).await);
    String::from_utf8(text).expect("UTF-8")
}

/// One answer with a `content-length` of 2.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok") {
        let mut more = [0; 1_024];
        let length = ended("an answer", stream.read(&mut more)).await.expect("an answer");
        assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&text));
        text.extend(&more[..length]);
    }
    String::from_utf8(text).expect("UTF-8")
}

fn ok() -> Router {
    Router::new().route("/", get(|| async { "ok" }))
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn unfinished_headers_are_cut_off() {
    let listening = Listening::start(ok(), |gateway| gateway.transport.header_timeout_seconds = 1).await;
    let mut waiting = Vec::new();
    for number in 0..300 {
        let begun = ["GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", "G", "", "PRI * HTTP/2.0\r\n"][number % 4];
        waiting.push(listening.say(begun).await);
    }
    for stream in &mut waiting {
        rest(stream).await;
    }
    assert!(answer(&mut listening.say(GET).await).await.starts_with("HTTP/1.1 200"));
    listening.stop().await;
}

#[tokio::test]
async fn headers_that_drip_in_are_cut_off() {
    let listening = Listening::start(ok(), |gateway| gateway.transport.header_timeout_seconds = 1).await;
    let mut stream = listening.say(GET).await;
    answer(&mut stream).await;
    // The second request on the connection never gets anywhere, although something keeps coming.
    let dripping = async {
        while stream.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    ended("a dripping client", dripping).await;
    listening.stop().await;
}

#[tokio::test]
async fn a_connection_is_used_again_until_it_idles_for_too_long() {
    let listening = Listening::start(ok(), |gateway| gateway.transport.idle_timeout_seconds = 1).await;
    let mut stream = listening.say(GET).await;
    for _ in 0..3 {
        answer(&mut stream).await;
        stream.write_all(GET.as_bytes()).await.expect("still open");
    }
    answer(&mut stream).await;
    assert_eq!(rest(&mut stream).await, "");
    listening.stop().await;
}

#[tokio::test]
async fn a_slow_handler_is_waited_for() {
    async fn slow() -> &'static str {
        tokio::time::sleep(Duration::from_secs(3)).await;
        "ok"
    }
    let listening = Listening::start(Router::new().route("/", get(slow)), |gateway| {
        let transport = &mut gateway.transport;
        (transport.header_timeout_seconds, transport.idle_timeout_seconds) = (1, 1);
        transport.stall_timeout_seconds = 1;
    });
    let listening = listening.await;
    assert!(answer(&mut listening.say(GET).await).await.starts_with("HTTP/1.1 200"));
    listening.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_are_turned_away() {
    for change in [
        |gateway: &mut GatewayConfig| gateway.transport.connections = 2,
        |gateway: &mut GatewayConfig| gateway.transport.connections_per_peer = 2,
    ] {
        let listening = Listening::start(ok(), change).await;
        let (mut first, mut second) = (listening.say(GET).await, listening.say(GET).await);
        answer(&mut first).await;
        answer(&mut second).await;
        let refused = rest(&mut listening.connect().await).await;
        assert!(
            refused.starts_with("HTTP/1.1 503 ") && refused.contains("\r\nretry-after: 1\r\n"),
            "{refused}"
        );
        drop(first);
        // The server learns of the end in its own time.
        let admitted = async {
            loop {
                let mut stream = listening.connect().await;
                if stream.write_all(GET.as_bytes()).await.is_err() {
                    continue;
                }
                let mut text = [0; 12];
                if stream.read_exact(&mut text).await.is_ok() && text == *b"HTTP/1.1 200" {
                    return;
                }
            }
        };
        ended("being turned away", admitted).await;
        drop(second);
        listening.stop().await;
    }
}

#[tokio::test]
async fn all_connections_of_a_trusted_proxy_may_come_from_one_address() {
    let listening = Listening::start(ok(), |gateway| {
        gateway.trusted_proxy = true;
        gateway.transport.connections_per_peer = 1;
    });
    let listening = listening.await;
    let (mut first, mut second) = (listening.say(GET).await, listening.say(GET).await);
    answer(&mut first).await;
    answer(&mut second).await;
    listening.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_cut_off() {
    struct Gone(Arc<Notify>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let gone = Arc::new(Notify::new());
    let noticed = Arc::clone(&gone);
    let endless = move || {
        let gone = Gone(Arc::clone(&noticed));
        let chunks = futures::stream::repeat_with(move || {
            let _ = &gone;
            Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 64 * 1024]))
        });
        std::future::ready(Body::from_stream(chunks))
    };
    let router = Router::new().route("/", get(endless));
    let listening = Listening::start(router, |gateway| gateway.transport.stall_timeout_seconds = 1).await;
    let stream = listening.say(GET).await;
    ended("an answer nobody takes", gone.notified()).await;
    drop(stream);
    listening.stop().await;
}

#[tokio::test]
async fn a_streamed_body_that_pauses_for_too_long_breaks_off() {
    async fn length(body: Body) -> String {
        match axum::body::to_bytes(body, usize::MAX).await {
            Ok(_) => "ok".to_owned(),
            Err(error) => std::error::Error::source(&error).map_or("none".into(), ToString::to_string),
        }
    }
    let router = Router::new().route("/", post(length));
    let listening = Listening::start(router, |gateway| gateway.transport.stall_timeout_seconds = 1).await;
    let mut stream = listening.say("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc").await;
    let text = rest(&mut stream).await;
    assert!(text.ends_with("the body stalled for 1 seconds"), "{text}");
    listening.stop().await;
}

#[tokio::test]
async fn the_server_stops_although_a_request_hangs() {
    let begun = Arc::new(Notify::new());
    let noticed = Arc::clone(&begun);
    let hang = move || {
        noticed.notify_one();
        std::future::pending::<&'static str>()
    };
    let router = Router::new().route("/", get(hang));
    let listening = Listening::start(router, |gateway| gateway.transport.drain_timeout_seconds = 1).await;
    let mut stream = listening.say(GET).await;
    begun.notified().await;
    let idle = listening.connect().await;
    listening.stop().await;
    assert_eq!(rest(&mut stream).await, "", "cut off without an answer");
    drop(idle);
}

#[tokio::test]
async fn a_running_request_is_finished_after_the_word_to_stop() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (noticed, waiting) = (Arc::clone(&begun), Arc::clone(&go_on));
    let wait = move || async move {
        noticed.notify_one();
        waiting.notified().await;
        "ok"
    };
    let listening = Listening::start(Router::new().route("/", get(wait)), |_| {}).await;
    let mut stream = listening.say(GET).await;
    begun.notified().await;
    listening.stop.send(()).expect("running");
    // No new connection is taken from now on.
    let refused = async { while TcpStream::connect(listening.address).await.is_ok() {} };
    ended("taking connections", refused).await;
    go_on.notify_one();
    assert!(rest(&mut stream).await.ends_with("\r\n\r\nok"));
    ended("the server", listening.served).await.expect("joined").expect("drained");
}
