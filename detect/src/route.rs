//! Which log sources an event belongs to, from its format and content.

use std::{collections::BTreeSet, sync::OnceLock};

use event::{Event, FieldId, ValueRef, fields};

use crate::{
    logsource::{Route, category, product, service, services_of_channel},
    logsource_tables::SERVICES,
    route_feeds::{self, operating_system},
};

/// Categories of a Windows event by service and code; those of the registry depend on what
/// was done too, see [`registry`].
const WINDOWS: &[(&str, u32, &[&str])] = &[
    ("sysmon", 1, &["process_creation"]),
    ("sysmon", 2, &["file_change"]),
    ("sysmon", 3, &["network_connection"]),
    ("sysmon", 4, &["sysmon_status"]),
    ("sysmon", 5, &["process_termination"]),
    ("sysmon", 6, &["driver_load"]),
    ("sysmon", 7, &["image_load"]),
    ("sysmon", 8, &["create_remote_thread"]),
    ("sysmon", 9, &["raw_access_thread"]),
    ("sysmon", 10, &["process_access"]),
    ("sysmon", 11, &["file_event"]),
    ("sysmon", 12, REGISTRY_ANY),
    ("sysmon", 13, REGISTRY_SET),
    ("sysmon", 14, &["registry_event", "registry_rename"]),
    ("sysmon", 15, &["create_stream_hash"]),
    ("sysmon", 16, &["sysmon_status"]),
    ("sysmon", 17, &["pipe_created"]),
    ("sysmon", 18, &["pipe_created"]),
    ("sysmon", 19, &["wmi_event"]),
    ("sysmon", 20, &["wmi_event"]),
    ("sysmon", 21, &["wmi_event"]),
    ("sysmon", 22, &["dns_query"]),
    ("sysmon", 23, &["file_delete"]),
    ("sysmon", 24, &["clipboard_capture", "clipboard_change"]),
    ("sysmon", 25, &["process_tampering"]),
    ("sysmon", 26, &["file_delete", "file_delete_detected"]),
    ("sysmon", 27, &["file_block_executable"]),
    ("sysmon", 28, &["file_block_shredding"]),
    ("sysmon", 29, &["file_executable_detected"]),
    ("sysmon", 255, &["sysmon_error"]),
    ("security", 4688, &["process_creation"]),
    ("security", 4689, &["process_termination"]),
    ("security", 4657, &["registry_event", "registry_set", "registry_add", "registry_delete"]),
    ("security", 5156, &["network_connection"]),
    ("powershell", 4103, &["ps_module"]),
    ("powershell", 4104, &["ps_script"]),
    ("powershell-classic", 400, &["ps_classic_start"]),
    ("powershell-classic", 600, &["ps_classic_provider_start"]),
    ("powershell-classic", 800, &["ps_classic_script"]),
    ("windefend", 1006, &["antivirus"]),
    ("windefend", 1007, &["antivirus"]),
    ("windefend", 1008, &["antivirus"]),
    ("windefend", 1015, &["antivirus"]),
    ("windefend", 1116, &["antivirus"]),
    ("windefend", 1117, &["antivirus"]),
    ("windefend", 1118, &["antivirus"]),
    ("windefend", 1119, &["antivirus"]),
];

const REGISTRY_ANY: &[&str] = &["registry_event", "registry_add", "registry_delete"];
const REGISTRY_ADD: &[&str] = &["registry_event", "registry_add"];
const REGISTRY_DELETE: &[&str] = &["registry_event", "registry_delete"];
const REGISTRY_SET: &[&str] = &["registry_event", "registry_set"];

/// Categories of a Cloud Funnel event by its type, which decoders keep in `event.action`.
const CLOUD_FUNNEL: &[(&str, &[&str])] = &[
    ("process creation", &["process_creation"]),
    ("process exit", &["process_termination"]),
    ("process termination", &["process_termination"]),
    ("open remote process handle", &["process_access"]),
    ("duplicate process handle", &["process_access"]),
    ("remote thread creation", &["create_remote_thread"]),
    ("file creation", &["file_event"]),
    ("file modification", &["file_change"]),
    ("file deletion", &["file_delete"]),
    ("file rename", &["file_rename"]),
    ("file scan", &["file_access"]),
    ("registry key create", REGISTRY_ADD),
    ("registry key delete", REGISTRY_DELETE),
    ("registry key rename", &["registry_event", "registry_rename"]),
    ("registry key security changed", &["registry_event"]),
    ("registry key import", &["registry_event"]),
    ("registry key export", &["registry_event"]),
    ("registry value create", REGISTRY_SET),
    ("registry value modified", REGISTRY_SET),
    ("registry value delete", REGISTRY_DELETE),
    ("module load", &["image_load"]),
    ("driver load", &["driver_load"]),
    ("ip connect", &["network_connection"]),
    ("dns resolved", &["dns_query", "dns"]),
    ("dns unresolved", &["dns_query", "dns"]),
    ("command script", &["ps_script"]),
    ("named pipe creation", &["pipe_created"]),
    ("named pipe connection", &["pipe_created"]),
];

const OPERATING_SYSTEMS: &[&str] = &["windows", "linux", "macos"];

/// Services by Windows provider, for events that lost their channel on the way.
const PROVIDERS: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon", "sysmon"),
    ("Microsoft-Windows-Security-Auditing", "security"),
    ("Microsoft-Windows-PowerShell", "powershell"),
    ("PowerShell", "powershell-classic"),
    ("Microsoft-Windows-Windows Defender", "windefend"),
    ("Service Control Manager", "system"),
];

/// Kernel-File's tracing has no channel of its own in most collectors.
const KERNEL_FILE: &str = "Microsoft-Windows-Kernel-File";
const KERNEL_FILE_CODES: &[(u32, &str)] = &[
    (10, "file_access"),
    (12, "file_access"),
    (15, "file_access"),
    (19, "file_rename"),
    (27, "file_rename"),
    (26, "file_delete"),
    (30, "file_event"),
];

/// The first of the products, as the tests see to.
const WINDOWS_BIT: u64 = 1;

fn all_of(names: &[&str]) -> Route {
    names.iter().fold(Route::default(), |route, name| route.with(category(name)))
}

/// The log sources that `event` belongs to; none for a record that could not be decoded.
pub(crate) fn of(event: &Event) -> Route {
    of_with(event, &|field| event.get(field))
}

/// Fields that decide most routes, for a caller that has them at hand.
pub(crate) const CLUES: [FieldId; 5] = [
    fields::EVENT_KIND,
    fields::EVENT_MODULE,
    fields::WINLOG_CHANNEL,
    fields::WINLOG_PROVIDER_NAME,
    fields::EVENT_CODE,
];

/// [`of`], given a faster way to the first value of each of [`CLUES`].
pub(crate) fn of_with<'e>(
    event: &'e Event,
    clue: &impl Fn(FieldId) -> Option<ValueRef<'e>>,
) -> Route {
    let text = |field| clue(field).and_then(ValueRef::as_str);
    if text(fields::EVENT_KIND) == Some("pipeline_error") {
        return Route::default();
    }
    let module = text(fields::EVENT_MODULE);
    // Winlogbeat names modules of its own.
    if module == Some("windows") || event.format().as_str() == "windows" {
        let channel = text(fields::WINLOG_CHANNEL).unwrap_or_default();
        let provider = text(fields::WINLOG_PROVIDER_NAME).unwrap_or_default();
        return windows(event, channel, provider, code_of(clue(fields::EVENT_CODE)));
    }
    match module {
        Some("sentinelone") => sentinelone(event),
        module => route_feeds::of(event, module.unwrap_or_default()),
    }
}

fn code_of(code: Option<ValueRef<'_>>) -> Option<u32> {
    code.and_then(ValueRef::as_i64).and_then(|code| u32::try_from(code).ok())
}

/// [`WINDOWS`] by code: the service and the categories.
fn windows_codes(code: u32) -> &'static [(u32, Route, Route)] {
    static CODES: OnceLock<Vec<(u32, Route, Route)>> = OnceLock::new();
    let codes = CODES.get_or_init(|| {
        let row = |(name, code, categories): &(&str, u32, &[&str])| {
            (*code, service(name), all_of(categories))
        };
        let mut codes: Vec<_> = WINDOWS.iter().map(row).collect();
        codes.sort_by_key(|(code, ..)| *code);
        codes
    });
    let from = codes.partition_point(|(known, ..)| *known < code);
    let count = codes[from..].partition_point(|(known, ..)| *known == code);
    &codes[from..from + count]
}

fn windows(event: &Event, channel: &str, provider: &str, code: Option<u32>) -> Route {
    let mut route = Route { products: WINDOWS_BIT, ..services_of_channel(channel) };
    if route.services == 0
        && let Some((_, name)) = PROVIDERS.iter().find(|(p, _)| p.eq_ignore_ascii_case(provider))
    {
        route = route.with(service(name));
    }
    // Sysmon for Linux writes the same events to syslog, with its own provider.
    if channel.eq_ignore_ascii_case("Linux-Sysmon/Operational")
        || provider.eq_ignore_ascii_case("Linux-Sysmon")
    {
        route.products = product("linux").products;
        route = route.with(service("sysmon"));
    }
    let Some(code) = code else { return route };
    for (_, service, categories) in windows_codes(code) {
        if service.services & route.services != 0 {
            return route.with(registry(event, code).unwrap_or(*categories));
        }
    }
    if provider.eq_ignore_ascii_case(KERNEL_FILE)
        && let Some((_, name)) = KERNEL_FILE_CODES.iter().find(|(known, _)| *known == code)
    {
        return route.with(category(name));
    }
    route
}

/// Changes to the registry as words say them: the field, its value, and the categories.
const REGISTRY_WORDS: &[(u32, &str, &[&str], &[&str])] = &[
    (12, "winlog.event_data.EventType", &["CreateKey", "CreateValue"], REGISTRY_ADD),
    (12, "winlog.event_data.EventType", &["DeleteKey", "DeleteValue"], REGISTRY_DELETE),
    (
        4657,
        "winlog.event_data.OperationType",
        &["%%1904", "New registry value created"],
        &["registry_event", "registry_add", "registry_set"],
    ),
    (
        4657,
        "winlog.event_data.OperationType",
        &["%%1905", "Existing registry value modified"],
        REGISTRY_SET,
    ),
    (
        4657,
        "winlog.event_data.OperationType",
        &["%%1906", "Registry value deleted"],
        REGISTRY_DELETE,
    ),
];

/// What was done to the registry, where the event says it in a word we know.
fn registry(event: &Event, code: u32) -> Option<Route> {
    type Known = Vec<(u32, Option<FieldId>, &'static [&'static str], Route)>;
    static KNOWN: OnceLock<Known> = OnceLock::new();
    if !matches!(code, 12 | 4657) {
        return None;
    }
    let known = KNOWN.get_or_init(|| {
        let row = |(code, field, words, categories): &(u32, &str, _, &[&str])| {
            (*code, FieldId::intern(field), *words, all_of(categories))
        };
        REGISTRY_WORDS.iter().map(row).collect()
    });
    let field = known.iter().find(|(of, ..)| *of == code).and_then(|(_, field, ..)| *field)?;
    let word = event.get_str(field)?;
    known
        .iter()
        .find(|(of, _, words, _)| *of == code && words.contains(&word))
        .map(|(.., categories)| *categories)
}

fn sentinelone(event: &Event) -> Route {
    let route = product("sentinelone").with(operating_system(event));
    let dataset = event.get_str(fields::EVENT_DATASET).unwrap_or_default();
    let name = match dataset {
        "cloud-funnel-2.0" => "cloud_funnel",
        _ => dataset.strip_prefix("sentinelone.").unwrap_or_default(),
    };
    match name {
        "cloud_funnel" => {
            let action = event.get_str(fields::EVENT_ACTION).unwrap_or_default();
            let categories = CLOUD_FUNNEL
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(action.trim()))
                .map_or(&[][..], |(_, categories)| categories);
            route.with(service("cloud_funnel")).with(all_of(categories))
        }
        "threats" => route.with(service("threats")).with(category("antivirus")),
        other => route.with(service(other)),
    }
}

/// Every route that [`of`] can give, up to those that no rule tells apart.
pub(crate) fn all() -> &'static BTreeSet<Route> {
    static ALL: OnceLock<BTreeSet<Route>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut routes = fed();
        route_feeds::all(&mut routes, false);
        routes
    })
}

/// Those of [`all`] that formats give which are built in.
fn fed() -> BTreeSet<Route> {
    let mut routes = BTreeSet::from([Route::default()]);
    let windows = product("windows");
    routes.insert(windows);
    for (name, channels) in SERVICES {
        routes.insert(windows.with(service(name)));
        for channel in *channels {
            routes.insert(windows.with(services_of_channel(channel)));
        }
    }
    for (name, _, categories) in WINDOWS {
        let base = windows.with(service(name));
        routes.insert(base.with(all_of(categories)));
        if categories.contains(&"registry_event") {
            for known in [
                REGISTRY_ADD,
                REGISTRY_DELETE,
                REGISTRY_SET,
                &["registry_event", "registry_add", "registry_set"],
            ] {
                routes.insert(base.with(all_of(known)));
            }
        }
        if *name == "sysmon" {
            routes.insert(product("linux").with(service("sysmon")).with(all_of(categories)));
        }
    }
    for (_, name) in KERNEL_FILE_CODES {
        routes.insert(windows.with(category(name)));
    }
    let console = product("sentinelone");
    for os in OPERATING_SYSTEMS.iter().map(|os| product(os)).chain([Route::default()]) {
        routes.insert(os);
        let base = console.with(os);
        routes.insert(base);
        for (_, categories) in CLOUD_FUNNEL {
            routes.insert(base.with(service("cloud_funnel")).with(all_of(categories)));
        }
        routes.insert(base.with(service("cloud_funnel")));
        routes.insert(base.with(service("threats")).with(category("antivirus")));
        for name in ["activities", "agents", "identity", "custom_rule"] {
            routes.insert(base.with(service(name)));
        }
    }
    route_feeds::all(&mut routes, true);
    routes
}

/// Whether an event of some built-in format can have all that `asked` names.
pub(crate) fn is_fed(asked: &Route) -> bool {
    static FED: OnceLock<BTreeSet<Route>> = OnceLock::new();
    FED.get_or_init(fed).iter().any(|route| route.has(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_tables_is_known() {
        assert_eq!(product("windows").products, WINDOWS_BIT);
        for (name, _, categories) in WINDOWS {
            assert_ne!(service(name), Route::default(), "{name}");
            for name in *categories {
                assert_ne!(category(name), Route::default(), "{name}");
            }
        }
        for (_, categories) in CLOUD_FUNNEL {
            for name in *categories {
                assert_ne!(category(name), Route::default(), "{name}");
            }
        }
        for (_, name) in PROVIDERS {
            assert_ne!(service(name), Route::default(), "{name}");
        }
        for (_, name) in KERNEL_FILE_CODES {
            assert_ne!(category(name), Route::default(), "{name}");
        }
    }
}
