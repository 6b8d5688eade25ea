//! Sources asked: a file, a URL, a TAXII server, a MISP feed.

mod misp_feed;
mod plain;
mod state;
mod taxii;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use url::Url;

use super::{
    ReadError, Shape,
    sink::{Options, Sink},
};
use crate::outbound::{CallError, Client};

pub use state::State;

/// Where a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file on this machine.
    File {
        /// Its path.
        path: PathBuf,
        /// How it is written; told by its content where it is absent.
        shape: Option<Shape>,
    },
    /// A document behind a URL.
    Http {
        /// Its URL.
        url: Url,
        /// How it is written; told by its content where it is absent.
        shape: Option<Shape>,
    },
    /// A TAXII 2.1 server.
    Taxii {
        /// Its discovery, or one of its API roots.
        url: Url,
        /// The collections to read, by id, alias or title; all that may be read where it is
        /// empty.
        collections: Vec<String>,
    },
    /// A MISP feed: a folder with `manifest.json` and one file an event.
    MispFeed {
        /// The folder.
        url: Url,
    },
}

/// A sink that readers on other threads fill.
pub type SharedSink = Arc<Mutex<dyn Sink + Send>>;

/// What asking a source came to. What the sink was given is to be kept as `outcome` says, even
/// where there is an `error`.
#[derive(Debug)]
pub struct Run {
    /// Where to go on from.
    pub state: State,
    /// What the sink was given stands.
    pub outcome: Outcome,
    /// Why not all came.
    pub error: Option<FetchError>,
}

/// What the sink was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that is to be kept; what was known stands.
    Unchanged,
    /// All that the source has; what was known is replaced.
    Whole,
    /// What is new; what was known stands where it is not replaced or withdrawn.
    Changes,
}

/// Why a source could not be read. The texts complete "failed to fetch …". URLs are told without
/// user, password and query, which may be secret.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The file can't be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The server was not reached, or did not give what it was asked for.
    #[error(transparent)]
    Call(#[from] CallError),
    /// More than is read from one source.
    #[error("{place}: more than {max} {unit}; raise the limit, or ask for less")]
    TooMuch {
        /// The file or URL.
        place: String,
        /// How many.
        max: u64,
        /// Of what.
        unit: &'static str,
    },
    /// What came can't be read.
    #[error("{place}: {source}")]
    Read {
        /// The file or URL.
        place: String,
        /// Why.
        source: ReadError,
    },
    /// What came is not what the protocol says.
    #[error("{place}: {reason}")]
    Protocol {
        /// The URL.
        place: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
}

/// Asks `origin` for what is new since `state` and gives it to `sink`. Documents are read on
/// threads that may block; the future itself does not.
pub async fn fetch(
    origin: &Origin,
    client: &Client,
    options: &Options,
    state: State,
    sink: &SharedSink,
) -> Run {
    let to = Target { client, options, sink };
    match origin {
        Origin::File { path, shape } => plain::file(path, *shape, to, state).await,
        Origin::Http { url, shape } => plain::http(url, *shape, to, state).await,
        Origin::Taxii { url, collections } => taxii::run(url, collections, to, state).await,
        Origin::MispFeed { url } => misp_feed::run(url, to, state).await,
    }
}

/// How a source is asked and who is told.
#[derive(Clone, Copy)]
struct Target<'a> {
    client: &'a Client,
    options: &'a Options,
    sink: &'a SharedSink,
}

impl Target<'_> {
    /// Tells the sink something.
    fn tell(&self, what: impl FnOnce(&mut dyn Sink)) {
        what(&mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Reads `bytes` on a thread that may block.
    async fn read(
        &self,
        shape: Option<Shape>,
        bytes: Vec<u8>,
        place: String,
    ) -> Result<(), FetchError> {
        let (options, sink) = (self.options.clone(), Arc::clone(self.sink));
        let read = tokio::task::spawn_blocking(move || {
            let shape = shape.unwrap_or_else(|| Shape::of(&bytes));
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            super::read(shape, &bytes, &options, &mut *sink)
        });
        match read.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(FetchError::Read { place, source }),
            Err(panic) => Err(FetchError::Protocol { place, reason: panic.to_string() }),
        }
    }
}
