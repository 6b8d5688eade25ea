//! Which ATT&CK techniques the rules cover, and which of them the feeds can feed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use detect::{Correlation, Correlations, Feeding, Loaded, Rule};
use event::FormatName;
use serde_json::{Value, json};

use super::{super::offline, attack};
use crate::{
    Exit, Failure,
    cli::{Global, Output, rules::Coverage},
    commands::{connect, load_config},
    config,
    print::{self, safe},
    rules,
};

pub(super) async fn run(global: &Global, args: Coverage) -> Result<Exit, Failure> {
    let config = load_config(global)?;
    let mut loaded = match args.paths.is_empty() {
        true => rules::load_as(&config.rules),
        false => rules::load_as(&config::Rules {
            builtin: false,
            paths: args.paths.clone(),
            ..config.rules.clone()
        }),
    };
    let known = offline::formats(global)?;
    for format in &args.format {
        offline::known_format(&known, format)?;
    }
    let formats = match args.format.is_empty() {
        false => args.format.clone(),
        true => of_feeds(global, &args).await?,
    };
    let linked = Correlations::link(std::mem::take(&mut loaded.correlations), &loaded.rules);
    let counted = Counted::of(&loaded, &linked.correlations, &formats);
    if let Some(path) = &args.navigator {
        for (path, layer) in counted.layers(path) {
            let text = serde_json::to_string_pretty(&layer).context("failed to write a layer")?;
            fs::write(&path, text)
                .with_context(|| format!("failed to write {}", path.display()))?;
            eprintln!("wrote {}", path.display());
        }
    }
    match global.output {
        Output::Json => print::json(&counted.as_json(&formats))?,
        Output::Table => counted.print(&formats, args.unfed)?,
    }
    Ok(Exit::Done)
}

/// The formats of the configured feeds; none where nothing is configured yet.
async fn of_feeds(global: &Global, args: &Coverage) -> Result<Vec<FormatName>, Failure> {
    if args.server.url.is_none() && !load_config(global)?.data_dir.exists() {
        return Ok(Vec::new());
    }
    let client = connect(global, &args.server).await?;
    let feeds = client.get("/api/v1/feeds", &[]).await?;
    client.close().await;
    let formats: BTreeSet<FormatName> = feeds["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|feed| FormatName::new(feed["format"].as_str()?).ok())
        .collect();
    Ok(formats.into_iter().collect())
}

/// One technique under one tactic.
#[derive(Default)]
struct Technique {
    rules: usize,
    titles: Vec<String>,
}

struct Counted {
    rules: usize,
    /// Those that raise something themselves.
    correlations: usize,
    /// Rules and correlations without a tactic or technique.
    untagged: usize,
    /// By tactic, in ATT&CK's order: rules, and techniques with their rules.
    tactics: Vec<(String, usize, BTreeMap<String, usize>)>,
    /// By ATT&CK domain.
    techniques: BTreeMap<&'static str, BTreeMap<String, Technique>>,
    /// By format: how many rules it feeds; `None` where that is not known.
    fed: Vec<(FormatName, Option<usize>)>,
    /// Rules and correlations that no format asked for feeds, with why.
    unfed: Vec<(String, String, String)>,
    /// Rules with fields that nothing is known to fill.
    missing_fields: Vec<(String, String, String)>,
}

impl Counted {
    fn of(loaded: &Loaded, correlations: &Correlations, formats: &[FormatName]) -> Self {
        let mut tactics: BTreeMap<usize, (String, usize, BTreeMap<String, usize>)> =
            BTreeMap::new();
        let mut techniques: BTreeMap<&'static str, BTreeMap<String, Technique>> = BTreeMap::new();
        let mut untagged = 0;
        // Correlations that only feed others raise nothing, so they cover nothing.
        let loud: Vec<&Correlation> = correlations
            .rules()
            .map(|correlation| &**correlation)
            .filter(|correlation| !correlations.is_quiet_correlation(correlation.id()))
            .collect();
        let rules =
            loaded.rules.iter().map(|rule| (rule.tags(), rule.title(), attack::domain(rule)));
        let of_correlations = loud.iter().map(|correlation| {
            let domain = attack::domain_of(correlation, correlations, &loaded.rules);
            (correlation.tags(), correlation.title(), domain)
        });
        for (tags, title, domain) in rules.chain(of_correlations) {
            let tags = attack::tags(tags);
            untagged += usize::from(tags.tactics.is_empty() && tags.techniques.is_empty());
            for (order, tactic) in &tags.tactics {
                let (_, rules, of_tactic) =
                    tactics.entry(*order).or_insert_with(|| (tactic.clone(), 0, BTreeMap::new()));
                *rules += 1;
                for technique in &tags.techniques {
                    *of_tactic.entry(technique.clone()).or_default() += 1;
                }
            }
            let of_domain = techniques.entry(domain).or_default();
            for technique in tags.techniques {
                let technique = of_domain.entry(technique).or_default();
                technique.rules += 1;
                technique.titles.push(title.to_owned());
            }
        }
        let mut counted = Self {
            rules: loaded.rules.len(),
            correlations: loud.len(),
            untagged,
            tactics: tactics.into_values().collect(),
            techniques,
            fed: Vec::new(),
            unfed: Vec::new(),
            missing_fields: Vec::new(),
        };
        counted.feed(loaded, correlations, &loud, formats);
        counted
    }

    fn feed(
        &mut self,
        loaded: &Loaded,
        correlations: &Correlations,
        loud: &[&Correlation],
        formats: &[FormatName],
    ) {
        let feeding: Vec<Option<Feeding>> =
            formats.iter().map(|format| Feeding::of_format(format.as_str())).collect();
        let is_fed = |rule: &Rule| feeding.iter().flatten().any(|feeding| feeding.feeds(rule));
        for (format, feeding) in formats.iter().zip(&feeding) {
            let count = feeding
                .as_ref()
                .map(|feeding| loaded.rules.iter().filter(|rule| feeding.feeds(rule)).count());
            self.fed.push((format.clone(), count));
        }
        for rule in &loaded.rules {
            let about = |why: String| (rule.id().to_owned(), rule.title().to_owned(), why);
            if !is_fed(rule) {
                self.unfed.push(about(format!("no feed has {}", rule.logsource())));
                continue;
            }
            let mut fields = loaded.warnings.iter().filter(|warning| {
                warning.rule_id.as_deref() == Some(rule.id())
                    && warning.reason.contains("fills the field")
            });
            if let Some(first) = fields.next() {
                self.missing_fields.push(about(first.reason.clone()));
            }
        }
        let fed: HashSet<&str> =
            loaded.rules.iter().filter(|rule| is_fed(rule)).map(Rule::id).collect();
        for correlation in loud {
            if !correlations.can_fire(correlation.id(), &|rule| fed.contains(rule)) {
                let why = "no feed has the log sources of the rules that it needs".to_owned();
                let (id, title) = (correlation.id().to_owned(), correlation.title().to_owned());
                self.unfed.push((id, title, why));
            }
        }
    }

    /// Layers for the ATT&CK Navigator (format 4.5), one a domain that there are rules for: at
    /// `path`, and beside it for the mobile matrix.
    fn layers(&self, path: &Path) -> Vec<(PathBuf, Value)> {
        let layer = |domain: &str| {
            let none = BTreeMap::new();
            let techniques = self.techniques.get(domain).unwrap_or(&none);
            let most = techniques.values().map(|technique| technique.rules).max().unwrap_or(1);
            json!({
                "name": "Jacquemart",
                "versions": {"navigator": "4.9.1", "layer": "4.5"},
                "domain": domain,
                "description": "Techniques that the rules cover; the score is how many rules.",
                "techniques": techniques.iter().map(|(id, technique)| json!({
                    "techniqueID": id.to_ascii_uppercase(),
                    "score": technique.rules,
                    "comment": technique.titles.join("\n"),
                    "enabled": true,
                    "metadata": [],
                    "links": [],
                    "showSubtechniques": id.contains('.'),
                })).collect::<Vec<_>>(),
                "gradient": {
                    "colors": ["#deebf7", "#08519c"], "minValue": 0, "maxValue": most,
                },
                "legendItems": [],
                "hideDisabled": false,
                "sorting": 0,
                "selectTechniquesAcrossTactics": true,
            })
        };
        let mut layers = vec![(path.to_owned(), layer(attack::ENTERPRISE))];
        if self.techniques.get(attack::MOBILE).is_some_and(|mobile| !mobile.is_empty()) {
            layers.push((path.with_extension("mobile.json"), layer(attack::MOBILE)));
        }
        layers
    }

    fn as_json(&self, formats: &[FormatName]) -> Value {
        let rules = |all: &[(String, String, String)]| -> Vec<Value> {
            all.iter()
                .map(|(id, title, why)| json!({"id": id, "title": title, "why": why}))
                .collect()
        };
        json!({
            "rules": self.rules,
            "correlations": self.correlations,
            "untagged": self.untagged,
            "tactics": self.tactics.iter().map(|(tactic, rules, techniques)| json!({
                "tactic": tactic,
                "rules": rules,
                "techniques": techniques,
            })).collect::<Vec<_>>(),
            "techniques": self.techniques.values().map(BTreeMap::len).sum::<usize>(),
            "formats": self.fed.iter().map(|(format, count)| json!({
                "format": format, "rules": count,
            })).collect::<Vec<_>>(),
            "judged_feeds": !formats.is_empty(),
            "unfed": if formats.is_empty() { Vec::new() } else { rules(&self.unfed) },
            "fields_that_nothing_fills": rules(&self.missing_fields),
        })
    }

    fn print(&self, formats: &[FormatName], with_unfed: bool) -> std::io::Result<()> {
        for (tactic, rules, techniques) in &self.tactics {
            print::outln!("{tactic:<22} {rules:>5} rules  {:>4} techniques", techniques.len());
            let shown: Vec<String> = techniques
                .iter()
                .map(|(technique, rules)| format!("{}×{rules}", technique.to_ascii_uppercase()))
                .collect();
            for line in shown.chunks(8) {
                print::outln!("    {}", safe(&line.join("  ")));
            }
        }
        let techniques: usize = self.techniques.values().map(BTreeMap::len).sum();
        print::outln!(
            "{} rules, {} correlations, {techniques} techniques; {} name neither tactic nor technique",
            self.rules,
            self.correlations,
            self.untagged
        );
        if formats.is_empty() {
            print::outln!("no feed is configured; judge what feeds could feed with --format");
            return Ok(());
        }
        for (format, count) in &self.fed {
            match count {
                Some(count) => print::outln!("feeds of format {format} can feed {count} rules"),
                None => print::outln!("feeds of format {format}: not known which rules they feed"),
            }
        }
        print::outln!(
            "{} rules and correlations cannot fire, for no feed has their log source; {} ask for fields that nothing is known to fill",
            self.unfed.len(),
            self.missing_fields.len()
        );
        if with_unfed {
            for (id, title, why) in self.unfed.iter().chain(&self.missing_fields) {
                print::outln!("  {id}  {}: {}", safe(title), safe(why));
            }
        }
        Ok(())
    }
}
