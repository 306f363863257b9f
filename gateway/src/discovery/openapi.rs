//! OpenAPI 3.1 with prices: made from the routes, or the upstream's own document with prices in it.

use http::{Method, Uri};
use serde_json::{Map, Value, json};
use toll_protocol::{Amount, CredentialField, METHOD};

use super::listing::{Item, Listing};
use crate::price::Quote;

/// Members of a path that are operations (OpenAPI 3.1, "Path Item Object").
const OPERATIONS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The document of an upstream that has none.
pub(super) fn generated(listing: &Listing) -> Value {
    let mut document = json!({ "openapi": "3.1.0", "info": { "version": "1" }, "paths": {} });
    add_routes(&mut document, listing);
    with_service(document, listing)
}

/// The upstream's document: with prices where `quote` has some, and without what nobody reaches.
pub(super) fn merged(own: &Value, listing: &Listing, quote: impl Fn(&Method, &Uri) -> Quote) -> Value {
    let mut document = own.clone();
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (template, item) in paths.iter_mut() {
            let (Some(item), Ok(uri)) = (item.as_object_mut(), filled_in(template).parse::<Uri>()) else {
                continue;
            };
            for name in OPERATIONS {
                let Some(operation) = item.get_mut(name).and_then(Value::as_object_mut) else { continue };
                let Ok(method) = name.to_ascii_uppercase().parse() else { continue };
                match quote(&method, &uri) {
                    Quote::Priced(price) => {
                        add_price(operation, listing, price.amount, None);
                        add_field(operation, price.field);
                    }
                    Quote::Free => {}
                    Quote::NotFound => drop(item.remove(name)),
                }
            }
        }
        paths.retain(|_, item| OPERATIONS.iter().any(|name| item.get(name).is_some()));
    }
    add_routes(&mut document, listing);
    with_service(document, listing)
}

/// Adds what the document does not have yet: every listed route that is no pattern, and patterns where it has nothing.
fn add_routes(document: &mut Value, listing: &Listing) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let had_some = !paths.is_empty();
    for item in &listing.items {
        if had_some && item.is_pattern() {
            continue;
        }
        let (template, parameters) = template(&item.path);
        let path = paths.entry(template).or_insert_with(|| json!({}));
        let Some(path) = path.as_object_mut() else { continue };
        for method in item.methods() {
            let name = method.as_str().to_ascii_lowercase();
            if OPERATIONS.contains(&name.as_str()) && !path.contains_key(&name) {
                path.insert(name, operation(listing, item, &method, &parameters));
            }
        }
    }
}

fn operation(listing: &Listing, item: &Item, method: &Method, parameters: &[String]) -> Value {
    let mut operation = Map::new();
    if let Some(description) = &item.description {
        operation.insert("description".to_owned(), json!(description));
    }
    if !parameters.is_empty() {
        let parameter =
            |name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
        operation.insert("parameters".to_owned(), parameters.iter().map(parameter).collect());
    }
    if *method == Method::POST || *method == Method::PUT || *method == Method::PATCH {
        operation.insert("requestBody".to_owned(), json!({ "content": { "*/*": { "schema": {} } } }));
    }
    let answer = json!({ "200": { "description": "The answer", "content": { "*/*": { "schema": {} } } } });
    operation.insert("responses".to_owned(), answer);
    add_price(&mut operation, listing, item.amount, item.description.as_deref());
    add_field(&mut operation, item.field);
    Value::Object(operation)
}

/// Where the credential goes, unless it is `Authorization`, which OpenAPI takes for granted.
fn add_field(operation: &mut Map<String, Value>, field: CredentialField) {
    let Some(name) = field.parameter() else { return };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    if let Some(parameters) = parameters.as_array_mut() {
        parameters.push(json!({
            "name": name,
            "in": "header",
            "description": "The Payment credential; `Authorization` is the service's own",
            "required": false,
            "schema": { "type": "string" },
        }));
    }
}

/// What has a price says so, and says that it may answer 402.
fn add_price(
    operation: &mut Map<String, Value>,
    listing: &Listing,
    amount: Amount,
    description: Option<&str>,
) {
    let mut offer = json!({
        "intent": "session",
        "method": METHOD,
        "amount": amount.get().to_string(),
        "currency": listing.mint.to_string(),
    });
    if let Some(description) = description {
        offer["description"] = json!(description);
    }
    operation.insert("x-payment-info".to_owned(), json!({ "offers": [offer] }));
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    if let Some(responses) = responses.as_object_mut() {
        responses.insert("402".to_owned(), payment_required());
    }
}

fn payment_required() -> Value {
    let header = json!({ "description": "How to pay", "schema": { "type": "string" } });
    let problem = json!({ "schema": {
        "type": "object",
        "properties": {
            "type": { "type": "string", "format": "uri" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
        },
    } });
    json!({
        "description": "Payment Required",
        "headers": { "WWW-Authenticate": header },
        "content": { "application/problem+json": problem },
    })
}

/// Who sells it, and where.
fn with_service(mut document: Value, listing: &Listing) -> Value {
    let info = &mut document["info"];
    if !info.is_object() {
        *info = json!({ "version": "1" });
    }
    if !info["title"].is_string() {
        info["title"] = json!(listing.title);
    }
    if let (Some(description), false) = (&listing.description, info["description"].is_string()) {
        info["description"] = json!(description);
    }
    document["servers"] = json!([{ "url": listing.url }]);
    let mut docs = json!({ "llms": format!("{}/llms.txt", listing.url) });
    if let Some(homepage) = &listing.homepage {
        docs["homepage"] = json!(homepage);
    }
    document["x-service-info"] = json!({ "categories": listing.categories, "docs": docs });
    document
}

/// A glob as OpenAPI spells it, and its parameters: a part of a path with anything but letters is one.
fn template(path: &str) -> (String, Vec<String>) {
    let mut parameters = Vec::new();
    let parts = path.split('/').map(|part| match part {
        part if part.contains(['*', '?', '[', '{']) => {
            let name = if part == "**" { "rest".to_owned() } else { format!("part{}", parameters.len() + 1) };
            let spelled = format!("{{{name}}}");
            parameters.push(name);
            spelled
        }
        part => part.to_owned(),
    });
    let template = parts.collect::<Vec<_>>().join("/");
    (template, parameters)
}

/// A path of that template.
fn filled_in(template: &str) -> String {
    template.replace(['{', '}'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_become_templates() {
        assert_eq!(template("/v1/weather"), ("/v1/weather".to_owned(), vec![]));
        let (spelled, parameters) = template("/v1/*/days/*.json");
        assert_eq!(spelled, "/v1/{part1}/days/{part2}");
        assert_eq!(parameters, ["part1", "part2"]);
        assert_eq!(template("/files/**").0, "/files/{rest}");
        assert_eq!(filled_in("/v1/{city}/days"), "/v1/city/days");
    }
}
