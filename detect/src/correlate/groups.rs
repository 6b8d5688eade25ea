//! The groups of one correlation: a hash table of places in a slab.
//!
//! The table holds four bytes a group and the slab the rest, in blocks, so that growing never
//! copies the groups. A hand goes round the slab: it clears groups whose window has long passed,
//! and where a group has to go to make room, it takes the longest untouched of the next few.
//! Everything depends on the matches alone, so a restored table goes on as the first would have.

use hashbrown::HashTable;

use super::{
    compile::Compiled,
    origin::Origins,
    state::{Entry, State},
};

/// Groups in a block of the slab.
const BLOCK: usize = 1 << 12;
/// Groups among which the one to evict is chosen.
const CHOICE: usize = 8;

/// One group of a correlation.
#[derive(Debug)]
pub(super) struct Group {
    /// Hash of the commune and the values that the group has in common.
    pub(super) key: [u64; 2],
    /// It does not fire again before, in nanoseconds.
    pub(super) quiet_until: i64,
    /// The clock when its last match came.
    pub(super) touched: i64,
    pub(super) state: State,
}

/// The groups of one correlation.
#[derive(Debug, Default)]
pub(super) struct Groups {
    table: HashTable<u32>,
    blocks: Vec<Vec<Option<Group>>>,
    /// Places without group, the last freed last.
    free: Vec<u32>,
    hand: u32,
}

impl Groups {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn slots(&self) -> usize {
        match self.blocks.split_last() {
            Some((last, full)) => full.len() * BLOCK + last.len(),
            None => 0,
        }
    }

    fn slot(&self, place: u32) -> Option<&Option<Group>> {
        self.blocks.get(place as usize / BLOCK)?.get(place as usize % BLOCK)
    }

    fn slot_mut(&mut self, place: u32) -> Option<&mut Option<Group>> {
        self.blocks.get_mut(place as usize / BLOCK)?.get_mut(place as usize % BLOCK)
    }

    fn at(blocks: &[Vec<Option<Group>>], place: u32) -> Option<&Group> {
        blocks.get(place as usize / BLOCK)?.get(place as usize % BLOCK)?.as_ref()
    }

    pub(super) fn find(&self, key: [u64; 2]) -> Option<u32> {
        let same = |place: &u32| Self::at(&self.blocks, *place).is_some_and(|g| g.key == key);
        self.table.find(key[0], same).copied()
    }

    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Group> {
        self.slot_mut(place)?.as_mut()
    }

    /// When the newest match of the group happened.
    pub(super) fn newest(&self, place: u32) -> Option<i64> {
        Some(Self::at(&self.blocks, place)?.state.newest())
    }

    /// Adds a group whose key is not there.
    pub(super) fn add(&mut self, group: Group) -> u32 {
        let key = group.key;
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(slot) = self.slot_mut(place) {
                    *slot = Some(group);
                }
                place
            }
            None => self.push(Some(group)),
        };
        let blocks = &self.blocks;
        self.table.insert_unique(key[0], place, |place| {
            Self::at(blocks, *place).map_or(0, |group| group.key[0])
        });
        place
    }

    fn push(&mut self, slot: Option<Group>) -> u32 {
        let place = u32::try_from(self.slots()).unwrap_or(u32::MAX);
        match self.blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(slot),
            _ => {
                // The first block grows as it fills; few correlations have many groups.
                let capacity = if self.blocks.is_empty() { 1 } else { BLOCK };
                let mut block = Vec::with_capacity(capacity);
                block.push(slot);
                self.blocks.push(block);
            }
        }
        place
    }

    fn remove(&mut self, place: u32, origins: &mut Origins) {
        let Some(mut group) = self.slot_mut(place).and_then(Option::take) else { return };
        group.state.release(origins);
        if let Ok(found) = self.table.find_entry(group.key[0], |other| *other == place) {
            found.remove();
        }
        self.free.push(place);
    }

    fn step(&mut self) -> u32 {
        let place = self.hand;
        self.hand = if place as usize + 1 >= self.slots() { 0 } else { place + 1 };
        place
    }

    /// Moves the hand over `steps` places and clears the groups that were last touched before
    /// `before`; how many.
    pub(super) fn sweep(&mut self, steps: usize, before: i64, origins: &mut Origins) -> usize {
        let mut cleared = 0;
        for _ in 0..steps.min(self.slots()) {
            let place = self.step();
            let passed =
                self.slot(place).and_then(Option::as_ref).is_some_and(|g| g.touched < before);
            if passed {
                self.remove(place, origins);
                cleared += 1;
            }
        }
        cleared
    }

    /// Removes the longest untouched of the next few groups; whether there was one.
    pub(super) fn evict(&mut self, origins: &mut Origins) -> bool {
        let mut oldest: Option<(i64, u32)> = None;
        let mut seen = 0;
        for _ in 0..self.slots() {
            let place = self.step();
            let Some(group) = Self::at(&self.blocks, place) else { continue };
            if oldest.is_none_or(|(touched, _)| group.touched < touched) {
                oldest = Some((group.touched, place));
            }
            seen += 1;
            if seen == CHOICE {
                break;
            }
        }
        let Some((_, place)) = oldest else { return false };
        self.remove(place, origins);
        true
    }

    /// Gives all origins back before the groups are dropped.
    pub(super) fn release(&mut self, origins: &mut Origins) {
        for group in self.blocks.iter_mut().flatten().flatten() {
            group.state.release(origins);
        }
    }

    /// Every slot in order, the free places, and the hand: what a snapshot keeps.
    pub(super) fn parts(&self) -> (usize, impl Iterator<Item = Option<&Group>>, &[u32], u32) {
        let slots = self.blocks.iter().flatten().map(Option::as_ref);
        (self.slots(), slots, &self.free, self.hand)
    }

    /// The reverse of [`parts`](Self::parts); `None` where they do not fit together.
    pub(super) fn restore(
        slots: impl Iterator<Item = Option<Group>>,
        free: Vec<u32>,
        hand: u32,
    ) -> Option<Self> {
        let mut groups = Self::default();
        for slot in slots {
            let key = slot.as_ref().map(|group| group.key);
            let place = groups.push(slot);
            let Some(key) = key else { continue };
            let blocks = &groups.blocks;
            groups.table.insert_unique(key[0], place, |place| {
                Self::at(blocks, *place).map_or(0, |group| group.key[0])
            });
        }
        let vacant = groups.slots() - groups.table.len();
        let fits = free.len() == vacant
            && free.iter().all(|place| groups.slot(*place).is_some_and(Option::is_none))
            && (hand as usize) < groups.slots().max(1);
        groups.free = free;
        groups.hand = hand;
        fits.then_some(groups)
    }
}

impl Group {
    pub(super) fn new(key: [u64; 2], rule: &Compiled) -> Self {
        Self { key, quiet_until: i64::MIN, touched: i64::MIN, state: State::new(rule) }
    }

    /// Adds a match to it; see [`State::insert`].
    pub(super) fn insert(
        &mut self,
        entry: Entry,
        rule: &Compiled,
        entries_max: usize,
        clock: i64,
        origins: &mut Origins,
    ) -> super::state::Insert {
        self.touched = self.touched.max(clock);
        self.state.insert(entry, rule, entries_max.max(rule.entries_min), origins)
    }
}
