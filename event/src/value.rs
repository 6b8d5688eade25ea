//! Values as they are read.

use std::borrow::Cow;

/// A value of a field, borrowed from its event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// JSON `null`: there, but without value.
    Null,
    /// JSON `true` or `false`.
    Bool(bool),
    /// A whole number.
    I64(i64),
    /// A whole number beyond `i64`.
    U64(u64),
    /// Any other number that a double holds; what neither holds stays text.
    F64(f64),
    /// Text.
    Str(&'a str),
}

impl<'a> ValueRef<'a> {
    /// The text, where it is text.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The value as text, as a rule or an analyst would write it; `""` for null.
    pub fn to_text(self) -> Cow<'a, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::I64(n) => Cow::Owned(n.to_string()),
            Self::U64(n) => Cow::Owned(n.to_string()),
            Self::F64(n) => Cow::Owned(n.to_string()),
            Self::Str(text) => Cow::Borrowed(text),
        }
    }

    /// The value as a whole number, where it is one or is text that spells one.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::I64(n) => Some(n),
            Self::U64(n) => i64::try_from(n).ok(),
            Self::Str(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The value as JSON.
    pub fn to_json(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(b) => b.into(),
            Self::I64(n) => n.into(),
            Self::U64(n) => n.into(),
            Self::F64(n) => n.into(),
            Self::Str(text) => text.into(),
        }
    }
}
