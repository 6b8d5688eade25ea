//! Vendors' clouds, asked: what their APIs list becomes records of a feed.
//!
//! What enters: pages of objects from SentinelOne's management API, SEKOIA.IO and Vade for
//! Microsoft 365, and the objects that SentinelOne's Cloud Funnel writes to S3. What leaves: each object once per version, untouched, to an [`Outlet`] that has
//! it durable before the place of it is noted. Deliberately absent: what objects mean (formats
//! know), when to ask (the caller's), and reaching into a commune: where the vendor may only be
//! asked from there, this runs there and its outlet is the service's door.
//!
//! # What holds
//!
//! - Nothing is skipped. A round begins [`OVERLAP`] before the newest object that was handed on, as
//!   vendors make objects visible out of order, and ends where the vendor has no more.
//! - Nothing comes twice but after a crash between handing on and noting it: at most one page. An
//!   object that changed comes again, as mitigations and verdicts do.
//! - Only the vendor's clock counts; ours only bounds it, so that a date in the future hides nothing.

mod bus_outlet;
mod cursor;
mod door_outlet;
mod funnel;
mod page;
mod puller;
mod sekoia;
mod sentinelone;
mod state;
mod vade;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::outbound::CallError;

pub use bus_outlet::BusOutlet;
pub use door_outlet::DoorOutlet;
pub use funnel::CloudFunnel;
pub use puller::{Puller, Round};
pub use sekoia::{Sekoia, SekoiaStream};
pub use sentinelone::{SentinelOne, SentinelOneStream};
pub use state::{StateError, StateFile};
pub use vade::{Vade, VadeStream, VadeToken};

/// How far before the newest known object a round begins.
pub const OVERLAP: Duration = Duration::from_mins(5);

/// Whose API is asked.
#[derive(Clone, Debug)]
pub enum Source {
    /// SentinelOne's management API.
    SentinelOne(SentinelOne),
    /// SEKOIA.IO's alerts and cases.
    Sekoia(Sekoia),
    /// Vade for Microsoft 365.
    Vade(Vade),
    /// SentinelOne's Cloud Funnel.
    CloudFunnel(CloudFunnel),
}

impl Source {
    /// The format that decodes its objects.
    pub const fn format(&self) -> &'static str {
        match self {
            Self::SentinelOne(_) => "sentinelone",
            Self::Sekoia(_) => "sekoia-alerts",
            Self::Vade(_) => "vade-secure-m365",
            Self::CloudFunnel(_) => "sentinelone-cloud-funnel",
        }
    }
}

/// Where records go.
#[async_trait]
pub trait Outlet: Send + Sync {
    /// Hands `records` on, in order, and returns once they are durable, however long the receiver has
    /// no room. After an error some of them may be durable: they are handed on again.
    async fn deliver(&self, records: &[Bytes]) -> Result<Delivered, PullError>;
}

/// How many of `records`, at least one, make a batch of so many records and bytes at most.
fn batch(records: &[Bytes], records_max: usize, bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take(records_max).take_while(|record| {
        bytes += record.len() + 1;
        bytes <= bytes_max
    });
    fits.count().max(1).min(records.len())
}

/// What became of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Those that are durable.
    pub accepted: u64,
    /// Why others are not and never will be.
    pub refused: Vec<String>,
}

/// Why a round did not end. The texts complete "failed to pull …".
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The vendor, or the service's door, did not give what it was asked for.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What came is not what the vendor's API says.
    #[error("{url}: {reason}")]
    Answer {
        /// The URL.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Where it was can't be read or noted.
    #[error(transparent)]
    State(#[from] StateError),
    /// The records have no place to go.
    #[error("{0}")]
    Outlet(String),
}

impl PullError {
    /// Whether a secret may have been replaced since it was read.
    pub const fn is_about_proof(&self) -> bool {
        matches!(self, Self::Call(error) if matches!(error.status(), Some(401 | 403)))
    }
}
