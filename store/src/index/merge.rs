//! Many small splits become one.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use event::{CommuneId, SplitId, Timestamp};
use sha2::{Digest as _, Sha256};

use super::{Index, IndexError, checkpoint::meta_of, part::Part, view::Sealed};
use crate::{
    Scope,
    db::{CondemnedSplit, Publication, PurgedEvents},
};

/// Splits within a factor of so much in size are alike; merging only those writes each event
/// a number of times that grows with the logarithm of the whole.
const LIKE_FACTOR: u64 = 8;

impl Index {
    /// Merges splits of a commune that were received in one [`super::IndexConfig::merge_span`]:
    /// where [`super::IndexConfig::merge_splits_min`] of like size have gathered, and all of them
    /// once it is over. Then removes objects that were replaced before and that no hunt looks into
    /// any more. Returns how many merges were done. Meant to be called every minute or so, beside
    /// everything else.
    pub async fn merge_small(&self, now: Timestamp) -> Result<usize, IndexError> {
        let _merging = self.merging.lock().await;
        let mut merges = 0;
        while let Some((commune, splits)) = self.alike(now) {
            self.merge(&commune, &splits).await?;
            merges += 1;
        }
        self.sweep().await?;
        Ok(merges)
    }

    /// Splits to merge, oldest first.
    fn alike(&self, now: Timestamp) -> Option<(CommuneId, Vec<Arc<Sealed>>)> {
        let view = self.view();
        let span = i64::try_from(self.config.merge_span.as_nanos()).unwrap_or(i64::MAX).max(1);
        for (commune, splits) in &*view.sealed {
            let mut stretches = BTreeMap::<i64, Vec<Arc<Sealed>>>::new();
            for split in splits.iter().filter(|split| !split.is_damaged()) {
                let stretch = split.meta.min_received.as_nanos().div_euclid(span);
                stretches.entry(stretch).or_default().push(Arc::clone(split));
            }
            for (stretch, splits) in stretches {
                // Nothing is added to a stretch some time after its end.
                let is_over = stretch.saturating_add(2).saturating_mul(span) <= now.as_nanos();
                let alike = if is_over { self.all_of(splits) } else { self.tier_of(&splits) };
                if let Some(alike) = alike {
                    return Some((commune.clone(), alike));
                }
            }
        }
        None
    }

    /// Enough small ones of like size.
    fn tier_of(&self, splits: &[Arc<Sealed>]) -> Option<Vec<Arc<Sealed>>> {
        let wanted = self.config.merge_splits_min.max(2);
        let mut tiers = BTreeMap::<u32, Vec<Arc<Sealed>>>::new();
        let small =
            |split: &&Arc<Sealed>| split.meta.bytes < self.config.merge_bytes_max / wanted as u64;
        for split in splits.iter().filter(small) {
            let tier = (split.meta.bytes >> 16).max(1).ilog(LIKE_FACTOR);
            tiers.entry(tier).or_default().push(Arc::clone(split));
        }
        let mut alike = tiers.into_values().find(|tier| tier.len() >= wanted)?;
        alike.sort_by_key(|split| (split.meta.min_received, split.meta.id));
        alike.truncate(wanted);
        Some(alike)
    }

    /// As many neighbours as make up one of full size.
    fn all_of(&self, mut splits: Vec<Arc<Sealed>>) -> Option<Vec<Arc<Sealed>>> {
        splits.sort_by_key(|split| (split.meta.min_received, split.meta.id));
        let mut together = Vec::new();
        let mut bytes = 0;
        for split in splits {
            bytes += split.meta.bytes;
            if bytes > self.config.merge_bytes_max {
                if together.len() > 1 {
                    break;
                }
                together.clear();
                bytes = split.meta.bytes;
            }
            together.push(split);
        }
        (together.len() > 1).then_some(together)
    }

    async fn merge(&self, commune: &CommuneId, splits: &[Arc<Sealed>]) -> Result<(), IndexError> {
        let scope = Scope::only([commune.clone()]);
        let mut parts = Vec::with_capacity(splits.len());
        for split in splits {
            match self.open_sealed(&scope, split).await {
                Ok(part) => parts.push(part),
                Err(error) => {
                    // It is passed over from now on; hunts name it in their warnings.
                    tracing::error!(split = %split.meta.id, %error, "a split cannot be merged");
                    split.set_damaged();
                    return Ok(());
                }
            }
        }
        let work_dir = self.config.work_dir.clone();
        let part = tokio::task::spawn_blocking(move || Part::merge(&work_dir, &parts)).await??;
        let removed: Vec<SplitId> = splits.iter().map(|split| split.meta.id).collect();
        self.replace(splits, Some((merged_id(&removed), part)), None).await
    }

    /// Publishes `part` under its id, or nothing, in the place of `splits`. `merging` is held.
    pub(super) async fn replace(
        &self,
        splits: &[Arc<Sealed>],
        part: Option<(SplitId, Part)>,
        purged: Option<PurgedEvents>,
    ) -> Result<(), IndexError> {
        let removed: Vec<SplitId> = splits.iter().map(|split| split.meta.id).collect();
        let mut added = Vec::new();
        if let Some((id, part)) = &part {
            let meta = meta_of(part, *id);
            let path = part.path().ok_or_else(|| {
                IndexError::Damaged("a merged part has no file to store".to_owned())
            })?;
            self.storage.put(&meta, path).await?;
            added.push(meta);
        }
        self.db
            .publish(Publication {
                added: added.clone(),
                removed: removed.clone(),
                position: None,
                purged,
            })
            .await?;
        let gone = {
            let mut state = self.state();
            let gone = state.register(added, &removed);
            self.show(&mut state);
            gone
        };
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|open| !removed.contains(&open.meta.id));
        self.looked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, _| !removed.contains(id));
        self.condemned.lock().unwrap_or_else(PoisonError::into_inner).extend(gone);
        Ok(())
    }

    /// Removes the objects of replaced and dropped splits that nothing refers to any more.
    pub(super) async fn sweep(&self) -> Result<(), IndexError> {
        let unused: Vec<Arc<Sealed>> = {
            let mut condemned = self.condemned.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever could still open one holds a view, and so a reference.
            let (unused, used) = std::mem::take(&mut *condemned)
                .into_iter()
                .partition(|split| Arc::strong_count(split) == 1);
            *condemned = used;
            unused
        };
        let mut unused = unused.into_iter();
        while let Some(split) = unused.next() {
            let gone = CondemnedSplit {
                id: split.meta.id,
                commune: split.meta.commune.clone(),
                crc32c: split.meta.crc32c,
            };
            let removed = match self.storage.remove(&gone).await {
                Ok(()) => self.db.forget_splits(vec![gone]).await.map_err(IndexError::from),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = removed {
                let mut condemned = self.condemned.lock().unwrap_or_else(PoisonError::into_inner);
                condemned.push(split);
                condemned.extend(unused);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// The id of what these splits become, in this order: the same each time.
fn merged_id(splits: &[SplitId]) -> SplitId {
    let mut hasher = Sha256::new_with_prefix("merged split");
    for split in splits {
        hasher.update(split.as_bytes());
    }
    derived(hasher)
}

/// The id that a hash gives.
pub(super) fn derived(hasher: Sha256) -> SplitId {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize()[..16]);
    // The shape of a UUID of version 8, as all derived ids have.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    SplitId::from_bytes(bytes)
}
