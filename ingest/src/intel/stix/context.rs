//! What indicators refer to.

use std::collections::HashMap;

use event::{Timestamp, Tlp};
use serde_json::Value;

use super::object::{IndicatorObject, text, texts};

/// The TLP markings that STIX 2.1 and the TLP 2.0 extension define, which bundles refer to
/// without containing them.
const TLP_MARKINGS: &[(&str, Tlp)] = &[
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::Clear),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red),
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red),
];

/// What a document says beside its indicators.
#[derive(Debug, Default)]
pub(super) struct Context {
    markings: HashMap<String, Tlp>,
    /// Techniques by the id of their `attack-pattern`.
    techniques: HashMap<String, String>,
    /// By indicator: what it indicates.
    indicates: HashMap<String, Vec<String>>,
    /// By indicator that comes more than once or may: when it was last modified.
    newest: HashMap<String, Timestamp>,
}

impl Context {
    /// Takes note of an object.
    pub(super) fn learn(&mut self, object: &Value) {
        let id = text(object, "id").unwrap_or_default();
        match text(object, "type") {
            Some("marking-definition") => {
                let spelled = object
                    .pointer("/definition/tlp")
                    .or_else(|| object.get("name"))
                    .and_then(Value::as_str);
                if let Some(tlp) = spelled.and_then(Tlp::from_label) {
                    self.markings.insert(id.to_owned(), tlp);
                }
            }
            Some("attack-pattern") => {
                if let Some(technique) = technique(object) {
                    self.techniques.insert(id.to_owned(), technique);
                }
            }
            Some("relationship") if text(object, "relationship_type") == Some("indicates") => {
                if let (Some(source), Some(target)) =
                    (text(object, "source_ref"), text(object, "target_ref"))
                    && target.starts_with("attack-pattern--")
                {
                    self.indicates.entry(source.to_owned()).or_default().push(target.to_owned());
                }
            }
            Some("indicator") => {
                if let Some(indicator) = IndicatorObject::of(object) {
                    let newest = self.newest.entry(id.to_owned()).or_insert(Timestamp::MIN);
                    *newest = (*newest).max(indicator.modified());
                }
            }
            _ => {}
        }
    }

    /// Whether no newer version of the indicator is in the document.
    pub(super) fn is_newest(&self, indicator: &IndicatorObject<'_>) -> bool {
        self.newest.get(indicator.id()).is_none_or(|newest| indicator.modified() >= *newest)
    }

    /// The strictest marking of the object.
    pub(super) fn tlp(&self, object: &Value) -> Option<Tlp> {
        texts(object, "object_marking_refs")
            .filter_map(|marking| {
                let known = TLP_MARKINGS.iter().find(|(id, _)| *id == marking).map(|(_, tlp)| *tlp);
                known.or_else(|| self.markings.get(marking).copied())
            })
            .max()
    }

    /// The techniques that the indicator indicates, as Sigma's tags.
    pub(super) fn techniques(&self, id: &str) -> impl Iterator<Item = String> {
        self.indicates
            .get(id)
            .into_iter()
            .flatten()
            .filter_map(|target| self.techniques.get(target))
            .map(|technique| format!("attack.{}", technique.to_ascii_lowercase()))
    }
}

/// ATT&CK's number of an attack pattern.
fn technique(object: &Value) -> Option<String> {
    let references = object.get("external_references")?.as_array()?;
    let of_attack = |reference: &&Value| {
        text(reference, "source_name").is_some_and(|name| name.starts_with("mitre"))
    };
    let id =
        references.iter().filter(of_attack).find_map(|reference| text(reference, "external_id"))?;
    is_technique(id).then(|| id.to_owned())
}

/// `T1566` or `T1566.002`.
pub(in crate::intel) fn is_technique(id: &str) -> bool {
    let digits =
        |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    match id
        .strip_prefix(['T', 't'])
        .map(|rest| rest.split_once('.').map_or((rest, None), |(a, b)| (a, Some(b))))
    {
        Some((number, None)) => digits(number, 4),
        Some((number, Some(sub))) => digits(number, 4) && digits(sub, 3),
        None => false,
    }
}
