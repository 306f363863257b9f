//! The route table: path patterns with prices, first match wins.
//!
//! A price must not be evaded by spelling a path differently, so patterns match the decoded path, in another
//! case and with or without a last slash too, and a path with dot segments, empty segments, encoded slashes
//! or undecodable bytes matches nothing at all.

use globset::{GlobBuilder, GlobMatcher};
use http::{Method, Uri};

use crate::price::{Price, Pricer, Quote};

/// A priced pattern.
#[derive(Clone, Debug)]
pub struct Route {
    method: Option<Method>,
    path: GlobMatcher,
    /// Matches in any case as well.
    lax: GlobMatcher,
    price: Price,
}

impl Route {
    /// `pattern` is an exact path or a glob: `*` stays within a segment, `**` crosses segments.
    pub fn new(method: Option<Method>, pattern: &str, price: Price) -> Result<Self, globset::Error> {
        let glob = |pattern: &str, any_case| {
            let mut glob = GlobBuilder::new(pattern);
            glob.literal_separator(true).backslash_escape(true).case_insensitive(any_case);
            glob.build().map(|glob| glob.compile_matcher())
        };
        let lax = glob(without_last_slash(pattern), true)?;
        Ok(Self { method, path: glob(pattern, false)?, lax, price })
    }

    fn serves(&self, method: &Method) -> bool {
        match &self.method {
            None => true,
            Some(own) => own == method || (*own == Method::GET && *method == Method::HEAD),
        }
    }
}

/// Routes in the order of their file.
#[derive(Clone, Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    unpriced: Unpriced,
}

/// What happens to a request that no route prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unpriced {
    /// It passes through without payment.
    Free,
    /// It is answered 404.
    #[default]
    NotFound,
}

impl RouteTable {
    /// A table of `routes`.
    pub fn new(routes: Vec<Route>, unpriced: Unpriced) -> Self {
        Self { routes, unpriced }
    }

    /// The route of a path; failing that, of one that lenient upstreams take for the same.
    fn find(&self, method: &Method, path: &str) -> Option<&Route> {
        let lax = without_last_slash(path);
        self.first(method, |route| route.path.is_match(path))
            .or_else(|| self.first(method, |route| route.lax.is_match(lax)))
    }

    fn first(&self, method: &Method, is_on: impl Fn(&Route) -> bool) -> Option<&Route> {
        let mut on_path = self.routes.iter().filter(|route| is_on(route));
        if *method == Method::HEAD {
            let routes: Vec<_> = on_path.collect();
            return routes.iter().find(|route| route.serves(method)).or(routes.first()).copied();
        }
        on_path.find(|route| route.serves(method))
    }
}

impl Pricer for RouteTable {
    fn quote(&self, method: &Method, uri: &Uri) -> Quote {
        let Some(path) = plain_path(uri.path()) else { return Quote::NotFound };
        match (self.find(method, &path), self.unpriced) {
            (Some(route), _) => Quote::Priced(route.price.clone()),
            (None, Unpriced::Free) => Quote::Free,
            (None, Unpriced::NotFound) => Quote::NotFound,
        }
    }
}

/// `/a/` as `/a`; the root stays.
fn without_last_slash(path: &str) -> &str {
    path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path)
}

/// The decoded path, or `None` when two servers could read it differently.
fn plain_path(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        match u8::try_from(high * 16 + low).expect("two hex digits fit a byte") {
            b'/' | b'\\' | b'%' => return None,
            byte => decoded.push(byte),
        }
    }
    let decoded = String::from_utf8(decoded).ok()?;
    let ambiguous = |segment: &str| segment == "." || segment == ".." || segment.contains(['\\', '\0', ';']);
    let inner = decoded.strip_prefix('/')?;
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let empty_segment = !inner.is_empty() && inner.split('/').any(str::is_empty);
    (!empty_segment && !inner.split('/').any(ambiguous)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use toll_protocol::Amount;

    use super::*;

    fn table(unpriced: Unpriced) -> RouteTable {
        let route = |method: Option<Method>, pattern: &str, amount: u64| {
            let price = Price {
                amount: Amount::new(amount),
                unit_type: None,
                headroom: Amount::ZERO,
                route: pattern.to_owned(),
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
        RouteTable::new(routes, unpriced)
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
        for path in
            ["/v1//weather", "/v1/./weather", "/x/../v1/weather", "/v1%2Fweather", "/v1/%2e%2e/weather"]
        {
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

    #[test]
    fn exact_spelling_is_preferred() {
        let route = |pattern: &str, amount| {
            let amount = Amount::new(amount);
            let price = Price { amount, unit_type: None, headroom: Amount::ZERO, route: pattern.to_owned() };
            Route::new(None, pattern, price).expect("pattern")
        };
        let table = RouteTable::new(vec![route("/a/", 1), route("/A", 2), route("/a", 3)], Unpriced::Free);
        for (path, expected) in [("/a/", 1), ("/A", 2), ("/a", 3), ("/A/", 1)] {
            let quote = table.quote(&Method::GET, &path.parse().expect("uri"));
            assert!(matches!(quote, Quote::Priced(price) if price.amount.get() == expected), "{path}");
        }
    }

    #[test]
    fn unpriced_paths_follow_the_setting() {
        let uri = "/about".parse().expect("uri");
        assert_eq!(table(Unpriced::Free).quote(&Method::GET, &uri), Quote::Free);
        assert_eq!(table(Unpriced::NotFound).quote(&Method::GET, &uri), Quote::NotFound);
    }
}
