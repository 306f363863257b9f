//! The help text of every command, as people see it.

fn help(path: &[&str]) -> String {
    let mut command = toll_cli::command_line().term_width(100);
    command.build();
    let found = path.iter().fold(&mut command, |command, name| {
        command.find_subcommand_mut(name).unwrap_or_else(|| panic!("no command {name}"))
    });
    found.render_long_help().to_string()
}

macro_rules! help_of {
    ($($test:ident: $($word:literal)*;)*) => {$(
        #[test]
        fn $test() {
            insta::assert_snapshot!(help(&[$($word),*]));
        }
    )*};
}

help_of! {
    help_of_toll: ;
    help_of_demo: "demo";
    help_of_localnet: "localnet";
    help_of_keygen: "keygen";
    help_of_balance: "balance";
    help_of_fund: "fund";
    help_of_serve: "serve";
    help_of_settler: "settler";
    help_of_settle: "settle";
    help_of_archive: "archive";
    help_of_ledger: "ledger";
    help_of_ledger_export: "ledger" "export";
    help_of_ledger_reconcile: "ledger" "reconcile";
    help_of_pay: "pay";
    help_of_channels: "channels";
    help_of_show: "show";
    help_of_inspect: "inspect";
    help_of_top_up: "top-up";
    help_of_close: "close";
    help_of_request_close: "request-close";
    help_of_withdraw: "withdraw";
}

#[test]
fn every_command_takes_json_and_has_an_about_line() {
    let mut command = toll_cli::command_line();
    command.build();
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        assert!(subcommand.get_about().is_some(), "{}", subcommand.get_name());
        let takes_json = subcommand.get_arguments().any(|argument| argument.get_id() == "json");
        assert!(takes_json, "{}", subcommand.get_name());
    }
}
