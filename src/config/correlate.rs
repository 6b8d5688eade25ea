//! `[correlate]`.

use std::time::Duration;

use event::CommuneId;
use serde::{Deserialize, Serialize};

/// Correlations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Correlate {
    /// How much later than others a match may come and still be put in order.
    pub(crate) lateness_ms: u64,
    /// How long groups outlast their window.
    pub(crate) grace_s: u64,
    /// Groups of all correlations together,
    pub(crate) groups_max: usize,
    /// and of one.
    pub(crate) rule_groups_max: usize,
    /// Matches of one group, unless its condition asks for more.
    pub(crate) group_entries_max: usize,
    /// Matches held to be put in order.
    pub(crate) held_max: usize,
    /// The state is saved at most so often.
    pub(crate) snapshot_s: u64,
    /// The commune that correlations across communes belong to.
    pub(crate) metropole: CommuneId,
}

impl Default for Correlate {
    fn default() -> Self {
        let limits = detect::Limits::default();
        Self {
            lateness_ms: 5_000,
            grace_s: limits.grace.as_secs(),
            groups_max: limits.groups_max,
            rule_groups_max: limits.rule_groups_max,
            group_entries_max: limits.group_entries_max,
            held_max: limits.held_max,
            snapshot_s: 10,
            metropole: CommuneId::new("metropole").expect("a constant slug is valid"),
        }
    }
}

impl Correlate {
    /// What a correlator may keep.
    pub(crate) fn limits(&self) -> detect::Limits {
        detect::Limits {
            lateness: Duration::from_millis(self.lateness_ms),
            grace: Duration::from_secs(self.grace_s),
            groups_max: self.groups_max,
            rule_groups_max: self.rule_groups_max,
            group_entries_max: self.group_entries_max,
            held_max: self.held_max,
            metropole: Some(self.metropole.clone()),
        }
    }
}
