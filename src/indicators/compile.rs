//! From what is kept to what is in force.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use detect::indicators::{AllowList, IndicatorSet, IndicatorSetBuilder, Source, SourceId};
use event::{Indicator, IndicatorSourceId};
use ingest::intel::{Options, Refused, Shape, Sink, Version, guess, read};

use super::{Indicators, import::ImportSettings};

/// Compiles what is kept of `sources`. What is damaged is said and left out; its neighbours stay.
pub(super) fn of_kept(
    all: &Indicators,
    sources: &[(IndicatorSourceId, Version)],
) -> anyhow::Result<IndicatorSet> {
    let mut builder = IndicatorSet::builder();
    builder.allow(all.allowed()?);
    // Those of sources that are gone go, too.
    all.metrics.indicators.reset();
    all.metrics.indicators_refused.reset();
    for (name, _) in sources {
        let about = match all.keeper.about(name) {
            Ok(Some(about)) => about,
            Ok(None) => continue,
            Err(error) => {
                tracing::error!(source = %name, %error, "indicators can't be read; going on without them");
                all.board.failed(name, &error.to_string());
                continue;
            }
        };
        let configured = all.sources.iter().find(|source| source.name == *name);
        let matching = match (configured, &about.import) {
            (Some(source), _) => source.matching.clone(),
            (None, Some(import)) => ImportSettings::of(import).matching(name),
            // A source that was configured once; nobody asks it any more.
            (None, None) => continue,
        };
        let id = builder.source(matching)?;
        let mut unusable = 0_u64;
        let read = all.keeper.read(name, &mut |indicator| {
            unusable += u64::from(builder.add(id, &indicator).is_err());
        });
        if let Err(error) = read {
            tracing::error!(source = %name, %error, "indicators broke off; going on with what came");
            all.board.failed(name, &error.to_string());
            continue;
        }
        all.board.compiled(name, &about, unusable);
        let label = [name.as_str()];
        let held = about.indicators.saturating_sub(unusable);
        all.metrics.indicators.with_label_values(&label).set(held.try_into().unwrap_or(i64::MAX));
        let refused = about.refused_total + unusable;
        all.metrics
            .indicators_refused
            .with_label_values(&label)
            .set(refused.try_into().unwrap_or(i64::MAX));
    }
    Ok(builder.build())
}

/// The values that are never a hit: the built-in ones, `values`, and those of `files`.
pub(super) fn allow_list(values: &[String], files: &[PathBuf]) -> anyhow::Result<AllowList> {
    let mut list = AllowList::builtin();
    for value in values {
        let kind = guess(value).with_context(|| {
            format!("indicators.allow: {value:?} is of no type that can be told")
        })?;
        list.add(kind, value).with_context(|| format!("indicators.allow: {value:?}"))?;
    }
    for path in files {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let mut sink = Allowing { list: &mut list, refused: None };
        read(Shape::of(&bytes), &bytes, &Options::every_type(), &mut sink)
            .with_context(|| path.display().to_string())?;
        if let Some(Refused { place, reason }) = sink.refused {
            anyhow::bail!("{}: {place}: {reason}", path.display());
        }
    }
    Ok(list)
}

struct Allowing<'a> {
    list: &'a mut AllowList,
    refused: Option<Refused>,
}

impl Sink for Allowing<'_> {
    fn indicator(&mut self, _: Option<&str>, indicator: Indicator) {
        if let Err(error) = self.list.add(indicator.kind, &indicator.value) {
            self.refused(Refused { place: indicator.value, reason: error.to_string() });
        }
    }

    fn refused(&mut self, refused: Refused) {
        self.refused.get_or_insert(refused);
    }

    fn withdrawn(&mut self, _: &str) {}
}

/// A set of files, each a source of its own named after it, for commands without a server; with
/// it what is of no use, as `file: place: reason`.
pub(crate) fn of_files(paths: &[PathBuf]) -> anyhow::Result<(Arc<IndicatorSet>, Vec<String>)> {
    let mut builder = IndicatorSet::builder();
    builder.allow(AllowList::builtin());
    let mut refused = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let id = builder.source(Source::new(super::import::name_of(path)))?;
        let mut sink = Taking {
            builder: &mut builder,
            id,
            path: path.display().to_string(),
            refused: &mut refused,
        };
        read(Shape::of(&bytes), &bytes, &Options::default(), &mut sink)
            .with_context(|| path.display().to_string())?;
    }
    Ok((Arc::new(builder.build()), refused))
}

struct Taking<'a> {
    builder: &'a mut IndicatorSetBuilder,
    id: SourceId,
    path: String,
    refused: &'a mut Vec<String>,
}

impl Sink for Taking<'_> {
    fn indicator(&mut self, _: Option<&str>, indicator: Indicator) {
        if let Err(error) = self.builder.add(self.id, &indicator) {
            self.refused.push(format!("{}: {error}", self.path));
        }
    }

    fn refused(&mut self, refused: Refused) {
        self.refused.push(format!("{}: {}: {}", self.path, refused.place, refused.reason));
    }

    fn withdrawn(&mut self, _: &str) {}
}
