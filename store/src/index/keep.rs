//! What is too old goes, and what somebody asked to be removed.
//!
//! A split is dropped whole once all its events are old enough. Where only some may go (a feed with
//! days of its own, a hold, a purge), what is left of the split takes its place, in one transaction:
//! a crash leaves either the one or the other.

use std::sync::{Arc, PoisonError};

use event::{CommuneId, FeedId, Owner, SplitId, Timestamp, fields};
use sha2::{Digest as _, Sha256};

use super::{Index, IndexError, part::Part, schema::column, view::Sealed};
use crate::{
    Scope,
    db::{Hold, Purge, PurgedEvents},
    hunt::{Docs, Selector},
};

const DAY_NANOS: i64 = 86_400_000_000_000;

/// How long events are kept, counted from their receipt.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Days, where neither feed nor commune has its own.
    pub days: u32,
    /// Those that have, with the commune.
    pub own: Vec<(CommuneId, Owner, u32)>,
    /// The holds that stand.
    pub holds: Vec<Hold>,
}

/// What was dropped of one commune.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Whose events they were.
    pub commune: CommuneId,
    /// How many.
    pub events: u64,
    /// The splits that they were in.
    pub splits: u64,
    /// The earliest and the latest `@timestamp` of those splits.
    pub time: (Timestamp, Timestamp),
    /// The latest receipt of those splits.
    pub received_max: Timestamp,
}

/// What of a split is old enough.
#[derive(Debug, PartialEq)]
enum Due {
    Nothing,
    All,
    /// What this query matches.
    Some(String),
}

impl Due {
    /// What it is by a query; `None` where it is nothing.
    fn query(&self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::All => Some(String::new()),
            Self::Some(query) => Some(query.clone()),
        }
    }
}

impl Keep {
    /// What is due of a split of `commune` whose last event was received at `received`.
    fn due(&self, commune: &CommuneId, received: Timestamp, now: Timestamp) -> Due {
        let is_old = |days: u32| {
            let age = i64::from(days).saturating_mul(DAY_NANOS);
            received.as_nanos() < now.as_nanos().saturating_sub(age)
        };
        let own = self.own.iter().filter(|(of, _, _)| of == commune);
        let (mut days, mut young, mut old) = (self.days, Vec::new(), Vec::new());
        for (_, owner, own_days) in own {
            match owner {
                Owner::Commune(_) => days = *own_days,
                Owner::Feed(feed) if is_old(*own_days) => old.push(feed),
                Owner::Feed(feed) => young.push(feed),
            }
        }
        match (is_old(days), &young[..], &old[..]) {
            (true, [], _) => Due::All,
            (true, young, _) => Due::Some(format!("not ({})", of_feeds(young))),
            (false, _, []) => Due::Nothing,
            (false, _, old) => Due::Some(of_feeds(old)),
        }
    }
}

/// The query for what came by one of these feeds.
fn of_feeds(feeds: &[&FeedId]) -> String {
    let field = fields::FEED_ID.name();
    let each: Vec<String> = feeds.iter().map(|feed| format!("{field}:\"{feed}\"")).collect();
    each.join(" or ")
}

impl Index {
    /// The communes of which something may have to go, with how many splits.
    pub fn due(&self, keep: &Keep, now: Timestamp) -> Vec<(CommuneId, usize)> {
        let looked = self.looked();
        let is_due = |split: &&Arc<Sealed>| {
            let meta = &split.meta;
            let due = keep.due(&meta.commune, meta.max_received, now);
            let known = looked.get(&meta.id);
            due.query().is_some_and(|query| {
                known != Some(&looked_for(&query, &touching(split, &keep.holds)))
            })
        };
        let view = self.view();
        let counted = view
            .sealed
            .iter()
            .map(|(commune, splits)| (commune.clone(), splits.iter().filter(is_due).count()));
        counted.filter(|(_, splits)| *splits > 0).collect()
    }

    /// Drops the events that were received longer ago than `keep` says and that no hold covers, and
    /// adds to `dropped` what went, also where it fails later. A split that cannot be read or rewritten
    /// is passed over where it would have to be; the others go. How many were.
    pub async fn expire(
        &self,
        keep: &Keep,
        now: Timestamp,
        dropped: &mut Vec<Dropped>,
    ) -> Result<usize, IndexError> {
        let _merging = self.merging.lock().await;
        let mut passed_over = 0;
        for (commune, splits) in &*self.view().sealed {
            for split in splits {
                let due = keep.due(commune, split.meta.max_received, now);
                let events = match self.expire_split(split, &due, &keep.holds).await {
                    Ok(0) => continue,
                    Ok(events) => events,
                    Err(
                        error @ (IndexError::Damaged(_)
                        | IndexError::Split(_)
                        | IndexError::Tantivy(_)
                        | IndexError::Select(_)),
                    ) => {
                        tracing::error!(split = %split.meta.id, %error, "old events of a split cannot be dropped");
                        passed_over += 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                let meta = &split.meta;
                if dropped.last().is_none_or(|gone| gone.commune != *commune) {
                    dropped.push(Dropped {
                        commune: commune.clone(),
                        events: 0,
                        splits: 0,
                        time: (meta.min_time, meta.max_time),
                        received_max: meta.max_received,
                    });
                }
                let Some(gone) = dropped.last_mut() else { continue };
                gone.events += events;
                gone.splits += 1;
                gone.time = (gone.time.0.min(meta.min_time), gone.time.1.max(meta.max_time));
                gone.received_max = gone.received_max.max(meta.max_received);
            }
        }
        self.sweep().await?;
        Ok(passed_over)
    }

    /// Drops what is due of a split; how many events.
    async fn expire_split(
        &self,
        split: &Arc<Sealed>,
        due: &Due,
        holds: &[Hold],
    ) -> Result<u64, IndexError> {
        let Some(query) = due.query() else { return Ok(0) };
        let holds = touching(split, holds);
        if *due == Due::All && holds.is_empty() {
            self.replace(&[Arc::clone(split)], None, None).await?;
            return Ok(split.meta.events);
        }
        let looked = looked_for(&query, &holds);
        if self.looked().get(&split.meta.id) == Some(&looked) {
            return Ok(0);
        }
        let wanted = Wanted { query, from: None, to: None, received_max: Timestamp::MAX };
        let Taken { events, .. } = self.take(split, wanted, holds, None).await?;
        if events == 0 {
            self.looked().insert(split.meta.id, looked);
        }
        Ok(events)
    }

    /// Removes what `purge` names from the sealed splits, but for what `holds` cover; how many
    /// events those are. What was received before it was asked for must have been sealed.
    pub async fn purge(&self, purge: &Purge, holds: &[Hold]) -> Result<u64, IndexError> {
        let _merging = self.merging.lock().await;
        let from = purge.from.unwrap_or(Timestamp::MIN);
        let to = purge.to.unwrap_or(Timestamp::MAX);
        let mut held = 0;
        for split in self.view().sealed.get(&purge.commune).into_iter().flatten() {
            let meta = &split.meta;
            let asked = purge.asked.at;
            if meta.max_time < from || meta.min_time > to || meta.min_received > asked {
                continue;
            }
            let wanted = Wanted {
                query: purge.query.clone(),
                from: purge.from,
                to: purge.to,
                received_max: asked,
            };
            let taken = self.take(split, wanted, touching(split, holds), Some(&purge.id)).await?;
            held += taken.held;
        }
        self.sweep().await?;
        Ok(held)
    }

    /// Takes events out of a split. `merging` is held.
    async fn take(
        &self,
        split: &Arc<Sealed>,
        wanted: Wanted,
        holds: Vec<Hold>,
        purge: Option<&str>,
    ) -> Result<Taken, IndexError> {
        let scope = Scope::only([split.meta.commune.clone()]);
        let part = self.open_sealed(&scope, split).await?;
        let (work_dir, decode) = (self.config.work_dir.clone(), Arc::clone(&self.decode));
        let work = move || {
            let Some(segment) = part.segment() else {
                return Ok::<_, IndexError>((Taken::default(), None));
            };
            let Wanted { query, from, to, received_max } = wanted;
            let mut gone = Selector::new(&query, from, to, &part)?.docs(&part, &*decode)?;
            if part.extent().max_received > received_max {
                let receipts = segment.fast_fields().i64(column::RECEIVED)?;
                let mut early = Docs::none(segment.max_doc());
                for doc in gone.iter() {
                    if receipts.first(doc).is_some_and(|at| at <= received_max.as_nanos()) {
                        early.insert(doc);
                    }
                }
                gone = early;
            }
            let matched = gone.len();
            for hold in &holds {
                let query = hold.feed.as_ref().map_or_else(String::new, |feed| of_feeds(&[feed]));
                let held =
                    Selector::new(&query, hold.from, hold.to, &part)?.docs(&part, &*decode)?;
                gone = gone.without(&held);
            }
            let taken = Taken { events: gone.len(), held: matched - gone.len() };
            let kept = Docs::all(segment.max_doc()).without(&gone);
            let rest = match taken.events {
                0 => None,
                _ if kept.is_empty() => None,
                _ => Some(Part::keep(&work_dir, &part, &kept)?),
            };
            Ok((taken, rest))
        };
        let (taken, rest) = tokio::task::spawn_blocking(work).await??;
        if taken.events > 0 {
            let rest = rest.map(|rest| (rest_id(split.meta.id, &rest), rest));
            let purged =
                purge.map(|purge| PurgedEvents { purge: purge.to_owned(), events: taken.events });
            self.replace(&[Arc::clone(split)], rest, purged).await?;
        }
        Ok(taken)
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<SplitId, String>> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which events to take.
struct Wanted {
    query: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    received_max: Timestamp,
}

/// How many were taken, and how many more a hold covers.
#[derive(Clone, Copy, Default)]
struct Taken {
    events: u64,
    held: u64,
}

/// What is due of a split but for these holds, as it is remembered where nothing of it is there.
fn looked_for(query: &str, holds: &[Hold]) -> String {
    let ids: Vec<&str> = holds.iter().map(|hold| &*hold.id).collect();
    format!("{query} {}", ids.join(" "))
}

fn touching(split: &Sealed, holds: &[Hold]) -> Vec<Hold> {
    let meta = &split.meta;
    let touches = |hold: &&Hold| hold.touches(&meta.commune, meta.min_time, meta.max_time);
    holds.iter().filter(touches).cloned().collect()
}

/// The id of what is left of a split.
fn rest_id(split: SplitId, rest: &Part) -> SplitId {
    let mut hasher = Sha256::new_with_prefix("rest of a split");
    hasher.update(split.as_bytes());
    hasher.update(rest.extent().events.to_be_bytes());
    hasher.update(rest.sum().crc32c.to_be_bytes());
    super::merge::derived(hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commune(id: &str) -> CommuneId {
        id.parse().unwrap()
    }

    fn feed(id: &str) -> Owner {
        Owner::Feed(id.parse().unwrap())
    }

    #[test]
    fn each_feed_has_its_days() {
        let (dijon, talant) = (commune("dijon"), commune("talant"));
        let keep = Keep {
            days: 365,
            own: vec![
                (dijon.clone(), Owner::Commune(dijon.clone()), 180),
                (dijon.clone(), feed("dijon-pc"), 400),
                (dijon.clone(), feed("dijon-pare-feu"), 30),
            ],
            holds: Vec::new(),
        };
        let now = Timestamp::from_secs(1_000 * 86_400);
        let due = |of: &CommuneId, days: i64| {
            keep.due(of, Timestamp::from_secs((1_000 - days) * 86_400), now)
        };
        let some = |query: &str| Due::Some(query.to_owned());
        assert_eq!(due(&talant, 365), Due::Nothing);
        assert_eq!(due(&talant, 366), Due::All);
        assert_eq!(due(&dijon, 30), Due::Nothing);
        assert_eq!(due(&dijon, 31), some("jacquemart.feed:\"dijon-pare-feu\""));
        assert_eq!(due(&dijon, 181), some("not (jacquemart.feed:\"dijon-pc\")"));
        assert_eq!(due(&dijon, 401), Due::All);
    }
}
