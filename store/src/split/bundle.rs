//! The file format of a split: the files of one tantivy index, one after another.
//!
//! ```text
//! "JQSPLIT\0"  8 bytes
//! version      u32 LE
//! files        one after another
//! footer       JSON: name, offset, length and CRC-32C of each file, and what the split holds
//! length       u64 LE, of the footer
//! crc          u32 LE, CRC-32C of the footer
//! "JQSE"       4 bytes
//! ```

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use event::{CommuneId, Timestamp};
use serde::{Deserialize, Serialize};
use tantivy::directory::OwnedBytes;

const MAGIC: &[u8; 8] = b"JQSPLIT\0";
const END_MAGIC: &[u8; 4] = b"JQSE";
const VERSION: u32 = 1;
const HEADER_BYTES: u64 = 12;
const TRAILER_BYTES: usize = 16;
/// A footer names some dozens of files; anything longer is damage.
const FOOTER_BYTES_MAX: usize = 1 << 20;

/// What a bundle holds, as its footer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleInfo {
    /// Whose events.
    pub commune: CommuneId,
    /// Earliest `@timestamp`.
    pub min_time: Timestamp,
    /// Latest `@timestamp`.
    pub max_time: Timestamp,
    /// Earliest receipt.
    pub min_received: Timestamp,
    /// Latest receipt.
    pub max_received: Timestamp,
    /// Events.
    pub events: u64,
    /// Bytes of their originals.
    pub raw_bytes: u64,
    /// Version of the index format and schema.
    pub format_version: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Footer {
    info: BundleInfo,
    files: Vec<FileEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct FileEntry {
    name: String,
    offset: u64,
    len: u64,
    crc32c: u32,
}

/// Size and checksum of a written bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleSum {
    /// Its bytes.
    pub bytes: u64,
    /// CRC-32C of all of them.
    pub crc32c: u32,
}

struct Summing<W> {
    to: W,
    sum: BundleSum,
}

impl<W: Write> Summing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(bytes)?;
        self.sum.bytes += bytes.len() as u64;
        self.sum.crc32c = crc32c::crc32c_append(self.sum.crc32c, bytes);
        Ok(())
    }
}

/// Writes `files` and `info` as one bundle at `path`, replacing what is there. Not durable:
/// [`super::SplitStorage::put`] is what makes it so.
pub fn write_bundle(
    path: &Path,
    info: &BundleInfo,
    files: impl IntoIterator<Item = (String, OwnedBytes)>,
) -> io::Result<BundleSum> {
    let mut out = Summing {
        to: BufWriter::with_capacity(1 << 20, File::create(path)?),
        sum: BundleSum { bytes: 0, crc32c: 0 },
    };
    out.put(MAGIC)?;
    out.put(&VERSION.to_le_bytes())?;
    let mut footer = Footer { info: info.clone(), files: Vec::new() };
    for (name, bytes) in files {
        footer.files.push(FileEntry {
            name,
            offset: out.sum.bytes,
            len: bytes.len() as u64,
            crc32c: crc32c::crc32c(&bytes),
        });
        out.put(&bytes)?;
    }
    let footer = serde_json::to_vec(&footer)?;
    out.put(&footer)?;
    out.put(&(footer.len() as u64).to_le_bytes())?;
    out.put(&crc32c::crc32c(&footer).to_le_bytes())?;
    out.put(END_MAGIC)?;
    out.to.flush()?;
    Ok(out.sum)
}

/// An open bundle. Its footer was checked; its files are when [`verify`](Self::verify) is
/// called.
#[derive(Clone)]
pub struct Bundle {
    bytes: OwnedBytes,
    footer: std::sync::Arc<Footer>,
}

impl Bundle {
    /// Reads the footer of `bytes`. The error says what is damaged.
    pub fn open(bytes: OwnedBytes) -> Result<Self, String> {
        let len = bytes.len();
        if len < HEADER_BYTES as usize + TRAILER_BYTES {
            return Err(format!("it is cut short: {len} bytes are no split"));
        }
        if &bytes[..8] != MAGIC {
            return Err("it does not begin as a split does".to_owned());
        }
        let version = le_u32(&bytes[8..12]);
        if version != VERSION {
            return Err(format!(
                "it has file version {version}, this jacquemart reads {VERSION}; use the version that wrote it or a newer one"
            ));
        }
        if &bytes[len - 4..] != END_MAGIC {
            return Err("it does not end as a split does; it is cut short or overwritten".into());
        }
        let footer_len = le_u64(&bytes[len - 16..len - 8]);
        let footer_len = usize::try_from(footer_len)
            .ok()
            .filter(|n| *n <= FOOTER_BYTES_MAX && *n + HEADER_BYTES as usize + TRAILER_BYTES <= len)
            .ok_or_else(|| format!("its footer cannot have {footer_len} bytes"))?;
        let raw = &bytes[len - TRAILER_BYTES - footer_len..len - TRAILER_BYTES];
        if crc32c::crc32c(raw) != le_u32(&bytes[len - 8..len - 4]) {
            return Err("its footer does not match its checksum".to_owned());
        }
        let footer: Footer =
            serde_json::from_slice(raw).map_err(|error| format!("its footer: {error}"))?;
        let end = (len - TRAILER_BYTES - footer_len) as u64;
        for file in &footer.files {
            let fits = file.offset.checked_add(file.len).is_some_and(|last| last <= end);
            if file.offset < HEADER_BYTES || !fits {
                return Err(format!("its file {} lies outside of it", file.name));
            }
        }
        Ok(Self { bytes, footer: footer.into() })
    }

    /// What it holds.
    pub fn info(&self) -> &BundleInfo {
        &self.footer.info
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &OwnedBytes {
        &self.bytes
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> Option<OwnedBytes> {
        let file = self.footer.files.iter().find(|file| file.name == name)?;
        Some(self.slice(file))
    }

    /// Names and contents of its files.
    pub fn files(&self) -> impl Iterator<Item = (&str, OwnedBytes)> {
        self.footer.files.iter().map(|file| (file.name.as_str(), self.slice(file)))
    }

    fn slice(&self, file: &FileEntry) -> OwnedBytes {
        // `open` checked that it lies within.
        self.bytes.slice(file.offset as usize..(file.offset + file.len) as usize)
    }

    /// Reads every file and compares its checksum. The error names the file.
    pub fn verify(&self) -> Result<(), String> {
        for file in &self.footer.files {
            if crc32c::crc32c(&self.slice(file)) != file.crc32c {
                return Err(format!("its file {} does not match its checksum", file.name));
            }
        }
        Ok(())
    }
}

fn le_u32(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b))
}

fn le_u64(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b");
        let info = BundleInfo {
            commune: CommuneId::new("dijon").unwrap(),
            min_time: Timestamp::from_millis(1),
            max_time: Timestamp::from_millis(2),
            min_received: Timestamp::from_millis(3),
            max_received: Timestamp::from_millis(4),
            events: 5,
            raw_bytes: 6,
            format_version: 7,
        };
        let files = [("a", &b"first"[..]), ("b", b""), ("c", b"third")]
            .map(|(n, b)| (n.into(), OwnedBytes::new(b)));
        let sum = write_bundle(&path, &info, files).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(sum, BundleSum { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(&bytes) });
        bytes
    }

    #[test]
    fn files_come_back() {
        let bundle = Bundle::open(OwnedBytes::new(bundle())).unwrap();
        assert_eq!(bundle.info().events, 5);
        assert_eq!(bundle.file("a").unwrap().as_slice(), b"first");
        assert_eq!(bundle.file("b").unwrap().as_slice(), b"");
        assert!(bundle.file("d").is_none());
        bundle.verify().unwrap();
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let good = bundle();
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x40;
            let noticed = Bundle::open(OwnedBytes::new(bad)).and_then(|b| b.verify());
            assert!(noticed.is_err(), "byte {index}");
            assert!(
                Bundle::open(OwnedBytes::new(good[..index].to_vec())).is_err(),
                "cut at {index}"
            );
        }
    }
}
