//! Files and folders of rules.

use std::{
    collections::HashMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use crate::{
    correlate::{self, Correlation},
    error::{Problem, Refusal},
    files::Kept,
    filter::Filter,
    placeholder::Placeholders,
    rule::{self, Parsed, Rule, RuleSource, optional},
    yaml::{self, Node},
};

/// Bytes of one file of rules.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Levels of folders, which also ends loops of links.
const FOLDER_DEPTH_MAX: usize = 32;

/// What came of loading.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The rules, sorted by id.
    pub rules: Vec<Rule>,
    /// The correlations, to be tied to all rules of an installation with
    /// [`Correlations::link`](crate::Correlations::link).
    pub correlations: Vec<Correlation>,
    /// What was not loaded and why, in the order of files and lines.
    pub refused: Vec<Refusal>,
    /// Flaws of rules that were loaded: log sources and fields that no feed here fills,
    /// selections that no condition uses.
    pub warnings: Vec<Refusal>,
    /// What stands as it was read earlier, because its file became bad; see
    /// [`RuleFiles`](crate::RuleFiles).
    pub kept: Vec<Kept>,
}

/// Loads every rule in `paths`: files as they are, folders with all `*.yml` and `*.yaml` in
/// them, in sorted order. One bad rule or file does not touch the others.
///
/// Of two rules with one id the first stands; the second is dropped silently where it is the
/// same text and refused where it is not. Filters apply to all rules of the call. Rules with
/// placeholders are refused; see [`load_with`].
pub fn load(paths: &[PathBuf]) -> Loaded {
    load_with(paths, &Placeholders::new())
}

/// [`load`], with values for the placeholders of rules and filters.
pub fn load_with(paths: &[PathBuf], placeholders: &Placeholders) -> Loaded {
    assemble(read_all(paths, placeholders))
}

/// What is in `paths`, one entry a file, in sorted order; before them the folders that could not
/// be listed.
pub(crate) fn read_all(paths: &[PathBuf], placeholders: &Placeholders) -> Vec<File> {
    let mut files = Vec::new();
    let mut failed = Vec::new();
    for path in paths {
        walk(path, 0, &mut files, &mut failed);
    }
    let read: Vec<File> = files.par_iter().map(|path| read(path, placeholders)).collect();
    failed.extend(read);
    failed
}

/// Every file that [`load`] would read of `paths`, in its order, and nothing of what is in them.
pub fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        walk(path, 0, &mut files, &mut Vec::new());
    }
    files
}

/// Reads the rules in `text`, which came from `path`.
pub fn parse(text: &str, path: &Path) -> Loaded {
    parse_with(text, path, &Placeholders::new())
}

/// [`parse`], with values for the placeholders of rules and filters.
pub fn parse_with(text: &str, path: &Path, placeholders: &Placeholders) -> Loaded {
    assemble(vec![documents(text, path, placeholders)])
}

/// What one file holds, or why it could not be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) rules: Vec<Parsed>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) correlations: Vec<(Correlation, Vec<Problem>)>,
    pub(crate) refused: Vec<Refusal>,
    /// Whether its rules give way to those of the same id elsewhere.
    pub(crate) yields: bool,
    /// Whether it is not there.
    pub(crate) is_gone: bool,
}

impl File {
    fn failed(path: &Path, reason: String) -> Self {
        let refused = vec![refusal(path, Problem::new(0, reason), None)];
        Self { path: path.to_owned(), refused, ..Self::default() }
    }

    fn unreadable(path: &Path, error: &io::Error) -> Self {
        let is_gone = error.kind() == io::ErrorKind::NotFound;
        Self { is_gone, ..Self::failed(path, format!("cannot be read: {error}")) }
    }
}

fn refusal(path: &Path, problem: Problem, node: Option<&Node>) -> Refusal {
    let text = |key| node.and_then(|node| node.get(key)).and_then(Node::text).map(str::to_owned);
    Refusal {
        path: path.to_owned(),
        line: problem.line,
        rule_id: text("id"),
        title: text("title"),
        reason: problem.reason,
    }
}

fn walk(path: &Path, depth: usize, files: &mut Vec<PathBuf>, failed: &mut Vec<File>) {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return failed.push(File::unreadable(path, &error)),
    };
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return;
    }
    if depth > FOLDER_DEPTH_MAX {
        let reason =
            format!("folders nest deeper than {FOLDER_DEPTH_MAX} levels; is a link circular?");
        return failed.push(File::failed(path, reason));
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => {
            return failed.push(File::failed(path, format!("cannot be listed: {error}")));
        }
    };
    entries.sort();
    for entry in entries {
        let hidden =
            entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let rules = entry
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("yml") || e.eq_ignore_ascii_case("yaml"));
        if !hidden && (rules || entry.is_dir()) {
            walk(&entry, depth + 1, files, failed);
        }
    }
}

fn read(path: &Path, placeholders: &Placeholders) -> File {
    let refuse = |reason: String| File::failed(path, reason);
    let mut bytes = Vec::new();
    let opened =
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = opened {
        return File::unreadable(path, &error);
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return refuse(format!("is longer than {FILE_BYTES_MAX} bytes"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => documents(&text, path, placeholders),
        Err(error) => refuse(format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to())),
    }
}

/// The documents of a file, split before they are parsed so that a fault in one leaves the
/// others whole. In YAML a line that begins with `---` always begins a document.
fn split(text: &str) -> Vec<(u32, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    let mut has_content = false;
    for (number, line) in (1_u32..).zip(text.split_inclusive('\n')) {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && has_content {
            documents.push((start_line, &text[start..at]));
            (start, start_line, has_content) = (at, number, false);
        }
        let trimmed = line.trim();
        // Comments and directives before a marker belong to the document that it begins.
        has_content |= marker || !(trimmed.is_empty() || trimmed.starts_with(['#', '%']));
        at += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents
}

/// The first document of `text` alone.
pub(crate) fn first_document(text: &str, path: &Path, placeholders: &Placeholders) -> File {
    documents(split(text).first().map_or("", |(_, first)| first), path, placeholders)
}

pub(crate) fn documents(text: &str, path: &Path, placeholders: &Placeholders) -> File {
    let mut file = File { path: path.to_owned(), ..File::default() };
    for (line, text) in split(text) {
        let mut node = match yaml::parse(text, line) {
            Ok(Some(node)) => node,
            Ok(None) => continue,
            Err(problem) => {
                file.refused.push(refusal(path, problem, None));
                continue;
            }
        };
        let read = placeholders
            .fill(&mut node)
            .and_then(|lists| document(&node, text, &lists, path, &mut file));
        if let Err(problem) = read {
            file.refused.push(refusal(path, problem, Some(&node)));
        }
    }
    file
}

fn document(
    node: &Node,
    text: &str,
    lists: &str,
    path: &Path,
    file: &mut File,
) -> Result<(), Problem> {
    if node.map().is_none() {
        return Err(Problem::new(node.line, format!("a rule must be a map, not {}", node.kind())));
    }
    let source = RuleSource { path: path.to_owned(), line: node.line };
    if let Some(action) = optional(node, "action")? {
        return Err(Problem::new(
            rule::line_of(node, "action"),
            format!(
                "\"action: {action}\" is of Sigma 1 and not in Sigma 2; write each rule out in full"
            ),
        ));
    }
    if node.get("correlation").is_some() {
        file.correlations.push(Correlation::parse(node, text, source)?);
        return Ok(());
    }
    if node.get("filter").is_some() {
        file.filters.push(Filter::parse(node, text, source)?.with_lists(lists));
    } else {
        let mut parsed = rule::parse(node, text, source)?;
        if !lists.is_empty() {
            parsed.rule.version = rule::version_of(&[&parsed.rule.version, lists]);
            parsed.rule.texts = vec![rule::with_lists(text, lists)];
        }
        file.rules.push(parsed);
    }
    Ok(())
}

/// The one filter that `text` must be.
pub(crate) fn one_filter(text: &str, path: &Path) -> Result<Filter, Refusal> {
    let mut file = documents(text, path, &Placeholders::new());
    let other = |line: u32, what: &str| {
        let reason = format!("{what}; an exception is one Sigma filter: title, logsource, filter");
        refusal(path, Problem::new(line, reason), None)
    };
    if let Some(refused) = file.refused.into_iter().next() {
        return Err(refused);
    }
    if let Some(Parsed { rule, .. }) = file.rules.first() {
        return Err(other(rule.source().line, "this is a detection rule"));
    }
    if let Some((correlation, _)) = file.correlations.first() {
        return Err(other(correlation.source().line, "this is a correlation"));
    }
    match (file.filters.pop(), file.filters.is_empty()) {
        (Some(filter), true) => Ok(filter),
        (Some(filter), false) => Err(other(filter.line(), "a second filter begins here")),
        (None, _) => Err(other(0, "there is no filter in it")),
    }
}

pub(crate) fn assemble(mut files: Vec<File>) -> Loaded {
    // Stable, so files keep their order; only those that give way come last.
    files.sort_by_key(|file| file.yields);
    let mut loaded = Loaded::default();
    let mut filters = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for file in files {
        loaded.refused.extend(file.refused);
        filters.extend(file.filters);
        for (correlation, oddities) in file.correlations {
            let same = |other: &Correlation| other.id() == correlation.id();
            if file.yields && loaded.correlations.iter().any(same) {
                continue;
            }
            let about = oddities.into_iter().map(|problem| correlate::about(&correlation, problem));
            loaded.warnings.extend(about);
            loaded.correlations.push(correlation);
        }
        for Parsed { rule, oddities } in file.rules {
            let about = |problem: Problem| Refusal {
                path: rule.source().path.clone(),
                line: problem.line,
                rule_id: Some(rule.id().to_owned()),
                title: Some(rule.title().to_owned()),
                reason: problem.reason,
            };
            if let Some(first) = known.get(rule.id()) {
                let first: &Rule = &loaded.rules[*first];
                if first.version() != rule.version() && !file.yields {
                    let source = first.source();
                    loaded.refused.push(about(Problem::new(
                        rule.source().line,
                        format!(
                            "id {} is already that of another rule, at {}:{}; give this one its own",
                            rule.id(),
                            source.path.display(),
                            source.line
                        ),
                    )));
                }
                continue;
            }
            loaded.warnings.extend(oddities.into_iter().map(about));
            known.insert(rule.id().to_owned(), loaded.rules.len());
            loaded.rules.push(rule);
        }
    }
    for filter in filters {
        filter.apply(&mut loaded);
    }
    loaded.refused.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    loaded.warnings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    loaded.rules.sort_by(|a, b| a.id.cmp(&b.id));
    loaded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_before_they_are_parsed() {
        let text = "\u{feff}# head\n---\na: 1\n---\nb: 2\n--- # again\nc: |\n  ---\n  x\n";
        let lines: Vec<_> = split(text).iter().map(|(line, text)| (*line, text.len())).collect();
        assert_eq!(lines.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4, 6]);
    }
}
