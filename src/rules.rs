//! The rules in use: those that come with the program and the configuration's.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use detect::{Loaded, Ruleset};

/// The files of `rules/`, as path and text.
const BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));

/// The rules that come with the program.
pub(crate) fn builtin() -> Loaded {
    let mut all = Loaded::default();
    for (path, text) in BUILTIN {
        let loaded = detect::parse(text, Path::new(path));
        all.rules.extend(loaded.rules);
        all.refused.extend(loaded.refused);
        all.warnings.extend(loaded.warnings);
    }
    all
}

/// The rules of `paths`, after the built-in ones where `with_builtin`. A rule of `paths` goes
/// before a built-in one of the same id.
pub(crate) fn load(with_builtin: bool, paths: &[PathBuf]) -> Loaded {
    let mut all = if paths.is_empty() { Loaded::default() } else { detect::load(paths) };
    if with_builtin {
        let builtin = builtin();
        all.refused.extend(builtin.refused);
        all.warnings.extend(builtin.warnings);
        for rule in builtin.rules {
            if !all.rules.iter().any(|other| other.id() == rule.id()) {
                all.rules.push(rule);
            }
        }
    }
    all
}

/// The rules that loaded, compiled, and what did not.
pub(crate) fn compile(with_builtin: bool, paths: &[PathBuf]) -> Ruleset {
    Ruleset::compile(load(with_builtin, paths))
}

/// The ruleset in force, which every part of the process takes from here and keeps for as long
/// as what it does must be of one piece: the detect stage for a batch, the API for an answer.
pub(crate) struct InForce(ArcSwap<Ruleset>);

impl InForce {
    pub(crate) fn new(ruleset: Ruleset) -> Self {
        Self(ArcSwap::from_pointee(ruleset))
    }

    /// The one in force now.
    pub(crate) fn now(&self) -> Arc<Ruleset> {
        self.0.load_full()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_builtin_rule_loads() {
        let loaded = super::builtin();
        let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused, Vec::<String>::new());
        assert!(loaded.rules.len() >= 20, "{}", loaded.rules.len());
    }
}
