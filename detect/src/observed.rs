//! What some events were, and which rules can fire on such.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::BuildHasher as _,
};

use event::{Event, FieldId, ValueRef, fields};
use foldhash::fast::RandomState;

use crate::{
    Rule,
    expr::{Expr, Item, Target},
    logsource::Route,
    route,
    test::Test,
};

/// Kinds of events that are told apart.
const KINDS_MAX: usize = 4_096;
/// Events of one kind that are looked at: its fields are known then.
const LOOKED_AT_MAX: u8 = 16;
/// Fields that are kept.
const FIELDS_MAX: usize = 8_192;

/// The log sources and fields of events.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    routes: BTreeSet<Route>,
    fields: HashSet<FieldId>,
    /// How many events of each kind were looked at, by the digest of what tells kinds apart.
    kinds: HashMap<u64, u8>,
    state: RandomState,
}

impl Observed {
    /// Looks at an event, unless many of its kind were looked at; whether it was.
    pub fn add(&mut self, event: &Event) -> bool {
        let text = |field| event.get(field).and_then(ValueRef::as_str).unwrap_or_default();
        let code = event.get(fields::EVENT_CODE).and_then(ValueRef::as_i64);
        let kind = [
            fields::EVENT_DATASET,
            fields::EVENT_PROVIDER,
            fields::WINLOG_CHANNEL,
            fields::EVENT_CODE,
            fields::EVENT_ACTION,
        ];
        let kind = self.state.hash_one((code, kind.map(text)));
        let is_full = self.kinds.len() >= KINDS_MAX;
        match self.kinds.get_mut(&kind) {
            Some(count) if *count >= LOOKED_AT_MAX => return false,
            Some(count) => *count += 1,
            None if is_full => return false,
            None => drop(self.kinds.insert(kind, 1)),
        }
        self.routes.insert(route::of(event));
        let room = FIELDS_MAX.saturating_sub(self.fields.len());
        self.fields.extend(event.fields().iter().copied().take(room));
        true
    }

    /// Whether any event was looked at.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The fields of `rule` that no event had and without which it cannot fire; empty where it can,
    /// `None` where no event is of its log source.
    pub fn lacks(&self, rule: &Rule) -> Option<Vec<String>> {
        let asked = rule.logsource().route()?;
        if !self.routes.iter().any(|route| route.has(&asked)) {
            return None;
        }
        let mut lacking = BTreeSet::new();
        self.can_hold(&rule.expr, &mut lacking);
        Some(lacking.into_iter().map(str::to_owned).collect())
    }

    /// Whether `expr` may hold; adds what it lacks where it may not, and nothing where it may.
    fn can_hold<'e>(&self, expr: &'e Expr, lacking: &mut BTreeSet<&'e str>) -> bool {
        match expr {
            Expr::And(parts) => {
                // Each that cannot hold says what it lacks, not only the first.
                let failing = parts.iter().filter(|part| !self.can_hold(part, lacking));
                failing.count() == 0
            }
            Expr::Or(parts) => {
                let mut of_all = BTreeSet::new();
                let holds = parts.iter().any(|part| self.can_hold(part, &mut of_all));
                if !holds {
                    lacking.extend(of_all);
                }
                holds
            }
            Expr::Not(_) => true,
            Expr::Item(item) => {
                let holds = self.item_can_hold(item);
                if let (false, Target::Fields { name, .. }) = (holds, &item.target) {
                    lacking.insert(name);
                }
                holds
            }
        }
    }

    fn item_can_hold(&self, item: &Item) -> bool {
        match &item.target {
            Target::Everything => true,
            Target::Fields { ids, .. } => {
                ids.iter().any(|id| self.fields.contains(id))
                    || item
                        .tests
                        .iter()
                        .any(|test| matches!(test, Test::Null | Test::Exists(false)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use event::{CommuneId, EventBuilder, EventId, FeedId, FormatName, Record, Timestamp};

    use super::*;

    fn event(code: i64, filled: &[FieldId]) -> Event {
        let record = Record {
            commune: CommuneId::new("dijon").unwrap(),
            feed: FeedId::new("pc").unwrap(),
            format: FormatName::new("windows").unwrap(),
            received: Timestamp::from_secs(0),
            raw: bytes::Bytes::from_static(b"{}"),
            context: None,
        };
        let mut builder = EventBuilder::new(record, EventId::from_bytes([0; 16]));
        builder.push_str(fields::EVENT_MODULE, "windows");
        builder.push_str(fields::WINLOG_CHANNEL, "Microsoft-Windows-Sysmon/Operational");
        builder.push_i64(fields::EVENT_CODE, code);
        for field in filled {
            builder.push_str(*field, "x");
        }
        builder.build()
    }

    fn rule(category: &str, selections: &str, condition: &str) -> Rule {
        let text = format!(
            "title: t\nlogsource: {{product: windows, category: {category}}}\ndetection:\n  \
             s: {selections}\n  t: {{ParentImage: b}}\n  condition: {condition}\n"
        );
        crate::parse(&text, Path::new("x.yml")).rules.remove(0)
    }

    #[test]
    fn a_rule_can_fire_where_its_log_source_and_necessary_fields_were_seen() {
        let mut observed = Observed::default();
        assert!(observed.is_empty());
        let started = event(1, &[fields::PROCESS_EXECUTABLE]);
        assert!(observed.add(&started));
        let lacks = |category: &str, selections: &str, condition: &str| {
            observed.lacks(&rule(category, selections, condition))
        };
        let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        let image = "{Image: a}";
        assert_eq!(lacks("process_creation", image, "s"), some(&[]));
        assert_eq!(lacks("file_event", image, "s"), None, "no event of that log source");
        assert_eq!(lacks("process_creation", image, "s and t"), some(&["ParentImage"]));
        assert_eq!(lacks("process_creation", image, "s or t"), some(&[]));
        assert_eq!(lacks("process_creation", image, "s and not t"), some(&[]));
        let both = "{User: a, ParentCommandLine: b}";
        let all = some(&["ParentCommandLine", "ParentImage", "User"]);
        assert_eq!(lacks("process_creation", both, "s or t"), all);
        assert_eq!(lacks("process_creation", "{User: null}", "s"), some(&[]), "absent is null");
        assert_eq!(lacks("process_creation", "[anything]", "s"), some(&[]), "a keyword");

        // Enough of one kind is enough; another kind is looked at.
        let looked = (0..100).filter(|_| observed.add(&started)).count();
        assert_eq!(looked, usize::from(LOOKED_AT_MAX) - 1);
        assert!(observed.add(&event(11, &[])));
        assert!(observed.lacks(&rule("file_event", image, "s")).is_some());
    }
}
