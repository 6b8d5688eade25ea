//! The `jacquemart` binary.

fn main() {}
