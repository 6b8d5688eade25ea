//! Vendors' APIs, asked at their intervals: by `serve` for feeds of its own, by `collect` where the
//! commune asks and sends to the service's door.

mod configured;
mod tend;

pub(crate) use configured::{Configured, outlet_of_door};
pub(crate) use tend::{OutletOf, Tell, round, tend};
