//! What watching costs, in questions.

use toll_bench::watch::{Report, watch};

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_poll_nor_a_comparison_asks_the_node_more_when_more_channels_are_open() {
    let few = watch(1_000).await.unwrap();
    let many = watch(2_000).await.unwrap();
    let report = Report::of(few, many);
    assert_eq!(report.complaints(), Vec::<String>::new(), "{report}");
}
