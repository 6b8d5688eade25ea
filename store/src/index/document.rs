//! An event as a tantivy document.

use std::net::IpAddr;

use event::{Event, FieldId, Record, ValueRef, fields};
use tantivy::TantivyDocument;

use super::{
    fold::{fold_into, has_cut_word},
    schema::{Column, EventSchema, KEYWORD_BYTES_MAX},
};

/// What parts the name from the value in a term of `keyword`. Names have no control characters.
pub(crate) const SEPARATOR: char = '\0';

/// Makes documents; reuses its buffer.
pub(crate) struct Documents<'a> {
    schema: &'a EventSchema,
    term: String,
}

impl<'a> Documents<'a> {
    pub(crate) fn new(schema: &'a EventSchema) -> Self {
        Self { schema, term: String::new() }
    }

    pub(crate) fn make(&mut self, event: &Event) -> TantivyDocument {
        let schema = self.schema;
        let mut doc = TantivyDocument::with_capacity(event.original().len() * 4);
        let (high, low) = halves(event.id());
        doc.add_i64(schema.time, event.timestamp().as_nanos());
        doc.add_i64(schema.received, event.received().as_nanos());
        doc.add_u64(schema.id_high, high);
        doc.add_u64(schema.id_low, low);
        doc.add_bytes(schema.record, &record_of(event).encode());
        for (field, value) in event.iter() {
            if value != ValueRef::Null {
                self.add_value(&mut doc, field, value);
            }
        }
        if event.is_pipeline_error()
            && let Some(words) = schema.words(fields::EVENT_ORIGINAL)
        {
            doc.add_text(words, event.original_text());
        }
        doc
    }

    fn add_value(&mut self, doc: &mut TantivyDocument, field: FieldId, value: ValueRef<'_>) {
        let schema = self.schema;
        let text = value.to_text();
        self.term.clear();
        self.term.push_str(field.name());
        self.term.push(SEPARATOR);
        let name_len = self.term.len();
        fold_into(&text, &mut self.term);
        let short = self.term.len() - name_len <= KEYWORD_BYTES_MAX;
        if short {
            doc.add_bytes(schema.keyword, self.term.as_bytes());
        } else {
            doc.add_bytes(schema.long, field.name().as_bytes());
        }
        if let Some(words) = schema.words(field) {
            if !short && has_cut_word(&text) {
                doc.add_bytes(schema.long, &cut_word_term(field));
            }
            doc.add_text(words, &text);
        }
        match schema.column(field) {
            Some(Column::Text(column)) if short => doc.add_text(column, &text),
            Some(Column::Number(column)) => {
                if let Some(number) = value.as_i64() {
                    doc.add_i64(column, number);
                }
            }
            Some(Column::Ip(column)) => {
                if let Ok(ip) = text.trim().parse::<IpAddr>() {
                    doc.add_ip_addr(column, as_v6(ip));
                }
            }
            _ => {}
        }
    }
}

/// The term of `long` for a long value of `field` with a run that is cut into several words.
pub(crate) fn cut_word_term(field: FieldId) -> Vec<u8> {
    format!("{}{SEPARATOR}cut", field.name()).into_bytes()
}

/// The record that `event` was decoded from.
pub(crate) fn record_of(event: &Event) -> Record {
    Record {
        commune: event.commune().clone(),
        feed: event.feed().clone(),
        format: event.format().clone(),
        received: event.received(),
        raw: event.original().clone(),
        context: event.context().cloned(),
    }
}

/// An address as the columns keep it, IPv4 mapped into IPv6.
pub(crate) fn as_v6(ip: IpAddr) -> std::net::Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// An event id as two numbers that sort as it does.
pub(crate) fn halves(id: event::EventId) -> (u64, u64) {
    let number = u128::from_be_bytes(*id.as_bytes());
    ((number >> 64) as u64, number as u64)
}

/// The event id of two halves.
pub(crate) fn whole(high: u64, low: u64) -> event::EventId {
    event::EventId::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}
