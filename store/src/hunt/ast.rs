//! A query as it was written.

/// A parsed query. Columns are characters from 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ast {
    /// Everything.
    All,
    And(Vec<Ast>),
    Or(Vec<Ast>),
    Not(Box<Ast>),
    Test {
        field: Option<FieldName>,
        test: Test,
        column: usize,
    },
}

/// A field as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FieldName {
    pub(crate) name: String,
    pub(crate) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Value(Value),
    Range {
        low: Option<Edge>,
        high: Option<Edge>,
    },
    /// A regular expression.
    Regex(String),
}

/// A value: literal text and wildcards.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Value {
    pub(crate) pieces: Vec<Piece>,
    /// Whether any of it stood in quotes.
    pub(crate) quoted: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Text(String),
    /// `?`, one character.
    One,
    /// `*`, any characters or none.
    Many,
}

impl Value {
    pub(crate) fn push(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.to_string())),
        }
    }

    /// The text, where there are no wildcards.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &self.pieces[..] {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether it is `*` alone.
    pub(crate) fn is_any(&self) -> bool {
        !self.pieces.is_empty() && self.pieces.iter().all(|piece| *piece == Piece::Many)
    }
}

/// An end of a range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) text: String,
    pub(crate) inclusive: bool,
}
