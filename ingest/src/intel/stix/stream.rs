//! The objects of a document, one at a time.

use std::fmt;

use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Error, Value};

/// Calls `each` with every object of a bundle (`objects` of a map, where that has one), of a
/// list, or with the one object that the document is.
pub(super) fn objects(bytes: &[u8], each: &mut dyn FnMut(&Value)) -> Result<(), Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Document(each).deserialize(&mut deserializer)?;
    deserializer.end()
}

struct Document<'a>(&'a mut dyn FnMut(&Value));

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a STIX bundle, an envelope, an object or a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut alone = serde_json::Map::new();
        let mut is_bundle = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "objects" {
                is_bundle = true;
                map.next_value_seed(Objects(&mut *self.0))?;
            } else if is_bundle {
                map.next_value::<IgnoredAny>()?;
            } else {
                alone.insert(key, map.next_value()?);
            }
        }
        if !is_bundle {
            (self.0)(&Value::Object(alone));
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Objects(self.0).visit_seq(seq)
    }
}

struct Objects<'a>(&'a mut dyn FnMut(&Value));

impl<'de> DeserializeSeed<'de> for Objects<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of STIX objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(object) = seq.next_element_seed(Any)? {
            (self.0)(&object);
        }
        Ok(())
    }
}

struct Any;

impl<'de> DeserializeSeed<'de> for Any {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }
}
