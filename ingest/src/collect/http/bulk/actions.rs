//! The body of a bulk request: lines in pairs, an action and a document.

use serde::Deserialize;

use crate::collect::http::{
    split::{Piece, Pieces, SplitLimits, Unsplittable, lines, offer},
    take::{Found, Split},
};

/// What an action asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Create,
    Index,
    Update,
    Delete,
}

impl Op {
    /// As the protocol writes it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Index => "index",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Whether it adds a document. Events are never changed nor taken away by who sent them.
    pub(super) const fn adds(self) -> bool {
        matches!(self, Self::Create | Self::Index)
    }
}

/// One action of the request, in its order.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) op: Op,
    /// The index that it names, which says nothing here and is echoed.
    pub(super) index: Option<Box<str>>,
    /// The id that it names, echoed too.
    pub(super) id: Option<Box<str>>,
}

/// The line before a document. Exactly one of the four is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    create: Option<Target>,
    index: Option<Target>,
    update: Option<Target>,
    delete: Option<Target>,
}

/// Where the document would go; the other parameters have no meaning here.
#[derive(Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<Box<str>>,
    #[serde(rename = "_id")]
    id: Option<Box<str>>,
}

/// The body of a bulk request.
///
/// A document is taken whatever its bytes are, as shippers throw away for good what is refused
/// by itself; what cannot be decoded is kept and shows as such. A broken action leaves open which
/// lines are documents, so it sinks the request, as it does in Elasticsearch.
#[derive(Clone)]
pub(super) struct Actions;

impl Split for Actions {
    type Notes = Vec<Item>;

    fn split(&self, body: &[u8], limits: SplitLimits) -> Result<Found<Self::Notes>, Unsplittable> {
        let (mut pieces, mut items) = (Pieces::default(), Vec::new());
        let mut lines = lines(body);
        while let Some((line, range)) = lines.next() {
            if items.len() >= limits.batch_records_max {
                return Err(Unsplittable::TooManyRecords);
            }
            let broken = |reason: String| Unsplittable::Shape(format!("line {line}: {reason}"));
            let item = action(&body[range]).map_err(broken)?;
            let (op, record) = (item.op, items.len() as u64);
            items.push(item);
            if op == Op::Delete {
                continue;
            }
            let Some((line, range)) = lines.next() else {
                return Err(broken(format!("{:?} has no document behind it", op.as_str())));
            };
            if op.adds() {
                offer(&mut pieces, Piece { range, record, line, context: None }, limits);
            }
        }
        Ok(Found { pieces, text: None, notes: items })
    }
}

fn action(line: &[u8]) -> Result<Item, String> {
    let action: Action = serde_json::from_slice(line).map_err(|error| {
        let text = error.to_string();
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        format!("expected {{\"create\":{{…}}}} or {{\"index\":{{…}}}}: {what}")
    })?;
    let mut targets = [
        (Op::Create, action.create),
        (Op::Index, action.index),
        (Op::Update, action.update),
        (Op::Delete, action.delete),
    ]
    .into_iter()
    .filter_map(|(op, target)| Some((op, target?)));
    match (targets.next(), targets.next()) {
        (Some((op, Target { index, id })), None) => Ok(Item { op, index, id }),
        (None, _) => Err("it names no action; use create or index".to_owned()),
        (Some(_), Some(_)) => Err("it names several actions; use one a line".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SplitLimits =
        SplitLimits { record_bytes_max: 20, batch_records_max: 4, rejections_max: 4 };

    fn documents(body: &str) -> Result<Vec<&str>, Unsplittable> {
        let Found { pieces, .. } = Actions.split(body.as_bytes(), LIMITS)?;
        Ok(pieces.good.iter().map(|piece| &body[piece.range.clone()]).collect())
    }

    #[test]
    fn documents_follow_their_actions() {
        let body = "{\"create\":{}}\n{\"a\":1}\n\n{ \"index\" : {\"_index\":\"x\",\"_id\":\"7\"}}\r\n\r\n {\"b\":2}\r\n";
        assert_eq!(documents(body).unwrap(), ["{\"a\":1}", "{\"b\":2}"]);
        let Found { notes: items, .. } = Actions.split(body.as_bytes(), LIMITS).unwrap();
        assert_eq!(items[1].index.as_deref(), Some("x"));
        assert_eq!(items[1].id.as_deref(), Some("7"));
        assert_eq!(documents("").unwrap(), Vec::<&str>::new());
        assert_eq!(documents("\n \r\n").unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn updates_and_deletes_add_nothing_and_keep_the_pairs_in_step() {
        let body = "{\"delete\":{\"_id\":\"1\"}}\n{\"update\":{\"_id\":\"1\"}}\n{\"doc\":{}}\n{\"create\":{}}\nbroken {";
        assert_eq!(documents(body).unwrap(), ["broken {"]);
        let Found { pieces, notes: items, .. } = Actions.split(body.as_bytes(), LIMITS).unwrap();
        assert_eq!(
            items.iter().map(|item| item.op.adds()).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!((pieces.good[0].record, pieces.good[0].line), (2, 5));
    }

    #[test]
    fn a_large_document_is_refused_alone_and_a_broken_action_refuses_all() {
        let body = format!("{{\"create\":{{}}}}\n{:?}\n{{\"create\":{{}}}}\n1\n", "x".repeat(20));
        let Found { pieces, .. } = Actions.split(body.as_bytes(), LIMITS).unwrap();
        assert_eq!((pieces.good.len(), pieces.rejected[0].record), (1, 0));
        for (body, line, part) in [
            ("{\"create\":{}}", 1, "no document"),
            ("{\"create\":{}}\n1\n{\"a\":1}\n2", 3, "unknown field `a`"),
            ("{}\n1", 1, "no action"),
            ("{\"create\":{},\"index\":{}}\n1", 1, "several"),
            ("nonsense", 1, "expected"),
            ("{\"create\":[]}\n1", 1, "expected"),
        ] {
            match Actions.split(body.as_bytes(), LIMITS) {
                Err(Unsplittable::Shape(reason)) => {
                    assert!(reason.starts_with(&format!("line {line}: ")), "{body}: {reason}");
                    assert!(reason.contains(part), "{body}: {reason}");
                }
                other => panic!("{body}: {other:?}"),
            }
        }
        assert_eq!(documents(&"{\"create\":{}}\n1\n".repeat(5)), Err(Unsplittable::TooManyRecords));
    }
}
