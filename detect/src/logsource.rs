//! Sigma's log sources, and which of them an event belongs to.
//!
//! An event belongs to a set of products, a set of categories and a set of services, each a
//! bit set here. A rule is offered an event where the event has every part of the log source
//! that the rule names. What none of this installation's feeds can produce is known too, so
//! that a rule that could never fire is reported when it is loaded.

use std::{collections::HashMap, sync::OnceLock};

use crate::logsource_tables::{CATEGORIES, PRODUCTS, SERVICES};

/// A rule's log source as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Logsource {
    /// Whose: `windows`, `linux`, `android`, …
    pub product: Option<String>,
    /// What about: `process_creation`, `registry_set`, …
    pub category: Option<String>,
    /// Which log of the product: `security`, `threats`, …
    pub service: Option<String>,
}

impl std::fmt::Display for Logsource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts =
            [("product", &self.product), ("category", &self.category), ("service", &self.service)];
        let mut first = true;
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, "{}{name}: {value}", if first { "" } else { ", " })?;
                first = false;
            }
        }
        Ok(())
    }
}

/// What an event belongs to, or what a rule asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) products: u64,
    pub(crate) categories: u64,
    pub(crate) services: u128,
}

impl Route {
    /// Whether an event of this route has all that `asked` names.
    pub(crate) fn has(&self, asked: &Self) -> bool {
        asked.products & !self.products == 0
            && asked.categories & !self.categories == 0
            && asked.services & !self.services == 0
    }

    pub(crate) const fn with(mut self, other: Self) -> Self {
        self.products |= other.products;
        self.categories |= other.categories;
        self.services |= other.services;
        self
    }
}

impl Logsource {
    /// The parts as bits; `None` where a part has a name that no event ever carries.
    pub(crate) fn route(&self) -> Option<Route> {
        let mut route = Route::default();
        if let Some(name) = &self.product {
            route.products = 1 << place(PRODUCTS.iter().copied(), name)?;
        }
        if let Some(name) = &self.category {
            route.categories = 1 << place(CATEGORIES.iter().copied(), name)?;
        }
        if let Some(name) = &self.service {
            route.services = 1 << place(SERVICES.iter().map(|(name, _)| *name), name)?;
        }
        Some(route)
    }

    /// Whether the Windows event log is meant, with its names of fields.
    pub(crate) fn is_windows(&self) -> bool {
        self.product.as_deref() == Some("windows")
    }
}

fn place<'n>(mut names: impl Iterator<Item = &'n str>, name: &str) -> Option<usize> {
    names.position(|known| known.eq_ignore_ascii_case(name))
}

/// Bit of a product in the table; a name that is not in it is a mistake here, caught by the
/// tests, and routes nothing.
pub(crate) fn product(name: &str) -> Route {
    let products = place(PRODUCTS.iter().copied(), name).map_or(0, |bit| 1 << bit);
    Route { products, ..Route::default() }
}

pub(crate) fn category(name: &str) -> Route {
    let categories = place(CATEGORIES.iter().copied(), name).map_or(0, |bit| 1 << bit);
    Route { categories, ..Route::default() }
}

pub(crate) fn service(name: &str) -> Route {
    let services = place(SERVICES.iter().map(|(name, _)| *name), name).map_or(0, |bit| 1 << bit);
    Route { services, ..Route::default() }
}

/// The services that read a Windows channel; its name in any case.
pub(crate) fn services_of_channel(channel: &str) -> Route {
    static CHANNELS: OnceLock<HashMap<String, Route>> = OnceLock::new();
    let channels = CHANNELS.get_or_init(|| {
        let mut map: HashMap<String, Route> = HashMap::new();
        for (name, channels) in SERVICES {
            for channel in *channels {
                let route = map.entry(channel.to_ascii_lowercase()).or_default();
                *route = route.with(service(name));
            }
        }
        map
    });
    // Shorter than any allocation that matters: channels are a few words.
    let mut lower = [0_u8; 96];
    let Some(lower) = lower.get_mut(..channel.len()) else { return Route::default() };
    lower.copy_from_slice(channel.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok().and_then(|key| channels.get(key)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_their_bits_and_hold_no_name_twice() {
        assert!(PRODUCTS.len() <= 64 && CATEGORIES.len() <= 64 && SERVICES.len() <= 128);
        for (i, name) in PRODUCTS.iter().enumerate() {
            assert_eq!(place(PRODUCTS.iter().copied(), name), Some(i));
        }
        for (i, name) in CATEGORIES.iter().enumerate() {
            assert_eq!(place(CATEGORIES.iter().copied(), name), Some(i));
        }
        for (i, (name, channels)) in SERVICES.iter().enumerate() {
            assert_eq!(place(SERVICES.iter().map(|(n, _)| *n), name), Some(i));
            for channel in *channels {
                assert!(services_of_channel(channel).has(&service(name)), "{channel}");
            }
        }
    }

    #[test]
    fn channels_are_found_in_any_case() {
        assert_eq!(services_of_channel("SECURITY"), service("security"));
        assert_eq!(services_of_channel("No Such Channel"), Route::default());
        assert_eq!(services_of_channel(&"x".repeat(1000)), Route::default());
    }
}
