//! Log sources of what is neither Windows' nor SentinelOne's: by vendor, then by content.

use std::collections::BTreeSet;

use event::{Event, FieldId, fields as f};

use crate::{
    logsource::{Route, category, product, service},
    logsource_tables::{PRODUCTS, SERVICES},
    route_vendors::{ENDPOINT, Kind, PHONES, PROGRAMS, VENDORS, Vendor, WORKLOADS},
};

const OPERATING_SYSTEMS: &[&str] = &["windows", "linux", "macos"];

fn all_of(names: &[&str], part: fn(&str) -> Route) -> Route {
    names.iter().fold(Route::default(), |route, name| route.with(part(name)))
}

/// The log sources of `event`, whose module is `module`.
pub(crate) fn of(event: &Event, module: &str) -> Route {
    if event.get_str(f::OBSERVER_TYPE) == Some("mtd") {
        return phone(event, module);
    }
    let dataset = event.get_str(f::EVENT_DATASET).unwrap_or_default();
    let kind = dataset.split_once('.').map_or(dataset, |(_, kind)| kind);
    let Some(vendor) = VENDORS.iter().find(|vendor| vendor.modules.contains(&module)) else {
        return unknown(event, module, kind);
    };
    let mut route = of_vendor(vendor, kind);
    if vendor.products == ["linux"] {
        route = route.with(program(event));
    }
    if vendor.products == ["m365"] {
        route = route.with(workload(event));
    }
    for kind in vendor.kinds {
        if let Some(more) = of_kind(*kind, event) {
            route = route.with(more);
        }
    }
    route
}

fn of_vendor(vendor: &Vendor, kind: &str) -> Route {
    // FortiGate's kinds have kinds: `traffic:forward`. The whole goes before its first part.
    let part = kind.split_once(':').map_or(kind, |(part, _)| part);
    let datasets = || vendor.datasets.iter();
    let by_kind = datasets()
        .find(|(known, _)| *known == kind)
        .or_else(|| datasets().find(|(known, _)| *known == part))
        .or_else(|| datasets().find(|(known, _)| *known == "*"));
    all_of(vendor.products, product)
        .with(all_of(vendor.services, service))
        .with(by_kind.map_or(Route::default(), |(_, services)| all_of(services, service)))
}

/// A module that no table knows is a product where Sigma has one of that name, with the dataset
/// as its service; what the machine runs is a product too.
fn unknown(event: &Event, module: &str, kind: &str) -> Route {
    let mut route = operating_system(event);
    if PRODUCTS.contains(&module) {
        route = route.with(product(module));
        if SERVICES.iter().any(|(name, _)| *name == kind) {
            route = route.with(service(kind));
        }
    }
    if route == product("linux") {
        route = route.with(program(event));
    }
    route
}

pub(crate) fn operating_system(event: &Event) -> Route {
    event.get_str(f::HOST_OS_TYPE).map_or(Route::default(), |os| {
        OPERATING_SYSTEMS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(os))
            .map_or(Route::default(), |known| product(known))
    })
}

/// The services of the program that wrote a line of a Linux log.
fn program(event: &Event) -> Route {
    let name = event.get_str(f::LOG_SYSLOG_APPNAME).or_else(|| event.get_str(f::PROCESS_NAME));
    PROGRAMS
        .iter()
        .find(|(known, _)| name.is_some_and(|name| name.eq_ignore_ascii_case(known)))
        .map_or(Route::default(), |(_, services)| all_of(services, service))
}

fn workload(event: &Event) -> Route {
    let name = event.get_str(f::EVENT_PROVIDER).unwrap_or_default();
    WORKLOADS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map_or(Route::default(), |(_, services)| all_of(services, service))
}

fn is_of(event: &Event, field: FieldId, wanted: &str) -> bool {
    event.get_all(field).any(|value| value.as_str() == Some(wanted))
}

fn has_any(event: &Event, fields: &[FieldId]) -> bool {
    fields.iter().any(|field| event.get(*field).is_some())
}

/// What `kind` adds to the route of `event`; `None` where the event is not of that kind.
fn of_kind(kind: Kind, event: &Event) -> Option<Route> {
    let ecs = |wanted| is_of(event, f::EVENT_CATEGORY, wanted);
    let is = match kind {
        Kind::Firewall => ecs("network") || has_any(event, &[f::DESTINATION_IP]),
        Kind::Proxy => has_any(event, &[f::URL_ORIGINAL, f::URL_FULL, f::HTTP_REQUEST_METHOD]),
        Kind::Webserver => ecs("web") || has_any(event, &[f::URL_ORIGINAL, f::HTTP_REQUEST_METHOD]),
        Kind::Dns => has_any(event, &[f::DNS_QUESTION_NAME]),
        Kind::Antivirus => ecs("malware"),
        Kind::Email => ecs("email"),
        Kind::Authentication => ecs("authentication"),
        Kind::IntrusionDetection => ecs("intrusion_detection"),
        Kind::Network => ecs("network"),
        Kind::Endpoint => return Some(operating_system(event).with(endpoint(event))),
    };
    is.then(|| added(kind))
}

fn added(kind: Kind) -> Route {
    category(match kind {
        Kind::Firewall => "firewall",
        Kind::Proxy => "proxy",
        Kind::Webserver => "webserver",
        Kind::Dns => "dns",
        Kind::Antivirus => "antivirus",
        Kind::Email => "email",
        Kind::Authentication => "authentication",
        Kind::IntrusionDetection => "intrusion_detection",
        Kind::Network => "network",
        Kind::Endpoint => return Route::default(),
    })
}

fn endpoint(event: &Event) -> Route {
    let by_type = ENDPOINT.iter().find(|(ecs, kind, _)| {
        is_of(event, f::EVENT_CATEGORY, ecs)
            && (kind.is_empty() || is_of(event, f::EVENT_TYPE, kind))
    });
    if let Some((_, _, categories)) = by_type {
        return all_of(categories, category);
    }
    if has_any(event, &[f::DNS_QUESTION_NAME]) {
        return DNS.iter().fold(Route::default(), |route, name| route.with(category(name)));
    }
    if is_of(event, f::EVENT_CATEGORY, "network") {
        return category("network_connection");
    }
    if has_any(event, &[f::POWERSHELL_SCRIPT_BLOCK_TEXT]) {
        return category("ps_script");
    }
    Route::default()
}

const DNS: &[&str] = &["dns_query", "dns"];

/// What phone defence calls a threat, a breach of policy or a fact is each vendor's own
/// choice, so its events are offered to all three categories and the rule's fields decide.
fn phone(event: &Event, module: &str) -> Route {
    let os = event.get_str(f::HOST_OS_TYPE).unwrap_or_default();
    let os = ["android", "ios"]
        .iter()
        .find(|known| known.eq_ignore_ascii_case(os))
        .map_or(Route::default(), |known| product(known));
    let vendor = PHONES
        .iter()
        .find(|(known, _)| *known == module)
        .map_or(Route::default(), |(_, name)| product(name));
    mobile().with(os).with(vendor)
}

fn mobile() -> Route {
    service("mtd")
        .with(all_of(&["mobile_threat", "mobile_compliance", "mobile_inventory"], category))
}

/// Adds every route that [`of`] can give for the modules in the tables, but for combinations of
/// more than three kinds: an event whose route is none of these costs time, not matches.
pub(crate) fn all(routes: &mut BTreeSet<Route>, is_builtin: bool) {
    if is_builtin {
        others(routes);
    }
    for vendor in VENDORS.iter().filter(|vendor| vendor.is_builtin == is_builtin) {
        routes_of(vendor, routes);
    }
}

/// The routes that no vendor's table gives.
fn others(routes: &mut BTreeSet<Route>) {
    for os in [Route::default(), product("android"), product("ios")] {
        routes.insert(mobile().with(os));
        for (_, name) in PHONES {
            routes.insert(mobile().with(os).with(product(name)));
        }
    }
    let linux = product("linux");
    for (_, services) in PROGRAMS {
        routes.insert(linux.with(all_of(services, service)));
    }
}

/// Every route of records whose module is `module`; `None` where no table names it.
pub(crate) fn of_module(module: &str) -> Option<BTreeSet<Route>> {
    let mut routes = BTreeSet::new();
    if let Some((_, name)) = PHONES.iter().find(|(known, _)| *known == module) {
        for os in [Route::default(), product("android"), product("ios")] {
            routes.insert(mobile().with(os).with(product(name)));
        }
        return Some(routes);
    }
    let vendor = VENDORS.iter().find(|vendor| vendor.modules.contains(&module))?;
    routes_of(vendor, &mut routes);
    Some(routes)
}

fn routes_of(vendor: &Vendor, routes: &mut BTreeSet<Route>) {
    let mut bases = BTreeSet::from([of_vendor(vendor, "")]);
    bases.extend(vendor.datasets.iter().map(|(kind, _)| of_vendor(vendor, kind)));
    if vendor.products == ["linux"] {
        let with_programs: Vec<_> = bases
            .iter()
            .flat_map(|base| PROGRAMS.iter().map(|(_, s)| base.with(all_of(s, service))))
            .collect();
        bases.extend(with_programs);
    }
    if vendor.kinds.contains(&Kind::Endpoint) {
        let linux_only = vendor.products == ["linux"];
        bases = bases.iter().flat_map(|base| on_endpoints(base, linux_only)).collect();
    }
    let kinds: Vec<Route> = vendor.kinds.iter().map(|kind| added(*kind)).collect();
    for base in bases {
        for subset in 0_u32..1 << kinds.len() {
            if subset.count_ones() <= 3 {
                let chosen = (0..).zip(&kinds).filter(|(bit, _)| subset >> bit & 1 == 1);
                routes.insert(chosen.fold(base, |route, (_, kind)| route.with(*kind)));
            }
        }
    }
}

fn on_endpoints(base: &Route, linux_only: bool) -> Vec<Route> {
    let mut what: Vec<Route> =
        ENDPOINT.iter().map(|(_, _, names)| all_of(names, category)).collect();
    what.push(all_of(DNS, category));
    what.push(category("network_connection"));
    what.push(category("ps_script"));
    what.push(Route::default());
    let systems = if linux_only { &["linux"][..] } else { OPERATING_SYSTEMS };
    let systems = systems.iter().map(|os| product(os)).chain([Route::default()]);
    systems
        .flat_map(|os| what.iter().map(move |what| base.with(os).with(*what)).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_tables_is_known() {
        let known = |route: Route, name: &str| assert_ne!(route, Route::default(), "{name}");
        for vendor in VENDORS {
            vendor.products.iter().for_each(|name| known(product(name), name));
            vendor.services.iter().for_each(|name| known(service(name), name));
            for (_, services) in vendor.datasets {
                services.iter().for_each(|name| known(service(name), name));
            }
            for kind in vendor.kinds {
                assert!(*kind == Kind::Endpoint || added(*kind) != Route::default());
            }
        }
        for (_, services) in PROGRAMS {
            services.iter().for_each(|name| known(service(name), name));
        }
        PHONES.iter().for_each(|(_, name)| known(product(name), name));
        for (_, _, categories) in ENDPOINT {
            categories.iter().for_each(|name| known(category(name), name));
        }
    }

    #[test]
    fn no_module_stands_twice() {
        let mut modules: Vec<_> = VENDORS.iter().flat_map(|vendor| vendor.modules).collect();
        let count = modules.len();
        modules.sort_unstable();
        modules.dedup();
        assert_eq!(modules.len(), count);
    }
}
