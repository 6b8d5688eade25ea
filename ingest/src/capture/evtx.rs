//! EVTX files: every record as the JSON that the `windows` format takes.

use std::{collections::VecDeque, fs::File, sync::Arc};

use bytes::Bytes;
use evtx::{EvtxChunkData, EvtxParser, IntoIterChunks, ParserSettings, err::EvtxError};

use super::{CaptureError, CaptureRecord, Place, Progress, source::Source};

/// Bytes of a chunk, which holds some dozens of records.
const CHUNK_BYTES: u64 = 64 << 10;

/// The records of an EVTX file, chunk by chunk.
pub(super) struct Records {
    chunks: IntoIterChunks<File>,
    settings: Arc<ParserSettings>,
    file: Arc<str>,
    progress: Progress,
    /// Chunks read so far.
    chunk: u64,
    /// The records of the last one: a chunk of 64 KiB has a few hundred at most.
    ready: VecDeque<Result<CaptureRecord, CaptureError>>,
}

impl Records {
    pub(super) fn open(source: Source) -> Result<Self, CaptureError> {
        let (file, progress) = (source.file(), source.progress());
        let opened = source.into_file().map_err(|source| CaptureError::Read {
            file: file.clone(),
            place: Place::Chunk(0),
            source,
        })?;
        let parser = EvtxParser::from_read_seek(opened).map_err(|error| CaptureError::Evtx {
            file: file.clone(),
            place: Place::Chunk(0),
            reason: reason(&error),
        })?;
        Ok(Self {
            chunks: parser.into_chunks(),
            settings: settings(),
            file,
            progress,
            chunk: 0,
            ready: VecDeque::new(),
        })
    }

    fn failed(&self, place: Place, error: &dyn std::error::Error) -> CaptureError {
        CaptureError::Evtx { file: self.file.clone(), place, reason: reason(error) }
    }

    fn read(&mut self, chunk: &mut EvtxChunkData) {
        let here = Place::Chunk(self.chunk);
        let file = &self.file;
        self.ready.extend(records_of(chunk, &self.settings).into_iter().map(|read| match read {
            Ok((number, json)) => Ok(CaptureRecord { raw: Bytes::from(json), number }),
            Err((record, reason)) => {
                let place = record.map_or(here, Place::Record);
                Err(CaptureError::Evtx { file: file.clone(), place, reason })
            }
        }));
    }
}

/// What reading a record gave: its number and JSON, or the number, where it is known, and why not.
pub(crate) type Read = Result<(u64, String), (Option<u64>, String)>;

/// How files are read: one record a line.
pub(crate) fn settings() -> Arc<ParserSettings> {
    Arc::new(ParserSettings::new().indent(false).num_threads(1))
}

/// The records of a chunk; where it cannot be read at all, one error.
pub(crate) fn records_of(chunk: &mut EvtxChunkData, settings: &Arc<ParserSettings>) -> Vec<Read> {
    let mut chunk = match chunk.parse(Arc::clone(settings)) {
        Ok(chunk) => chunk,
        Err(error) => return vec![Err((None, reason(&error)))],
    };
    chunk
        .iter()
        .map(|record| match record {
            Ok(record) => {
                let id = record.event_record_id;
                let json = record.into_json().map_err(|error| (Some(id), reason(&error)))?;
                Ok((id, json.data))
            }
            Err(EvtxError::FailedToParseRecord { record_id, source }) => {
                Err((Some(record_id), reason(&*source)))
            }
            Err(error) => Err((None, reason(&error))),
        })
        .collect()
}

/// An error with its causes, which say more.
pub(crate) fn reason(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason.push_str(": ");
        reason.push_str(&cause.to_string());
        source = cause.source();
    }
    reason
}

impl Iterator for Records {
    type Item = Result<CaptureRecord, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Some(record);
            }
            match self.chunks.next()? {
                Ok(mut chunk) => self.read(&mut chunk),
                Err(error) => {
                    let error = self.failed(Place::Chunk(self.chunk), &error);
                    self.ready.push_back(Err(error));
                }
            }
            self.chunk += 1;
            if self.progress.bytes_total().is_some_and(|total| self.chunk * CHUNK_BYTES <= total) {
                self.progress.set(self.chunk * CHUNK_BYTES);
            }
        }
    }
}
