//! A way to a database server that breaks where it hurts most: at a commit.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::{DatabaseUrl, LedgerConfig};

/// What ends a group of the ledger's writer, and nothing else.
const COMMIT: &[u8] = b"job;COMMIT;";

/// How the connection of the next commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It breaks before the server hears of the commit.
    BeforeCommit,
    /// It breaks when the server has committed, before it says so.
    AfterCommit,
    /// The commit stays on its way until [`TestProxy::release`].
    HeldCommit,
}

/// Stands between ledgers and their server. Ends when dropped.
#[derive(Debug)]
pub struct TestProxy {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    server: SocketAddr,
    next: Mutex<Option<Fault>>,
    struck: AtomicU32,
    holds: Mutex<bool>,
    released: Condvar,
    ended: AtomicBool,
}

impl TestProxy {
    /// A proxy before the server of `config`, and settings that lead there; `None` where the ledger is a file.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn before(config: &LedgerConfig) -> Option<(Self, LedgerConfig)> {
        let url = config.url.as_ref().filter(|url| url.is_server())?.reveal();
        let (before, rest) = url.split_once('@')?;
        let (server, database) = rest.split_once('/')?;
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let state = Arc::new(State {
            server: server.parse().expect("an address with its port"),
            next: Mutex::default(),
            struck: AtomicU32::default(),
            holds: Mutex::default(),
            released: Condvar::new(),
            ended: AtomicBool::default(),
        });
        let own = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if own.ended.load(Ordering::SeqCst) {
                    return;
                }
                own.connect(&client);
            }
        });
        let url = DatabaseUrl::new(format!("{before}@127.0.0.1:{port}/{database}"));
        Some((Self { port, state }, LedgerConfig { url: Some(url), ..config.clone() }))
    }

    /// Lets the next commit fail like this.
    pub fn fail(&self, fault: Fault) {
        if fault == Fault::HeldCommit {
            *self.state.holds.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        *self.state.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// Lets a commit that is held go on to the server.
    pub fn release(&self) {
        *self.state.holds.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.state.released.notify_all();
    }

    /// How many commits have failed.
    pub fn struck(&self) -> u32 {
        self.state.struck.load(Ordering::SeqCst)
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.release();
        self.state.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn connect(self: &Arc<Self>, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(self.server) else {
            let _ = client.shutdown(Shutdown::Both);
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = |stream: &TcpStream| stream.try_clone().expect("a handle");
        let (up, down) = ((ends(client), ends(&server)), (ends(&server), ends(client)));
        let (state, over) = (Arc::clone(self), Arc::clone(&is_over));
        std::thread::spawn(move || state.carry_up(up.0, up.1, &over));
        std::thread::spawn(move || carry_down(down.0, down.1, &is_over));
    }

    /// Carries what the client says, and lets a commit fail when it is to.
    fn carry_up(&self, mut client: TcpStream, mut server: TcpStream, is_over: &AtomicBool) {
        let mut buffer = [0; 8_192];
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            let said = &buffer[..read];
            let commits = said.windows(COMMIT.len()).any(|part| part == COMMIT);
            let fault = commits.then(|| self.next.lock().unwrap_or_else(PoisonError::into_inner).take());
            if let Some(fault) = fault.flatten() {
                self.struck.fetch_add(1, Ordering::SeqCst);
                match fault {
                    Fault::BeforeCommit => break,
                    Fault::AfterCommit => is_over.store(true, Ordering::SeqCst),
                    Fault::HeldCommit => {
                        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
                        drop(self.released.wait_while(holds, |holds| *holds));
                    }
                }
            }
            if server.write_all(said).is_err() {
                break;
            }
        }
        end(&client, &server);
    }
}

/// Carries what the server says. What it says when the connection is over nobody hears.
fn carry_down(mut server: TcpStream, mut client: TcpStream, is_over: &AtomicBool) {
    let mut buffer = [0; 8_192];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        if is_over.load(Ordering::SeqCst) || client.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    end(&client, &server);
}

fn end(client: &TcpStream, server: &TcpStream) {
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
}
