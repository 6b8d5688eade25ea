//! Indicators of compromise in this process: what is kept of each source, compiled and put in
//! force, refreshed, and shown.

mod compile;
mod import;
mod refresh;
mod show;
mod source;
mod status;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use detect::indicators::{AllowList, IndicatorSet};
use ingest::intel::{Keeper, Version};

pub(crate) use compile::of_files;
pub(crate) use import::{ImportSettings, import, told};
pub(crate) use refresh::{fetch_each, watch};

use self::{source::Configured, status::Board};
use crate::{config::Config, metrics::Metrics, rules::InForce};

/// The folder of indicators in the data folder.
pub(crate) fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("indicators")
}

/// Everything about indicators that a process shares.
pub(crate) struct Indicators {
    keeper: Keeper,
    sources: Vec<Configured>,
    allow: AllowSources,
    in_force: Arc<InForce>,
    board: Board,
    /// What the compiled set was made of; `None` before the first.
    compiled: Mutex<Option<Vec<(event::IndicatorSourceId, Version)>>>,
    metrics: Arc<Metrics>,
}

/// Where the values come from that are never a hit.
struct AllowSources {
    values: Vec<String>,
    files: Vec<PathBuf>,
}

impl Indicators {
    /// Opens the folder. Nothing is fetched or compiled.
    pub(crate) fn open(
        config: &Config,
        in_force: Arc<InForce>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let of = &config.indicators;
        let keeper = Keeper::open(folder(&config.data_dir), of.indicators_max)
            .context("failed to open the folder of indicators")?;
        let sources = of.sources.iter().map(Configured::new).collect::<Result<_, _>>()?;
        let allow = AllowSources { values: of.allow.clone(), files: of.allow_files.clone() };
        let (board, compiled) = (Board::default(), Mutex::default());
        Ok(Self { keeper, sources, allow, in_force, board, compiled, metrics })
    }

    /// The set in force, compiled of what is kept where that was not done yet. Blocks.
    pub(crate) fn set(&self) -> anyhow::Result<Arc<IndicatorSet>> {
        if self.compiled().is_none() {
            self.compile()?;
        }
        Ok(self.in_force.indicators())
    }

    /// Compiles what is kept, where that changed, and puts it in force. Blocks.
    pub(crate) fn compile(&self) -> anyhow::Result<()> {
        // Held all along, so that an older set never follows a newer one.
        let mut compiled = self.compiled();
        let now = self.keeper.sources()?;
        if compiled.as_ref() == Some(&now) {
            return Ok(());
        }
        let set = compile::of_kept(self, &now)?;
        tracing::info!(
            indicators = set.len(),
            sources = now.len(),
            bytes = set.memory_bytes(),
            "indicators are in force"
        );
        self.in_force.put_indicators(Arc::new(set));
        *compiled = Some(now);
        Ok(())
    }

    fn compiled(&self) -> MutexGuard<'_, Option<Vec<(event::IndicatorSourceId, Version)>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The values that are never a hit.
    fn allowed(&self) -> anyhow::Result<AllowList> {
        compile::allow_list(&self.allow.values, &self.allow.files)
    }
}
