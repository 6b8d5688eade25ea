//! What a correlator may keep, and what it has seen.

use std::time::Duration;

use event::CommuneId;

/// What a correlator may keep.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How much later than others a match may come and still be put in order before anything
    /// fires; what fires does so that much later.
    pub lateness: Duration,
    /// How long groups outlast their window, for matches that come later still.
    pub grace: Duration,
    /// Groups of all correlations together.
    pub groups_max: usize,
    /// Groups of one correlation.
    pub rule_groups_max: usize,
    /// Matches of one group, unless its condition asks for more.
    pub group_entries_max: usize,
    /// Matches held to be put in order.
    pub held_max: usize,
    /// Whom correlations across communes belong to; without it they do not run.
    pub metropole: Option<CommuneId>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            lateness: Duration::from_secs(5),
            grace: Duration::from_secs(900),
            groups_max: 2_000_000,
            rule_groups_max: 1_000_000,
            group_entries_max: 10_000,
            held_max: 500_000,
            metropole: None,
        }
    }
}

/// What a correlator has seen since it was made, and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Matches that feed a correlation.
    pub matches: u64,
    /// Detections made.
    pub detections: u64,
    /// Matches that came after newer ones of their group had been looked at. They count, but
    /// what would have fired between may not have.
    pub late: u64,
    /// Matches that their group's window had moved past: they count no more.
    pub too_late: u64,
    /// Matches that were there already, from work that was repeated after a crash.
    pub repeated: u64,
    /// Matches that lack a field to group by or look at.
    pub without_field: u64,
    /// Matches let go before their time because too many were held.
    pub forced: u64,
    /// Groups removed to make room.
    pub groups_evicted: u64,
    /// Matches removed from groups that were full.
    pub entries_evicted: u64,
    /// Groups now.
    pub groups: u64,
    /// Matches held now.
    pub held: u64,
}
