//! The route table: path patterns with prices.
//!
//! A server looks its handler up under its own reading of the path: some ignore case, some a last slash, some
//! compare before they decode. For each common reading the first route that matches prices what a server of
//! that kind would serve; the dearest of these prices the request, so that no spelling makes a path cheaper.
//! A path that servers take for quite different ones matches nothing at all.
//!
//! What a resource is called besides its path stays the upstream's affair: index files, redirects, rewrites,
//! and a `_method` parameter that some frameworks read from query or form. Price every name it answers to.

mod pattern;
mod reading;

use http::{Method, Uri};

use crate::price::{Price, Pricer, Quote};
use pattern::{Pattern, Patterns};
use reading::Readings;

/// A priced pattern.
#[derive(Clone, Debug)]
pub struct Route {
    method: Option<Method>,
    pattern: Pattern,
    price: Price,
}

impl Route {
    /// `pattern` is an exact path or a glob: `*` stays within a segment, `**` crosses segments.
    pub fn new(method: Option<Method>, pattern: &str, price: Price) -> Result<Self, globset::Error> {
        Ok(Self { method, pattern: Pattern::new(pattern)?, price })
    }

    /// Some servers take a method in any case (Werkzeug does), so its case prices nothing.
    fn serves(&self, method: &Method) -> bool {
        let is = |other: &Method| other.as_str().eq_ignore_ascii_case(method.as_str());
        self.method.as_ref().is_none_or(|own| is(own) || (*own == Method::GET && is(&Method::HEAD)))
    }
}

/// Routes in the order of their file.
#[derive(Clone, Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    patterns: Patterns,
    unpriced: Unpriced,
}

/// What happens to a request that no route prices.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unpriced {
    /// It passes through without payment.
    Free,
    /// It is answered 404.
    #[default]
    NotFound,
}

impl RouteTable {
    /// A table of `routes`. Fails when their patterns are too large together.
    pub fn new(routes: Vec<Route>, unpriced: Unpriced) -> Result<Self, globset::Error> {
        let patterns = Patterns::new(routes.iter().map(|route| &route.pattern))?;
        Ok(Self { routes, patterns, unpriced })
    }

    /// The dearest of the routes that price the request on one server or another.
    fn dearest(&self, method: &Method, readings: &Readings<'_>) -> Option<&Route> {
        let mut dearest = None;
        let mut spelled_out = false;
        for path in readings.paths() {
            spelled_out |= self.consider(method, path, &mut dearest);
        }
        // Rails serves `/a.json` with the handler of `/a`. A route with that very name says otherwise.
        if let Some(path) = readings.without_suffix().filter(|_| !spelled_out) {
            self.consider(method, path, &mut dearest);
        }
        dearest
    }

    /// Puts a route of `path` that is dearer into `dearest`. Whether a route spells the path out.
    fn consider<'a>(&'a self, method: &Method, path: &str, dearest: &mut Option<&'a Route>) -> bool {
        let mut spelled_out = false;
        for (server, matching) in self.patterns.on_servers(path).into_iter().enumerate() {
            let strict = server == 0;
            let Some(first) = self.first(method, &matching) else { continue };
            spelled_out |= strict && first.pattern.is_literal();
            // To a lenient server `/a` and `/A/` are one pattern, and their order here says nothing about it.
            let is_twin = |route: &&Route| {
                !strict && route.pattern.folded() == first.pattern.folded() && route.serves(method)
            };
            for route in std::iter::once(first).chain(self.routes.iter().filter(is_twin)) {
                if dearest.is_none_or(|dearest| dearest.price.amount < route.price.amount) {
                    *dearest = Some(route);
                }
            }
        }
        spelled_out
    }

    /// The first of the `matching` routes that serves the method; for a HEAD that none serves, the first.
    fn first(&self, method: &Method, matching: &[usize]) -> Option<&Route> {
        let mut routes = matching.iter().map(|index| &self.routes[*index]);
        let any = routes.clone().next().filter(|_| *method == Method::HEAD);
        routes.find(|route| route.serves(method)).or(any)
    }
}

impl Pricer for RouteTable {
    fn quote(&self, method: &Method, uri: &Uri) -> Quote {
        let Some(readings) = Readings::of(uri.path()) else { return Quote::NotFound };
        match (self.dearest(method, &readings), self.unpriced) {
            (Some(route), _) => Quote::Priced(route.price.clone()),
            (None, Unpriced::Free) => Quote::Free,
            (None, Unpriced::NotFound) => Quote::NotFound,
        }
    }
}

#[cfg(test)]
mod tests;
