//! What matching costs: on rules and events made here, always; on SigmaHQ's Windows rules and
//! the shared captures where they are, which is said to be skipped where they are not.
//!
//! `bench engine` compares with other engines.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{hint::black_box, path::Path, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use detect::{Engine, Rule, Scratch};
use event::{Event, EventBuilder, FieldId, Timestamp, fields};

/// Rules over what process creation has, each about tools of its own.
fn rules(count: usize) -> Vec<Rule> {
    let documents: String = (0..count)
        .map(|n| {
            format!(
                "---\ntitle: tool {n}\nid: 00000000-0000-4000-8000-{n:012}\n\
                 logsource: {{product: windows, category: process_creation}}\n\
                 detection:\n  image:\n    - Image|endswith: '\\tool{n}.exe'\n    \
                 - OriginalFileName: 'tool{n}.exe'\n  command:\n    CommandLine|contains:\n      \
                 - ' --do-{n} '\n      - 'verb{n}::'\n  usual:\n    \
                 ParentImage|startswith: 'C:\\Program Files\\Vendor{n}\\'\n  \
                 condition: (image or command) and not usual\nlevel: low\n"
            )
        })
        .collect();
    let loaded = detect::parse(&documents, Path::new("generated.yml"));
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    loaded.rules
}

/// Process creations as Sysmon logs them; every hundredth is one that a rule is about.
fn events(count: u64) -> Vec<Arc<Event>> {
    let data = |name: &str| FieldId::intern(&format!("winlog.event_data.{name}")).unwrap();
    (0..count)
        .map(|n| {
            let image = match n % 100 {
                7 => "C:\\Users\\Public\\tool7.exe".to_owned(),
                _ => format!("C:\\Windows\\System32\\program{}.exe", n % 40),
            };
            let command =
                format!("{image} /run /quiet \"C:\\Users\\u{n}\\Documents\\file {n}.txt\"");
            let raw = format!("{{\"Image\":{image:?},\"CommandLine\":{command:?}}}");
            let record = support::record("windows", raw.into());
            let mut builder = EventBuilder::new(record, support::event_id(n));
            builder.push_str(fields::EVENT_MODULE, "windows");
            builder.push_str(fields::WINLOG_CHANNEL, "Microsoft-Windows-Sysmon/Operational");
            builder.push_str(fields::EVENT_CODE, "1");
            builder.push_str(data("Image"), &image);
            builder.also(fields::PROCESS_EXECUTABLE);
            builder.push_str(data("CommandLine"), &command);
            builder.also(fields::PROCESS_COMMAND_LINE);
            builder.push_str(data("ParentImage"), "C:\\Windows\\explorer.exe");
            builder.also(fields::PROCESS_PARENT_EXECUTABLE);
            Arc::new(builder.build())
        })
        .collect()
}

fn matching(c: &mut Criterion, name: &str, engine: &Engine, events: &[Arc<Event>]) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(events.len() as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    group.bench_function("matches, one thread", |b| {
        let (mut scratch, mut matches) = (Scratch::new(), Vec::new());
        b.iter(|| {
            for event in events {
                engine.matches(black_box(event), &mut scratch, &mut matches);
                black_box(&matches);
                matches.clear();
            }
        });
    });
    group.bench_function("detect, a batch on all threads", |b| {
        b.iter(|| black_box(engine.detect(events, Timestamp::from_secs(0))));
    });
    group.finish();
}

fn compiling(c: &mut Criterion, name: &str, rules: &[Rule]) {
    let mut group = c.benchmark_group(name);
    group.sample_size(10).measurement_time(Duration::from_secs(4));
    group.bench_function("compile", |b| {
        b.iter_batched(|| rules.to_vec(), Engine::new, BatchSize::LargeInput);
    });
    group.finish();
}

fn generated(c: &mut Criterion) {
    let events = events(2_000);
    for count in [100, 1_000, 10_000] {
        let rules = rules(count);
        if count == 1_000 {
            compiling(c, "1000 generated rules", &rules);
        }
        matching(c, &format!("{count} generated rules"), &Engine::new(rules), &events);
    }
}

fn sigmahq(c: &mut Criterion) {
    let Some(root) = support::corpora() else { return };
    let mut rules = detect::load(&support::sigmahq_rules(&root)).rules;
    rules.retain(|rule| rule.logsource().product.as_deref() == Some("windows"));
    compiling(c, "SigmaHQ's Windows rules", &rules);
    let capture = root.join("captures/windows-attacks.ndjson.zst");
    let events: Vec<_> = support::windows_events(&capture, 23).map(Arc::new).collect();
    matching(c, "SigmaHQ's Windows rules", &Engine::new(rules), &events);
}

criterion_group!(benches, generated, sigmahq);
criterion_main!(benches);
