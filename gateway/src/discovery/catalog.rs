//! What is sold, as lists: everything, by skill, by category.

use serde_json::{Value, json};
use toll_protocol::METHOD;

use super::listing::{Item, Listing};

/// Everything, with prices.
pub(super) fn catalog(listing: &Listing) -> Value {
    json!({
        "title": listing.title,
        "description": listing.description,
        "url": listing.url,
        "categories": listing.categories,
        "items": listing.items.iter().map(|item| entry(listing, item)).collect::<Vec<_>>(),
    })
}

/// The same without what surrounds it.
pub(super) fn skills(listing: &Listing) -> Value {
    json!({ "skills": listing.items.iter().map(|item| entry(listing, item)).collect::<Vec<_>>() })
}

/// What it is about.
pub(super) fn categories(listing: &Listing) -> Value {
    json!({ "categories": listing.categories })
}

fn entry(listing: &Listing, item: &Item) -> Value {
    json!({
        "name": item.path,
        "description": item.description,
        "url": listing.url_of(item),
        "isPattern": item.is_pattern(),
        "methods": item.methods().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "price": {
            "amount": item.amount.get().to_string(),
            "tokens": listing.tokens(item.amount),
            "unitType": item.unit_type,
            "currency": listing.mint.to_string(),
            "decimals": listing.decimals,
            "network": listing.network.to_string(),
        },
        "payment": [{ "method": METHOD, "intent": "session", "header": item.field.name() }],
    })
}
