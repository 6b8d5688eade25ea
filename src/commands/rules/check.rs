//! What loads, what is refused, and what is odd.

use std::path::{Path, PathBuf};

use detect::Refusal;
use serde_json::{Value, json};

use crate::{Exit, Failure, cli::Output, print};

/// `lists` is the folder with the values of placeholders, as `rules.placeholders` names it.
pub(super) fn run(
    output: Output,
    paths: &[PathBuf],
    with_warnings: bool,
    lists: Option<&Path>,
) -> Result<Exit, Failure> {
    let started = std::time::Instant::now();
    let (placeholders, unusable) = crate::rules::placeholders(lists);
    let loaded = detect::load_with(paths, &placeholders);
    let linked = detect::Correlations::link(loaded.correlations, &loaded.rules);
    let rules = loaded.rules.len() + linked.correlations.len();
    let (mut refused, mut warnings) = (unusable, loaded.warnings);
    refused.extend(loaded.refused);
    refused.extend(linked.refused);
    warnings.extend(linked.warnings);
    let engine = detect::Engine::new(loaded.rules);
    let took_ms = started.elapsed().as_millis();
    let unfed = warnings.len();
    let correlations = &linked.correlations;
    warnings.extend(detect::lint(
        engine.rules().iter().map(|rule| &**rule),
        correlations.rules().map(|correlation| &**correlation),
        |correlation| correlations.is_quiet_correlation(correlation.id()),
    ));
    warnings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    match output {
        Output::Json => print::json(&json!({
            "loaded": rules,
            "refused": refused.iter().map(as_json).collect::<Vec<_>>(),
            "warnings_of_metadata": warnings.len() - unfed,
            "warnings": warnings.iter().map(as_json).collect::<Vec<_>>(),
            "load_and_compile_ms": u64::try_from(took_ms).unwrap_or(u64::MAX),
            "engine_bytes": engine.memory_bytes(),
            "engine_memory": memory(&engine),
        }))?,
        Output::Table => {
            for refusal in &refused {
                print::outln!("refused  {}", print::safe(&refusal.to_string()));
            }
            if with_warnings {
                for warning in &warnings {
                    print::outln!("warning  {}", print::safe(&warning.to_string()));
                }
            }
            print::outln!(
                "{rules} rules load, {} refused, {} warnings{}; {took_ms} ms, engine {:.1} MiB",
                refused.len(),
                warnings.len(),
                if with_warnings || warnings.is_empty() {
                    ""
                } else {
                    " (see them with --warnings)"
                },
                engine.memory_bytes() as f64 / f64::from(1 << 20),
            );
        }
    }
    Ok(if refused.is_empty() { Exit::Done } else { Exit::Found })
}

/// Bytes by part, and how many rules no part of a search finds.
fn memory(engine: &detect::Engine) -> Value {
    let memory = engine.memory();
    json!({
        "programs_bytes": memory.programs,
        "largest_program_bytes": memory.largest_program,
        "items_bytes": memory.items,
        "conditions_bytes": memory.conditions,
        "tables_bytes": memory.tables,
        "unwitnessed_rules": memory.unwitnessed_rules,
    })
}

fn as_json(refusal: &Refusal) -> Value {
    json!({
        "path": refusal.path,
        "line": refusal.line,
        "rule": { "id": refusal.rule_id, "name": refusal.title },
        "reason": refusal.reason,
    })
}
