//! Events as nested ECS JSON.

use serde_json::{Map, Value};

use crate::{Event, fields};

/// ECS fields that are arrays even with a single value.
const ARRAYS: &[&str] = &[
    "event.category",
    "event.type",
    "tags",
    "host.ip",
    "host.mac",
    "process.args",
    "user.roles",
    "dns.resolved_ip",
    "email.to.address",
    "threat.tactic.id",
    "threat.tactic.name",
    "threat.technique.id",
    "threat.technique.name",
    "related.ip",
    "related.hosts",
    "related.user",
    "related.hash",
    "registry.data.strings",
];

impl Event {
    /// The event as one nested ECS document, `event.original` included. Where one name is
    /// the beginning of another (`a` and `a.b`), the longer one keeps its dots. Fields with
    /// several values, and those that ECS defines as arrays, are arrays.
    pub fn to_json(&self) -> Value {
        let mut flat: Vec<(&'static str, Value)> = Vec::with_capacity(self.iter().len() + 4);
        flat.extend(self.iter().map(|(field, value)| (field.name(), value.to_json())));
        flat.push((fields::TIMESTAMP.name(), self.timestamp().to_string().into()));
        flat.push((fields::EVENT_INGESTED.name(), self.received().to_string().into()));
        flat.push((fields::EVENT_ID.name(), self.id().to_string().into()));
        flat.push((fields::EVENT_ORIGINAL.name(), self.original_text().into()));
        // Shorter names come first, so that a scalar is placed before what would nest in it;
        // the sort is stable, so the values of one field keep their order.
        flat.sort_by_key(|(name, _)| *name);
        let mut root = Map::new();
        let mut flat = flat.into_iter().peekable();
        while let Some((name, value)) = flat.next() {
            let mut values = vec![value];
            while let Some((_, value)) = flat.next_if(|(other, _)| *other == name) {
                values.push(value);
            }
            let value = match (values.len(), ARRAYS.contains(&name)) {
                (1, false) => values.pop().unwrap_or_default(),
                _ => Value::Array(values),
            };
            insert(&mut root, name, value);
        }
        Value::Object(root)
    }
}

fn insert(map: &mut Map<String, Value>, name: &str, value: Value) {
    if let Some((head, tail)) = name.split_once('.') {
        match map.get_mut(head) {
            None if !tail.is_empty() && !head.is_empty() => {
                let mut inner = Map::new();
                insert(&mut inner, tail, value);
                map.insert(head.to_owned(), Value::Object(inner));
                return;
            }
            Some(Value::Object(inner)) if !tail.is_empty() => {
                insert(inner, tail, value);
                return;
            }
            _ => {}
        }
    }
    map.insert(name.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::{CommuneId, EventBuilder, EventId, FeedId, FormatName, Record, Timestamp};

    #[test]
    fn nests_and_survives_a_name_that_begins_another() {
        let record = Record {
            commune: CommuneId::new("dijon").unwrap(),
            feed: FeedId::new("dijon-pc").unwrap(),
            format: FormatName::new("windows").unwrap(),
            received: Timestamp::from_millis(1_000),
            raw: Bytes::from_static(b"raw"),
            context: None,
        };
        let mut b = EventBuilder::new(record, EventId::from_bytes([1; 16]));
        b.push_json("", "v", &serde_json::json!({"a": 1, "a.b": 2, "a.b.c": 3, "l": ["x", "y"]}));
        b.push_json("event", "category", &serde_json::json!("process"));
        let json = b.build().to_json();
        assert_eq!(json["v"]["a"], 1);
        assert_eq!(json["v"]["a.b"], 2);
        assert_eq!(json["v"]["a.b.c"], 3);
        assert_eq!(json["v"]["l"], serde_json::json!(["x", "y"]));
        assert_eq!(json["event"]["category"], serde_json::json!(["process"]));
        assert_eq!(json["event"]["original"], "raw");
        assert_eq!(json["organization"]["id"], "dijon");
    }
}
