//! `programs/build deploy`: what it hands to the Solana CLI, and what it refuses to. The CLI is a stand-in here that
//! writes down what it was asked; `tests/validator` brings the program through the real loader.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use toll_program_tests::{elf, program_id, treasury_owner};

const TREASURY: &str = "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu";
const STRANGER: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";

/// A folder with an ELF and a Solana CLI of sorts.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    /// `name` keeps tests apart.
    fn new(name: &str, elf: &[u8]) -> Self {
        let folder = std::env::temp_dir().join(format!("toll-deploy-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let desk = Self { folder };
        fs::write(desk.file("channel.so"), elf).expect("the ELF is written");
        desk.tool("solana", &format!("echo \"$@\" >{}", desk.file("asked").display()));
        desk.tool("solana-keygen", &format!("[ \"$1\" = pubkey ] && echo {}", program_id()));
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn tool(&self, name: &str, body: &str) {
        let path = self.file(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).expect("a tool");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    fn deploy(&self, program: &str, options: &[&str]) -> Output {
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../programs/build");
        let path = format!("{}:{}", self.folder.display(), std::env::var("PATH").expect("a PATH"));
        let mut command = Command::new(build);
        command.arg("deploy").arg(self.file("channel.so")).arg(program).args(options).env("PATH", path);
        command.output().expect("programs/build runs")
    }

    /// What the Solana CLI was asked, if it was.
    fn asked(&self) -> Option<String> {
        fs::read_to_string(self.file("asked")).ok()
    }

    #[track_caller]
    fn refuses(&self, program: &str, why: &str) {
        let output = self.deploy(program, &[]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{said}");
        assert_eq!(self.asked(), None);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Fails only when it is gone already.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The ELF under test, as if it had been built with a treasury that somebody owns.
fn with_treasury() -> Vec<u8> {
    let (elf, placeholder) = (elf(), treasury_owner().to_string());
    let at = elf.windows(placeholder.len()).position(|bytes| bytes == placeholder.as_bytes());
    let at = at.expect("the identities are in the file");
    assert_eq!(placeholder.len(), TREASURY.len());
    [&elf[..at], TREASURY.as_bytes(), &elf[at + TREASURY.len()..]].concat()
}

#[test]
fn a_good_build_goes_to_the_solana_cli_with_every_option() {
    let desk = Desk::new("good", &with_treasury());
    let output = desk.deploy(&program_id().to_string(), &["--url", "localhost", "--final"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with(&format!("SBPF v3, program {}, treasury owner {TREASURY}", program_id())));
    let expected = format!(
        "program deploy --program-id {} --url localhost --final {}\n",
        program_id(),
        desk.file("channel.so").display()
    );
    assert_eq!(desk.asked(), Some(expected));
}

#[test]
fn a_keypair_stands_for_its_address() {
    let desk = Desk::new("keypair", &with_treasury());
    fs::write(desk.file("key.json"), "[]").expect("a keypair");
    let keypair = desk.file("key.json").display().to_string();
    assert!(desk.deploy(&keypair, &[]).status.success());
    assert!(desk.asked().expect("asked").starts_with(&format!("program deploy --program-id {keypair} ")));

    let desk = Desk::new("other keypair", &with_treasury());
    desk.tool("solana-keygen", &format!("echo {STRANGER}"));
    fs::write(desk.file("key.json"), "[]").expect("a keypair");
    desk.refuses(&desk.file("key.json").display().to_string(), "would not know itself at");
}

#[test]
fn another_version_of_bytecode_is_refused() {
    for version in [0, 1, 2, 4] {
        let mut elf = with_treasury();
        elf[48] = version;
        Desk::new(&format!("version {version}"), &elf).refuses(&program_id().to_string(), "is not SBPF v3");
    }
    // What older platform-tools write for v3, and no loader takes.
    let mut elf = with_treasury();
    elf[18..20].copy_from_slice(&263u16.to_le_bytes());
    Desk::new("machine", &elf).refuses(&program_id().to_string(), "is not SBPF v3");
}

#[test]
fn segments_that_no_loader_takes_are_refused() {
    // Writable data; code at another address; a size in memory beyond the file's.
    for (at, byte) in [(68, 6), (140, 2), (160, 8)] {
        let mut elf = with_treasury();
        elf[at] = elf[at].wrapping_add(byte);
        let desk = Desk::new(&format!("segment {at}"), &elf);
        desk.refuses(&program_id().to_string(), "another segment than SBPF v3 wants");
    }
}

#[test]
fn a_placeholder_treasury_is_refused() {
    let desk = Desk::new("placeholder", &elf());
    desk.refuses(&program_id().to_string(), "pays into the placeholder treasury");
}

#[test]
fn an_address_that_is_not_the_builds_is_refused() {
    let desk = Desk::new("stranger", &with_treasury());
    desk.refuses(STRANGER, "would not know itself at");
}

#[test]
fn what_is_no_channel_program_is_refused() {
    for (name, bytes) in [("text", b"#!/bin/sh\n".to_vec()), ("empty", Vec::new())] {
        Desk::new(name, &bytes).refuses(&program_id().to_string(), "is no ELF of SBPF");
    }
    let mut elf = with_treasury();
    elf[176] = b'S';
    Desk::new("another program", &elf).refuses(&program_id().to_string(), "does not name its identities");
}
