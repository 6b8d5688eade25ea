//! A file taken in by hand.

use std::path::Path;

use anyhow::Context as _;
use detect::indicators::{IndicatorSet, Source};
use event::{CommuneId, Indicator, IndicatorSourceId, Level, Timestamp};
use ingest::intel::{
    Draft, Keeper, Kept, KeptRefusal, Options, Outcome, Refused, Shape, Sink, read,
};
use serde::{Deserialize, Serialize};

/// How what was imported is matched; kept beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImportSettings {
    /// The level of its hits; by confidence where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<Level>,
    /// Whether `evil.example` covers `www.evil.example`.
    #[serde(default)]
    pub(crate) subdomains: bool,
    /// Only events of these communes; of all where it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) communes: Vec<CommuneId>,
}

impl ImportSettings {
    /// As they were kept; an import whose settings can't be read is for nobody.
    pub(super) fn of(kept: &serde_json::Value) -> Self {
        serde_json::from_value(kept.clone()).unwrap_or_else(|error| {
            tracing::error!(%error, "the settings of an import can't be read; import it again");
            let nobody = CommuneId::new("none").into_iter().collect();
            Self { level: None, subdomains: false, communes: nobody }
        })
    }

    pub(super) fn matching(&self, name: &IndicatorSourceId) -> Source {
        Source {
            name: name.clone(),
            level: self.level,
            subdomains: self.subdomains,
            communes: Some(self.communes.clone()).filter(|communes| !communes.is_empty()),
        }
    }
}

/// A source's name made of a file's.
pub(super) fn name_of(path: &Path) -> IndicatorSourceId {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
    let slug: String = stem
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(60)
        .collect();
    IndicatorSourceId::new(slug.trim_matches('-'))
        .or_else(|_| IndicatorSourceId::new("file"))
        .expect("a constant slug is valid")
}

/// Reads `path` and keeps it as `source`'s word, beside what it said before where `add` is set.
/// Every value is tried, so that what is of no use is said now, with the reason. Returns what is
/// kept.
pub(crate) fn import(
    keeper: &Keeper,
    source: &IndicatorSourceId,
    path: &Path,
    (shape, options): (Option<Shape>, &Options),
    settings: &ImportSettings,
    add: bool,
) -> anyhow::Result<Kept> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mut draft = keeper.draft()?;
    let mut sink = Checked { draft: &mut draft, number: 0 };
    read(shape.unwrap_or_else(|| Shape::of(&bytes)), &bytes, options, &mut sink)
        .with_context(|| path.display().to_string())?;
    let before = if add { keeper.about(source)? } else { None };
    let kept = Kept { import: Some(serde_json::to_value(settings)?), ..before.unwrap_or_default() };
    let outcome = if add { Outcome::Changes } else { Outcome::Whole };
    Ok(keeper.commit(source, &mut draft, outcome, kept, Timestamp::now())?)
}

/// Gives a draft what can be used.
struct Checked<'a> {
    draft: &'a mut Draft,
    number: u64,
}

impl Sink for Checked<'_> {
    fn indicator(&mut self, group: Option<&str>, indicator: Indicator) {
        self.number += 1;
        let mut builder = IndicatorSet::builder();
        let tried = builder.source(Source::new(name_of(Path::new("import"))));
        match tried.and_then(|id| builder.add(id, &indicator)) {
            Ok(()) => self.draft.indicator(group, indicator),
            Err(error) => {
                let place = indicator.id.unwrap_or_else(|| format!("indicator {}", self.number));
                self.draft.refused(Refused { place, reason: error.to_string() });
            }
        }
    }

    fn refused(&mut self, refused: Refused) {
        self.draft.refused(refused);
    }

    fn withdrawn(&mut self, group: &str) {
        self.draft.withdrawn(group);
    }

    fn page(&mut self) {
        self.draft.page();
    }
}

/// A refusal as it is printed.
pub(crate) fn told(refused: &KeptRefusal) -> String {
    format!("{}: {}", refused.place, refused.reason)
}
