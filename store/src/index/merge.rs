//! Many small splits become one.

use std::sync::{Arc, PoisonError};

use event::{CommuneId, SplitId};
use sha2::{Digest as _, Sha256};

use super::{Index, IndexError, checkpoint::meta_of, part::Part, view::Sealed};
use crate::{Scope, db::Publication};

/// Splits within a factor of so much in size are alike; merging only those writes each event
/// a number of times that grows with the logarithm of the whole.
const LIKE_FACTOR: u64 = 8;

impl Index {
    /// Merges splits of a commune where [`super::IndexConfig::merge_splits_min`] of like size
    /// have gathered, until there are none, and removes objects that were merged before and
    /// that no hunt looks into any more. Returns how many merges were done. Meant to be called
    /// every minute or so, beside everything else.
    pub async fn merge_small(&self) -> Result<usize, IndexError> {
        let _merging = self.merging.lock().await;
        let mut merges = 0;
        while let Some((commune, splits)) = self.alike() {
            self.merge(&commune, &splits).await?;
            merges += 1;
        }
        self.sweep().await?;
        Ok(merges)
    }

    /// Splits to merge, oldest first.
    fn alike(&self) -> Option<(CommuneId, Vec<Arc<Sealed>>)> {
        let view = self.view();
        let wanted = self.config.merge_splits_min.max(2);
        for (commune, splits) in &*view.sealed {
            let mut tiers = std::collections::BTreeMap::<u32, Vec<Arc<Sealed>>>::new();
            let small = |split: &&Arc<Sealed>| {
                split.meta.bytes < self.config.merge_bytes_max / wanted as u64
                    && !split.is_damaged()
            };
            for split in splits.iter().filter(small) {
                let tier = (split.meta.bytes >> 16).max(1).ilog(LIKE_FACTOR);
                tiers.entry(tier).or_default().push(Arc::clone(split));
            }
            if let Some(mut alike) = tiers.into_values().find(|tier| tier.len() >= wanted) {
                alike.sort_by_key(|split| (split.meta.min_received, split.meta.id));
                alike.truncate(wanted);
                return Some((commune.clone(), alike));
            }
        }
        None
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
        let meta = meta_of(&part, merged_id(&removed));
        let path = part
            .path()
            .ok_or_else(|| IndexError::Damaged("a merged part has no file to store".to_owned()))?;
        self.storage.put(&meta, path).await?;
        let publication =
            Publication { added: vec![meta.clone()], removed: removed.clone(), position: None };
        self.db.publish(publication).await?;
        let gone = {
            let mut state = self.state();
            let gone = state.register([meta], &removed);
            self.show(&mut state);
            gone
        };
        self.opened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|open| !removed.contains(&open.meta.id));
        self.condemned.lock().unwrap_or_else(PoisonError::into_inner).extend(gone);
        Ok(())
    }

    /// Removes the objects of merged splits that nothing refers to any more.
    async fn sweep(&self) -> Result<(), IndexError> {
        let unused: Vec<Arc<Sealed>> = {
            let mut condemned = self.condemned.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever could still open one holds a view, and so a reference.
            let (unused, used) = std::mem::take(&mut *condemned)
                .into_iter()
                .partition(|split| Arc::strong_count(split) == 1);
            *condemned = used;
            unused
        };
        for split in unused {
            self.storage.delete(&split.meta.commune, split.meta.id).await?;
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
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize()[..16]);
    // The shape of a UUID of version 8, as all derived ids have.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    SplitId::from_bytes(bytes)
}
