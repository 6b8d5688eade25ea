//! Whose objects a caller may read.

use std::{collections::BTreeSet, sync::Arc};

use event::CommuneId;

/// The communes that a caller may read. It can be narrowed but not widened, and made only by
/// [`crate::auth`]: from a token, or for the operator who holds the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(Communes);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Communes {
    All,
    Only(Arc<BTreeSet<CommuneId>>),
}

impl Scope {
    /// Every commune, for the SOC.
    pub(crate) fn all() -> Self {
        Self(Communes::All)
    }

    /// These communes and no other.
    pub(crate) fn only(communes: impl IntoIterator<Item = CommuneId>) -> Self {
        Self(Communes::Only(Arc::new(communes.into_iter().collect())))
    }

    /// Whether objects of `commune` may be read.
    pub fn allows(&self, commune: &CommuneId) -> bool {
        match &self.0 {
            Communes::All => true,
            Communes::Only(communes) => communes.contains(commune),
        }
    }

    /// The communes, where they are bounded; `None` means all there are.
    pub fn communes(&self) -> Option<&BTreeSet<CommuneId>> {
        match &self.0 {
            Communes::All => None,
            Communes::Only(communes) => Some(communes),
        }
    }

    /// Whether it spans every commune.
    pub fn is_all(&self) -> bool {
        matches!(self.0, Communes::All)
    }

    /// This scope cut down to `commune`; it allows nothing where `commune` was not in it.
    #[must_use]
    pub fn narrowed(&self, commune: &CommuneId) -> Self {
        if self.allows(commune) { Self::only([commune.clone()]) } else { Self::only([]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_never_widens() {
        let dijon = CommuneId::new("dijon").unwrap();
        let talant = CommuneId::new("talant").unwrap();
        let scope = Scope::only([dijon.clone()]);
        assert!(!scope.narrowed(&talant).allows(&talant));
        assert!(!scope.narrowed(&talant).allows(&dijon));
        assert!(Scope::all().narrowed(&talant).allows(&talant));
        assert!(!Scope::all().narrowed(&talant).allows(&dijon));
    }
}
