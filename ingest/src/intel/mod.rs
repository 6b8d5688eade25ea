//! Intelligence: what others know to be bad, fetched and read.
//!
//! What enters: lists, CSV, STIX 2.1 bundles, TAXII 2.1 collections, MISP events and feeds, from
//! files and over HTTP. What leaves: [`event::Indicator`]s given to a [`Sink`] one by one, and for
//! everything that is none of use a [`Refused`] with the reason. What sources said is kept by
//! [`Keeper`]. Deliberately absent: how events are compared with indicators.

mod fetch;
mod guess;
mod keep;
mod list;
mod misp;
mod sheet;
mod sink;
mod stix;

use std::{fmt, str::FromStr};

pub use fetch::{FetchError, Origin, Outcome, Run, SharedSink, State, fetch};
pub use guess::{guess, refang};
pub use keep::{Draft, KeepError, Keeper, Kept, KeptRefusal, Version};
pub use sink::{Options, Refused, Sink};

/// How a source writes its indicators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value a line; `#` begins a comment.
    List,
    /// Comma- or semicolon-separated values with a line of names.
    Csv,
    /// A STIX 2.1 bundle, or a TAXII envelope.
    Stix,
    /// A MISP event, or several.
    Misp,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::List, Self::Csv, Self::Stix, Self::Misp];

    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Csv => "csv",
            Self::Stix => "stix",
            Self::Misp => "misp",
        }
    }

    /// What `bytes` look like: JSON with STIX objects or MISP events, a table whose first line
    /// names a `value` column, else a list.
    pub fn of(bytes: &[u8]) -> Self {
        let head = &bytes[..bytes.len().min(64 << 10)];
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        if matches!(head.first(), Some(b'{' | b'[')) {
            let misp = [&b"\"Event\""[..], b"\"Attribute\"", b"\"response\""];
            let is = |needle: &&[u8]| memchr::memmem::find(head, needle).is_some();
            // `[` may begin a list with an IPv6 address in brackets.
            if misp.iter().any(is) {
                return Self::Misp;
            }
            if head[0] == b'{' || is(&&b"\"objects\""[..]) || is(&&b"\"pattern\""[..]) {
                return Self::Stix;
            }
        }
        match sheet::is_one(head) {
            true => Self::Csv,
            false => Self::List,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Shape {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|shape| shape.as_str() == text).ok_or_else(|| {
            format!("{text:?} is no shape of indicators; use list, csv, stix or misp")
        })
    }
}

/// Why a whole document can't be read. What is wrong with single indicators is [`Refused`].
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, or not of the shape.
    #[error("it is no {shape} document: {source}")]
    Json {
        /// What was expected.
        shape: Shape,
        /// What is wrong and where.
        source: serde_json::Error,
    },
    /// The table's first line does not say enough.
    #[error("{0}")]
    Header(String),
}

/// Reads a document and gives `sink` what is in it.
pub fn read(
    shape: Shape,
    bytes: &[u8],
    options: &Options,
    sink: &mut dyn Sink,
) -> Result<(), ReadError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match shape {
        Shape::List => list::read(bytes, options, sink),
        Shape::Csv => return sheet::read(bytes, options, sink),
        Shape::Stix => {
            let read = stix::read(bytes, options, sink);
            return read.map_err(|source| ReadError::Json { shape, source });
        }
        Shape::Misp => {
            let read = misp::read(bytes, options, sink);
            return read.map_err(|source| ReadError::Json { shape, source });
        }
    }
    Ok(())
}
