//! A Sigma rule: its metadata and when it fires.

use std::{path::PathBuf, sync::Arc};

use event::{Level, RuleRef};
use sha2::{Digest, Sha256};

use crate::{
    detection::{self, Resolve},
    error::Problem,
    expr::{Expr, Item, Target, join},
    logsource::Logsource,
    route, taxonomy,
    yaml::Node,
};

/// Where a rule was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSource {
    /// The file.
    pub path: PathBuf,
    /// The line that its document begins on, from 1.
    pub line: u32,
}

/// A detection rule, ready to be compiled into an [`Engine`](crate::Engine).
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    title: String,
    level: Level,
    status: Option<String>,
    tags: Vec<String>,
    description: Option<String>,
    false_positives: Vec<String>,
    references: Vec<String>,
    author: Option<String>,
    pub(crate) version: String,
    /// Its document, then those of the filters that apply to it.
    pub(crate) texts: Vec<Arc<str>>,
    source: RuleSource,
    pub(crate) logsource: Logsource,
    pub(crate) expr: Arc<Expr>,
}

impl Rule {
    /// Its `id` in lower case, or a UUID derived from title and log source where it has none.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its `title`.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Its `level`; `informational` where it has none.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Its `status`, e.g. `stable`.
    pub fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// Its `tags`, e.g. `attack.t1003.001`.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Which events it is offered.
    pub fn logsource(&self) -> &Logsource {
        &self.logsource
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

    /// First 12 hex digits of the SHA-256 of its document, and of the filters that apply to
    /// it: another text is another version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its document and, behind `---`, those of the filters that apply to it: the text that
    /// [`version`](Self::version) names.
    pub fn text(&self) -> String {
        self.texts.join("\n---\n") + "\n"
    }

    /// Where it was read.
    pub fn source(&self) -> &RuleSource {
        &self.source
    }

    /// What a detection keeps of it.
    pub fn rule_ref(&self) -> RuleRef {
        RuleRef {
            id: self.id.clone(),
            name: self.title.clone(),
            level: self.level,
            version: self.version.clone(),
            tags: self.tags.clone(),
        }
    }
}

/// First 12 hex digits of the SHA-256 of `texts`, blind to what does not change a document:
/// its marker, line ends and blanks at the end of lines.
pub(crate) fn version_of(texts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        let lines = text
            .trim()
            .lines()
            .skip_while(|line| line.trim_end() == "---" || line.trim().is_empty());
        for line in lines {
            hasher.update(line.trim_end());
            hasher.update(b"\n");
        }
        hasher.update(b"\0");
    }
    hex(&hasher.finalize()[..6])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document without its marker and the blanks around it.
pub(crate) fn bare(text: &str) -> Arc<str> {
    let text = text.trim();
    text.strip_prefix("---").map_or(text, str::trim_start).into()
}

/// A document with the values of its placeholders behind it, as a comment: with others it is
/// another version.
pub(crate) fn with_lists(text: &str, lists: &str) -> Arc<str> {
    let text = bare(text);
    if lists.is_empty() {
        return text;
    }
    let values: String = lists.lines().map(|line| format!("\n# {line}")).collect();
    format!("{text}\n# Values of its placeholders:{values}").into()
}

/// A rule and what is odd about it, each with its line.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) rule: Rule,
    pub(crate) oddities: Vec<Problem>,
}

/// Reads a rule's document.
pub(crate) fn parse(node: &Node, text: &str, source: RuleSource) -> Result<Parsed, Problem> {
    let title = required(node, "title")?.to_owned();
    let logsource = logsource(node)?;
    if let Some(taxonomy) = optional(node, "taxonomy")?
        && !taxonomy.eq_ignore_ascii_case("sigma")
    {
        return Err(Problem::new(
            line_of(node, "taxonomy"),
            format!(
                "taxonomy {taxonomy:?} is not known here, so its fields and log sources could mean anything; write the rule with Sigma's names"
            ),
        ));
    }
    let level = match optional(node, "level")? {
        None => Level::Informational,
        Some(word) => word
            .to_ascii_lowercase()
            .parse()
            .map_err(|reason: String| Problem::new(line_of(node, "level"), reason))?,
    };
    let id = match optional(node, "id")? {
        Some(id) => uuid(id).ok_or_else(|| {
            Problem::new(
                line_of(node, "id"),
                format!("id {id:?} is no UUID; generate one or leave it out"),
            )
        })?,
        None => derived_id(&title, &logsource),
    };
    let Some(section) = node.get("detection") else {
        return Err(Problem::new(node.line, "no detection section; is this a Sigma rule?"));
    };
    let mut oddities = Vec::new();
    let detection = {
        let unfed = std::cell::RefCell::new(Vec::new());
        let detection = detection::parse(section, &[], &|field: &str| {
            let meaning = taxonomy::resolve(&logsource, field);
            if !meaning.is_fed && !unfed.borrow().contains(&field.to_owned()) {
                unfed.borrow_mut().push(field.to_owned());
            }
            Target::Fields { name: field.to_owned(), ids: meaning.fields }
        })?;
        let fed = logsource.route().is_some_and(|asked| route::is_fed(&asked));
        if !fed {
            oddities.push(Problem::new(
                line_of(node, "logsource"),
                format!(
                    "no built-in format gives events of {logsource}; the rule fires only on those of a declared format"
                ),
            ));
        } else {
            oddities.extend(unfed.into_inner().into_iter().map(|field| {
                let hint = taxonomy::nearest(&logsource, &field)
                    .map(|near| format!("; did you mean {near:?}?"))
                    .unwrap_or_default();
                Problem::new(
                    section.line,
                    format!("no built-in format fills the field {field:?} under {logsource}{hint}"),
                )
            }));
        }
        detection
    };
    oddities.extend(detection.unused.into_iter().map(|(name, line)| {
        Problem::new(line, format!("no condition uses the selection {name:?}"))
    }));
    let rule = Rule {
        expr: with_alternatives(&detection.expr, &logsource),
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
        version: version_of(&[text]),
        texts: vec![bare(text)],
        source,
        logsource,
    };
    Ok(Parsed { rule, oddities })
}

/// The condition of a filter's section for rules of `logsource`.
pub(crate) fn parse_filter(section: &Node, logsource: &Logsource) -> Result<Arc<Expr>, Problem> {
    let resolve: &Resolve<'_> = &|field: &str| Target::Fields {
        name: field.to_owned(),
        ids: taxonomy::resolve(logsource, field).fields,
    };
    let detection = detection::parse(section, &["rules"], resolve)?;
    Ok(with_alternatives(&detection.expr, logsource))
}

impl Rule {
    /// The rule with a filter's condition joined to its own.
    pub(crate) fn filtered(&mut self, filter: Arc<Expr>) {
        self.expr = join(vec![Arc::clone(&self.expr), filter], true);
    }
}

/// `expr` where each item also holds when one of its tests does in another form.
pub(crate) fn with_alternatives(expr: &Arc<Expr>, logsource: &Logsource) -> Arc<Expr> {
    match &**expr {
        Expr::And(parts) => {
            Arc::new(Expr::And(parts.iter().map(|p| with_alternatives(p, logsource)).collect()))
        }
        Expr::Or(parts) => {
            Arc::new(Expr::Or(parts.iter().map(|p| with_alternatives(p, logsource)).collect()))
        }
        Expr::Not(inner) => Arc::new(Expr::Not(with_alternatives(inner, logsource))),
        Expr::Item(item) => {
            let Target::Fields { name, .. } = &item.target else { return Arc::clone(expr) };
            let mut parts = vec![Arc::clone(expr)];
            for test in &item.tests {
                for (ids, test) in taxonomy::alternatives(logsource, name, test) {
                    let target = Target::Fields { name: name.clone(), ids };
                    parts.push(Arc::new(Expr::Item(Item { target, tests: vec![test] })));
                }
            }
            join(parts, false)
        }
    }
}

/// The `logsource` section.
pub(crate) fn logsource(node: &Node) -> Result<Logsource, Problem> {
    let Some(section) = node.get("logsource") else {
        return Err(Problem::new(node.line, "no logsource section"));
    };
    if section.map().is_none() {
        return Err(Problem::new(
            section.line,
            format!("logsource must be a map, not {}", section.kind()),
        ));
    }
    let part = |key| optional(section, key).map(|text| text.map(str::to_ascii_lowercase));
    let logsource = Logsource {
        product: part("product")?,
        category: part("category")?,
        service: part("service")?,
    };
    if logsource == Logsource::default() {
        return Err(Problem::new(section.line, "logsource names no product, category or service"));
    }
    Ok(logsource)
}

pub(crate) fn line_of(node: &Node, key: &str) -> u32 {
    node.get(key).map_or(node.line, |value| value.line)
}

pub(crate) fn required<'n>(node: &'n Node, key: &str) -> Result<&'n str, Problem> {
    optional(node, key)?.ok_or_else(|| Problem::new(node.line, format!("no {key}")))
}

pub(crate) fn optional<'n>(node: &'n Node, key: &str) -> Result<Option<&'n str>, Problem> {
    match node.get(key) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => {
            value.text().map(str::trim).filter(|text| !text.is_empty()).map(Some).ok_or_else(|| {
                Problem::new(value.line, format!("{key} must be text, not {}", value.kind()))
            })
        }
    }
}

pub(crate) fn texts(node: &Node, key: &str) -> Result<Vec<String>, Problem> {
    let Some(value) = node.get(key) else { return Ok(Vec::new()) };
    if value.is_null() {
        return Ok(Vec::new());
    }
    let items = value.list().unwrap_or(std::slice::from_ref(value));
    items
        .iter()
        .filter(|item| !item.is_null())
        .map(|item| {
            item.text().map(str::to_owned).ok_or_else(|| {
                Problem::new(
                    item.line,
                    format!("{key} must be a list of texts, not of {}", item.kind()),
                )
            })
        })
        .collect()
}

/// A UUID in its usual form, in lower case.
pub(crate) fn uuid(text: &str) -> Option<String> {
    let groups: Vec<&str> = text.split('-').collect();
    let right = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    right.then(|| text.to_ascii_lowercase())
}

/// A UUID of version 8 (free form) from title and log source, or whatever tells two rules of
/// one title apart.
pub(crate) fn derived_id(title: &str, besides: &dyn std::fmt::Display) -> String {
    let digest = Sha256::digest(format!("{title}\0{besides}"));
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    parts.map(hex).join("-")
}
