//! Commands that need neither a server nor a chain: keys, state, configuration, exit codes.

mod support;

use support::Toll;
use toll_cli::Exit;
use toll_ledger::{Ledger, SystemClock};

const CHANNEL: &str = "7hRdGmZcLYoyrqutCrMfbeSod2gjFcvGS5H2nU7x25Ww";
const KEY: &str = "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9";

fn config(extra: &str) -> String {
    format!(
        "[ledger]\npath = \"ledger.db\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\nupstream = \"http://127.0.0.1:1\"\nrealm = \"test\"\n\
         [session]\nnetwork = \"localnet\"\npayee = \"{KEY}\"\nfee_payer = \"{KEY}\"\nmint = \"{KEY}\"\n\
         allowed_mints = [\"{KEY}\"]\ndecimals = 6\nminimum_deposit = \"0.01\"\n\
         [settler]\nrpc = \"http://127.0.0.1:1\"\nfee_payer = \"key.json\"\npayee = \"key.json\"\n{extra}\
         [[routes]]\npath = \"/**\"\nprice = \"0.001\"\n"
    )
}

/// The key behind [`KEY`]: 32 bytes of one.
fn write_key(toll: &Toll) {
    let key = solana_keypair::Keypair::new_from_array([1; 32]);
    toll_cli::keys::write(&toll.home.path().join("key.json"), &key, false).unwrap();
}

#[test]
fn no_command_and_unknown_flags_are_usage_errors() {
    let toll = Toll::new();
    for arguments in
        [&[][..], &["nonsense"], &["pay"], &["pay", "http://h/", "--nonsense"], &["demo", "--requests", "0"]]
    {
        assert_eq!(toll.run(arguments).code, i32::from(Exit::Usage.code()), "{arguments:?}");
    }
}

#[test]
fn a_usage_error_with_json_is_a_document_as_well() {
    for arguments in [&["--json", "pay"][..], &["balance", "nonsense", "--json"], &["--json"]] {
        let ended = Toll::new().run(arguments);
        ended.fails_with(Exit::Usage.code(), &["--help"]);
        assert_eq!(ended.json()["error"]["code"], "usage", "{ended:?}");
    }
    assert!(Toll::new().run(&["--json", "--help"]).succeeds().stdout.contains("Exit codes:"));
}

#[test]
fn help_and_version_succeed() {
    let toll = Toll::new();
    assert!(toll.run(&["--help"]).succeeds().stdout.contains("Exit codes:"));
    assert!(toll.run(&["--version"]).succeeds().stdout.starts_with("toll "));
}

#[test]
fn keygen_writes_a_key_once() {
    let toll = Toll::new();
    let first = toll.run(&["--json", "keygen", "id.json"]).succeeds().json();
    assert_eq!(first["file"], "id.json");
    toll.run(&["keygen", "id.json"]).fails_with(Exit::Key.code(), &["exists", "--force"]);
    let second = toll.run(&["--json", "keygen", "id.json", "--force"]).succeeds().json();
    assert_ne!(first["address"], second["address"]);
}

#[test]
fn a_payer_without_a_key_is_told_to_make_one() {
    Toll::new().run(&["pay", "http://127.0.0.1:1/"]).fails_with(Exit::Key.code(), &["toll keygen"]);
}

#[test]
fn a_url_of_another_scheme_is_a_usage_error() {
    for url in ["ftp://h/", "h/path", "file:///etc/passwd"] {
        Toll::with_key().run(&["pay", url]).fails_with(Exit::Usage.code(), &["URL"]);
    }
}

#[test]
fn two_bodies_contradict_each_other() {
    let ended = Toll::with_key().run(&["pay", "http://h/", "--data", "a", "--json-body", "{}"]);
    assert_eq!(ended.code, i32::from(Exit::Usage.code()), "{ended:?}");
}

#[test]
fn a_json_body_that_is_no_json_is_a_usage_error() {
    Toll::with_key()
        .run(&["pay", "http://h/", "--json-body", "{"])
        .fails_with(Exit::Usage.code(), &["--json-body"]);
}

#[test]
fn an_amount_finer_than_the_mint_is_a_usage_error() {
    let ended = Toll::with_key().run(&["pay", "http://127.0.0.1:1/", "--max-amount", "0.0000001"]);
    ended.fails_with(Exit::Usage.code(), &["decimals"]);
}

#[test]
fn no_channels_is_an_empty_list() {
    let toll = Toll::new();
    assert_eq!(toll.run(&["--json", "channels"]).succeeds().json(), serde_json::json!({ "channels": [] }));
    assert!(toll.run(&["channels"]).succeeds().stdout.contains("no channels"));
}

#[test]
fn a_state_file_of_a_newer_version_is_refused_and_left_alone() {
    let toll = Toll::new();
    let text = "{\"version\": 4, \"channels\": [], \"more\": true}";
    let path = toll.write(".local/state/toll/channels.json", text);
    toll.run(&["channels"]).fails_with(Exit::State.code(), &["version 4", "--state"]);
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

#[test]
fn a_damaged_state_file_is_refused_and_left_alone() {
    for text in ["", "{", "[]", "{\"version\": 1}", "{\"version\": 1, \"channels\": [{}]}"] {
        let toll = Toll::new();
        let path = toll.write(".local/state/toll/channels.json", text);
        toll.run(&["channels"]).fails_with(Exit::State.code(), &["damaged"]);
        assert_eq!(std::fs::read_to_string(path).unwrap(), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_file_with_a_broken_entry_is_not_blamed_on_the_server() {
    let merchant = support::gateway::Merchant::start().await;
    let toll = Toll::with_key();
    let pay = ["pay", merchant.url.as_str(), "--no-balance-check", "--deposit", "10000"];
    toll.run_beside(&pay).await.succeeds();
    let id = toll.channels()[0]["channelId"].as_str().unwrap().to_owned();
    let text = std::fs::read_to_string(toll.state()).unwrap();
    std::fs::write(toll.state(), text.replace(&format!("\"url\": \"{}\"", merchant.url), "\"url\": \"x\""))
        .unwrap();

    let ended = toll.run_beside(&["close", &id, "--no-balance-check"]).await;

    ended.fails_with(Exit::State.code(), &["no usable URL", &id, "request-close"]);
}

#[test]
fn closing_or_topping_up_an_unknown_channel_is_refused() {
    let toll = Toll::with_key();
    toll.run(&["close", CHANNEL]).fails_with(Exit::State.code(), &[CHANNEL, "toll channels"]);
    toll.run(&["top-up", CHANNEL, "1.0"]).fails_with(Exit::State.code(), &[CHANNEL]);
}

#[test]
fn a_channel_id_that_is_none_is_a_usage_error() {
    let ended = Toll::with_key().run(&["show", "not-base58"]);
    assert_eq!(ended.code, i32::from(Exit::Usage.code()), "{ended:?}");
    assert!(ended.stderr.contains("`not-base58` is no address"), "{ended:?}");
}

#[test]
fn a_chain_that_does_not_answer_is_a_network_error() {
    let toll = Toll::with_key();
    for arguments in
        [&["balance"][..], &["show", CHANNEL], &["request-close", CHANNEL], &["withdraw", CHANNEL]]
    {
        let mut all = arguments.to_vec();
        all.extend(["--rpc", "http://127.0.0.1:1"]);
        toll.run(&all).fails_with(Exit::Network.code(), &["127.0.0.1:1", "--rpc"]);
    }
}

#[test]
fn the_access_key_in_an_rpc_url_is_not_shown() {
    let toll = Toll::with_key();
    for url in
        ["http://127.0.0.1:1/s3cret", "http://127.0.0.1:1/?api-key=s3cret", "http://u:s3cret@127.0.0.1:1"]
    {
        let ended = toll.run(&["--json", "balance", "--rpc", url]);
        ended.fails_with(Exit::Network.code(), &["http://127.0.0.1:1 "]);
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_may_read_is_pointed_out() {
    use std::os::unix::fs::PermissionsExt;
    let toll = Toll::with_key();
    let key = toll.home.path().join(".config/toll/id.json");
    let arguments = ["pay", "http://127.0.0.1:1/"];
    assert!(!toll.run(&arguments).stderr.contains("chmod"));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let ended = toll.run(&arguments);
    ended.fails_with(Exit::Network.code(), &[]);
    assert!(ended.stderr.contains("id.json is open to other users; `chmod 600` it"), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "colours where nobody sees them: {ended:?}");
}

#[test]
fn nothing_is_funded_on_mainnet_and_nothing_without_an_amount() {
    let toll = Toll::with_key();
    let on_mainnet = toll.run(&["fund", "--network", "mainnet", "--sol", "1.0"]);
    on_mainnet.fails_with(Exit::WrongCluster.code(), &["mainnet"]);
    toll.run(&["fund"]).fails_with(Exit::Usage.code(), &["--sol", "--tokens"]);
    toll.run(&["fund", "--sol", "1"]).fails_with(Exit::Usage.code(), &["1 lamports", "1.0"]);
}

#[test]
fn a_missing_config_is_named() {
    for command in [&["serve"][..], &["settler"], &["settle", "--once"]] {
        Toll::new().run(command).fails_with(Exit::Config.code(), &["toll.toml", "--config"]);
    }
}

#[test]
fn an_unreadable_config_is_named() {
    let toll = Toll::new();
    std::fs::create_dir(toll.home.path().join("toll.toml")).unwrap();
    toll.run(&["serve"]).fails_with(Exit::Config.code(), &["toll.toml"]);
}

#[test]
fn a_config_with_an_unknown_setting_is_refused_with_its_line() {
    let toll = Toll::new();
    toll.write("toll.toml", &config("nonsense = 1\n"));
    toll.run(&["serve"]).fails_with(Exit::Config.code(), &["toll.toml", "nonsense", "line"]);
}

#[test]
fn plain_http_beyond_loopback_is_refused() {
    let toll = Toll::new();
    toll.write("toll.toml", &config("").replace("127.0.0.1:0", "0.0.0.0:0"));
    toll.run(&["serve"]).fails_with(Exit::Config.code(), &["TLS"]);
}

#[test]
fn a_missing_key_file_stops_the_server() {
    let toll = Toll::new();
    toll.write("toll.toml", &config(""));
    toll.run(&["serve"]).fails_with(Exit::Key.code(), &["key.json", "settler.fee_payer"]);
}

#[test]
fn a_key_file_of_somebody_else_stops_the_server() {
    let toll = Toll::new();
    toll.write("toll.toml", &config(""));
    toll_cli::keys::write(&toll.home.path().join("key.json"), &solana_keypair::Keypair::new(), false)
        .unwrap();
    toll.run(&["serve"]).fails_with(Exit::Config.code(), &["session.fee_payer", KEY]);
}

#[test]
fn a_node_that_does_not_answer_stops_the_server() {
    let toll = Toll::new();
    write_key(&toll);
    toll.write("toll.toml", &config(""));
    toll.run(&["settle", "--once"]).fails_with(Exit::Network.code(), &["settler.rpc"]);
}

#[test]
fn a_ledger_that_is_no_database_stops_the_server() {
    let toll = Toll::new();
    write_key(&toll);
    toll.write("toll.toml", &config(""));
    let path = toll.write("ledger.db", &"not a database ".repeat(100));
    for half in ["gateway", "settler"] {
        toll.run(&["serve", "--only", half])
            .fails_with(Exit::Ledger.code(), &["ledger.db", "not a database"]);
    }
    assert!(std::fs::read_to_string(path).unwrap().starts_with("not a database"));
}

#[test]
fn a_ledger_in_a_folder_that_is_not_there_stops_the_server() {
    let toll = Toll::new();
    write_key(&toll);
    toll.write("toll.toml", &config("").replace("\"ledger.db\"", "\"no/such/folder/ledger.db\""));
    toll.run(&["serve"]).fails_with(Exit::Ledger.code(), &["ledger.db"]);
}

#[test]
fn a_ledger_newer_than_the_program_stops_the_server() {
    let toll = Toll::new();
    write_key(&toll);
    toll.write("toll.toml", &config(""));
    let path = toll.home.path().join("ledger.db");
    drop(Ledger::open(&path, SystemClock).unwrap());
    let database = rusqlite::Connection::open(&path).unwrap();
    let version: u32 = database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    database.pragma_update(None, "user_version", version + 1).unwrap();
    drop(database);
    toll.run(&["serve"]).fails_with(Exit::Ledger.code(), &["version", "migrated"]);
}
