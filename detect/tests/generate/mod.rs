//! Rules and events made at random, with every modifier, condition, kind of value and log source,
//! and with values in the events that the rules ask for, so that each both fires and does not.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod dice;
pub(crate) mod events;
pub(crate) mod families;
pub(crate) mod lines;
pub(crate) mod rules;
pub(crate) mod values;
