//! `llms.txt`: the same for readers of text.

use std::fmt::Write;

use super::listing::Listing;

/// How to buy what is listed.
const MANUAL: &str = "\
## How to pay

Requests to the paths below are answered `402 Payment Required` until they are paid by the `Payment` HTTP
authentication scheme, method `solana`, intent `session`: the challenge in `WWW-Authenticate` says what to escrow and what
a request costs, a signed voucher pays for each: in `Authorization`, or in `Payment-Authorization` where the challenge's
`header` says so. The challenge counts, should it differ from this text.
`toll pay URL` does all of it from a command line.
";

/// The document.
pub(super) fn text(listing: &Listing) -> String {
    let mut text = format!("# {}\n\n", listing.title);
    if let Some(description) = &listing.description {
        let _ = writeln!(text, "> {description}\n");
    }
    text.push_str(MANUAL);
    let _ = writeln!(
        text,
        "\n## Prices\n\nIn tokens of the mint {} on Solana {}.\n",
        listing.mint, listing.network
    );
    for item in &listing.items {
        let methods: Vec<_> = item.methods().iter().map(ToString::to_string).collect();
        let price = listing.tokens(item.amount);
        let _ =
            write!(text, "- {} {}: {price} per {}", methods.join(", "), listing.url_of(item), item.unit_type);
        if let Some(description) = &item.description {
            let _ = write!(text, ". {description}");
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "\n## More\n\n- [OpenAPI]({0}/openapi.json)\n- [Catalog]({0}/v1/catalog)",
        listing.url
    );
    if let Some(homepage) = &listing.homepage {
        let _ = writeln!(text, "- [Home page]({homepage})");
    }
    text
}
