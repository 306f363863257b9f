use toll_protocol::{Amount, CredentialField};

use super::*;

fn table(unpriced: Unpriced) -> RouteTable {
    let route = |method: Option<Method>, pattern: &str, amount: u64| {
        let price = Price {
            description: None,
            amount: Amount::new(amount),
            unit_type: None,
            headroom: Amount::ZERO,
            route: pattern.to_owned(),
            bind_body: false,
            operator_signed: false,
            accepts: Default::default(),
            field: CredentialField::Authorization,
            metering: None,
            asks_hook: false,
        };
        Route::new(method, pattern, price).expect("pattern")
    };
    let routes = vec![
        route(Some(Method::GET), "/v1/weather", 16),
        route(Some(Method::POST), "/v1/weather", 32),
        route(None, "/v1/maps/*", 64),
        route(Some(Method::POST), "/v1/jobs", 8),
        route(None, "/files/**", 1),
    ];
    RouteTable::new(routes, unpriced).expect("patterns")
}

fn amount(method: Method, path: &str) -> Option<u64> {
    match table(Unpriced::NotFound).quote(&method, &path.parse().expect("uri")) {
        Quote::Priced(price) => Some(price.amount.get()),
        _ => None,
    }
}

#[test]
fn first_route_that_serves_method_and_path_prices() {
    assert_eq!(amount(Method::GET, "/v1/weather?city=x"), Some(16));
    assert_eq!(amount(Method::POST, "/v1/weather"), Some(32));
    assert_eq!(amount(Method::DELETE, "/v1/weather"), None);
    assert_eq!(amount(Method::GET, "/v1/maps/7"), Some(64));
    assert_eq!(amount(Method::GET, "/v1/maps/7/8"), None);
    assert_eq!(amount(Method::GET, "/files/a/b/c"), Some(1));
}

#[test]
fn head_finds_the_route_of_the_other_methods() {
    assert_eq!(amount(Method::HEAD, "/v1/weather"), Some(16));
    assert_eq!(amount(Method::HEAD, "/v1/jobs"), Some(8));
}

#[test]
fn another_spelling_of_a_priced_path_is_priced_or_nothing() {
    assert_eq!(amount(Method::GET, "/v1/%77eather"), Some(16));
    for path in ["/v1//weather", "/v1/./weather", "/x/../v1/weather", "/v1%2Fweather", "/v1/%2e%2e/weather"] {
        let quote = table(Unpriced::Free).quote(&Method::GET, &path.parse().expect("uri"));
        assert_eq!(quote, Quote::NotFound, "{path}");
    }
}

// Many upstreams serve all of these alike.
#[test]
fn another_case_or_a_last_slash_does_not_make_a_priced_path_free() {
    let table = table(Unpriced::Free);
    for path in ["/v1/weather/", "/V1/Weather", "/v1/maps/7/", "/V1/MAPS/7/", "/v1/%57eather/"] {
        let quote = table.quote(&Method::GET, &path.parse().expect("uri"));
        assert!(matches!(quote, Quote::Priced(_)), "{path}: {quote:?}");
    }
}

fn priced(routes: &[(&str, u64)]) -> RouteTable {
    let route = |(pattern, amount): &(&str, u64)| {
        let amount = Amount::new(*amount);
        let price = Price {
            description: None,
            amount,
            unit_type: None,
            headroom: Amount::ZERO,
            route: (*pattern).to_owned(),
            bind_body: false,
            operator_signed: false,
            accepts: Default::default(),
            field: CredentialField::Authorization,
            metering: None,
            asks_hook: false,
        };
        Route::new(None, pattern, price).expect("pattern")
    };
    RouteTable::new(routes.iter().map(route).collect(), Unpriced::Free).expect("patterns")
}

#[track_caller]
fn costs(table: &RouteTable, path: &str, expected: u64) {
    let quote = table.quote(&Method::GET, &path.parse().expect("uri"));
    assert!(matches!(&quote, Quote::Priced(price) if price.amount.get() == expected), "{path}: {quote:?}");
}

#[test]
fn a_dear_route_is_not_bought_at_a_cheap_price() {
    let table = priced(&[("/v1/reports/**", 50), ("/v1/report", 40), ("/**", 1)]);
    for path in ["/v1/reports/x", "/V1/reports/x", "/v1/REPORTS/x", "/v1/reports", "/v1/reports/"] {
        costs(&table, path, 50);
    }
    for path in ["/v1/report", "/v1/report/", "/V1/Report/", "/v1/%72eport", "/v1/report.json"] {
        costs(&table, path, 40);
    }
    costs(&table, "/v1/other", 1);
}

#[test]
fn a_cheap_route_is_not_what_buys_the_dear_one_behind_it() {
    let table = priced(&[("/v1/weather", 1), ("/v1/**", 50)]);
    costs(&table, "/v1/weather", 1);
    for path in ["/v1/Weather", "/v1/weather/", "/v1/%77eather"] {
        costs(&table, path, 50);
    }
}

#[test]
fn an_escape_that_a_path_needs_does_not_make_it_another() {
    let table = priced(&[("/v1/café au lait", 1), ("/v1/*", 50)]);
    costs(&table, "/v1/caf%C3%A9%20au%20lait", 1);
    costs(&table, "/v1/CAF%C3%89%20au%20lait", 50);
}

#[test]
fn patterns_that_a_lenient_server_takes_for_one_cost_the_dearest_of_them() {
    let table = priced(&[("/a/", 1), ("/A", 2), ("/a", 3)]);
    for path in ["/a/", "/A", "/a", "/A/"] {
        costs(&table, path, 3);
    }
}

#[test]
fn a_route_named_with_its_suffix_has_its_own_price() {
    let table = priced(&[("/users", 50), ("/users.csv", 2), ("/**", 1)]);
    costs(&table, "/users.csv", 2);
    costs(&table, "/users.json", 50);
    costs(&table, "/v1.5/users", 1);
}

#[test]
fn a_path_is_free_only_if_no_reading_of_it_is_priced() {
    let table = priced(&[("/Files/**", 5), ("/a[b-c]", 7)]);
    for path in ["/files", "/FILES", "/files/", "/files/x", "/%66iles/x"] {
        costs(&table, path, 5);
    }
    costs(&table, "/AB", 7);
    for path in ["/file", "/filesystem", "/"] {
        assert_eq!(table.quote(&Method::GET, &path.parse().expect("uri")), Quote::Free, "{path}");
    }
}

#[test]
fn a_method_in_another_case_costs_the_same() {
    let method = |name: &str| Method::from_bytes(name.as_bytes()).expect("a token");
    for name in ["get", "Get", "GET", "head", "HEAD"] {
        assert_eq!(amount(method(name), "/v1/weather"), Some(16), "{name}");
    }
    assert_eq!(amount(method("post"), "/v1/weather"), Some(32));
}

#[test]
fn what_servers_read_too_differently_is_not_sold() {
    let table = priced(&[("/**", 1)]);
    let paths = [
        "//",
        "/a//b",
        "/a/./b",
        "/a/../b",
        "/a/%2e%2e/b",
        "/a/..;/b",
        "/a;v=1/b",
        "/a%3Bv",
        "/a%2Fb",
        "/a%2fb",
        "/a%5Cb",
        "/a%252Fb",
        "/a%2561",
        "/a%00",
        "/a%zz",
        "/a%4",
        "/a%",
        "/a%ff",
    ];
    for path in paths {
        assert_eq!(table.quote(&Method::GET, &path.parse().expect("uri")), Quote::NotFound, "{path}");
    }
    assert_eq!(table.quote(&Method::OPTIONS, &"*".parse().expect("uri")), Quote::NotFound);
}

#[test]
fn unpriced_paths_follow_the_setting() {
    let uri = "/about".parse().expect("uri");
    assert_eq!(table(Unpriced::Free).quote(&Method::GET, &uri), Quote::Free);
    assert_eq!(table(Unpriced::NotFound).quote(&Method::GET, &uri), Quote::NotFound);
}
