//! The rules in force: those that come with the program and the configuration's.

mod keeper;
mod told;
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use detect::{Loaded, Placeholders, Refusal, RuleFiles, Ruleset, indicators::IndicatorSet};

use crate::config;

pub(crate) use keeper::Keeper;
pub(crate) use told::about;
pub(crate) use watch::watch;

/// The files of `rules/`, as path and text.
const BUILTIN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/builtin_rules.rs"));

/// Values for the placeholders of rules: of each file `<name>.txt` in `folder` the lines. What
/// cannot be used is refused, and with it, one by one, the rules that need it.
pub(crate) fn placeholders(folder: Option<&Path>) -> (Placeholders, Vec<Refusal>) {
    let (mut lists, mut refused) = (Placeholders::new(), Vec::new());
    let Some(folder) = folder else { return (lists, refused) };
    let mut refuse = |path: &Path, reason: String| {
        let path = path.to_owned();
        refused.push(Refusal { path, line: 0, rule_id: None, title: None, reason });
    };
    let mut files = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>(),
        Err(error) => {
            refuse(folder, format!("cannot be listed: {error}"));
            return (lists, refused);
        }
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    for path in files {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let read =
            std::fs::read_to_string(&path).map_err(|error| format!("cannot be read: {error}"));
        let taken = read.and_then(|text| {
            lists.insert(name, Placeholders::lines(&text)).map_err(|error| error.to_string())
        });
        if let Err(reason) = taken {
            refuse(&path, reason);
        }
    }
    (lists, refused)
}

/// What is in the files of `config` now, and what to remember of it.
fn reread(config: &config::Rules, files: &RuleFiles) -> (Loaded, RuleFiles) {
    let (placeholders, refused) = placeholders(config.placeholders.as_deref());
    let (mut loaded, files) = files.reread(&config.paths, builtin(config.builtin), &placeholders);
    loaded.refused.splice(0..0, refused);
    (loaded, files)
}

/// What to read besides the files.
fn builtin(wanted: bool) -> &'static [(&'static str, &'static str)] {
    if wanted { BUILTIN } else { &[] }
}

/// The rules of `paths`, and the built-in ones where `with_builtin`. A rule of `paths` goes
/// before a built-in one of the same id; filters of `paths` apply to both.
pub(crate) fn load(with_builtin: bool, paths: &[PathBuf]) -> Loaded {
    let config =
        config::Rules { builtin: with_builtin, paths: paths.to_vec(), ..config::Rules::default() };
    load_as(&config)
}

/// The rules that `config` names, with its values for placeholders.
pub(crate) fn load_as(config: &config::Rules) -> Loaded {
    reread(config, &RuleFiles::default()).0
}

/// The rules that loaded, compiled, and what did not.
pub(crate) fn compile(with_builtin: bool, paths: &[PathBuf]) -> Ruleset {
    Ruleset::compile(load(with_builtin, paths))
}

/// The ruleset in force, which every part of the process takes from here and keeps for as long
/// as what it does must be of one piece: the detect stage for a batch, the API for an answer.
pub(crate) struct InForce {
    ruleset: ArcSwap<Ruleset>,
    /// Exchanged by itself, as its sources are refreshed; [`now`](Self::now) joins the two.
    indicators: ArcSwap<IndicatorSet>,
}

impl InForce {
    pub(crate) fn new(ruleset: Ruleset) -> Self {
        Self { ruleset: ArcSwap::from_pointee(ruleset), indicators: ArcSwap::default() }
    }

    /// The one in force now.
    pub(crate) fn now(&self) -> Arc<Ruleset> {
        let indicators = self.indicators.load_full();
        Arc::new(self.ruleset.load().with_indicators(indicators))
    }

    /// The indicators in force now.
    pub(crate) fn indicators(&self) -> Arc<IndicatorSet> {
        self.indicators.load_full()
    }

    /// Puts indicators in force, whatever the rules.
    pub(crate) fn put_indicators(&self, indicators: Arc<IndicatorSet>) {
        self.indicators.store(indicators);
    }

    /// Puts `ruleset` in force. Only the [`Keeper`] does, one change after the other.
    fn put(&self, ruleset: Ruleset) {
        self.ruleset.store(Arc::new(ruleset));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_builtin_rule_loads() {
        let loaded = super::load(true, &[]);
        let refused: Vec<String> = loaded.refused.iter().map(ToString::to_string).collect();
        assert_eq!(refused, Vec::<String>::new());
        assert!(loaded.rules.len() >= 20, "{}", loaded.rules.len());
    }
}
