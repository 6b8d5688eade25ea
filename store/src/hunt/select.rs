//! A query as a choice of documents, for what removes them.

use std::{sync::Arc, time::Duration};

use event::{Decode, Timestamp};

use super::{
    HuntError,
    budget::Budget,
    docs::Docs,
    hunter::know_names,
    parse::parse,
    plan::{Plan, plan},
    search::Search,
};
use crate::index::part::Part;

/// Nobody waits for it, so it only has to end some time.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// What a query matches between two times.
pub(crate) struct Selector {
    plan: Plan,
    from: Timestamp,
    to: Timestamp,
}

impl Selector {
    /// For `part`, whose fields it knows. Blocks.
    pub(crate) fn new(
        query: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        part: &Arc<Part>,
    ) -> Result<Self, HuntError> {
        know_names(std::slice::from_ref(part))?;
        Ok(Self {
            plan: plan(&parse(query)?)?.plan,
            from: from.unwrap_or(Timestamp::MIN),
            to: to.unwrap_or(Timestamp::MAX),
        })
    }

    /// The documents of `part` that match. Blocks.
    pub(crate) fn docs(&self, part: &Part, decode: &dyn Decode) -> Result<Docs, HuntError> {
        let Some(segment) = part.segment() else { return Ok(Docs::none(0)) };
        let budget = Budget::new(TIME_MAX);
        let (from, to) = (self.from, self.to);
        let search = Search { plan: &self.plan, from, to, decode, budget: &budget };
        search.docs(part, segment).map_err(|error| HuntError::Storage(error.to_string()))
    }
}
