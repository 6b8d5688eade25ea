//! The detect crate.
