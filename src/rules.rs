//! The rules in use: those that come with the program and the configuration's.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use detect::{Engine, Loaded, Refusal};

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

/// An engine of the rules that loaded, and what did not.
pub(crate) fn engine(with_builtin: bool, paths: &[PathBuf]) -> (Arc<Engine>, Vec<Refusal>) {
    let loaded = load(with_builtin, paths);
    (Arc::new(Engine::new(loaded.rules)), loaded.refused)
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
