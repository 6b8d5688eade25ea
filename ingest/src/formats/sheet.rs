//! The event under construction, with the ways in which formats write to it.

use bytes::Bytes;
use event::{Event, EventBuilder, FieldId, Names, Namespace, Timestamp, ValueRef, fields};

use super::{
    json::{Json, Object},
    text,
};

/// Vendor names that one record may enter into the table of fields; a hostile record cannot
/// fill the table. Values past it keep names that are known, or go to `jacquemart.unmapped`.
const NAMES_MAX: usize = 1_024;

/// An [`EventBuilder`] that keeps a vendor's values under its namespace and knows the
/// conversions that mappings need. ECS fields are first come, first kept: [`put`](Self::put)
/// and its kin leave a field alone that has a value.
pub(crate) struct Sheet {
    builder: EventBuilder,
    names_left: usize,
    name: String,
}

impl AsMut<EventBuilder> for Sheet {
    fn as_mut(&mut self) -> &mut EventBuilder {
        &mut self.builder
    }
}

impl Sheet {
    pub(crate) fn new(builder: EventBuilder) -> Self {
        Self { builder, names_left: NAMES_MAX, name: String::new() }
    }

    /// The record's bytes.
    pub(crate) fn raw(&self) -> Bytes {
        self.builder.raw().clone()
    }

    pub(crate) fn build(self) -> Event {
        self.builder.build()
    }

    pub(crate) fn fail(self, reason: &str) -> Event {
        self.builder.build_pipeline_error(reason)
    }

    pub(crate) fn has(&self, field: FieldId) -> bool {
        self.builder.has(field)
    }

    pub(crate) fn get(&self, field: FieldId) -> Option<&str> {
        self.builder.get_str(field)
    }

    /// Adds a value that a field may have several of.
    pub(crate) fn add(&mut self, field: FieldId, text: &str) {
        self.builder.push_str(field, text);
    }

    /// Sets text that says something.
    pub(crate) fn put(&mut self, field: FieldId, text: &str) {
        if text::is_present(text) && !self.has(field) {
            self.builder.push_str(field, text);
        }
    }

    /// Sets text in lower case.
    pub(crate) fn put_lower(&mut self, field: FieldId, text: &str) {
        if text::is_present(text) && !self.has(field) {
            self.builder.push_with(field, |out| text::push_lower(out, text));
        }
    }

    pub(crate) fn put_whole(&mut self, field: FieldId, number: i64) {
        if !self.has(field) {
            self.builder.push_i64(field, number);
        }
    }

    pub(crate) fn put_bool(&mut self, field: FieldId, value: bool) {
        if !self.has(field) {
            self.builder.push_bool(field, value);
        }
    }

    /// Sets a time, as RFC 3339.
    pub(crate) fn put_time(&mut self, field: FieldId, time: Timestamp) {
        if !self.has(field) {
            self.builder.push_with(field, |out| time.write(out));
        }
    }

    /// Sets an address; what is none is left to its vendor field.
    pub(crate) fn put_ip(&mut self, field: FieldId, text: &str) -> bool {
        let Some(address) = text::ip(text) else { return false };
        if !self.has(field) {
            self.add_ip(field, address);
        }
        true
    }

    /// Adds an address to those that `field` has, once.
    pub(crate) fn add_ip(&mut self, field: FieldId, address: std::net::IpAddr) {
        self.add_once(field, &address.to_string());
    }

    /// Adds text to the values that `field` has, once, unless it says nothing.
    pub(crate) fn add_once(&mut self, field: FieldId, text: &str) {
        let known = self.builder.get_all_str(field).any(|known| known == text);
        if !known && text::is_present(text) {
            self.builder.push_str(field, text);
        }
    }

    /// Sets a list of constants, such as `event.category`.
    pub(crate) fn put_all(&mut self, field: FieldId, values: &[&str]) {
        if !self.has(field) {
            for value in values {
                self.builder.push_str(field, value);
            }
        }
    }

    /// Gives `to` the first text of `from`, sharing the bytes, unless it says nothing.
    pub(crate) fn alias(&mut self, to: FieldId, from: FieldId) {
        if !self.has(to) && self.get(from).is_some_and(text::is_present) {
            self.builder.alias(to, from);
        }
    }

    /// Sets `name` to the last part of the path in `path`.
    pub(crate) fn put_basename(&mut self, name: FieldId, path: FieldId) {
        if self.has(name) {
            return;
        }
        if let Some(path_text) = self.get(path) {
            let len = path_text.len();
            let base = text::basename(path_text);
            if text::is_present(base) {
                let start = len - base.len();
                self.builder.push_part(name, path, start..len);
            }
        }
    }

    /// Gives `to` the part `range` (in bytes) of the first text of `from`, sharing the bytes,
    /// unless `to` has a value or the part says nothing.
    pub(crate) fn put_part(&mut self, to: FieldId, from: FieldId, range: std::ops::Range<usize>) {
        let part = self.get(from).and_then(|text| text.get(range.clone()));
        if part.is_some_and(text::is_present) && !self.has(to) {
            self.builder.push_part(to, from, range);
        }
    }

    /// Gives `to` every value of `from`, whatever it says.
    pub(crate) fn copy(&mut self, to: FieldId, from: FieldId) {
        self.builder.alias(to, from);
    }

    /// Sets `@timestamp`; the first time set stands.
    pub(crate) fn set_time(&mut self, time: Option<Timestamp>) {
        if let (None, Some(time)) = (self.builder.timestamp(), time) {
            self.builder.set_timestamp(time);
        }
    }

    /// Keeps `value` as `namespace.key`: objects lengthen the name, members of arrays are
    /// values of one field. `each` gets every scalar and its field, where it has one.
    pub(crate) fn keep<'j>(
        &mut self,
        namespace: &Namespace,
        key: &str,
        value: &'j Json<'_>,
        each: &mut impl FnMut(&mut Self, FieldId, &'j Json<'_>),
    ) {
        self.keep_named(&namespace.names(), key, value, each);
    }

    /// [`keep`](Self::keep) with the namespace's names at hand.
    pub(crate) fn keep_named<'j>(
        &mut self,
        names: &Names<'_>,
        key: &str,
        value: &'j Json<'_>,
        each: &mut impl FnMut(&mut Self, FieldId, &'j Json<'_>),
    ) {
        // The usual case needs no name of its own.
        if let Json::Array(_) | Json::Object(_) = value {
            let mut name = std::mem::take(&mut self.name);
            name.clear();
            name.push_str(key);
            self.keep_at(names, &mut name, value, each);
            self.name = name;
        } else {
            self.keep_leaf(names, key, value, each);
        }
    }

    /// [`keep`](Self::keep) for every pair.
    pub(crate) fn keep_all<'j>(
        &mut self,
        namespace: &Namespace,
        pairs: &'j Object<'_>,
        each: &mut impl FnMut(&mut Self, FieldId, &'j Json<'_>),
    ) {
        let names = namespace.names();
        for (key, value) in pairs {
            self.keep_named(&names, key, value, each);
        }
    }

    fn keep_at<'j>(
        &mut self,
        names: &Names<'_>,
        name: &mut String,
        value: &'j Json<'_>,
        each: &mut impl FnMut(&mut Self, FieldId, &'j Json<'_>),
    ) {
        match value {
            Json::Object(pairs) => {
                let len = name.len();
                for (key, value) in pairs {
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(key);
                    self.keep_at(names, name, value, each);
                    name.truncate(len);
                }
            }
            Json::Array(items) => {
                for item in items {
                    self.keep_at(names, name, item, each);
                }
            }
            leaf => self.keep_leaf(names, name, leaf, each),
        }
    }

    fn keep_leaf<'j>(
        &mut self,
        names: &Names<'_>,
        key: &str,
        value: &'j Json<'_>,
        each: &mut impl FnMut(&mut Self, FieldId, &'j Json<'_>),
    ) {
        let field = if self.names_left > 0 {
            self.names_left -= 1;
            names.field_for(self.builder.feed(), key)
        } else {
            names.known(key)
        };
        match field {
            Some(field) => {
                self.push(field, value);
                each(self, field, value);
            }
            None => self.unmapped(names.prefix(), key, value),
        }
    }

    fn unmapped(&mut self, prefix: &str, key: &str, value: &Json<'_>) {
        self.builder.push_with(fields::UNMAPPED, |out| {
            out.push_str(prefix);
            out.push('.');
            out.push_str(key);
            out.push('=');
            match value {
                Json::Deep(text) => out.push_str(text),
                other => out.push_str(other.text().unwrap_or("null")),
            }
        });
    }

    /// Adds a scalar as it is. A number that neither 64 bits nor a double hold is text.
    pub(crate) fn push(&mut self, field: FieldId, value: &Json<'_>) {
        let value = match value {
            Json::Null => ValueRef::Null,
            Json::Bool(b) => ValueRef::Bool(*b),
            Json::Str(text) => ValueRef::Str(text),
            Json::Deep(text) => ValueRef::Str(text),
            Json::Number(digits) => number(digits),
            Json::Array(items) => return items.iter().for_each(|item| self.push(field, item)),
            Json::Object(_) => return,
        };
        self.builder.push(field, value);
    }

    /// Gives `to` the value pushed last too.
    pub(crate) fn also(&mut self, to: FieldId) {
        self.builder.also(to);
    }
}

fn number(digits: &str) -> ValueRef<'_> {
    if let Ok(n) = digits.parse::<i64>() {
        return ValueRef::I64(n);
    }
    if let Ok(n) = digits.parse::<u64>() {
        return ValueRef::U64(n);
    }
    // A double keeps 15 significant digits whatever they are.
    let significant = digits.bytes().take_while(|b| !matches!(b, b'e' | b'E'));
    let significant = significant.filter(u8::is_ascii_digit).count();
    match digits.parse::<f64>() {
        Ok(n) if n.is_finite() && significant <= 15 => ValueRef::F64(n),
        _ => ValueRef::Str(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_what_they_say() {
        assert_eq!(number("-1"), ValueRef::I64(-1));
        assert_eq!(number("18446744073709551615"), ValueRef::U64(u64::MAX));
        assert_eq!(number("18446744073709551616"), ValueRef::Str("18446744073709551616"));
        assert_eq!(number("1.5"), ValueRef::F64(1.5));
        assert_eq!(number("1e999"), ValueRef::Str("1e999"));
        assert_eq!(number("0.1234567890123456789"), ValueRef::Str("0.1234567890123456789"));
    }
}
