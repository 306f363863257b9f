//! Programs of other people, as `tests/interop/install` leaves them below the target folder.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempPath;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Set to 1 where a skipped test counts as a failed one.
const DEMANDED: &str = "TOLL_TEST_INTEROP";

/// A program to run scripts with.
pub(crate) struct Foreign {
    program: PathBuf,
    scripts: PathBuf,
    packages: PathBuf,
    /// Whether scripts find their packages only beside themselves.
    beside: bool,
}

impl Foreign {
    /// Python with solana-pay-kit, or `None` where that is not installed.
    pub(crate) fn python() -> Option<Self> {
        Self::installed("venv", "bin/python", "python")
    }

    /// Node with mppx and @solana/mpp, or `None` where these are not installed.
    pub(crate) fn node() -> Option<Self> {
        let node = Self::installed("node", "node_modules/mppx/package.json", "node")?;
        Some(Self { program: "node".into(), beside: true, ..node })
    }

    fn installed(folder: &str, program: &str, scripts: &str) -> Option<Self> {
        let packages = target().join("interop").join(folder);
        if packages.join("installed").exists() {
            let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(scripts);
            return Some(Self { program: packages.join(program), scripts, packages, beside: false });
        }
        let missing = format!("nothing is installed in {}: run tests/interop/install", packages.display());
        assert!(std::env::var_os(DEMANDED).is_none_or(|word| word != "1"), "{missing}");
        // Past the harness, which keeps what a passing test prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped, since {missing}");
        None
    }

    /// Runs a program that came with the packages, such as `node_modules/.bin/mppx`; what it prints must be JSON.
    pub(crate) async fn run_packaged(&self, program: &str, arguments: &[&str]) -> Value {
        let mut command = self.command(&self.packages.join(program));
        document(command.args(arguments)).await
    }

    /// Runs a script of ours to its end; what it prints must be JSON.
    pub(crate) async fn run(&self, script: &str, arguments: &[&str]) -> Value {
        let (script, _copy) = self.script(script);
        document(self.command(&script).args(arguments)).await
    }

    /// Starts a script of ours that serves, and prints its port first.
    pub(crate) async fn serve(&self, script: &str, arguments: &[&str]) -> Serving {
        let (path, copy) = self.script(script);
        let mut command = self.command(&path);
        command.args(arguments).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the server is started");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut line).await.expect("the server says something");
        let port = line.trim().parse().unwrap_or_else(|_| panic!("{script} prints its port, not {line:?}"));
        Serving { _process: process, _script: copy, port }
    }

    fn command(&self, script: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(script).stdin(Stdio::null()).kill_on_drop(true);
        command.env("PYTHONWARNINGS", "ignore").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Where a script can be run, and the copy of it that is made for that.
    fn script(&self, name: &str) -> (PathBuf, Option<TempPath>) {
        let script = self.scripts.join(name);
        if !self.beside {
            return (script, None);
        }
        let copy = tempfile::Builder::new().suffix(".mjs").tempfile_in(&self.packages);
        let copy = copy.expect("the folder of packages can be written").into_temp_path();
        std::fs::copy(script, &copy).expect("the script is copied");
        (copy.to_path_buf(), Some(copy))
    }
}

/// A server that stops when it is dropped.
pub(crate) struct Serving {
    _process: Child,
    _script: Option<TempPath>,
    port: u16,
}

impl Serving {
    /// What it sells.
    pub(crate) fn url(&self) -> reqwest::Url {
        format!("http://127.0.0.1:{}/resource", self.port).parse().expect("a URL")
    }
}

async fn document(command: &mut Command) -> Value {
    let ended = command.output().await.expect("the program is started");
    let (stdout, stderr) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{}\n{stdout}\n{stderr}", ended.status);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}"))
}

/// The target folder that this test was built in.
fn target() -> PathBuf {
    let executable = std::env::current_exe().expect("a test has an executable");
    // target/PROFILE/deps/EXECUTABLE
    executable.ancestors().nth(3).expect("an executable lies in the target folder").to_owned()
}
