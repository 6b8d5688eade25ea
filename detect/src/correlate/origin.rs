//! Who is behind the matches that state keeps, each distinct set once.

use std::{collections::HashMap, sync::Arc};

use event::{CommuneId, Entity};

/// The communes and entities of one match, or of a correlation that fired.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// Sorted.
    pub(super) communes: Vec<CommuneId>,
    /// Sorted.
    pub(super) entities: Vec<Entity>,
}

/// Origins by number. A number is given back as often as it was taken; then it is free again.
#[derive(Debug, Default)]
pub(super) struct Origins {
    numbers: HashMap<Arc<Origin>, u32>,
    slots: Vec<Option<(Arc<Origin>, u32)>>,
    free: Vec<u32>,
}

impl Origins {
    /// The number of `origin`, taken once.
    pub(super) fn take(&mut self, origin: Origin) -> u32 {
        if let Some(number) = self.numbers.get(&origin) {
            let number = *number;
            self.again(number);
            return number;
        }
        let origin = Arc::new(origin);
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        self.slots[number as usize] = Some((Arc::clone(&origin), 1));
        self.numbers.insert(origin, number);
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
            self.numbers.remove(origin);
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
        let mut origins = Origins::default();
        let a = origins.take(origin("a"));
        let b = origins.take(origin("b"));
        assert_eq!(origins.take(origin("a")), a);
        origins.give_back(a);
        assert_eq!(origins.get(a), Some(&origin("a")));
        origins.give_back(a);
        assert_eq!((origins.get(a), origins.len()), (None, 1));
        assert_eq!(origins.take(origin("c")), a);
        assert_eq!(origins.get(b), Some(&origin("b")));
    }
}
