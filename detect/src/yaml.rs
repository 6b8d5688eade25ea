//! YAML as rules need it: every node with its line, every scalar as it was written.
//!
//! A typed YAML library would turn `0x1`, `007` and `yes` into something else before a rule
//! could say what it meant, and would lose the line. So this reads parser events into a plain
//! tree, bounded in depth and size: an alias counts as what it stands for.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::{error::Problem, placeholder::Forms};

/// Levels of nesting in one document.
const DEPTH_MAX: usize = 32;
/// Nodes in one document, each alias counted as all that it stands for.
const NODES_MAX: usize = 100_000;
/// Bytes of all texts in one document, aliases counted likewise.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// A node and the line it begins on, counted from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: u32,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order written, without duplicate keys.
    Map(Vec<(String, Node)>),
}

/// A scalar as written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Neither quoted nor a block, so that it may be a number, a truth value or null.
    pub(crate) plain: bool,
    /// With its placeholders filled in, where it stands under `expand`.
    pub(crate) forms: Option<Forms>,
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The truth value by YAML 1.2, in which `yes` is a word.
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }
}

impl Node {
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar().filter(|scalar| !scalar.is_null()).map(|scalar| scalar.text.as_str())
    }

    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    pub(crate) fn map(&self) -> Option<&[(String, Self)]> {
        match &self.value {
            Value::Map(pairs) => Some(pairs),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of `key`, where this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// What the node is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads one document; `first_line` is the line of the file that it begins on. `None` where
/// it is empty.
pub(crate) fn parse(text: &str, first_line: u32) -> Result<Option<Node>, Problem> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        first_line,
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
    };
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamEnd => return Ok(None),
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            event => {
                let node = builder.node(event, span, 0)?;
                loop {
                    match builder.next()?.0 {
                        Event::StreamEnd => break,
                        Event::DocumentEnd | Event::Nothing => {}
                        _ => {
                            return Err(Problem::new(
                                node.line,
                                "more follows where the document should end",
                            ));
                        }
                    }
                }
                return Ok(if node.is_null() { None } else { Some(node) });
            }
        }
    }
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    first_line: u32,
    /// With what each counts: nodes and bytes.
    anchors: HashMap<usize, (Node, usize, usize)>,
    nodes: usize,
    bytes: usize,
}

impl<'t> Builder<'t> {
    fn line(&self, line: usize) -> u32 {
        let line = u32::try_from(line.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first_line.saturating_add(line)
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let line = self.line(error.marker().line());
        Problem::new(
            line,
            format!(
                "not valid YAML at column {}: {}; a value that begins with *, &, %, @ or a quote must be quoted",
                error.marker().col() + 1,
                error.info()
            ),
        )
    }

    fn count(&mut self, nodes: usize, bytes: usize, line: u32) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > TEXT_BYTES_MAX {
            return Err(Problem::new(
                line,
                format!(
                    "the document has more than {TEXT_BYTES_MAX} bytes of text, aliases counted in full"
                ),
            ));
        }
        if self.nodes > NODES_MAX {
            return Err(Problem::new(
                line,
                format!("the document has more than {NODES_MAX} nodes, aliases counted in full"),
            ));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Problem> {
        let line = self.line(span.start.line());
        if depth > DEPTH_MAX {
            return Err(Problem::new(line, format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let text_bytes = if let Event::Scalar(text, ..) = &event { text.len() } else { 0 };
        let before = (self.nodes, self.bytes);
        self.count(1, text_bytes, line)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let forced =
                    tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
                let plain = style == ScalarStyle::Plain && !forced;
                (anchor, Value::Scalar(Scalar { text: text.into_owned(), plain, forms: None }))
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(line, depth)?),
            Event::Alias(anchor) => {
                let Some((_, nodes, bytes)) = self.anchors.get(&anchor) else {
                    return Err(Problem::new(line, "an alias (*name) without its anchor (&name)"));
                };
                // Counted before it is copied.
                self.count(*nodes, *bytes, line)?;
                let node = self.anchors[&anchor].0.clone();
                return Ok(Node { line, ..node });
            }
            _ => return Err(Problem::new(line, "unexpected end of the document")),
        };
        let node = Node { line, value };
        if anchor != 0 {
            let (nodes, bytes) = (self.nodes - before.0, self.bytes - before.1);
            self.count(nodes, bytes, line)?;
            self.anchors.insert(anchor, (node.clone(), nodes, bytes));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, line: u32, depth: usize) -> Result<Value, Problem> {
        let mut pairs: Vec<(String, Node)> = Vec::new();
        let mut names = HashSet::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Value::Scalar(Scalar { text, plain, .. }) = key.value else {
                return Err(Problem::new(
                    key.line,
                    format!("a key must be text, not {}", key.kind()),
                ));
            };
            if plain && text == "<<" {
                merged.push(value);
                continue;
            }
            let known = !names.insert(text.clone());
            let first = known.then(|| pairs.iter().find(|(name, _)| *name == text)).flatten();
            if let Some((_, first)) = first {
                return Err(Problem::new(
                    key.line,
                    format!(
                        "key {text:?} stands twice, first with the value on line {}; a reader would drop one of them, so put their values into one list or use two selections",
                        first.line
                    ),
                ));
            }
            pairs.push((text, value));
        }
        for node in merged {
            merge(&mut pairs, &mut names, node, line)?;
        }
        Ok(Value::Map(pairs))
    }
}

/// YAML's merge key `<<`: what the map does not say itself comes from `node`.
fn merge(
    pairs: &mut Vec<(String, Node)>,
    names: &mut HashSet<String>,
    node: Node,
    line: u32,
) -> Result<(), Problem> {
    match node.value {
        Value::Map(more) => {
            for (key, value) in more {
                if names.insert(key.clone()) {
                    pairs.push((key, value));
                }
            }
            Ok(())
        }
        Value::List(items) => {
            items.into_iter().try_for_each(|item| merge(pairs, names, item, line))
        }
        Value::Scalar(_) => Err(Problem::new(line, "`<<` must name a map or a list of maps")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_stay_as_written_and_know_their_line() {
        let node = parse("a: 0x1\nb: '007'\nc: yes\nd: true\ne:\n", 10).unwrap().unwrap();
        assert_eq!(node.get("a").unwrap().text(), Some("0x1"));
        assert!(!node.get("b").unwrap().scalar().unwrap().plain);
        assert_eq!(node.get("c").unwrap().scalar().unwrap().as_bool(), None);
        assert_eq!(node.get("d").unwrap().scalar().unwrap().as_bool(), Some(true));
        assert!(node.get("e").unwrap().is_null());
        assert_eq!(node.get("c").unwrap().line, 12);
    }

    #[test]
    fn duplicate_keys_depth_and_alias_bombs_are_refused() {
        assert!(
            parse("a: 1\nb:\n  c: 1\n  c: 2\n", 1).unwrap_err().reason.contains("stands twice")
        );
        let deep = format!("a: {}{}", "[".repeat(60), "]".repeat(60));
        assert!(parse(&deep, 1).unwrap_err().reason.contains("deeper"));
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(parse(&bomb, 1).unwrap_err().reason.contains("nodes"));
        assert!(parse("a: *\n", 1).unwrap_err().reason.contains("quoted"));
    }

    #[test]
    fn anchors_and_merge_keys_are_followed() {
        let node = parse("a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  k: 3\n", 1).unwrap().unwrap();
        let b = node.get("b").unwrap();
        assert_eq!(b.get("k").unwrap().text(), Some("3"));
        assert_eq!(b.get("l").unwrap().text(), Some("2"));
    }
}
