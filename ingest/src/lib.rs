//! From the wire to the bus, and from raw bytes to events.

mod batches;
pub mod bus;
pub mod capture;
pub mod collect;
mod feeds;
pub mod formats;
pub mod intel;
pub mod outbound;
pub mod pull;
pub mod quota;

pub use batches::{Batches, BatchesError};
pub use feeds::Feeds;
