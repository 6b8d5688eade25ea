//! Who changes the ruleset in force, one change after the other.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context as _;
use api::Reload;
use detect::{Effect, ExceptionSource, Policies, PolicySource, RuleFiles, Ruleset, Selector};
use event::Timestamp;
use store::db::{Database, RuleCause, RuleEffect, RulePolicy, RuleText};
use tokio::sync::Mutex;

use super::{
    InForce, placeholders, reread,
    told::{self, Difference},
    watch::Fingerprint,
};
use crate::{config, metrics::Metrics, print::safe};

/// Reads rule files and policies and puts in force what they hold. Rules are compiled aside, on a
/// thread of their own; what is in force meanwhile stays so until the new set is whole, and for
/// good where it does not become so.
pub(crate) struct Keeper {
    in_force: Arc<InForce>,
    config: config::Rules,
    db: Arc<dyn Database>,
    metrics: Arc<Metrics>,
    /// Held over each change, so that two never mix.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: RuleFiles,
    /// Of the files as they were when they were read.
    fingerprint: Fingerprint,
    policies: Vec<RulePolicy>,
    /// Whether changes are written into the history: not where a command only looks around.
    is_serving: bool,
}

impl Keeper {
    /// Reads everything for the first time. Rules whose files became bad while no centre ran go
    /// on as the database has them.
    pub(crate) async fn open(
        config: config::Rules,
        db: Arc<dyn Database>,
        metrics: Arc<Metrics>,
        is_serving: bool,
    ) -> anyhow::Result<Arc<Self>> {
        let remembered =
            db.rules_in_force().await.context("failed to read which rules were in force")?;
        let remembered: Vec<(PathBuf, String)> =
            remembered.into_iter().map(|rule| (rule.path.into(), rule.text)).collect();
        let policies = db.rule_policies().await.context("failed to read the rule policies")?;
        let (of_files, sources) = (config.clone(), sources(&policies));
        let (ruleset, files, fingerprint) = aside(move || {
            let fingerprint = Fingerprint::of(&of_files);
            let (lists, _) = placeholders(of_files.placeholders.as_deref());
            let files = RuleFiles::remembered(&remembered, &lists);
            let (loaded, files) = reread(&of_files, &files);
            (with_policies(&Ruleset::compile(loaded), sources), files, fingerprint)
        })
        .await?;
        let keeper = Self {
            in_force: Arc::new(InForce::new(ruleset)),
            config,
            db,
            metrics,
            state: Mutex::new(State { files, fingerprint, policies, is_serving }),
        };
        let ruleset = keeper.in_force.now();
        if is_serving {
            keeper.remember(&ruleset, RuleCause::Start, "serve").await?;
            tell(&ruleset);
        }
        keeper.count(&ruleset);
        Ok(Arc::new(keeper))
    }

    /// The ruleset in force, for whoever works with it.
    pub(crate) fn in_force(&self) -> &Arc<InForce> {
        &self.in_force
    }

    /// Reads the rule files anew. Where that changes nothing, nothing changes; where it fails,
    /// neither.
    pub(crate) async fn reload(&self, cause: RuleCause, by: &str) -> anyhow::Result<Reload> {
        let mut state = self.state.lock().await;
        let done = self.reload_in(&mut state, cause, by).await;
        let outcome = match &done {
            Err(_) => "failed",
            Ok((_, true)) => "changed",
            Ok((_, false)) => "unchanged",
        };
        self.metrics.rules_reloads.with_label_values(&[cause.as_str(), outcome]).inc();
        done.map(|(reload, _)| reload)
    }

    async fn reload_in(
        &self,
        state: &mut State,
        cause: RuleCause,
        by: &str,
    ) -> anyhow::Result<(Reload, bool)> {
        let started = Instant::now();
        let config = self.config.clone();
        let (files, sources) = (state.files.clone(), sources(&state.policies));
        let (ruleset, files, fingerprint) = aside(move || {
            // Taken first: what changes while we read is seen as a change the next time.
            let fingerprint = Fingerprint::of(&config);
            let (loaded, files) = reread(&config, &files);
            (with_policies(&Ruleset::compile(loaded), sources), files, fingerprint)
        })
        .await?;
        let before = self.in_force.now();
        let ruleset = ruleset.with_indicators(Arc::clone(before.indicators()));
        let difference = Difference::between(&before, &ruleset);
        let news = ruleset.refused() != before.refused() || ruleset.kept() != before.kept();
        let correlations = !ruleset.correlations().is_same(before.correlations());
        let is_changed = !difference.is_none() || difference.moved || news || correlations;
        if state.is_serving && (!difference.is_none() || difference.moved) {
            // Written first: a rule that is in force without a record of it could not be
            // accounted for, while a record of a rule that a crash kept from being in force is
            // true from the next start on.
            self.remember(&ruleset, cause, by).await?;
        }
        if is_changed {
            self.count(&ruleset);
            self.in_force.put(ruleset.clone());
            tracing::info!(
                cause = cause.as_str(),
                by,
                rules = ruleset.entries().len(),
                added = difference.added.len(),
                changed = difference.changed.len(),
                removed = difference.removed.len(),
                refused = ruleset.refused().len(),
                kept = ruleset.kept().len(),
                "read the rules anew"
            );
            tell(&ruleset);
        }
        (state.files, state.fingerprint) = (files, fingerprint);
        let reload = Reload {
            at: Timestamp::now(),
            took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            added: difference.added,
            changed: difference.changed,
            removed: difference.removed,
            status: told::status(&ruleset),
        };
        Ok((reload, is_changed))
    }

    /// Whether the files are other than those that were read, by what the file system says.
    pub(super) async fn fingerprints(&self) -> anyhow::Result<(Fingerprint, Fingerprint)> {
        let config = self.config.clone();
        let now = aside(move || Fingerprint::of(&config)).await?;
        Ok((self.state.lock().await.fingerprint, now))
    }

    /// Reads the communes' policies anew; batches that are taken up after this are judged by
    /// them.
    pub(crate) async fn refresh_policies(&self) -> anyhow::Result<()> {
        let mut state = self.state.lock().await;
        let policies = self.db.rule_policies().await.context("failed to read the rule policies")?;
        if policies == state.policies {
            return Ok(());
        }
        let (before, sources) = (self.in_force.now(), sources(&policies));
        let ruleset = aside(move || with_policies(&before, sources)).await?;
        self.in_force.put(ruleset);
        state.policies = policies;
        Ok(())
    }

    async fn remember(&self, ruleset: &Ruleset, cause: RuleCause, by: &str) -> anyhow::Result<()> {
        let rules = ruleset
            .entries()
            .iter()
            .map(|rule| RuleText {
                id: rule.id().to_owned(),
                version: rule.version().to_owned(),
                title: rule.title().to_owned(),
                level: rule.level(),
                text: rule.text(),
                path: rule.source().path.display().to_string(),
            })
            .collect();
        self.db
            .activate_rules(rules, cause, by, Timestamp::now())
            .await
            .context("failed to write which rules are in force; the ones before stay so")?;
        Ok(())
    }

    fn count(&self, ruleset: &Ruleset) {
        let set = |gauge: &prometheus::IntGauge, count: usize| {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        set(&self.metrics.rules, ruleset.entries().len());
        set(&self.metrics.rules_refused, ruleset.refused().len());
        set(&self.metrics.rules_kept, ruleset.kept().len());
    }

    /// What of the files is not in force as it stands there.
    pub(crate) fn status(&self) -> api::RulesStatus {
        told::status(&self.in_force.now())
    }
}

/// Says what of the files is not in force as it stands there.
fn tell(ruleset: &Ruleset) {
    let mut kept: HashMap<String, usize> = HashMap::new();
    for old in ruleset.kept() {
        *kept.entry(old.because.to_string()).or_default() += 1;
    }
    for refusal in ruleset.refused() {
        let refusal = refusal.to_string();
        match kept.get(&refusal) {
            Some(count) => {
                tracing::error!(
                    rule = safe(&refusal),
                    kept = count,
                    "rule refused; what it was before stays in force"
                );
            }
            None => tracing::warn!(rule = safe(&refusal), "rule refused"),
        }
    }
}

fn with_policies(ruleset: &Ruleset, sources: Vec<PolicySource>) -> Ruleset {
    let (policies, unusable) = Policies::compile(sources, ruleset.rules());
    for unusable in unusable {
        tracing::warn!(
            commune = %unusable.commune,
            exception = unusable.exception,
            reason = safe(&unusable.because.reason),
            "an exception from rules does not apply"
        );
    }
    ruleset.with_policies(policies)
}

/// What the database has of policies, for the detect stage.
fn sources(policies: &[RulePolicy]) -> Vec<PolicySource> {
    let source = |policy: &RulePolicy| {
        PolicySource {
        commune: policy.commune.clone(),
        choices: policy
            .choices
            .iter()
            .filter_map(|choice| match choice.selector.parse::<Selector>() {
                Ok(selector) => Some((selector, effect(choice.effect))),
                Err(error) => {
                    // Checked when it was made, so a newer version made it.
                    tracing::error!(commune = %policy.commune, %error, "a choice about rules is left out");
                    None
                }
            })
            .collect(),
        exceptions: policy
            .exceptions
            .iter()
            .map(|exception| ExceptionSource {
                id: exception.id.clone(),
                filter: exception.filter.clone(),
                expires: exception.expires,
            })
            .collect(),
    }
    };
    policies.iter().map(source).collect()
}

fn effect(effect: RuleEffect) -> Effect {
    match effect {
        RuleEffect::Enable => Effect::Enable,
        RuleEffect::Disable => Effect::Disable,
        RuleEffect::Level(level) => Effect::Level(level),
    }
}

/// Runs `work` on a thread that nobody waits for.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await.context("failed to read the rules")
}
