//! A PostgreSQL server of a test's own.

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::DatabaseUrl;
use crate::engine::postgres::{Address, Postgres};

/// Says that a test must find a server installed.
const DEMANDED: &str = "TOLL_TEST_POSTGRES";

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with a folder and a port of its own. Both go with it.
#[derive(Debug)]
pub struct TestServer {
    directory: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    process: Option<Child>,
    /// Whether commits wait for the disk.
    synced: bool,
}

impl TestServer {
    /// Starts a server, if PostgreSQL is installed: on `PATH` or where Debian puts it. Says so if not.
    ///
    /// # Panics
    /// When it does not start, or is not installed and `TOLL_TEST_POSTGRES=1` demands it.
    pub fn start() -> Option<Self> {
        Self::start_with(false)
    }

    /// The same with commits that wait for the disk, to measure by.
    ///
    /// # Panics
    /// As [`TestServer::start`] does.
    pub fn start_synced() -> Option<Self> {
        Self::start_with(true)
    }

    fn start_with(synced: bool) -> Option<Self> {
        let Some(programs) = installed() else {
            assert!(
                std::env::var(DEMANDED).is_err(),
                "PostgreSQL is not installed, and {DEMANDED} demands it"
            );
            let notice = "skipped: PostgreSQL is not installed (Debian: apt-get install postgresql)\n";
            // Not by a macro: the notice is for whoever reads the whole run.
            let _ = std::io::stderr().write_all(notice.as_bytes());
            return None;
        };
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        give_to_owner(directory.path());
        let mut server = Self { directory, programs, port, process: None, synced };
        let made = server
            .command("initdb")
            .args(["--username=toll", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"])
            .arg(server.data())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.run();
        Some(server)
    }

    /// Starts it after [`TestServer::kill`] or [`TestServer::stop`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn run(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", "unix_socket_directories=", "-c", "max_connections=200"]);
        command.args(["-c", if self.synced { "fsync=on" } else { "fsync=off" }]);
        command.arg("-c").arg(format!("port={}", self.port));
        command.stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("postgres runs"));
        let patience = Instant::now() + PATIENCE;
        while !self.answers() {
            let log = || std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < patience, "PostgreSQL does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        self.end("QUIT");
    }

    /// Ends it in order; connections are cut.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    /// Stops every process of it from running on, until [`TestServer::resume`].
    pub fn pause(&self) {
        self.signal_all("STOP");
    }

    /// Lets it run on.
    pub fn resume(&self) {
        self.signal_all("CONT");
    }

    /// Where its databases are.
    pub fn url(&self) -> String {
        format!("postgres://toll@127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A database with nothing in it.
    pub fn blank(&self) -> DatabaseUrl {
        blank_database(&self.url())
    }

    fn answers(&self) -> bool {
        std::thread::scope(|scope| scope.spawn(|| connected(&self.url()).is_some()).join()).unwrap_or(false)
    }

    fn signal_all(&self, signal: &str) {
        let Some(process) = &self.process else { return };
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &process.id().to_string()]).output();
        let children =
            children.map(|found| String::from_utf8_lossy(&found.stdout).into_owned()).unwrap_or_default();
        let processes = children.split_whitespace().map(str::to_owned).chain([process.id().to_string()]);
        let _ = Command::new("kill").arg(format!("-{signal}")).args(processes).status();
    }

    fn end(&mut self, signal: &str) {
        let Some(mut process) = self.process.take() else { return };
        let _ = Command::new("kill").args([&format!("-{signal}"), &process.id().to_string()]).status();
        let _ = process.wait();
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// One of its programs, as another user where we are root, which it refuses to be. It ends with us.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "INT"]);
        if is_root() {
            command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
        }
        command.arg(self.programs.join(program)).current_dir(self.directory.path()).env_remove("LANG");
        command.env("LC_ALL", "C");
        command
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.end("QUIT");
    }
}

/// A database with nothing in it, on a server.
pub(super) fn blank_database(server: &str) -> DatabaseUrl {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let make = || {
        let admin = connected(server).expect("a server that answers");
        admin.batch(&format!("CREATE DATABASE {name}")).expect("a blank database");
    };
    std::thread::scope(|scope| scope.spawn(make).join()).expect("a blank database");
    DatabaseUrl::new(format!("{server}/{name}"))
}

fn connected(server: &str) -> Option<Postgres> {
    let address = Address::parse(&format!("{server}/postgres"), Duration::from_secs(20)).ok()?;
    let admin = Postgres::at(&Arc::new(address));
    admin.connect().ok()?;
    Some(admin)
}

/// Where PostgreSQL's programs are.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    std::env::split_paths(&path).chain(debian).find(|folder| folder.join("initdb").exists())
}

fn is_root() -> bool {
    id("-u", None) == Some(0)
}

fn id(which: &str, user: Option<&str>) -> Option<u32> {
    let said = Command::new("id").arg(which).args(user).output().ok()?;
    String::from_utf8(said.stdout).ok()?.trim().parse().ok()
}

/// What root makes is the other user's.
fn give_to_owner(directory: &Path) {
    if is_root() {
        let (user, group) = (id("-u", Some("postgres")), id("-g", Some("postgres")));
        std::os::unix::fs::chown(directory, user, group).expect("a folder given away");
    }
}
