//! From the wire to the bus, and from raw bytes to events.

pub mod bus;
mod feeds;

pub use feeds::Feeds;
