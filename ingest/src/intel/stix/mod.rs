//! STIX 2.1: bundles, and the envelopes in which TAXII hands objects over.

mod context;
mod object;
mod pattern;
mod stream;

use serde_json::Error;

pub(super) use self::context::is_technique;
use self::{context::Context, object::IndicatorObject};
use super::sink::{Options, Sink};

/// Reads the objects of a document: once for what indicators refer to, once for the indicators.
/// So it does not matter in which order they stand, and no more than one is held at a time.
pub(super) fn read(bytes: &[u8], options: &Options, sink: &mut dyn Sink) -> Result<(), Error> {
    let mut context = Context::default();
    stream::objects(bytes, &mut |object| context.learn(object))?;
    stream::objects(bytes, &mut |object| {
        if let Some(indicator) = IndicatorObject::of(object)
            && context.is_newest(&indicator)
        {
            indicator.give(&context, options, sink);
        }
    })
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
