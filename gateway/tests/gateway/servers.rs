//! What servers make of a path, and what the gateway asks for it: never less than the price of what is served.

use http::Method;
use proptest::prelude::*;
use toll_gateway::{Price, Pricer, Quote, Route, RouteTable, Unpriced};
use toll_protocol::{Amount, CredentialField};

const SERVERS: [&str; 5] = ["Express", "Flask", "nginx", "Spring", "Go"];

/// An application has a handler for each of these routes, written like this in its server's own way.
const ROUTES: [(&str, u64); 6] =
    [("/v1/weather", 20), ("/v1/reports/*", 50), ("/files/**", 30), ("/Admin", 70), ("/v1/*", 5), ("/**", 1)];

/// Under which path each server looks for a handler; `=` is the path as it is sent, `-` an error or a redirect.
/// The servers are as they come out of the box: Express 5 (any case, any last slash, compares undecoded), Flask 3
/// on a WSGI server (decoded; one slash for many, by redirect), nginx 1.28 (decoded, merged and resolved
/// before `location`), Spring 5 with its `StrictHttpFirewall` off and `PathPattern` (parameters dropped, any last
/// slash) and Go 1.25 `net/http.ServeMux` (each segment decoded; cleans paths by redirect).
///
/// `cost` is what the gateway asks; `no` says that it sells nothing under such a path.
const TABLE: &str = "
    path                       cost  Express            Flask              nginx              Spring             Go
    /v1/weather                20    =                  =                  =                  =                  =
    /V1/Weather                20    /v1/weather        =                  =                  =                  =
    /v1/weather/               20    /v1/weather        =                  =                  /v1/weather        =
    /V1/WEATHER/               20    /v1/weather        =                  =                  =                  =
    /v1/%77eather              20    =                  /v1/weather        /v1/weather        /v1/weather        /v1/weather
    /v1/%57eather              20    =                  /v1/Weather        /v1/Weather        /v1/Weather        /v1/Weather
    /%76%31/weather            20    =                  /v1/weather        /v1/weather        /v1/weather        /v1/weather
    /v1/weather%20             5     =                  =                  =                  =                  =
    /v1/weather%3Funits=c      20    =                  =                  =                  =                  =
    /v1/weather%2F             no    =                  /v1/weather/       /v1/weather/       -                  =
    /v1%2Fweather              no    =                  /v1/weather        /v1/weather        -                  =
    /v1/%2577eather            no    =                  =                  =                  =                  =
    //v1/weather               no    =                  -                  /v1/weather        /v1/weather        -
    /v1//weather               no    =                  -                  /v1/weather        /v1/weather        -
    /v1/weather//              no    =                  -                  /v1/weather/       /v1/weather        -
    /v1/./weather              no    =                  =                  /v1/weather        /v1/weather        -
    /x/../v1/weather           no    =                  =                  /v1/weather        /v1/weather        -
    /x/%2e%2e/v1/weather       no    =                  =                  /v1/weather        /v1/weather        -
    /x/..;/v1/weather          no    =                  =                  =                  /v1/weather        =
    /v1/weather;units=c        no    =                  =                  =                  /v1/weather        =
    /v1;x/weather              no    =                  =                  =                  /v1/weather        =
    /v1%5Cweather              no    =                  =                  =                  -                  =
    /v1/weather%00             no    -                  =                  -                  -                  =
    /v1/reports/7              50    =                  =                  =                  =                  =
    /v1/Reports/7              50    /v1/reports/7      =                  =                  =                  =
    /v1/reports/7/             50    /v1/reports/7      =                  =                  /v1/reports/7      =
    /v1/%72eports/7            50    =                  /v1/reports/7      /v1/reports/7      /v1/reports/7      /v1/reports/7
    /v1/reports/a%2Fb          no    /v1/reports/a%2Fb  =                  =                  -                  /v1/reports/a%2Fb
    /v1/reports%2F7            no    =                  /v1/reports/7      /v1/reports/7      -                  =
    /v1/reports//7             no    =                  -                  /v1/reports/7      /v1/reports/7      -
    /v1/reports/7;v=2          no    =                  =                  =                  /v1/reports/7      =
    /files/a/b                 30    =                  =                  =                  =                  =
    /FILES/a/b                 30    /files/a/b         =                  =                  =                  =
    /files                     30    =                  =                  /files/            /files/            /files/
    /files/../Admin            no    =                  =                  /Admin             /Admin             -
    /files/%2e%2e/Admin        no    =                  =                  /Admin             /Admin             -
    /Admin                     70    =                  =                  =                  =                  =
    /admin                     70    /Admin             =                  =                  =                  =
    /ADMIN/                    70    /Admin             =                  =                  =                  =
    /%41dmin                   70    =                  /Admin             /Admin             /Admin             /Admin
    /about                     1     =                  =                  =                  =                  =
";

#[test]
fn no_server_serves_a_path_for_less_than_its_price() {
    let table = table(&ROUTES, Unpriced::NotFound);
    let mut rows = TABLE.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.find(|row| row.first() == Some(&"path")).expect("a heading");
    let mut rows_checked = 0;
    for row in rows.filter(|row| !row.is_empty()) {
        let [path, cost, served @ ..] = row.as_slice() else { panic!("{row:?}") };
        let asked = amount(&table, path);
        assert_eq!(asked.map_or("no".to_owned(), |amount| amount.to_string()), *cost, "{path}");
        let Some(asked) = asked else { continue };
        assert_eq!(served.len(), SERVERS.len(), "{path}");
        for (server, served) in SERVERS.iter().zip(served) {
            let served = match *served {
                "-" => continue,
                "=" => path,
                other => other,
            };
            let worth = worth(&ROUTES, served).expect("the last route takes everything");
            assert!(asked >= worth, "{server} serves {served}, worth {worth}, for {asked} under {path}");
        }
        rows_checked += 1;
    }
    assert!(rows_checked > 15, "{rows_checked} rows are sold");
}

/// What the first route costs whose pattern is the path's, segment by segment. Not with the gateway's matcher.
fn worth(routes: &[(impl AsRef<str>, u64)], path: &str) -> Option<u64> {
    routes.iter().find(|(pattern, _)| is_of(pattern.as_ref(), path, false)).map(|(_, amount)| *amount)
}

fn is_of(pattern: &str, path: &str, any_case: bool) -> bool {
    fn segments_match(pattern: &[&str], path: &[&str], any_case: bool) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (Some((&"**", [])), Some(_)) => true,
            (Some((pattern, more)), Some((segment, rest))) => {
                let same = match (*pattern, any_case) {
                    ("*", _) => true,
                    (pattern, true) => pattern.eq_ignore_ascii_case(segment),
                    (pattern, false) => pattern == *segment,
                };
                same && segments_match(more, rest, any_case)
            }
            (None, None) => true,
            _ => false,
        }
    }
    let segments = |path: &'_ str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (pattern, path) = (segments(pattern), segments(path));
    let pattern: Vec<_> = pattern.iter().map(String::as_str).collect();
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    segments_match(&pattern, &path, any_case)
}

fn table(routes: &[(impl AsRef<str>, u64)], unpriced: Unpriced) -> RouteTable {
    let route = |(pattern, amount): &(_, u64)| {
        let pattern: &str = AsRef::as_ref(pattern);
        let amount = Amount::new(*amount);
        let price = Price {
            description: None,
            amount,
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
        Route::new(None, pattern, price).expect("a pattern")
    };
    RouteTable::new(routes.iter().map(route).collect(), unpriced).expect("a table")
}

fn amount(table: &RouteTable, path: &str) -> Option<u64> {
    match table.quote(&Method::GET, &path.parse().expect("a target")) {
        Quote::Priced(price) => Some(price.amount.get()),
        Quote::Free => Some(0),
        Quote::NotFound => None,
    }
}

/// A kind of server: what it does to a path, and how it finds the handler.
#[derive(Clone, Copy, Debug)]
struct Reader {
    decodes: u8,
    drops_parameters: bool,
    merges_slashes: bool,
    resolves_dots: bool,
    any_case: bool,
    any_last_slash: bool,
}

impl Reader {
    fn all() -> impl Iterator<Item = Self> {
        (0..3 * 32).map(|bits: u8| Self {
            decodes: bits / 32,
            drops_parameters: bits & 1 != 0,
            merges_slashes: bits & 2 != 0,
            resolves_dots: bits & 4 != 0,
            any_case: bits & 8 != 0,
            any_last_slash: bits & 16 != 0,
        })
    }

    fn read(self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..self.decodes {
            path = decode(&path);
        }
        let mut segments: Vec<&str> = path.split('/').skip(1).collect();
        if self.drops_parameters {
            segments = segments.iter().map(|segment| segment.split(';').next().unwrap_or_default()).collect();
        }
        let last = segments.len() - 1;
        if self.merges_slashes {
            let mut place = 0;
            segments.retain(|segment| {
                place += 1;
                !segment.is_empty() || place > last
            });
        }
        if self.resolves_dots {
            let mut resolved = Vec::new();
            for segment in segments {
                match segment {
                    "." => {}
                    ".." => drop(resolved.pop()),
                    segment => resolved.push(segment),
                }
            }
            segments = resolved;
        }
        format!("/{}", segments.join("/"))
    }

    /// The price of the handler that serves the path: the first that matches.
    fn worth(self, routes: &[(String, u64)], path: &str) -> Option<u64> {
        let path = self.read(path);
        let bare = path.strip_suffix('/').unwrap_or(&path);
        let other = if path.ends_with('/') { bare.to_owned() } else { format!("{bare}/") };
        let serves = |pattern: &str| {
            is_of(pattern, &path, self.any_case)
                || (self.any_last_slash && path != "/" && is_of(pattern, &other, self.any_case))
        };
        routes.iter().find(|(pattern, _)| serves(pattern)).map(|(_, amount)| *amount)
    }
}

fn decode(path: &str) -> String {
    let mut decoded = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        match after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(char::from(byte));
                rest = &after[2..];
            }
            None => {
                decoded.push('%');
                rest = after;
            }
        }
    }
    decoded + rest
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "A", "Ab", "v1", "*"]);
    let end = prop::sample::select(vec!["", "/", "/**", "/*", ""]);
    (prop::collection::vec(segment, 1..4), end).prop_map(|(path, end)| format!("/{}{end}", path.join("/")))
}

/// A path that a route of the table names, spelled in some other way.
fn respelled(pattern: &str, choices: &[u8]) -> String {
    let plain = pattern.replace("**", "c/b").replace('*', "ab");
    let mut path = String::new();
    for (character, choice) in plain.chars().zip(choices.iter().cycle()) {
        match (character, choice) {
            ('/', 0) => path.push_str("//"),
            ('/', 1) => path.push_str("/./"),
            ('/', 2) => path.push_str("/x/../"),
            ('/', 3) if !path.is_empty() => path.push_str("%2F"),
            ('/', 4) if !path.is_empty() => path.push_str(";p=1/"),
            ('/', _) => path.push('/'),
            (other, 5 | 6) => path.push(other.to_ascii_uppercase()),
            (other, 7 | 8) => path.push_str(&format!("%{:02X}", u32::from(other))),
            (other, 9) => path.push_str(&format!("%25{:02x}", u32::from(other))),
            (other, 10) => path.push(other.to_ascii_lowercase()),
            (other, _) => path.push(other),
        }
    }
    match choices[0] % 3 {
        0 => path.trim_end_matches('/').to_owned() + "/",
        1 if path.len() > 1 => path.trim_end_matches('/').to_owned(),
        _ => path,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_price_covers_every_reading(
        routes in prop::collection::vec((pattern(), 1..100_u64), 1..6),
        target in any::<prop::sample::Index>(),
        choices in prop::collection::vec(prop_oneof![3 => 11..40_u8, 1 => 5..11_u8, 1 => 0..11_u8], 1..24),
    ) {
        let path = respelled(&target.get(&routes).0, &choices);
        let asked = amount(&table(&routes, Unpriced::Free), &path);
        for reader in Reader::all() {
            let worth = reader.worth(&routes, &path);
            if let (Some(asked), Some(worth)) = (asked, worth) {
                prop_assert!(asked >= worth, "{path}: {asked}, but {worth} to {reader:?}: {routes:?}");
            }
        }
    }
}
