use std::collections::BTreeSet;
use std::fmt::Write;

use toll_protocol::*;

/// Names a run that writes the table instead of comparing it.
const WRITE: &str = "TOLL_WRITE_REFUSALS";

#[test]
fn refusal_codes_are_read_as_they_are_written() {
    for code in RefusalCode::ALL {
        assert_eq!(code.as_str().parse(), Ok(*code));
        assert_eq!(code.to_string(), code.as_str());
    }
    assert_eq!("no-such-code".parse::<RefusalCode>(), Err(UnknownRefusal("no-such-code".to_owned())));
}

#[test]
fn no_two_refusals_share_a_code() {
    let texts: BTreeSet<_> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(texts.len(), RefusalCode::ALL.len());
}

// draft-solana-session, "Error Responses": a refused credential is one of three types, at 402.
#[test]
fn a_refusal_at_402_has_a_type_of_the_scheme() {
    for code in RefusalCode::ALL {
        let blank = code.problem_type() == ProblemType::Blank;
        assert_eq!(blank, ![400, 402].contains(&code.status()), "{code}");
        assert!(code.statuses().iter().all(|status| (400..600).contains(status)), "{code}");
    }
}

#[test]
fn a_problem_document_carries_its_refusal() {
    let problem = Problem::refusal(RefusalCode::ChannelClosed, "it is over");
    assert_eq!((problem.status, problem.kind.clone()), (402, ProblemType::VerificationFailed));
    let read = Problem::parse(&problem.body()).expect("a problem document");
    assert_eq!(read.refusal_code(), Some(RefusalCode::ChannelClosed));
    assert_eq!(Problem::parse(b"{}").expect("a problem document").refusal_code(), None);
}

#[test]
fn the_table_of_refusals_is_the_enum() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/REFUSALS.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, table()).expect("the table is written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == table(), "REFUSALS.md is stale: run this test with {WRITE}=1");
}

fn table() -> String {
    let mut text = String::from(
        "# Refusal codes\n\n\
         Every refusal is a problem document (RFC 9457) whose `code` is one of these; `detail` says it in words. \
         Generated from `src/refusal.rs`.\n\n\
         | code | status | problem type | says | what to do |\n|---|---|---|---|---|\n",
    );
    for code in RefusalCode::ALL {
        let statuses: Vec<_> = code.statuses().iter().map(u16::to_string).collect();
        let kind = code.problem_type();
        let kind = kind.uri().strip_prefix(PROBLEM_BASE).unwrap_or(kind.uri());
        let (statuses, advice) = (statuses.join(", "), code.remedy().advice());
        writeln!(text, "| `{code}` | {statuses} | {kind} | {} | {advice} |", code.meaning())
            .expect("a string");
    }
    text
}
