//! The rules and events that all contenders are given.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bytes::Bytes;
use detect::{Rule, eval};
use event::{
    CommuneId, Decode as _, Event, EventId, FeedId, FieldId, FormatName, Record, Timestamp,
    ValueRef, fields,
};
use ingest::{capture::Capture, formats::Formats};
use serde_json::{Map, Value};

/// SigmaHQ's folders that are meant to be run.
const FOLDERS: [&str; 4] =
    ["rules", "rules-threat-hunting", "rules-emerging-threats", "rules-compliance"];

/// Names under which an event carries its log source for rsigma.
pub(crate) const PRODUCT: &str = "logsource_product";
pub(crate) const CATEGORY: &str = "logsource_category";
pub(crate) const SERVICE: &str = "logsource_service";

/// Where the corpora are; `None` says that there are none.
pub(crate) fn root() -> Option<PathBuf> {
    let path = std::env::var_os("JACQUEMART_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: no corpora at {}", path.display());
    None
}

/// Every rule of SigmaHQ for Windows that our loader takes, with its text.
pub(crate) fn windows_rules(root: &Path) -> anyhow::Result<Vec<(Rule, String)>> {
    let folders: Vec<_> = FOLDERS.iter().map(|name| root.join("sigmahq").join(name)).collect();
    let mut rules = Vec::new();
    for rule in detect::load(&folders).rules {
        if rule.logsource().product.as_deref() == Some("windows") {
            let path = &rule.source().path;
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("failed to read {}", path.display()))?;
            rules.push((rule, text));
        }
    }
    Ok(rules)
}

/// One event in every form that a contender wants.
pub(crate) struct Prepared {
    /// The record as it came.
    pub(crate) raw: Bytes,
    /// Decoded by the format `windows`.
    pub(crate) event: Event,
    /// The record with its fields as Sigma names them and its log source, as one line of JSON.
    pub(crate) line: String,
    /// The same, parsed.
    pub(crate) value: Value,
    /// Which of [`Classes`] it is.
    pub(crate) class: usize,
}

/// Kinds of event, by the set of rules that are offered it.
#[derive(Default)]
pub(crate) struct Classes {
    /// By class: the places of the rules.
    pub(crate) rules: Vec<Vec<usize>>,
    /// By class: category and service as one word each, which is all that rsigma takes.
    pub(crate) words: Vec<(String, String)>,
    by_rules: HashMap<Vec<usize>, usize>,
    by_kind: HashMap<Vec<String>, usize>,
}

impl Classes {
    /// The class of `event`. Kinds of event are told apart by all that routing looks at.
    fn of(&mut self, event: &Event, rules: &[(Rule, String)]) -> usize {
        let text = |name: &str| {
            FieldId::lookup(name)
                .and_then(|field| event.get(field))
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default()
        };
        let kind: Vec<String> = [
            "event.kind",
            "event.code",
            "winlog.channel",
            "winlog.provider_name",
            "winlog.event_data.EventType",
            "winlog.event_data.OperationType",
        ]
        .into_iter()
        .map(text)
        .collect();
        if let Some(class) = self.by_kind.get(&kind) {
            return *class;
        }
        let offered: Vec<usize> = rules
            .iter()
            .enumerate()
            .filter(|(_, (rule, _))| eval::is_offered(rule, event))
            .map(|(place, _)| place)
            .collect();
        let next = self.rules.len();
        let class = *self.by_rules.entry(offered.clone()).or_insert(next);
        if class == next {
            let part = |part: fn(&Rule) -> Option<&String>| {
                let mut counts: HashMap<&str, usize> = HashMap::new();
                for place in &offered {
                    if let Some(word) = part(&rules[*place].0) {
                        *counts.entry(word).or_default() += 1;
                    }
                }
                // The word with most rules; a word that no rule has prunes what needs one.
                counts
                    .into_iter()
                    .max_by_key(|(word, count)| (*count, *word))
                    .map_or_else(|| "none".to_owned(), |(word, _)| word.to_owned())
            };
            self.words.push((
                part(|rule| rule.logsource().category.as_ref()),
                part(|rule| rule.logsource().service.as_ref()),
            ));
            self.rules.push(offered);
        }
        self.by_kind.insert(kind, class);
        class
    }
}

/// Reads and prepares events.
pub(crate) struct Events<'r> {
    capture: Capture,
    formats: Formats,
    rules: &'r [(Rule, String)],
    pub(crate) classes: Classes,
    step: usize,
    number: u64,
}

impl<'r> Events<'r> {
    /// Every `step`th event of the shared Windows capture.
    pub(crate) fn open(
        root: &Path,
        step: usize,
        rules: &'r [(Rule, String)],
    ) -> anyhow::Result<Self> {
        let capture = Capture::open(&root.join("captures/windows-attacks.ndjson.zst"))?;
        Ok(Self {
            capture,
            formats: Formats::builtin(),
            rules,
            classes: Classes::default(),
            step: step.max(1),
            number: 0,
        })
    }

    /// The next events, `max` at most; none at the end.
    pub(crate) fn chunk(&mut self, max: usize) -> anyhow::Result<Vec<Prepared>> {
        let mut chunk = Vec::with_capacity(max);
        while chunk.len() < max {
            let Some(record) = self.capture.nth(self.step - 1) else { break };
            let raw = record?.raw;
            self.number += 1;
            let event = self.formats.decode(record_of(raw.clone())?, id_of(self.number));
            let class = self.classes.of(&event, self.rules);
            let value = self.document(&event, &raw, class);
            chunk.push(Prepared { line: value.to_string(), raw, event, value, class });
        }
        Ok(chunk)
    }

    /// The record under Sigma's names, which the peers need and our decoder finds out: what
    /// the Security log calls otherwise, and what NXLog has overwritten.
    fn document(&self, event: &Event, raw: &[u8], class: usize) -> Value {
        let mut flat: Map<String, Value> = match serde_json::from_slice(raw) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        for (field, value) in event.iter() {
            if let Some(name) = field.name().strip_prefix("winlog.event_data.")
                && flat.get(name).is_none_or(|own| {
                    own.as_str().is_some_and(|own| own != value.to_text().as_ref())
                })
            {
                flat.insert(name.to_owned(), value.to_json());
            }
        }
        for (name, field) in [
            ("Channel", fields::WINLOG_CHANNEL),
            ("Provider_Name", fields::WINLOG_PROVIDER_NAME),
            ("Image", fields::PROCESS_EXECUTABLE),
            ("ParentImage", fields::PROCESS_PARENT_EXECUTABLE),
            ("CommandLine", fields::PROCESS_COMMAND_LINE),
            ("User", fields::USER_FULL),
            ("IntegrityLevel", fields::PROCESS_INTEGRITY_LEVEL),
        ] {
            if let Some(value) = event.get(field)
                && !flat.contains_key(name)
            {
                flat.insert(name.to_owned(), value.to_json());
            }
        }
        if let Some(code) = event.get(fields::EVENT_CODE).and_then(ValueRef::as_i64) {
            flat.insert("EventID".to_owned(), code.into());
        }
        let (category, service) = &self.classes.words[class];
        flat.insert(PRODUCT.to_owned(), "windows".into());
        flat.insert(CATEGORY.to_owned(), category.as_str().into());
        flat.insert(SERVICE.to_owned(), service.as_str().into());
        Value::Object(flat)
    }
}

/// A record as a feed would hand it over.
pub(crate) fn record_of(raw: Bytes) -> anyhow::Result<Record> {
    Ok(Record {
        commune: CommuneId::new("dijon")?,
        feed: FeedId::new("dijon-endpoints")?,
        format: FormatName::new("windows")?,
        received: Timestamp::from_secs(1_700_000_000),
        raw,
        context: None,
    })
}

/// An id that differs for each number.
pub(crate) fn id_of(number: u64) -> EventId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    EventId::from_bytes(bytes)
}
