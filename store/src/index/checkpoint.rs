//! Sealing: tails become splits, and the reader's position moves with them.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use event::{BusId, CommuneId, SplitId, Timestamp};

use super::{
    Index, IndexError,
    part::Part,
    schema::FORMAT_VERSION,
    tail::{Frozen, SealedParts, Tail},
};
use crate::db::{Position, Publication, SplitMeta};

impl Index {
    /// Whether enough was added, or it is long enough ago, to seal it.
    pub fn checkpoint_due(&self) -> bool {
        let state = self.state();
        state.events >= self.config.checkpoint_events_max
            || state.raw_bytes >= self.config.checkpoint_bytes_max
            || state.since.is_some_and(|since| {
                Instant::now().duration_since(since) >= self.config.checkpoint_age_max
            })
            || !state.frozen.is_empty()
            || state.is_wanted
    }

    /// Makes a checkpoint due, so that whoever reads the bus seals what was added until then.
    pub fn seal_soon(&self) {
        self.state().is_wanted = true;
    }

    /// Seals everything that was added: one split for each commune and partition, durable in
    /// the split storage, then published together with the position in one transaction, then
    /// searchable in place of what it was made of. Returns the positions that moved, for the
    /// bus; nothing below them will be needed again.
    ///
    /// Events can be added meanwhile. Where it fails, nothing is lost and everything stays
    /// searchable; the next call tries the same again before anything else. A split's id
    /// follows from the offsets it begins at, so that after a crash between storing and
    /// publishing the object is replaced by its like.
    pub async fn checkpoint(&self, bus: BusId) -> Result<Vec<Position>, IndexError> {
        let _sealing = self.sealing.lock().await;
        let mut positions = self.publish_frozen(bus).await?;
        {
            let _adding = self.adding.lock().await;
            let mut state = self.state();
            state.is_wanted = false;
            state.freeze();
            self.show(&mut state);
        }
        for position in self.publish_frozen(bus).await? {
            positions.retain(|earlier| earlier.partition != position.partition);
            positions.push(position);
        }
        Ok(positions)
    }

    /// Forgets what was added of `partition` and is not published: another reader has it now,
    /// or it will be read again from the published position.
    pub async fn forget(&self, partition: u32) {
        let _sealing = self.sealing.lock().await;
        let _adding = self.adding.lock().await;
        let mut state = self.state();
        state.ranges.remove(&partition);
        state.frozen.remove(&partition);
        state.tails.retain(|(of, _), _| *of != partition);
        state.hot_bytes = state.tails.values().map(|tail| tail.hot_bytes).sum();
        self.show(&mut state);
    }

    async fn publish_frozen(&self, bus: BusId) -> Result<Vec<Position>, IndexError> {
        let frozen: Vec<(u32, Frozen)> =
            self.state().frozen.iter().map(|(p, frozen)| (*p, frozen.clone())).collect();
        let mut positions = Vec::new();
        for (partition, frozen) in frozen {
            let sealed = match &frozen.sealed {
                Some(sealed) => Arc::clone(sealed),
                None => self.seal(bus, partition, &frozen).await?,
            };
            for (meta, part) in &*sealed {
                let path = part.path().ok_or_else(|| {
                    IndexError::Damaged("a sealed part has no file to store".to_owned())
                })?;
                self.storage.put(meta, path).await?;
            }
            let position = Position { bus, partition, next: frozen.range.next };
            let added: Vec<SplitMeta> = sealed.iter().map(|(meta, _)| meta.clone()).collect();
            self.db
                .publish(Publication {
                    added: added.clone(),
                    removed: Vec::new(),
                    position: Some(position),
                    purged: None,
                })
                .await?;
            let mut state = self.state();
            state.frozen.remove(&partition);
            state.register(added, &[]);
            self.show(&mut state);
            positions.push(position);
        }
        Ok(positions)
    }

    /// Makes one part of each tail of `frozen`, and says what they will be published as.
    async fn seal(
        &self,
        bus: BusId,
        partition: u32,
        frozen: &Frozen,
    ) -> Result<Arc<SealedParts>, IndexError> {
        let mut sealed = Vec::new();
        let mut tails = BTreeMap::new();
        for (commune, tail) in frozen.tails.iter().filter(|(_, tail)| !tail.is_empty()) {
            let part = self.seal_tail(commune, tail).await?;
            let id = SplitId::of(bus, commune, partition, frozen.range.first);
            sealed.push((meta_of(&part, id), Arc::clone(&part)));
            let one = Tail { parts: vec![part], hot: Vec::new(), hot_bytes: 0 };
            tails.insert(commune.clone(), one);
        }
        let sealed = Arc::new(sealed);
        let mut state = self.state();
        if let Some(frozen) = state.frozen.get_mut(&partition) {
            frozen.tails = tails;
            frozen.sealed = Some(Arc::clone(&sealed));
        }
        self.show(&mut state);
        Ok(sealed)
    }

    async fn seal_tail(&self, commune: &CommuneId, tail: &Tail) -> Result<Arc<Part>, IndexError> {
        let mut parts = tail.parts.clone();
        if !tail.hot.is_empty() {
            parts.extend(self.build_parts(commune, tail).await?);
        }
        if let [part] = &parts[..] {
            return Ok(Arc::clone(part));
        }
        let work_dir = self.config.work_dir.clone();
        let merged = tokio::task::spawn_blocking(move || Part::merge(&work_dir, &parts)).await??;
        Ok(Arc::new(merged))
    }
}

/// What `part` is registered as under `id`.
pub(super) fn meta_of(part: &Part, id: SplitId) -> SplitMeta {
    let (extent, sum) = (part.extent(), part.sum());
    SplitMeta {
        id,
        commune: part.commune().clone(),
        min_time: extent.min_time,
        max_time: extent.max_time,
        min_received: extent.min_received,
        max_received: extent.max_received,
        events: extent.events,
        raw_bytes: extent.raw_bytes,
        bytes: sum.bytes,
        crc32c: sum.crc32c,
        format_version: FORMAT_VERSION,
        sealed: Timestamp::now(),
    }
}
