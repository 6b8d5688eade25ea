//! Whether bytes are one JSON value, without building it.

use serde::de::IgnoredAny;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::collect::http) enum Fault {
    Malformed,
    NotUtf8,
    TooLarge,
}

impl Fault {
    pub(in crate::collect::http) const ALL: [Self; 3] =
        [Self::Malformed, Self::NotUtf8, Self::TooLarge];

    /// A constant word for the metrics.
    pub(in crate::collect::http) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "record-malformed",
            Self::NotUtf8 => "record-not-utf8",
            Self::TooLarge => "record-too-large",
        }
    }
}

/// Whether `record` is one well-formed JSON value in UTF-8 of at most `bytes_max`.
pub(super) fn check(record: &[u8], bytes_max: usize) -> Result<(), (Fault, String)> {
    if record.len() > bytes_max {
        return Err(too_large(bytes_max));
    }
    utf8(record)?;
    match serde_json::from_slice::<IgnoredAny>(record) {
        Ok(_) => Ok(()),
        Err(error) => Err(malformed(record, &error)),
    }
}

pub(super) fn too_large(bytes_max: usize) -> (Fault, String) {
    (Fault::TooLarge, format!("it has more than {bytes_max} bytes (record_bytes_max)"))
}

pub(super) fn utf8(record: &[u8]) -> Result<(), (Fault, String)> {
    std::str::from_utf8(record).map(|_| ()).map_err(|error| {
        let at = error.valid_up_to();
        let byte = record.get(at).copied().unwrap_or(0);
        (Fault::NotUtf8, format!("it is not UTF-8: byte 0x{byte:02x} at byte {}", at + 1))
    })
}

/// What `error` says of `record`, with the place as a count of bytes from 1.
pub(super) fn malformed(record: &[u8], error: &serde_json::Error) -> (Fault, String) {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    let line_start = match error.line() {
        0 | 1 => 0,
        line => memchr::memchr_iter(b'\n', record).nth(line - 2).map_or(0, |at| at + 1),
    };
    let reason = format!("it is not JSON: {what} at byte {}", line_start + error.column());
    (Fault::Malformed, reason)
}
