//! Who is behind the matches that state keeps, each distinct set once.

use std::{
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    sync::Arc,
};

use event::{CommuneId, Entity};
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// The communes and entities of one match, or of a correlation that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Sorted.
    pub(super) communes: Vec<CommuneId>,
    /// Sorted.
    pub(super) entities: Vec<Entity>,
}

/// Origins by number. A number is given back as often as it was taken; then it is free again.
#[derive(Debug, Default)]
pub(super) struct Origins {
    numbers: HashTable<u32>,
    slots: Vec<Option<(Arc<Origin>, u32)>>,
    free: Vec<u32>,
}

/// The same for what is borrowed and what is kept.
fn hash(communes: &[CommuneId], entities: &[Entity]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    communes.hash(&mut hasher);
    entities.hash(&mut hasher);
    hasher.finish()
}

impl Origins {
    /// The number of these, taken once.
    pub(super) fn take(&mut self, communes: &[CommuneId], entities: &[Entity]) -> u32 {
        let hashed = hash(communes, entities);
        let same = |number: &u32| {
            self.get(*number).is_some_and(|o| o.communes == communes && o.entities == entities)
        };
        if let Some(number) = self.numbers.find(hashed, same).copied() {
            self.again(number);
            return number;
        }
        let origin = Arc::new(Origin { communes: communes.to_vec(), entities: entities.to_vec() });
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots[number as usize] = Some((origin, 1));
        let slots = &self.slots;
        self.numbers.insert_unique(hashed, number, |number| {
            let slot = slots.get(*number as usize).and_then(Option::as_ref);
            slot.map_or(0, |(origin, _)| hash(&origin.communes, &origin.entities))
        });
        number
    }

    /// Takes `number` once more.
    pub(super) fn again(&mut self, number: u32) {
        if let Some(Some((_, taken))) = self.slots.get_mut(number as usize) {
            *taken += 1;
        }
    }

    /// Gives `number` back once.
    pub(super) fn give_back(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        let Some((origin, taken)) = slot else { return };
        *taken -= 1;
        if *taken == 0 {
            let hashed = hash(&origin.communes, &origin.entities);
            if let Ok(found) = self.numbers.find_entry(hashed, |other| *other == number) {
                found.remove();
            }
            *slot = None;
            self.free.push(number);
        }
    }

    /// The origin of `number`.
    pub(super) fn get(&self, number: u32) -> Option<&Origin> {
        self.slots.get(number as usize)?.as_ref().map(|(origin, _)| &**origin)
    }

    /// Every origin with its number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Origin)> {
        (0..).zip(&self.slots).filter_map(|(number, slot)| Some((number, &*slot.as_ref()?.0)))
    }

    /// How many distinct ones there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_origins_share_a_number_until_none_needs_it() {
        let origin =
            |name: &str| Origin { communes: vec![CommuneId::new(name).unwrap()], entities: vec![] };
        let take = |origins: &mut Origins, name: &str| origins.take(&origin(name).communes, &[]);
        let mut origins = Origins::default();
        let a = take(&mut origins, "a");
        let b = take(&mut origins, "b");
        assert_eq!(take(&mut origins, "a"), a);
        origins.give_back(a);
        assert_eq!(origins.get(a), Some(&origin("a")));
        origins.give_back(a);
        assert_eq!((origins.get(a), origins.len()), (None, 1));
        assert_eq!(take(&mut origins, "c"), a);
        assert_eq!(origins.get(b), Some(&origin("b")));
    }
}
