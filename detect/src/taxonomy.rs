//! Which event fields a rule's field means, under the rule's log source.
//!
//! A name means, in this order and each where it applies: the value that Windows logged under
//! it (`winlog.event_data.<Name>`), a part of the Windows event's system section, the ECS
//! fields with the same meaning, and, where it is dotted, the event's field of that very
//! name. A test is met where any of their values meets it.

use event::{FieldId, fields as f};

use crate::{
    logsource::Logsource,
    pattern::{Part, Pattern},
    taxonomy_tables::{self as tables, Names},
    taxonomy_vendors as vendors,
    test::Test,
};

/// What a rule's field means.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meaning {
    /// Event fields, in order of preference; never empty unless the table of names is full.
    pub(crate) fields: Vec<FieldId>,
    /// Whether some feed of this installation is known to fill one of them, or may, since the
    /// names of its fields are open.
    pub(crate) is_fed: bool,
}

/// The fields that `field` means in rules of `logsource`.
pub(crate) fn resolve(logsource: &Logsource, field: &str) -> Meaning {
    let mut meaning = Meaning::default();
    let product = logsource.product.as_deref();
    let category = logsource.category.as_deref();
    if is_windows_like(logsource) {
        meaning.native("winlog.event_data", field);
        meaning.is_fed |= logsource.is_windows() && category.is_none();
    }
    for names in tables_of(logsource) {
        meaning.table(names, field);
    }
    if category.is_some_and(|category| tables::has_native_name(category, field)) {
        meaning.is_fed = true;
    }
    if is_phone(logsource) {
        for vendor in PHONE_NAMESPACES {
            meaning.native(vendor, field);
        }
        meaning.is_fed = true;
    }
    if let Some(product) = product {
        meaning.of_product(product, logsource, field);
    }
    let named = f::KNOWN.contains(&field);
    if field.contains('.') || named || meaning.fields.is_empty() {
        meaning.add(FieldId::intern(field));
        // A dotted name is of the event itself or of a vendor's namespace, which is open.
        meaning.is_fed |= named || field.contains('.');
    }
    meaning
}

/// The known name that `field` was perhaps meant to be, under `logsource`.
pub(crate) fn nearest(logsource: &Logsource, field: &str) -> Option<&'static str> {
    let category = logsource.category.as_deref();
    let natives = category.map(tables::native_names).unwrap_or_default();
    let names = tables_of(logsource).into_iter().flatten().map(|(name, _)| *name);
    let wanted = field.to_ascii_lowercase();
    names
        .chain(natives.iter().copied())
        .map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| distance * 3 <= name.len().min(field.len()).max(3))
        .min()
        .map(|(_, name)| name)
}

const PHONE_NAMESPACES: &[&str] = &["pradeo", "lookout", "harmony_mobile"];

fn is_phone(logsource: &Logsource) -> bool {
    let phone = ["android", "ios", "pradeo", "lookout", "harmony_mobile"];
    logsource.product.as_deref().is_some_and(|product| phone.contains(&product))
        || logsource.category.as_deref().is_some_and(|category| category.starts_with("mobile_"))
}

/// Whether events may have what Windows or Sysmon logged under the rule's names.
fn is_windows_like(logsource: &Logsource) -> bool {
    match logsource.product.as_deref() {
        Some("windows") => true,
        // Sysmon for Linux; not the daemons' logs.
        Some("linux" | "macos") => logsource.service.as_deref().is_none_or(|s| s == "sysmon"),
        Some(_) => false,
        None => !logsource.category.as_deref().is_some_and(vendors::is_off_endpoint),
    }
}

/// The tables that apply to rules of `logsource`, in order.
fn tables_of(logsource: &Logsource) -> Vec<Names> {
    let mut all = Vec::new();
    let windows_like = is_windows_like(logsource);
    if windows_like {
        all.push(tables::SYSTEM);
    }
    all.extend(vendors::of(logsource));
    all.extend(logsource.category.as_deref().map(tables::of_category).unwrap_or_default());
    let agent = matches!(logsource.product.as_deref(), Some("harfanglab" | "m365_defender"));
    if logsource.category.is_none() && (agent || windows_like && logsource.service.is_none()) {
        all.push(tables::ACTOR);
    }
    if is_phone(logsource) {
        all.push(tables::PHONE);
    }
    if logsource.product.as_deref() == Some("sentinelone") {
        all.push(tables::CONSOLE);
    }
    all
}

impl Meaning {
    fn add(&mut self, field: Option<FieldId>) {
        if let Some(field) = field
            && !self.fields.contains(&field)
        {
            self.fields.push(field);
        }
    }

    fn native(&mut self, prefix: &str, field: &str) {
        self.add(FieldId::intern(&format!("{prefix}.{field}")));
    }

    /// The product's own names, which formats keep in its namespace: open, so that any may be.
    fn of_product(&mut self, product: &str, logsource: &Logsource, field: &str) {
        if matches!(product, "windows" | "macos" | "android" | "ios")
            || (product == "linux" && logsource.service.as_deref() != Some("auditd"))
        {
            self.is_fed |= product == "linux" && logsource.category.is_none();
            return;
        }
        self.is_fed = true;
        let known = vendors::namespaces(product);
        for prefix in known.iter().copied().chain(known.is_empty().then_some(product)) {
            self.native(prefix, field);
            if vendors::spells_freely(product) {
                self.native(prefix, &lower_first(field));
                self.native(prefix, &snake(field));
            }
        }
    }

    fn table(&mut self, names: Names, field: &str) {
        if let Some((_, targets)) = names.iter().find(|(name, _)| *name == field) {
            for target in *targets {
                self.add(FieldId::intern(target));
            }
            self.is_fed = true;
        }
    }
}

/// `ResultType` as `resultType`, in every part of a dotted name.
fn lower_first(field: &str) -> String {
    let lower = |part: &str| {
        let mut chars = part.chars();
        let first = chars.next().map(|c| c.to_ascii_lowercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    field.split('.').map(lower).collect::<Vec<_>>().join(".")
}

/// `ResultType` as `result_type`; a run of capitals is one word.
fn snake(field: &str) -> String {
    let mut out = String::with_capacity(field.len() + 4);
    let mut before: Option<char> = None;
    for c in field.chars() {
        if c.is_ascii_uppercase() && before.is_some_and(|b| b.is_ascii_lowercase()) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        before = Some(c);
    }
    out
}

/// Other ways in which events say what `test` asks of the rule's `field`: digests that Windows
/// writes as `MD5=…,SHA256=…` and ECS apart, directions, address families, registry changes.
pub(crate) fn alternatives(
    logsource: &Logsource,
    field: &str,
    test: &Test,
) -> Vec<(Vec<FieldId>, Test)> {
    let category = logsource.category.as_deref().unwrap_or_default();
    if category.is_empty() {
        return Vec::new();
    }
    match field {
        "Hashes" | "Hash" => digest(category, test),
        "Initiated" => match truth(test) {
            Some(true) => any_text(f::NETWORK_DIRECTION, &["egress", "outbound"]),
            Some(false) => any_text(f::NETWORK_DIRECTION, &["ingress", "inbound"]),
            None => Vec::new(),
        },
        "SourceIsIpv6" | "DestinationIsIpv6" => match truth(test) {
            Some(true) => any_text(f::NETWORK_TYPE, &["ipv6"]),
            Some(false) => any_text(f::NETWORK_TYPE, &["ipv4"]),
            None => Vec::new(),
        },
        "EventType" if category.starts_with("registry_") => match whole(test).as_deref() {
            Some("createkey") => any_text(f::EVENT_ACTION, &["registry key create"]),
            Some("deletekey") => any_text(f::EVENT_ACTION, &["registry key delete"]),
            Some("deletevalue") => any_text(f::EVENT_ACTION, &["registry value delete"]),
            Some("setvalue") => {
                any_text(f::EVENT_ACTION, &["registry value create", "registry value modified"])
            }
            Some("renamekey") => any_text(f::EVENT_ACTION, &["registry key rename"]),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn text_test(text: &str) -> Test {
    Test::Text(Pattern::new(vec![Part::Lit(text.to_owned())], false))
}

fn any_text(field: FieldId, texts: &[&str]) -> Vec<(Vec<FieldId>, Test)> {
    texts.iter().map(|text| (vec![field], text_test(text))).collect()
}

/// The text that a test asks for from end to end.
fn whole(test: &Test) -> Option<String> {
    match test {
        Test::Text(pattern) => match pattern.parts() {
            [Part::Lit(text)] => Some(text.to_lowercase()),
            _ => None,
        },
        Test::Bool(b) => Some(b.to_string()),
        _ => None,
    }
}

fn truth(test: &Test) -> Option<bool> {
    match whole(test)?.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn digest(category: &str, test: &Test) -> Vec<(Vec<FieldId>, Test)> {
    let Test::Text(pattern) = test else { return Vec::new() };
    let mut literals = pattern.parts().iter().filter_map(|part| match part {
        Part::Lit(text) => Some(text),
        _ => None,
    });
    let (Some(literal), None) = (literals.next(), literals.next()) else { return Vec::new() };
    let Some((algorithm, hex)) = literal.split_once('=') else { return Vec::new() };
    let (algorithm, digits) = match algorithm.to_ascii_lowercase().as_str() {
        "md5" => ("hash.md5", 32),
        "sha1" => ("hash.sha1", 40),
        "sha256" => ("hash.sha256", 64),
        "imphash" => ("pe.imphash", 32),
        _ => return Vec::new(),
    };
    if hex.len() != digits || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Vec::new();
    }
    let bases: &[&str] = match category {
        "process_creation" => &["process"],
        "image_load" | "driver_load" => &["dll", "file"],
        _ => &["file"],
    };
    let fields =
        bases.iter().filter_map(|base| FieldId::intern(&format!("{base}.{algorithm}"))).collect();
    vec![(fields, text_test(hex))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(product: &str, category: &str, service: &str, field: &str) -> Vec<&'static str> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let logsource =
            Logsource { product: some(product), category: some(category), service: some(service) };
        resolve(&logsource, field).fields.iter().map(|field| field.name()).collect()
    }

    #[test]
    fn names_mean_what_the_log_source_makes_of_them() {
        assert_eq!(
            names("windows", "process_creation", "", "CommandLine"),
            ["winlog.event_data.CommandLine", "process.command_line"]
        );
        assert_eq!(
            names("windows", "image_load", "", "OriginalFileName"),
            ["winlog.event_data.OriginalFileName", "dll.pe.original_file_name"]
        );
        assert_eq!(
            names("windows", "", "security", "SubjectUserName"),
            ["winlog.event_data.SubjectUserName"]
        );
        assert_eq!(
            names("windows", "", "security", "EventID"),
            ["winlog.event_data.EventID", "event.code"]
        );
        assert!(names("android", "mobile_threat", "", "AppName").contains(&"package.name"));
        assert!(names("", "mobile_threat", "", "mtd.threat.level").contains(&"mtd.threat.level"));
        assert!(
            names("sentinelone", "", "threats", "threatInfo.mitigationStatus")
                .contains(&"sentinelone.threatInfo.mitigationStatus")
        );
    }

    #[test]
    fn a_field_that_no_feed_fills_is_known() {
        let logsource = Logsource {
            product: Some("windows".into()),
            category: Some("dns_query".into()),
            service: None,
        };
        assert!(resolve(&logsource, "QueryName").is_fed);
        assert!(resolve(&logsource, "process.name").is_fed);
        assert!(!resolve(&logsource, "QeuryName").is_fed);
    }
}
