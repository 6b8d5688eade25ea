//! A vendor's own names.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;

use crate::{FeedId, FieldId};

type Ids = HashMap<&'static str, FieldId, RandomState>;

/// A prefix under which a decoder keeps a vendor's own keys, e.g. `winlog.event_data`, with
/// the ids of the keys that it has seen.
///
/// Reading takes no lock: ids are looked up in a published copy, which is made anew after as
/// many misses as a copy costs. Invariant: `published` is a part of `all`, and `all` of the
/// table of fields, so every answer is the table's.
pub struct Namespace {
    prefix: &'static str,
    published: ArcSwap<Ids>,
    all: RwLock<Ids>,
    misses: AtomicUsize,
}

/// The ids of a [`Namespace`], for looking many keys up.
pub struct Names<'n> {
    namespace: &'n Namespace,
    published: Guard<std::sync::Arc<Ids>>,
}

impl Names<'_> {
    /// The namespace's prefix, without the last dot.
    pub fn prefix(&self) -> &'static str {
        self.namespace.prefix
    }

    /// The id of `prefix.key`, where the table has it.
    pub fn known(&self, key: &str) -> Option<FieldId> {
        match self.published.get(key) {
            Some(id) => Some(*id),
            None if self.prefix().is_empty() => FieldId::lookup(key),
            None => FieldId::lookup(&format!("{}.{key}", self.prefix())),
        }
    }

    /// The id of `prefix.key`, new names being charged to `feed`; `None` as in
    /// [`FieldId::intern_for`].
    #[inline]
    pub fn field_for(&self, feed: &FeedId, key: &str) -> Option<FieldId> {
        match self.published.get(key) {
            Some(id) => Some(*id),
            None => self.namespace.find(Some(feed), key),
        }
    }
}

impl Namespace {
    /// A namespace; `prefix` without the last dot, or empty for names without one.
    pub fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            published: ArcSwap::default(),
            all: RwLock::default(),
            misses: AtomicUsize::new(0),
        }
    }

    /// The prefix, without the last dot.
    pub fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The ids, for looking many keys up.
    #[inline]
    pub fn names(&self) -> Names<'_> {
        Names { namespace: self, published: self.published.load() }
    }

    /// The id of `prefix.key`; `None` as in [`FieldId::intern`].
    pub fn field(&self, key: &str) -> Option<FieldId> {
        match self.published.load().get(key) {
            Some(id) => Some(*id),
            None => self.find(None, key),
        }
    }

    /// The same for a key that `feed` brings; `None` as in [`FieldId::intern_for`].
    pub fn field_for(&self, feed: &FeedId, key: &str) -> Option<FieldId> {
        self.names().field_for(feed, key)
    }

    /// The id of a key that is not published.
    fn find(&self, feed: Option<&FeedId>, key: &str) -> Option<FieldId> {
        let known = self.all.read().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        if known.is_some() {
            self.missed();
            return known;
        }
        let joined;
        let (name, skip) = match self.prefix {
            "" => (key, 0),
            prefix => {
                joined = format!("{prefix}.{key}");
                (joined.as_str(), prefix.len() + 1)
            }
        };
        let id = match feed {
            Some(feed) => FieldId::intern_for(feed, name)?,
            None => FieldId::intern(name)?,
        };
        // The name that the table keeps is the prefix, a dot and the key.
        let key = id.name().get(skip..)?;
        self.all.write().unwrap_or_else(PoisonError::into_inner).insert(key, id);
        self.missed();
        Some(id)
    }

    /// Publishes a copy of all ids where enough have been missed for it to pay.
    fn missed(&self) {
        let misses = self.misses.fetch_add(1, Ordering::Relaxed);
        if misses >= self.published.load().len() / 4 {
            self.misses.store(0, Ordering::Relaxed);
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner).clone();
            self.published.store(all.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_ids_of_their_names() {
        let namespace = Namespace::new("vendor.thing");
        let feed = FeedId::new("vendor-feed").unwrap();
        let bare = Namespace::new("");
        for _ in 0..3 {
            for n in 0..500 {
                let key = format!("Key{n}.of");
                let id = match n % 2 {
                    0 => namespace.field(&key).unwrap(),
                    _ => namespace.field_for(&feed, &key).unwrap(),
                };
                assert_eq!(id.name(), format!("vendor.thing.{key}"));
                assert_eq!(bare.field(id.name()), Some(id));
            }
        }
        assert!(namespace.published.load().len() >= 400, "most are found without a lock");
        assert_eq!(namespace.field("a\nb"), None);
        assert_eq!(namespace.field_for(&feed, &"a".repeat(300)), None);
    }
}
