//! The priced routes as others see them.

use http::{Method, Uri};
use solana_pubkey::Pubkey;
use toll_protocol::{Amount, CredentialField, Network};

use crate::config::{DiscoveryConfig, RouteConfig};
use crate::price::{Pricer, Quote};
use crate::routes::RouteTable;
use crate::terms::Terms;

/// A service and what it sells.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) categories: Vec<String>,
    pub(super) homepage: Option<String>,
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) network: Network,
    pub(super) mint: Pubkey,
    pub(super) decimals: u8,
    pub(super) items: Vec<Item>,
}

/// One priced route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// Every method where there is none.
    pub(super) method: Option<Method>,
    /// Path or glob.
    pub(super) path: String,
    pub(super) description: Option<String>,
    /// What a request to that very path costs, in base units.
    pub(super) amount: Amount,
    pub(super) unit_type: String,
    /// Where the credential goes.
    pub(super) field: CredentialField,
}

impl Listing {
    /// `None` where nothing is to be listed.
    pub(super) fn new(
        config: &DiscoveryConfig,
        routes: &[RouteConfig],
        table: &RouteTable,
        terms: &Terms,
    ) -> Option<Self> {
        let url = config.public_url.as_ref()?.trim_end_matches('/').to_owned();
        Some(Self {
            title: config.title.clone().unwrap_or_else(|| terms.realm.as_str().to_owned()),
            description: config.description.clone(),
            categories: config.categories.clone(),
            homepage: config.homepage.clone(),
            url,
            network: terms.network,
            mint: terms.mint,
            decimals: terms.decimals,
            items: routes.iter().filter_map(|route| Item::of(route, table)).collect(),
        })
    }

    /// Where an item is.
    pub(super) fn url_of(&self, item: &Item) -> String {
        format!("{}{}", self.url, item.path)
    }

    /// Base units in tokens, exactly.
    pub(super) fn tokens(&self, amount: Amount) -> String {
        let decimals = usize::from(self.decimals);
        let digits = format!("{:0>1$}", amount.get(), decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
    }
}

impl Item {
    /// A route behind another one that takes its requests sells nothing.
    fn of(route: &RouteConfig, table: &RouteTable) -> Option<Self> {
        let method = route.method.as_ref().and_then(|name| name.parse().ok());
        let uri: Uri = route.path.parse().ok()?;
        let Quote::Priced(price) = table.quote(method.as_ref().unwrap_or(&Method::GET), &uri) else {
            return None;
        };
        Some(Self {
            method,
            path: route.path.clone(),
            description: route.description.clone(),
            amount: price.amount,
            unit_type: price.unit_type.unwrap_or_else(|| "request".to_owned()),
            field: price.field,
        })
    }

    /// Methods to list: where a route takes all, those that most resources have.
    pub(super) fn methods(&self) -> Vec<Method> {
        self.method.clone().map_or_else(|| vec![Method::GET, Method::POST], |method| vec![method])
    }

    pub(super) fn is_pattern(&self) -> bool {
        self.path.contains(['*', '?', '[', '{'])
    }
}
