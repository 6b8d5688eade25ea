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
    let windows_like = matches!(product, None | Some("windows" | "linux" | "macos"));
    if windows_like {
        meaning.native("winlog.event_data", field);
        meaning.table(tables::SYSTEM, field);
        meaning.is_fed |= logsource.is_windows() && category.is_none();
    }
    let groups = category.map(tables::of_category).unwrap_or_default();
    for names in groups {
        meaning.table(names, field);
    }
    if category.is_none() && logsource.service.is_none() && windows_like {
        meaning.table(tables::ACTOR, field);
    }
    if category.is_some_and(|category| tables::has_native_name(category, field)) {
        meaning.is_fed = true;
    }
    let phone = matches!(product, Some("android" | "ios" | "pradeo"))
        || category.is_some_and(|category| category.starts_with("mobile_"));
    if phone {
        meaning.table(tables::PHONE, field);
        meaning.native("pradeo", field);
        meaning.is_fed = true;
    }
    if product == Some("sentinelone") {
        meaning.table(tables::CONSOLE, field);
        meaning.native("sentinelone", field);
        meaning.is_fed = true;
    }
    if !windows_like
        && !phone
        && let Some(product) = product
    {
        meaning.native(product, field);
    }
    let named = f::KNOWN.contains(&field);
    if field.contains('.') || named || meaning.fields.is_empty() {
        meaning.add(FieldId::intern(field));
        // A dotted name is of the event itself or of a vendor's namespace, which is open.
        meaning.is_fed |= named || field.contains('.');
    }
    meaning
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

    fn table(&mut self, names: Names, field: &str) {
        if let Some((_, targets)) = names.iter().find(|(name, _)| *name == field) {
            for target in *targets {
                self.add(FieldId::intern(target));
            }
            self.is_fed = true;
        }
    }
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
