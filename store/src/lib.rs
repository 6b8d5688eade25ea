//! What is kept, and who may read it.
//!
//! What enters: events to index and detections to raise. What leaves: answers to hunts,
//! incidents, communes, feeds. Every read takes a [`Scope`] first, and only authentication
//! ([`auth`]) can make one. Deliberately ignored: how events were decoded or matched, and how
//! answers travel.

pub mod audit;
pub mod auth;
pub mod db;
pub mod hunt;
pub mod index;
mod scope;
pub mod split;

pub use scope::Scope;
