//! SigmaHQ's rules: that they load, and what their regression events do.

mod support;

use std::time::Instant;

#[test]
fn nearly_all_rules_load_and_each_refusal_says_why() {
    let Some(root) = support::corpora() else { return };
    let folders: Vec<_> =
        ["rules", "rules-threat-hunting", "rules-emerging-threats", "rules-compliance"]
            .iter()
            .map(|name| root.join("sigmahq").join(name))
            .collect();
    let start = Instant::now();
    let loaded = detect::load(&folders);
    let (rules, refused) = (loaded.rules.len(), loaded.refused.len());
    let load = start.elapsed();
    for refusal in &loaded.refused {
        println!("refused: {refusal}");
        assert!(refusal.line > 0 && !refusal.reason.is_empty());
    }
    let start = Instant::now();
    let engine = detect::Engine::new(loaded.rules);
    println!(
        "{rules} rules loaded in {load:?}, {refused} refused, {} warnings; compiled in {:?} to {} KiB",
        loaded.warnings.len(),
        start.elapsed(),
        engine.memory_bytes() >> 10
    );
    assert!(refused * 1000 <= (rules + refused) * 2, "more than 0.2 % refused");
}
