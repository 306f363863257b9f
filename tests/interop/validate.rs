//! `mppx validate`: a black-box test of a server's 402s, discovery and errors.

use serde_json::json;

use crate::foreign::Foreign;
use crate::shop::{shop, url};

#[tokio::test(flavor = "multi_thread")]
async fn every_check_of_mppx_validate_passes() {
    let Some(node) = Foreign::node() else { return };
    let world = shop().await;

    for path in ["/count", "/operated/count"] {
        let arguments = ["validate", &url(&world, ""), "-e", &format!("GET:{path}"), "-j"];
        let report = node.run_packaged("node_modules/.bin/mppx", &arguments).await;

        let failings = json!({ "failed": 0, "warnings": 0, "suggested": 0, "skipped": 0 });
        for (kind, count) in failings.as_object().expect("an object") {
            assert_eq!(report["summary"][kind], *count, "{kind}: {:#}", report["endpoints"]);
        }
        assert!(report["summary"]["passed"].as_u64() >= Some(12), "{}", report["summary"]);
        assert_eq!(report["discovery"]["valid"], true);
        assert_eq!(report["endpoints"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(world.upstream.served(), 0);
}
