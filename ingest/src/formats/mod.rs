//! Formats: what a vendor's records mean.
//!
//! Enters: a [`Record`] with the name of its format. Leaves: exactly one [`Event`], with ECS
//! fields and every value of the original under the vendor's namespace. What cannot be
//! decoded leaves as `event.kind: pipeline_error` with the reason; nothing panics and nothing
//! is dropped. Ignored: where the record came from, and what rules make of it.

mod cloud_funnel;
mod declared;
mod json;
mod mapping;
mod pradeo;
mod sentinelone;
mod sheet;
mod text;
mod windows;

use std::{borrow::Cow, cell::Cell, collections::HashMap, path::Path, sync::Arc};

use event::{Decode, Event, EventBuilder, EventId, Record, Space};

pub use self::declared::{Declared, FormatError, Problem};
use self::{json::Json, sheet::Sheet};

/// The decoder of one vendor shape.
///
/// Total and pure, as [`Decode`] is: one event for every record, the same each time.
pub trait Format: Send + Sync {
    /// What feeds call it, e.g. `windows`.
    fn name(&self) -> &str;

    /// Other names that feeds may call it by, e.g. those of another product's catalogue.
    fn aliases(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What it takes, in one line, for people who choose a format.
    fn describe(&self) -> &str;

    /// The event that the builder's record stands for.
    fn decode(&self, builder: EventBuilder) -> Event;

    /// Keys of `raw` that the format does not read, with a value of each: they are kept under
    /// the vendor's namespace only. `None` where the format cannot tell.
    fn unread(&self, raw: &[u8]) -> Option<Vec<(String, String)>> {
        let _ = raw;
        None
    }
}

/// The formats that this program knows.
pub struct Formats {
    /// Those found first go before others of the same name.
    formats: Vec<Arc<dyn Format>>,
    /// Place by name and alias.
    places: HashMap<String, usize>,
}

impl Formats {
    /// All formats that are built in.
    pub fn builtin() -> Self {
        let mut formats: Vec<Arc<dyn Format>> = vec![
            Arc::new(windows::Windows::new()),
            Arc::new(cloud_funnel::CloudFunnel::new()),
            Arc::new(sentinelone::SentinelOne::new()),
            Arc::new(pradeo::Pradeo::new()),
        ];
        formats.extend(declared::builtin().iter().map(|format| Arc::clone(format) as _));
        Self::of(formats)
    }

    /// The built-in formats and those declared in `folder`, which go before built-in ones of
    /// the same name.
    pub fn with_folder(folder: &Path) -> Result<Self, FormatError> {
        let mut formats: Vec<Arc<dyn Format>> =
            declared::folder(folder)?.into_iter().map(|format| format as _).collect();
        formats.extend(Self::builtin().formats);
        Ok(Self::of(formats))
    }

    /// These and `format`, which goes before another of the same name.
    pub fn with(mut self, format: Declared) -> Self {
        self.formats.insert(0, Arc::new(format));
        Self::of(self.formats)
    }

    fn of(formats: Vec<Arc<dyn Format>>) -> Self {
        let mut places = HashMap::new();
        for (place, format) in formats.iter().enumerate() {
            places.entry(format.name().to_owned()).or_insert(place);
        }
        // An alias never hides a name.
        for (place, format) in formats.iter().enumerate() {
            for alias in format.aliases() {
                places.entry(alias.to_owned()).or_insert(place);
            }
        }
        Self { formats, places }
    }

    /// Their names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.formats.iter().map(|format| format.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The format called `name`, or known by it.
    pub fn get(&self, name: &str) -> Option<&dyn Format> {
        self.places.get(name).map(|place| &*self.formats[*place])
    }
}

impl Decode for Formats {
    fn decode(&self, record: Record, id: EventId) -> Event {
        let name = record.format.clone();
        let builder = EventBuilder::new(record, id);
        match self.get(name.as_str()) {
            Some(format) => format.decode(builder),
            None => builder.build_pipeline_error(&format!(
                "the format {:?} is not known; known are {}",
                name.as_str(),
                self.names().join(", ")
            )),
        }
    }
}

/// How a decoding went: `Err` is the reason why it is no event.
struct Outcome(Result<(), String>);

impl Outcome {
    fn finish(self, sheet: Sheet) -> Event {
        match self.0 {
            Ok(()) => sheet.build(),
            Err(reason) => sheet.fail(&format!("failed to decode the record: {reason}")),
        }
    }
}

/// What may stand before the object, in bytes: a syslog header that a relay left.
const PREAMBLE_BYTES_MAX: usize = 1_024;

/// Parses the record as one JSON object and hands it to `read`. Bytes that are not UTF-8 show
/// as U+FFFD and the event is tagged `invalid_utf8`; what a relay left before the object is
/// kept in `log.preamble`.
fn with_object(
    sheet: &mut Sheet,
    read: impl FnOnce(&mut Sheet, &Json<'_>) -> Result<(), String>,
) -> Outcome {
    with_tree(sheet, split_preamble, object, read)
}

/// Parses one JSON object, or an array of one.
fn object<'a>(body: &'a str, space: Option<&mut Space<'a>>) -> Result<Json<'a>, String> {
    if body.is_empty() {
        return Err("it is empty".to_owned());
    }
    let parsed = match space {
        Some(space) => Json::parse_in(body, space),
        None => Json::parse(body),
    };
    match parsed.map_err(|error| error.to_string())? {
        object @ Json::Object(_) => Ok(object),
        Json::Array(mut items) => match items.pop() {
            Some(one @ Json::Object(_)) if items.is_empty() => Ok(one),
            last => Err(format!(
                "it is an array of {}; send its members as records of their own",
                items.len() + usize::from(last.is_some())
            )),
        },
        _ => Err("it is JSON, but no object".to_owned()),
    }
}

/// Splits the record's text into preamble and body, parses the body into a tree that the event
/// takes its text from, and hands the tree to `read`.
fn with_tree(
    sheet: &mut Sheet,
    split: impl for<'a> FnOnce(&'a str) -> (&'a str, &'a str),
    parse: impl for<'a> FnOnce(&'a str, Option<&mut Space<'a>>) -> Result<Json<'a>, String>,
    read: impl FnOnce(&mut Sheet, &Json<'_>) -> Result<(), String>,
) -> Outcome {
    let raw = sheet.raw();
    let text = text::lossy(&raw);
    // A record that large is rare; memory for it would be cleared for this once.
    let large = text.len() > MEMORY_BYTES_MAX;
    let mut memory = Memory::take(if large { 0 } else { text.len() });
    let mut space = Space::new(&text, &mut memory.bytes);
    let (preamble, body) = split(&text);
    let parsed = parse(body, (!large).then_some(&mut space));
    let outcome = EventBuilder::with_lent(sheet, space.finish(), |sheet| {
        if let Cow::Owned(_) = text {
            sheet.add(event::fields::TAGS, "invalid_utf8");
        }
        if !preamble.is_empty() {
            sheet.add(event::fields::LOG_PREAMBLE, preamble);
        }
        read(sheet, &parsed?)
    });
    memory.give_back();
    Outcome(outcome)
}

/// Memory for unescaping that a thread uses from record to record, so that it is neither
/// allocated nor cleared each time. Its content does not matter.
struct Memory {
    bytes: Vec<u8>,
}

/// Bytes that a thread keeps at most; what is unescaped is never longer than the record.
const MEMORY_BYTES_MAX: usize = 1 << 20;

thread_local! {
    static MEMORY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Memory {
    /// At least `len` bytes. A decoding within a decoding gets memory of its own.
    fn take(len: usize) -> Self {
        let mut bytes = MEMORY.take();
        if bytes.len() < len {
            bytes.resize(len, 0);
        }
        Self { bytes }
    }

    fn give_back(self) {
        MEMORY.set(self.bytes);
    }
}

/// What stands before the JSON object, and the object.
fn split_preamble(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches('\u{feff}').trim_matches([' ', '\t', '\r', '\n', '\0']);
    if text.starts_with(['{', '[']) {
        return ("", text);
    }
    match text.find('{') {
        Some(at) if at <= PREAMBLE_BYTES_MAX => (text[..at].trim(), &text[at..]),
        _ => ("", text),
    }
}
