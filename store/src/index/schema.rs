//! Which field is indexed how.
//!
//! Every value of every field is one term of the field `keyword`, `<name>\0<folded value>`, so
//! that whole values, wildcards, ranges and existence work alike on ECS fields and on whatever
//! key a vendor invents, at the price of one dictionary. [`TEXTS`] are indexed by words as
//! well, with their places. [`COLUMNS`], [`NUMBERS`] and [`IPS`] are also kept as columns, to
//! aggregate on. Stored is only the record as it came; events are decoded from it again.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use event::{FieldId, fields};
use tantivy::{
    Index, IndexBuilder, IndexSettings,
    schema::{
        BytesOptions, Field, IndexRecordOption, IpAddrOptions, NumericOptions, Schema,
        TextFieldIndexing, TextOptions,
    },
    store::{Compressor, ZstdCompressor},
    tokenizer::{RawTokenizer, TokenizerManager},
};

use super::fold::WordTokenizer;

/// Version of this schema and of how it is filled.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of a folded value that is kept as one term. A longer value is known by its words, and
/// by its field being in `long`; whole-value comparisons read it back.
pub(crate) const KEYWORD_BYTES_MAX: usize = 1024;

/// Bytes of originals that are compressed together. Larger blocks compress better, but one
/// fetched event decompresses a whole block.
const BLOCK_BYTES: usize = 128 << 10;

const WORDS: &str = "words";

/// Free text and paths, found by the words in them.
pub(crate) const TEXTS: &[FieldId] = &[
    fields::MESSAGE,
    fields::ERROR_MESSAGE,
    fields::EVENT_REASON,
    fields::EVENT_ORIGINAL,
    fields::UNMAPPED,
    fields::PROCESS_COMMAND_LINE,
    fields::PROCESS_PARENT_COMMAND_LINE,
    fields::PROCESS_EXECUTABLE,
    fields::PROCESS_PARENT_EXECUTABLE,
    fields::PROCESS_TITLE,
    fields::FILE_PATH,
    fields::FILE_NAME,
    fields::DLL_PATH,
    fields::REGISTRY_PATH,
    fields::REGISTRY_DATA_STRINGS,
    fields::POWERSHELL_SCRIPT_BLOCK_TEXT,
    fields::RULE_NAME,
    fields::RULE_DESCRIPTION,
    fields::URL_ORIGINAL,
    fields::URL_DOMAIN,
    fields::DNS_QUESTION_NAME,
    fields::USER_AGENT_ORIGINAL,
    fields::EMAIL_SUBJECT,
];

/// Keywords that are kept as columns.
pub(crate) const COLUMNS: &[FieldId] = &[
    fields::EVENT_KIND,
    fields::EVENT_MODULE,
    fields::EVENT_DATASET,
    fields::EVENT_CODE,
    fields::EVENT_ACTION,
    fields::EVENT_CATEGORY,
    fields::EVENT_TYPE,
    fields::EVENT_OUTCOME,
    fields::HOST_NAME,
    fields::HOST_OS_TYPE,
    fields::DEVICE_ID,
    fields::USER_NAME,
    fields::USER_DOMAIN,
    fields::USER_TARGET_NAME,
    fields::PROCESS_NAME,
    fields::PROCESS_EXECUTABLE,
    fields::PROCESS_PARENT_NAME,
    fields::DESTINATION_DOMAIN,
    fields::DNS_QUESTION_NAME,
    fields::NETWORK_PROTOCOL,
    fields::RULE_NAME,
    fields::MTD_THREAT_LEVEL,
    fields::FEED_ID,
];

/// Whole numbers that are kept as columns.
pub(crate) const NUMBERS: &[FieldId] = &[
    fields::PROCESS_PID,
    fields::PROCESS_PARENT_PID,
    fields::SOURCE_PORT,
    fields::DESTINATION_PORT,
    fields::FILE_SIZE,
    fields::EVENT_SEVERITY,
];

/// Addresses that are kept as columns.
pub(crate) const IPS: &[FieldId] = &[
    fields::SOURCE_IP,
    fields::DESTINATION_IP,
    fields::CLIENT_IP,
    fields::HOST_IP,
    fields::DNS_RESOLVED_IP,
];

/// The tantivy fields.
pub(crate) struct EventSchema {
    schema: Schema,
    /// `<name>\0<folded value>` of every value that is short enough.
    pub(crate) keyword: Field,
    /// Names of the fields with a value too long for `keyword`; with `\0cut` behind them where a
    /// run of letters in it was cut.
    pub(crate) long: Field,
    /// The record as it came, [`event::Record::encode`]d.
    pub(crate) record: Field,
    /// `@timestamp`, ns.
    pub(crate) time: Field,
    /// Receipt, ns.
    pub(crate) received: Field,
    /// The first and the last 8 bytes of the event id.
    pub(crate) id_high: Field,
    pub(crate) id_low: Field,
    words: HashMap<FieldId, Field>,
    columns: HashMap<FieldId, Column>,
}

/// How a field's column is typed.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    Text(Field),
    Number(Field),
    Ip(Field),
}

/// Column names, as tantivy's column readers want them.
pub(crate) mod column {
    pub(crate) const TIME: &str = "time";
    pub(crate) const RECEIVED: &str = "received";
    pub(crate) const ID_HIGH: &str = "id_high";
    pub(crate) const ID_LOW: &str = "id_low";
}

impl EventSchema {
    /// The one schema of this version.
    pub(crate) fn get() -> Arc<Self> {
        static SCHEMA: OnceLock<Arc<EventSchema>> = OnceLock::new();
        Arc::clone(SCHEMA.get_or_init(|| Arc::new(Self::new())))
    }

    fn new() -> Self {
        let mut builder = Schema::builder();
        let indexed = BytesOptions::default().set_indexed();
        let number = || NumericOptions::default().set_fast();
        let keyword = builder.add_bytes_field("keyword", indexed.clone());
        let long = builder.add_bytes_field("long", indexed);
        let record = builder.add_bytes_field("record", BytesOptions::default().set_stored());
        let time = builder.add_i64_field(column::TIME, number());
        let received = builder.add_i64_field(column::RECEIVED, number());
        let id_high = builder.add_u64_field(column::ID_HIGH, number());
        let id_low = builder.add_u64_field(column::ID_LOW, number());
        let text = TextOptions::default().set_indexing_options(
            TextFieldIndexing::default()
                .set_tokenizer(WORDS)
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions),
        );
        let words = TEXTS
            .iter()
            .map(|id| (*id, builder.add_text_field(&format!("words {}", id.name()), text.clone())))
            .collect();
        let mut columns = HashMap::new();
        for id in COLUMNS {
            let name = format!("column {}", id.name());
            let field = builder.add_text_field(&name, TextOptions::default().set_fast("raw"));
            columns.insert(*id, Column::Text(field));
        }
        for id in NUMBERS {
            let field = builder.add_i64_field(&format!("column {}", id.name()), number());
            columns.insert(*id, Column::Number(field));
        }
        for id in IPS {
            let name = format!("column {}", id.name());
            let field = builder.add_ip_addr_field(&name, IpAddrOptions::default().set_fast());
            columns.insert(*id, Column::Ip(field));
        }
        Self {
            schema: builder.build(),
            keyword,
            long,
            record,
            time,
            received,
            id_high,
            id_low,
            words,
            columns,
        }
    }

    pub(crate) fn tantivy(&self) -> &Schema {
        &self.schema
    }

    /// The words of `field`, where it is one of [`TEXTS`].
    pub(crate) fn words(&self, field: FieldId) -> Option<Field> {
        self.words.get(&field).copied()
    }

    /// The column of `field`, where it has one.
    pub(crate) fn column(&self, field: FieldId) -> Option<Column> {
        self.columns.get(&field).copied()
    }

    /// How a new segment is written.
    pub(crate) fn builder(&self) -> IndexBuilder {
        let settings = IndexSettings {
            docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(3) }),
            docstore_blocksize: BLOCK_BYTES,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        Index::builder().schema(self.schema.clone()).settings(settings).tokenizers(tokenizers())
    }
}

fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::new();
    // tantivy asks for a tokenizer of this name for every field that is not text as well, and
    // never runs it.
    manager.register("default", RawTokenizer::default());
    manager.register(WORDS, WordTokenizer::default());
    manager
}
