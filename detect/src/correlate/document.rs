//! A `correlation` document, read but not yet tied to the rules it refers to.

use std::sync::Arc;

use event::{Level, RuleRef};

use super::{
    condition::{Compare, Expr},
    parts::{Parts, named},
    timespan,
};
use crate::{
    error::Problem,
    rule::{self, RuleSource, line_of, optional, required, texts},
    yaml::Node,
};

/// Fields that one correlation groups by at most.
const GROUP_BY_MAX: usize = 16;
/// What a correlation computes of the matches in its window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    EventCount,
    ValueCount,
    ValueSum,
    ValueAvg,
    ValueMin,
    ValueMax,
    ValueMedian,
    ValuePercentile,
    Temporal,
    TemporalOrdered,
}

impl Kind {
    pub(super) const ALL: [(&'static str, Self); 10] = [
        ("event_count", Self::EventCount),
        ("value_count", Self::ValueCount),
        ("value_sum", Self::ValueSum),
        ("value_avg", Self::ValueAvg),
        ("value_min", Self::ValueMin),
        ("value_max", Self::ValueMax),
        ("value_median", Self::ValueMedian),
        ("value_percentile", Self::ValuePercentile),
        ("temporal", Self::Temporal),
        ("temporal_ordered", Self::TemporalOrdered),
    ];

    pub(super) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    pub(super) const fn is_temporal(self) -> bool {
        matches!(self, Self::Temporal | Self::TemporalOrdered)
    }

    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::EventCount | Self::ValueCount) || self.is_temporal()
    }

    /// Whether it computes with numbers in a field.
    pub(super) const fn is_numeric(self) -> bool {
        !self.counts()
    }
}

/// A name and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) text: String,
    pub(super) line: u32,
}

/// `aliases: {name: {rule: field}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) fields: Vec<(Named, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    Compare(Compare),
    Words(Expr, String),
}

/// A correlation rule as it was read. [`Correlations::link`](super::Correlations::link) ties
/// correlations to their rules.
#[derive(Clone, Debug)]
pub struct Correlation {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) title: String,
    pub(super) level: Option<Level>,
    status: Option<String>,
    tags: Vec<String>,
    description: Option<String>,
    false_positives: Vec<String>,
    references: Vec<String>,
    author: Option<String>,
    version: String,
    text: Arc<str>,
    pub(super) source: RuleSource,
    pub(super) kind: Kind,
    pub(super) rules: Vec<Named>,
    pub(super) group_by: Vec<Named>,
    pub(super) aliases: Vec<Alias>,
    pub(super) timespan_s: u64,
    pub(super) condition: Condition,
    pub(super) condition_line: u32,
    pub(super) fields: Vec<String>,
    pub(super) percentile: f64,
    pub(super) generate: bool,
    pub(super) spans_communes: bool,
}

impl Correlation {
    /// Its `id` in lower case, or a UUID derived from its title where it has none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its `title`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its `level`; where it has none, the highest level of its rules, once it is linked.
    pub fn level(&self) -> Level {
        self.level.unwrap_or(Level::Informational)
    }

    /// Its `status`, e.g. `stable`.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// Its `tags`, e.g. `attack.t1110`.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Its `description`.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Its `falsepositives`.
    pub fn false_positives(&self) -> &[String] {
        &self.false_positives
    }

    /// Its `references`.
    pub fn references(&self) -> &[String] {
        &self.references
    }

    /// Its `author`.
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// First 12 hex digits of the SHA-256 of its document.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it was read.
    pub fn source(&self) -> &RuleSource {
        &self.source
    }

    /// Its `correlation.type`, e.g. `event_count`.
    pub fn kind(&self) -> &'static str {
        self.kind.word()
    }

    /// Whether it looks at the events of all communes together.
    pub fn spans_communes(&self) -> bool {
        self.spans_communes
    }

    /// Its document: the text that [`version`](Self::version) names.
    pub fn text(&self) -> String {
        format!("{}\n", self.text)
    }

    /// The document as it stands in its file.
    pub(crate) fn document(&self) -> &str {
        &self.text
    }

    /// What a detection keeps of it.
    pub(super) fn rule_ref(&self) -> Arc<RuleRef> {
        Arc::new(RuleRef {
            id: self.id.clone(),
            name: self.title.clone(),
            level: self.level(),
            version: self.version.clone(),
            tags: self.tags.clone(),
        })
    }

    /// Reads a document that has a `correlation` section, and what is odd about it.
    pub(crate) fn parse(
        node: &Node,
        text: &str,
        source: RuleSource,
    ) -> Result<(Self, Vec<Problem>), Problem> {
        let title = required(node, "title")?.to_owned();
        if node.get("detection").is_some() {
            return Err(Problem::new(
                line_of(node, "detection"),
                "the document has a detection and a correlation; write two documents, parted by ---",
            ));
        }
        let id = match optional(node, "id")? {
            Some(id) => rule::uuid(id).ok_or_else(|| {
                Problem::new(
                    line_of(node, "id"),
                    format!("id {id:?} is no UUID; generate one or leave it out"),
                )
            })?,
            None => rule::derived_id(&title, &"correlation"),
        };
        let level = match optional(node, "level")? {
            None => None,
            Some(word) => Some(
                word.to_ascii_lowercase()
                    .parse()
                    .map_err(|reason: String| Problem::new(line_of(node, "level"), reason))?,
            ),
        };
        let section = section(node)?;
        let mut oddities = Vec::new();
        let parts = Parts::read(section, &mut oddities)?;
        let correlation = Self {
            id,
            name: optional(node, "name")?.map(str::to_owned),
            title,
            level,
            status: optional(node, "status")?.map(str::to_owned),
            tags: texts(node, "tags")?,
            description: optional(node, "description")?.map(str::to_owned),
            false_positives: texts(node, "falsepositives")?,
            references: texts(node, "references")?,
            author: optional(node, "author")?.map(str::to_owned),
            version: rule::version_of(&[text]),
            text: rule::bare(text),
            source,
            kind: parts.kind,
            rules: parts.rules,
            group_by: group_by(section)?,
            aliases: aliases(section)?,
            timespan_s: timespan_s(section)?,
            condition: parts.condition,
            condition_line: line_of(section, "condition"),
            fields: parts.fields,
            percentile: parts.percentile,
            generate: generate(section, node)?,
            spans_communes: spans_communes(node)?,
        };
        Ok((correlation, oddities))
    }
}

fn section(node: &Node) -> Result<&Node, Problem> {
    const KEYS: [&str; 7] =
        ["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"];
    let Some(section) = node.get("correlation") else {
        return Err(Problem::new(node.line, "no correlation section"));
    };
    let Some(pairs) = section.map() else {
        return Err(Problem::new(
            section.line,
            format!("correlation must be a map, not {}", section.kind()),
        ));
    };
    if let Some((key, value)) = pairs.iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        let hint = match key.as_str() {
            "group_by" | "groupby" => "; write group-by",
            "field" | "percentile" => "; it belongs under condition",
            _ => "; it takes type, rules, group-by, timespan, condition, aliases and generate",
        };
        return Err(Problem::new(
            value.line,
            format!("correlation has {key:?}, which means nothing there{hint}"),
        ));
    }
    Ok(section)
}

fn group_by(section: &Node) -> Result<Vec<Named>, Problem> {
    let names = named(section, "group-by")?;
    if names.len() > GROUP_BY_MAX {
        return Err(Problem::new(
            line_of(section, "group-by"),
            format!("group-by has more than {GROUP_BY_MAX} fields"),
        ));
    }
    Ok(names)
}

fn aliases(section: &Node) -> Result<Vec<Alias>, Problem> {
    let Some(node) = section.get("aliases").filter(|node| !node.is_null()) else {
        return Ok(Vec::new());
    };
    let shape = |line| {
        Problem::new(line, "aliases must be a map of alias names, each a map of rule to field")
    };
    let mut aliases = Vec::new();
    for (name, fields) in node.map().ok_or_else(|| shape(node.line))? {
        let mut of_rules = Vec::new();
        for (rule, field) in fields.map().ok_or_else(|| shape(fields.line))? {
            let text = field.text().map(str::trim).filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| shape(field.line))?;
            of_rules.push((Named { text: rule.clone(), line: field.line }, text.to_owned()));
        }
        aliases.push(Alias { name: name.clone(), line: fields.line, fields: of_rules });
    }
    Ok(aliases)
}

fn timespan_s(section: &Node) -> Result<u64, Problem> {
    let text = optional(section, "timespan")?
        .ok_or_else(|| Problem::new(section.line, "correlation has no timespan"))?;
    timespan::seconds(text).map_err(|reason| Problem::new(line_of(section, "timespan"), reason))
}

/// `generate` stands in the section or, as the specification's schema has it, beside it.
fn generate(section: &Node, node: &Node) -> Result<bool, Problem> {
    let Some(value) = section.get("generate").or_else(|| node.get("generate")) else {
        return Ok(false);
    };
    value
        .scalar()
        .and_then(crate::yaml::Scalar::as_bool)
        .ok_or_else(|| Problem::new(value.line, "generate must be true or false"))
}

/// `jacquemart: {scope: metropole}`.
fn spans_communes(node: &Node) -> Result<bool, Problem> {
    let Some(own) = node.get("jacquemart") else { return Ok(false) };
    let wrong = |line, what: &str| {
        Problem::new(
            line,
            format!("{what}; jacquemart takes {{scope: commune}} or {{scope: metropole}}"),
        )
    };
    let Some(pairs) = own.map() else {
        return Err(wrong(own.line, "jacquemart must be a map"));
    };
    let mut spans = false;
    for (key, value) in pairs {
        match (key.as_str(), value.text()) {
            ("scope", Some("metropole")) => spans = true,
            ("scope", Some("commune")) => spans = false,
            _ => return Err(wrong(value.line, &format!("jacquemart has an unknown {key:?}"))),
        }
    }
    Ok(spans)
}
