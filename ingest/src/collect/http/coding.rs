//! `Content-Encoding`: telling and undoing it, in bounded memory.

use std::io::Read;

use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;

use super::{
    buffer::{Buffer, NoRoom},
    limits::HttpLimits,
    problem::Refusal,
};
use crate::collect::admission::Admission;

/// Window that a zstd frame may ask for, as a power of 2: 8 MiB, the bound of RFC 9659 for this
/// content coding. Each running decoder holds at most so much beside the budget.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Below so much output a ratio says nothing.
const RATIO_FROM_BYTES: usize = 1 << 20;

/// Bytes of one decompression step.
const STEP_BYTES: usize = 64 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

impl Coding {
    /// What the headers say. At most one coding beside `identity` is accepted.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut coding = Self::Identity;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let text = String::from_utf8_lossy(value.as_bytes());
            for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                let named = match name.to_ascii_lowercase().as_str() {
                    "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "zstd" => Self::Zstd,
                    _ => return Err(Refusal::Coding(name.chars().take(40).collect())),
                };
                if coding != Self::Identity {
                    return Err(Refusal::Coding(text.chars().take(40).collect()));
                }
                coding = named;
            }
        }
        Ok(coding)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The coding whose magic bytes `body` begins with; no JSON begins so.
    fn sniff(body: &[u8]) -> Option<Self> {
        match body {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The body without its coding. Blocks for as long as the body is large.
    pub(super) fn undo(
        self,
        body: Buffer,
        limits: &HttpLimits,
        admission: &Admission,
    ) -> Result<Buffer, Refusal> {
        let bytes = body.as_slice();
        if bytes.is_empty() {
            return Ok(body);
        }
        let corrupt = |error: std::io::Error| Refusal::Corrupt {
            coding: self.as_str(),
            reason: error.to_string(),
        };
        match self {
            Self::Identity => match Self::sniff(bytes) {
                Some(coding) => Err(Refusal::Unlabelled { coding: coding.as_str() }),
                None => Ok(body),
            },
            Self::Gzip => {
                inflate(MultiGzDecoder::new(bytes), bytes.len(), limits, admission, corrupt)
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes)
                    .and_then(|mut decoder| {
                        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                        Ok(decoder)
                    })
                    .map_err(corrupt)?;
                inflate(&mut decoder, bytes.len(), limits, admission, corrupt)
            }
        }
    }
}

/// Reads `decoder` to its end, or to the first bound.
fn inflate(
    mut decoder: impl Read,
    compressed_bytes: usize,
    limits: &HttpLimits,
    admission: &Admission,
    corrupt: impl Fn(std::io::Error) -> Refusal,
) -> Result<Buffer, Refusal> {
    let busy = || Refusal::Busy { retry: limits.busy_retry_after };
    let ratio_max = limits.decompression_ratio_max;
    let plausible_bytes = compressed_bytes.saturating_mul(ratio_max).max(RATIO_FROM_BYTES);
    let mut out = Buffer::new(limits.decompressed_bytes_max, admission).ok_or_else(busy)?;
    let mut step = vec![0; STEP_BYTES];
    loop {
        let n = match decoder.read(&mut step) {
            Ok(0) => return Ok(out),
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(corrupt(error)),
        };
        out.push(&step[..n]).map_err(|no_room| match no_room {
            NoRoom::Bound => {
                Refusal::DecompressedTooLarge { bytes_max: limits.decompressed_bytes_max }
            }
            NoRoom::Budget => busy(),
        })?;
        if out.as_slice().len() > plausible_bytes {
            return Err(Refusal::RatioTooLarge { ratio_max });
        }
    }
}
