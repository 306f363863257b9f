//! What `--check` lets pass, and what it names.

use toll_bench::program::{Complaint, Figure, Figures, ROWS};

fn figures(rows: &[(&str, u64, u64)]) -> Figures {
    let figure = |(scenario, compute_units, limit): &(&str, u64, u64)| Figure {
        scenario: (*scenario).to_owned(),
        compute_units: *compute_units,
        limit: *limit,
    };
    Figures(rows.iter().map(figure).collect())
}

#[test]
fn unchanged_figures_pass() {
    let figures = figures(&[("settle", 500, 560), ("seal", 300, 300)]);
    assert_eq!(figures.compare(&figures), []);
}

#[test]
fn a_row_may_shrink_or_grow_by_two_percent() {
    let committed = figures(&[("settle", 500, 560), ("seal", 300, 430)]);
    assert_eq!(figures(&[("settle", 510, 560), ("seal", 1, 430)]).compare(&committed), []);
}

#[test]
fn a_row_that_grows_by_more_than_two_percent_is_named() {
    let committed = figures(&[("settle", 500, 560), ("seal", 300, 430)]);
    let complaints = figures(&[("settle", 511, 560), ("seal", 300, 430)]).compare(&committed);
    assert_eq!(
        complaints,
        [Complaint::Grown { scenario: "settle".to_owned(), compute_units: 511, committed: 500 }]
    );
    assert_eq!(complaints[0].to_string(), "settle: 511 compute units, more than 2% above the committed 500");
}

#[test]
fn a_row_above_its_limit_is_named_even_when_that_was_committed() {
    let above = figures(&[("settle", 561, 560)]);
    let complaints = above.compare(&above);
    assert_eq!(
        complaints,
        [Complaint::AboveLimit { scenario: "settle".to_owned(), compute_units: 561, limit: 560 }]
    );
}

#[test]
fn rows_without_committed_figures_and_figures_without_rows_are_named() {
    let complaints = figures(&[("settle", 500, 560)]).compare(&figures(&[("seal", 300, 430)]));
    let expected =
        [Complaint::New { scenario: "settle".to_owned() }, Complaint::Lost { scenario: "seal".to_owned() }];
    assert_eq!(complaints, expected);
}

#[test]
fn a_limit_is_not_raised_unseen() {
    let complaints = figures(&[("settle", 500, 900)]).compare(&figures(&[("settle", 500, 560)]));
    assert_eq!(
        complaints,
        [Complaint::LimitChanged { scenario: "settle".to_owned(), limit: 900, committed: 560 }]
    );
}

#[test]
fn figures_are_printed_and_read_alike() {
    let figures = figures(&[("settle", 500, 560), ("seal", 300, 430)]);
    let json = figures.to_json();
    assert_eq!(
        json,
        "[\n  {\"scenario\":\"settle\",\"computeUnits\":500,\"limit\":560},\n  \
         {\"scenario\":\"seal\",\"computeUnits\":300,\"limit\":430}\n]"
    );
    assert_eq!(serde_json::from_str::<Figures>(&json).unwrap(), figures);
}

#[test]
fn the_committed_figures_have_every_row_within_its_limit() {
    let committed = Figures::committed().unwrap();
    let names: Vec<_> = committed.0.iter().map(|figure| figure.scenario.as_str()).collect();
    assert_eq!(names, ROWS.iter().map(|row| row.name).collect::<Vec<_>>());
    assert_eq!(committed.compare(&committed), []);
}
