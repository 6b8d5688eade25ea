//! The compiled set against a plain evaluator that compares every indicator with every value.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::OnceLock,
};

use detect::indicators::{AllowList, IndicatorScratch, IndicatorSet, Source, fields_of, level_of};
use event::{
    CommuneId, Event, EventBuilder, FieldId, Indicator, IndicatorSourceId, IndicatorType, Timestamp,
};
use proptest::{prelude::*, sample::select};

/// URLs with what each means: its form with the query, and without.
const URLS: &[(&str, &str, &str)] = &[
    ("http://evil.example/a?x=1", "evil.example/a?x=1", "evil.example/a"),
    ("HTTPS://Evil.Example:443/a?x=1#f", "evil.example/a?x=1", "evil.example/a"),
    ("evil.example/a", "evil.example/a", "evil.example/a"),
    ("http://u:p@evil.example./b/../a", "evil.example/a", "evil.example/a"),
    ("http://evil.example/%61", "evil.example/a", "evil.example/a"),
    ("http://evil.example:8080/a", "evil.example:8080/a", "evil.example:8080/a"),
    ("https://www.evil.example", "www.evil.example/", "www.evil.example/"),
    ("http://192.0.2.10/a?x=2", "192.0.2.10/a?x=2", "192.0.2.10/a"),
    ("http://[2001:DB8::7]/", "[2001:db8::7]/", "[2001:db8::7]/"),
    ("ftp://evil.example/a", "ftp://evil.example/a", "ftp://evil.example/a"),
    ("/a?x=1", "", ""),
];
const IPS: &[&str] = &[
    "192.0.2.10",
    "192.0.2.11",
    "192.0.3.10",
    "::ffff:192.0.2.10",
    "2001:db8::7",
    "2001:DB8:0::7",
    "2001:db8:1::7",
    "10.1.2.3",
];
const NETWORKS: &[&str] = &[
    "192.0.2.0/24",
    "192.0.2.10/31",
    "192.0.0.0/16",
    "2001:db8::/32",
    "10.0.0.0/8",
    "2001:db8::/64",
];
const DOMAINS: &[&str] = &[
    "evil.example",
    "EVIL.example.",
    "www.evil.example",
    "a.b.www.evil.example",
    "notevil.example",
    "évil.example",
    "xn--vil-9la.example",
    "www.ÉVIL.example",
    "example",
];
const HASHES: &[&str] = &[
    "00112233445566778899aabbccddeeff",
    "00112233445566778899AABBCCDDEEFF",
    "00112233445566778899aabbccddeeff00112233",
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    "d41d8cd98f00b204e9800998ecf8427e",
];
const EMAILS: &[&str] = &["x@evil.example", "X@www.EVIL.example", "Bad <x@évil.example>", "nobody"];
const AGENTS: &[&str] = &["BadBot/1.0", "badbot/1.0", " BadBot/1.0 "];
const FILES: &[&str] = &["C:\\Temp\\Évil.exe", "/tmp/évil.EXE", "evil.exe"];

fn values(kind: IndicatorType) -> Vec<&'static str> {
    match kind {
        IndicatorType::Ip => [IPS, NETWORKS].concat(),
        IndicatorType::Domain => DOMAINS.to_vec(),
        IndicatorType::Url => URLS.iter().map(|url| url.0).collect(),
        IndicatorType::Hash | IndicatorType::Certificate | IndicatorType::Ja3 => HASHES.to_vec(),
        IndicatorType::Email => EMAILS.to_vec(),
        IndicatorType::UserAgent => AGENTS.to_vec(),
        IndicatorType::FileName => FILES.to_vec(),
    }
}

fn all_values() -> Vec<&'static str> {
    [IPS, DOMAINS, HASHES, EMAILS, AGENTS, FILES, &["", "-"]]
        .concat()
        .into_iter()
        .chain(URLS.iter().map(|url| url.0))
        .collect()
}

fn named(name: &str) -> IndicatorSourceId {
    IndicatorSourceId::new(name).unwrap()
}

fn ip(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn bits(ip: IpAddr) -> Vec<bool> {
    let octets = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1)).collect()
}

/// Whether the address is in the network, or is it.
fn contains(network: &str, address: IpAddr) -> bool {
    let (start, length) = match network.split_once('/') {
        Some((start, length)) => (ip(start).unwrap(), length.parse().unwrap()),
        None => match ip(network) {
            Some(ip) => (ip, bits(ip).len()),
            None => return false,
        },
    };
    start.is_ipv4() == address.is_ipv4() && bits(start)[..length] == bits(address)[..length]
}

/// The domain that `text` is, by the `url` crate's reading.
fn name(text: &str) -> Option<String> {
    match url::Host::parse(text.trim().trim_end_matches('.')) {
        Ok(url::Host::Domain(name)) if !name.contains(['/', ':', '\\', '<']) => Some(name),
        _ => None,
    }
}

fn url_of(text: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    URLS.iter().find(|url| url.0 == text).filter(|url| !url.1.is_empty())
}

/// What a value of a URL field means: its form with the query, and without.
fn forms(text: &str) -> Option<(String, String)> {
    if let Some((_, whole, short)) = url_of(text) {
        return Some(((*whole).to_owned(), (*short).to_owned()));
    }
    let host = host_of(text)?;
    let root = format!("{}/", ip(&host).map(|ip| ip.to_string()).or_else(|| name(&host))?);
    Some((root.clone(), root))
}

/// The host of a value of a URL field.
fn host_of(text: &str) -> Option<String> {
    if let Some((_, form, _)) = url_of(text) {
        let form = form.strip_prefix("ftp://").unwrap_or(form);
        let host = form.split('/').next().unwrap();
        return Some(match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap().to_owned(),
            None => host.split(':').next().unwrap().to_owned(),
        });
    }
    // A bare name or address is read as a URL without scheme and path.
    (!text.contains([':', '@', '/'])).then(|| text.to_owned())
}

fn mail(text: &str) -> Option<(String, String)> {
    let address = text.split('<').next_back().unwrap().trim_end_matches('>').trim();
    let (local, host) = address.split_once('@')?;
    Some((local.to_lowercase(), name(host)?))
}

/// Whether the domain is the indicator's or, where the source says so, below it.
fn in_domain(indicator: &str, domain: &str, below: bool) -> bool {
    let indicator = name(indicator).unwrap();
    domain == indicator || (below && domain.ends_with(&format!(".{indicator}")))
}

/// Whether a value of a field says what the indicator says.
fn says(indicator: &Indicator, field: &str, value: &str, below: bool) -> bool {
    let is_url =
        ["url.original", "url.full", "http.request.referrer", "event.url"].contains(&field);
    let same_digits = || value.eq_ignore_ascii_case(&indicator.value);
    match indicator.kind {
        IndicatorType::Ip if is_url => host_of(value)
            .and_then(|host| ip(&host))
            .is_some_and(|ip| contains(&indicator.value, ip)),
        IndicatorType::Ip => ip(value).is_some_and(|ip| contains(&indicator.value, ip)),
        IndicatorType::Domain => {
            let domain = if is_url {
                host_of(value).and_then(|host| name(&host))
            } else if field.starts_with("email.") {
                mail(value).map(|(_, host)| host)
            } else {
                name(value)
            };
            domain.is_some_and(|domain| in_domain(&indicator.value, &domain, below))
        }
        IndicatorType::Url => match (forms(&indicator.value), forms(value)) {
            (Some(wanted), Some(seen)) => wanted.0 == seen.0 || wanted.0 == seen.1,
            _ => false,
        },
        IndicatorType::Hash | IndicatorType::Certificate => same_digits(),
        IndicatorType::Ja3 => value.len() == 32 && same_digits(),
        IndicatorType::Email => {
            mail(value).is_some_and(|seen| Some(seen) == mail(&indicator.value))
        }
        IndicatorType::UserAgent => value.trim() == indicator.value.trim(),
        IndicatorType::FileName => {
            let last = |path: &str| path.rsplit(['/', '\\']).next().unwrap().to_lowercase();
            last(value) == last(&indicator.value)
        }
    }
}

/// Whether an allowed domain or network covers the value.
fn allowed(
    allow: &[(IndicatorType, &str)],
    indicator: &Indicator,
    field: &str,
    value: &str,
) -> bool {
    allow.iter().any(|(kind, entry)| {
        let covers = Indicator::new(*kind, *entry);
        *kind == indicator.kind && says(&covers, field, value, true)
    })
}

/// Whether an indicator can be used at all, by type and value.
fn usable(indicator: &Indicator) -> bool {
    match indicator.kind {
        IndicatorType::Domain => indicator.value.trim_end_matches('.').contains('.'),
        IndicatorType::Url => url_of(&indicator.value).is_some(),
        IndicatorType::Ja3 => indicator.value.len() == 32,
        IndicatorType::Email => indicator.value.contains('@'),
        _ => true,
    }
}

#[derive(Clone, Debug)]
struct World {
    sources: Vec<Source>,
    indicators: Vec<(usize, Indicator)>,
    allow: Vec<(IndicatorType, &'static str)>,
}

/// [`fields_of`], asked once a type.
fn read_by(kind: IndicatorType) -> &'static [&'static str] {
    static FIELDS: OnceLock<HashMap<IndicatorType, Vec<&'static str>>> = OnceLock::new();
    let all = || IndicatorType::ALL.iter().map(|kind| (*kind, fields_of(*kind))).collect();
    &FIELDS.get_or_init(all)[&kind]
}

type Hit = (String, IndicatorType, BTreeSet<(String, String)>);

/// Every indicator with every value. What differs only in spelling is one hit, so hits are told
/// by source, type and the values that carry them.
fn plain(world: &World, event: &Event) -> BTreeSet<Hit> {
    let mut hits = BTreeSet::new();
    for (source, indicator) in &world.indicators {
        let source = &world.sources[*source];
        if !usable(indicator)
            || !source.is_for(event.commune())
            || !indicator.holds_at(event.timestamp())
        {
            continue;
        }
        let fields = read_by(indicator.kind);
        let carried: BTreeSet<(String, String)> = event
            .iter()
            .filter(|(field, _)| fields.contains(&field.name()))
            .filter_map(|(field, value)| Some((field.name(), value.as_str()?)))
            .filter(|(field, value)| says(indicator, field, value, source.subdomains))
            .filter(|(field, value)| !allowed(&world.allow, indicator, field, value))
            .map(|(field, value)| (field.to_owned(), value.to_owned()))
            .collect();
        if !carried.is_empty() {
            hits.insert((source.name.to_string(), indicator.kind, carried));
        }
    }
    hits
}

fn compiled(world: &World) -> IndicatorSet {
    let mut builder = IndicatorSet::builder();
    let ids: Vec<_> = world.sources.iter().map(|s| builder.source(s.clone()).unwrap()).collect();
    for (source, indicator) in &world.indicators {
        let added = builder.add(ids[*source], indicator);
        assert_eq!(added.is_ok(), usable(indicator), "{indicator:?} {added:?}");
    }
    let mut allow = AllowList::default();
    for (kind, value) in &world.allow {
        allow.add(*kind, value).unwrap();
    }
    builder.allow(allow);
    builder.build()
}

fn indicator() -> impl Strategy<Value = Indicator> {
    let validity = (prop::option::of(0_i64..50), prop::option::of(50_i64..100));
    (select(IndicatorType::ALL), validity, prop::option::of(0..=100_u8)).prop_flat_map(
        |(kind, (from, until), confidence)| {
            select(values(kind)).prop_map(move |value| Indicator {
                valid_from: from.map(Timestamp::from_secs),
                valid_until: until.map(Timestamp::from_secs),
                confidence,
                ..Indicator::new(kind, value)
            })
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let communes = prop::option::of(select(vec!["dijon", "talant"]));
    let source = (any::<bool>(), communes).prop_map(|(subdomains, commune)| Source {
        subdomains,
        communes: commune.map(|name| vec![CommuneId::new(name).unwrap()]),
        ..Source::new(named("none"))
    });
    let allow = select(vec![
        (IndicatorType::Domain, "www.evil.example"),
        (IndicatorType::Ip, "192.0.2.10/31"),
        (IndicatorType::Ip, "10.0.0.0/8"),
        (IndicatorType::Hash, "d41d8cd98f00b204e9800998ecf8427e"),
        (IndicatorType::Email, "x@evil.example"),
    ]);
    (
        prop::collection::vec(source, 1..4),
        prop::collection::vec((0..3_usize, indicator()), 0..24),
        prop::collection::vec(allow, 0..3),
    )
        .prop_map(|(mut sources, indicators, allow)| {
            for (number, source) in sources.iter_mut().enumerate() {
                source.name = named(&format!("source-{number}"));
            }
            let count = sources.len();
            let indicators = indicators
                .into_iter()
                .map(|(source, indicator)| (source % count, indicator))
                .collect();
            World { sources, indicators, allow }
        })
}

fn fields() -> Vec<&'static str> {
    let mut all: Vec<_> = IndicatorType::ALL.iter().flat_map(|kind| fields_of(*kind)).collect();
    // No indicator looks here.
    all.extend(["host.ip", "message", "threat.indicator.ip"]);
    all.sort_unstable();
    all.dedup();
    all
}

fn an_event() -> impl Strategy<Value = Event> {
    let entry = (select(fields()), select(all_values()));
    (prop::collection::vec(entry, 0..12), 0..100_i64).prop_map(|(entries, seconds)| {
        let record = support::record("windows", bytes::Bytes::from_static(b"raw"));
        let mut builder = EventBuilder::new(record, support::event_id(1));
        builder.set_timestamp(Timestamp::from_secs(seconds));
        for (field, value) in entries {
            builder.push_str(FieldId::intern(field).unwrap(), value);
        }
        builder.build()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn the_set_finds_what_the_plain_evaluator_finds(
        world in world(),
        events in prop::collection::vec(an_event(), 1..8),
    ) {
        let set = compiled(&world);
        let mut scratch = IndicatorScratch::default();
        for event in &events {
            let mut hits = Vec::new();
            set.matches(event, &mut scratch, &mut hits);
            let found: BTreeSet<Hit> = hits
                .iter()
                .map(|hit| {
                    let carried =
                        hit.matched.iter().map(|m| (m.field.clone(), m.value.clone())).collect();
                    (hit.indicator.source.to_string(), hit.indicator.indicator.kind, carried)
                })
                .collect();
            prop_assert_eq!(&found, &plain(&world, event), "{:?}", event);
            for hit in &hits {
                let indicator = &hit.indicator.indicator;
                prop_assert!(indicator.holds_at(event.timestamp()));
                prop_assert_eq!(hit.level, level_of(indicator.confidence));
                // What a hit names can be looked up, and is the source's.
                let known = set.look_up(&indicator.value);
                prop_assert!(known.iter().any(|(known, _)| known == &hit.indicator), "{:?}", known);
            }
            let mut sorted = hits.clone();
            sorted.sort_by_key(|hit| {
                let found = &hit.indicator;
                (found.indicator.kind, found.indicator.value.clone(), found.source.clone())
            });
            prop_assert_eq!(&sorted, &hits);
            sorted.dedup_by_key(|hit| hit.indicator.rule_ref(hit.level).id);
            prop_assert_eq!(sorted.len(), hits.len());
        }
    }

    #[test]
    fn nothing_that_an_event_or_a_list_says_panics(
        kind in select(IndicatorType::ALL),
        value in any::<String>(),
        field in select(fields()),
        content in any::<String>(),
    ) {
        let mut builder = IndicatorSet::builder();
        let source = builder.source(Source::new(named("s"))).unwrap();
        for value in [&value, &content] {
            let _ = builder.add(source, &Indicator::new(kind, value.clone()));
        }
        let set = builder.build();
        let record = support::record("windows", bytes::Bytes::from_static(b"raw"));
        let mut event = EventBuilder::new(record, support::event_id(1));
        event.push_str(FieldId::intern(field).unwrap(), &content);
        set.matches(&event.build(), &mut IndicatorScratch::default(), &mut Vec::new());
        set.look_up(&content);
    }
}
