//! Text to query. `docs/hunting.md` describes the language.
//!
//! A parser by recursive descent over characters; its depth, its input and the number of
//! conditions are bounded.

use super::{
    HuntError,
    ast::{Ast, Edge, FieldName, Piece, Test, Value},
};

/// Bytes that a query has at most.
const QUERY_BYTES_MAX: usize = 16 << 10;
/// Levels of parentheses and `not`.
const DEPTH_MAX: usize = 64;
/// Conditions in one query.
const CONDITIONS_MAX: usize = 1024;

/// Parses `query`; an empty one is everything.
pub(crate) fn parse(query: &str) -> Result<Ast, HuntError> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(at(
            1,
            format!("the query has {} bytes, more than {QUERY_BYTES_MAX}", query.len()),
        ));
    }
    let mut parser = Parser { chars: query.chars().collect(), at: 0, depth: 0, conditions: 0 };
    parser.skip_spaces();
    if parser.peek().is_none() {
        return Ok(Ast::All);
    }
    let ast = parser.or(None)?;
    match parser.peek() {
        None => Ok(ast),
        Some(')') => {
            Err(parser.error("this parenthesis closes nothing; put it in quotes to search for it"))
        }
        Some(c) => Err(parser
            .error(&format!("{c:?} was not expected here; put it in quotes to search for it"))),
    }
}

fn at(column: usize, reason: impl Into<String>) -> HuntError {
    HuntError::Query { column, reason: reason.into() }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    conditions: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Keyword {
    And,
    Or,
    Not,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn column(&self) -> usize {
        self.at + 1
    }

    fn error(&self, reason: &str) -> HuntError {
        at(self.column(), reason)
    }

    fn skip_spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// The keyword that stands here as a word of its own, and its length.
    fn keyword(&self) -> Option<(Keyword, usize)> {
        let word: String = self.chars[self.at..]
            .iter()
            .take(4)
            .take_while(|c| c.is_ascii_alphabetic())
            .map(char::to_ascii_lowercase)
            .collect();
        let keyword = match word.as_str() {
            "and" => Keyword::And,
            "or" => Keyword::Or,
            "not" => Keyword::Not,
            _ => return None,
        };
        let ends = match self.peek_at(word.len()) {
            None => true,
            Some(c) => c.is_whitespace() || c == '(' || c == ')' || c == '"',
        };
        ends.then_some((keyword, word.len()))
    }

    fn take_keyword(&mut self, wanted: Keyword) -> bool {
        match self.keyword() {
            Some((keyword, len)) if keyword == wanted => {
                self.at += len;
                self.skip_spaces();
                true
            }
            _ => false,
        }
    }

    fn deeper(&mut self) -> Result<(), HuntError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(&format!("the query is nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    fn or(&mut self, field: Option<&FieldName>) -> Result<Ast, HuntError> {
        let mut any = vec![self.and(field)?];
        while self.take_keyword(Keyword::Or) {
            any.push(self.and(field)?);
        }
        Ok(one_or(any, Ast::Or))
    }

    fn and(&mut self, field: Option<&FieldName>) -> Result<Ast, HuntError> {
        let mut all = vec![self.not(field)?];
        loop {
            if self.take_keyword(Keyword::And) {
                all.push(self.not(field)?);
                continue;
            }
            match self.peek() {
                None | Some(')') => break,
                Some(_) if matches!(self.keyword(), Some((Keyword::Or, _))) => break,
                Some(_) => all.push(self.not(field)?),
            }
        }
        Ok(one_or(all, Ast::And))
    }

    fn not(&mut self, field: Option<&FieldName>) -> Result<Ast, HuntError> {
        if !self.take_keyword(Keyword::Not) {
            return self.primary(field);
        }
        self.deeper()?;
        let negated = self.not(field)?;
        self.depth -= 1;
        Ok(Ast::Not(negated.into()))
    }

    fn primary(&mut self, field: Option<&FieldName>) -> Result<Ast, HuntError> {
        match self.peek() {
            None => Err(self.error("something to search for is missing at the end")),
            Some(')') => {
                Err(self.error("something to search for is missing before the parenthesis"))
            }
            Some('(') => self.group(field),
            Some(_) => {
                if let Some((keyword, _)) = self.keyword() {
                    let word = if keyword == Keyword::And { "and" } else { "or" };
                    return Err(self.error(&format!(
                        "something to search for is missing before `{word}`; to search for the word, put it in quotes"
                    )));
                }
                match field {
                    Some(field) => self.test(Some(field.clone())),
                    None => self.clause(),
                }
            }
        }
    }

    fn group(&mut self, field: Option<&FieldName>) -> Result<Ast, HuntError> {
        let opened = self.column();
        self.deeper()?;
        self.at += 1;
        self.skip_spaces();
        let inner = self.or(field)?;
        if self.peek() != Some(')') {
            return Err(at(opened, "this parenthesis is never closed"));
        }
        self.at += 1;
        self.skip_spaces();
        self.depth -= 1;
        Ok(inner)
    }

    /// `name:…`, `name >= …`, or a bare value.
    fn clause(&mut self) -> Result<Ast, HuntError> {
        let start = self.at;
        let Some((name, len)) = self.field_name() else { return self.test(None) };
        let field = FieldName { name, column: start + 1 };
        self.at += len;
        if self.peek() == Some(':') {
            self.at += 1;
            self.skip_spaces();
            return match self.peek() {
                None => Err(self.error(&format!("a value is missing after `{}:`", field.name))),
                Some('(') => self.group(Some(&field)),
                Some(_) => self.test(Some(field)),
            };
        }
        self.skip_spaces();
        self.test(Some(field))
    }

    /// The name that stands here before `:` or a comparison, and its length in characters. A
    /// drive letter before `:\` and a scheme before `://` are no names.
    fn field_name(&self) -> Option<(String, usize)> {
        let mut name = String::new();
        let mut len = 0;
        while let Some(c) = self.peek_at(len) {
            match c {
                '\\' if self.peek_at(len + 1) == Some(':') => {
                    name.push(':');
                    len += 1;
                }
                ':' | '<' | '>' | '"' | '(' | ')' => break,
                '=' if self.peek_at(len + 1) == Some('~') => break,
                c if c.is_whitespace() => break,
                c => name.push(c),
            }
            len += 1;
        }
        if name.is_empty() {
            return None;
        }
        if self.peek_at(len) == Some(':') {
            let next = (self.peek_at(len + 1), self.peek_at(len + 2));
            let drive = len == 1 && matches!(next.0, Some('\\' | '/'));
            let scheme = next == (Some('/'), Some('/'));
            return (!drive && !scheme).then_some((name, len));
        }
        let mut gap = len;
        while self.peek_at(gap).is_some_and(char::is_whitespace) {
            gap += 1;
        }
        let compares = match self.peek_at(gap) {
            Some('<' | '>') => true,
            Some('=') => self.peek_at(gap + 1) == Some('~'),
            _ => false,
        };
        compares.then_some((name, len))
    }

    /// One condition on `field`, or on the whole event where there is none.
    fn test(&mut self, field: Option<FieldName>) -> Result<Ast, HuntError> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(self.error(&format!("the query has more than {CONDITIONS_MAX} conditions")));
        }
        let column = self.column();
        let test = match self.peek() {
            Some('[' | '{') if field.is_some() => self.range()?,
            Some('<' | '>') if field.is_some() => self.comparison()?,
            Some('=') if field.is_some() && self.peek_at(1) == Some('~') => self.regex()?,
            _ => Test::Value(self.value()?),
        };
        self.skip_spaces();
        Ok(Ast::Test { field, test, column })
    }

    /// `=~ "…"`: a quote in it is written `\"`, everything else is the expression's own.
    fn regex(&mut self) -> Result<Test, HuntError> {
        self.at += 2;
        self.skip_spaces();
        let opened = self.column();
        if self.peek() != Some('"') {
            return Err(self.error("a regular expression is written in quotes: field =~ \"…\""));
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(at(opened, "these quotes are never closed")),
                Some('"') => break,
                Some('\\') if self.peek_at(1) == Some('"') => {
                    text.push('"');
                    self.at += 2;
                }
                Some('\\') => {
                    text.push('\\');
                    text.extend(self.peek_at(1));
                    self.at += 2;
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        Ok(Test::Regex(text))
    }

    fn comparison(&mut self) -> Result<Test, HuntError> {
        let above = self.peek() == Some('>');
        self.at += 1;
        let inclusive = self.peek() == Some('=');
        if inclusive {
            self.at += 1;
        }
        self.skip_spaces();
        let edge = Some(Edge { text: self.literal("a comparison")?, inclusive });
        Ok(if above {
            Test::Range { low: edge, high: None }
        } else {
            Test::Range { low: None, high: edge }
        })
    }

    /// `[a TO b]`, `{a TO b}`, mixed; `*` is no bound.
    fn range(&mut self) -> Result<Test, HuntError> {
        let opened = self.column();
        let low_inclusive = self.peek() == Some('[');
        self.at += 1;
        let low = self.edge(low_inclusive)?;
        if !self.take_to() {
            return Err(self.error("a range is written [low TO high]; `TO` is missing here"));
        }
        let mut high = self.edge(true)?;
        let inclusive = match self.peek() {
            Some(']') => true,
            Some('}') => false,
            _ => return Err(at(opened, "this range is never closed; write [low TO high]")),
        };
        self.at += 1;
        if let Some(high) = &mut high {
            high.inclusive = inclusive;
        }
        Ok(Test::Range { low, high })
    }

    fn take_to(&mut self) -> bool {
        let is = |ahead, c: char| self.peek_at(ahead).is_some_and(|p| p.eq_ignore_ascii_case(&c));
        let there = is(0, 't') && is(1, 'o') && self.peek_at(2).is_some_and(char::is_whitespace);
        if there {
            self.at += 2;
        }
        there
    }

    fn edge(&mut self, inclusive: bool) -> Result<Option<Edge>, HuntError> {
        self.skip_spaces();
        let text = if self.peek() == Some('"') {
            let mut value = Value::default();
            self.quoted(&mut value)?;
            value.literal().unwrap_or_default().to_owned()
        } else {
            let mut text = String::new();
            while let Some(c) = self.peek().filter(|c| !c.is_whitespace() && !"]}".contains(*c)) {
                text.push(c);
                self.at += 1;
            }
            if text == "*" {
                self.skip_spaces();
                return Ok(None);
            }
            text
        };
        if text.is_empty() {
            return Err(self.error("a bound of the range is missing; write * for none"));
        }
        self.skip_spaces();
        Ok(Some(Edge { text, inclusive }))
    }

    fn literal(&mut self, what: &str) -> Result<String, HuntError> {
        let column = self.column();
        let value = self.value()?;
        value.literal().map(str::to_owned).ok_or_else(|| {
            at(
                column,
                format!("{what} takes no wildcards; put the value in quotes if it has a * or ?"),
            )
        })
    }

    /// A value up to the next space or parenthesis outside of quotes. Backslashes stand for
    /// themselves, as paths are full of them, unless before a quote or a colon.
    fn value(&mut self) -> Result<Value, HuntError> {
        let mut value = Value::default();
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                '"' => self.quoted(&mut value)?,
                '(' | ')' => break,
                '*' | '?' => {
                    let piece = if c == '*' { Piece::Many } else { Piece::One };
                    if piece == Piece::One || value.pieces.last() != Some(&Piece::Many) {
                        value.pieces.push(piece);
                    }
                    self.at += 1;
                }
                '\\' if matches!(self.peek_at(1), Some('"' | ':')) => {
                    value.push(self.peek_at(1).unwrap_or_default());
                    self.at += 2;
                }
                c if c.is_whitespace() => break,
                c => {
                    value.push(c);
                    self.at += 1;
                }
            }
        }
        if self.at == start {
            return Err(self.error("a value is missing here"));
        }
        Ok(value)
    }

    /// `"…"`: `\"` is a quote and `\\` a backslash, everything else is as it stands.
    fn quoted(&mut self, value: &mut Value) -> Result<(), HuntError> {
        let opened = self.column();
        value.quoted = true;
        if value.pieces.is_empty() {
            value.pieces.push(Piece::Text(String::new()));
        }
        self.at += 1;
        loop {
            match (self.peek(), self.peek_at(1)) {
                (None, _) => {
                    return Err(at(
                        opened,
                        "this quote is never closed; a backslash before a quote makes it part of the value, so write \\\\ for a backslash at the end",
                    ));
                }
                (Some('"'), _) => {
                    self.at += 1;
                    return Ok(());
                }
                (Some('\\'), Some(c @ ('"' | '\\'))) => {
                    value.push(c);
                    self.at += 2;
                }
                (Some(c), _) => {
                    value.push(c);
                    self.at += 1;
                }
            }
        }
    }
}

fn one_or(mut all: Vec<Ast>, many: fn(Vec<Ast>) -> Ast) -> Ast {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            many(all)
        }
        None => Ast::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str) -> Vec<Piece> {
        match parse(query).unwrap() {
            Ast::Test { test: Test::Value(value), .. } => value.pieces,
            other => panic!("{query}: {other:?}"),
        }
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn paths_are_taken_as_analysts_type_them() {
        assert_eq!(value(r"f:C:\Windows\cmd.exe"), [text(r"C:\Windows\cmd.exe")]);
        assert_eq!(value(r"C:\Windows\cmd.exe"), [text(r"C:\Windows\cmd.exe")]);
        assert_eq!(value(r#"f:"C:\\Program Files\\x""#), [text(r"C:\Program Files\x")]);
        assert_eq!(value(r#"f:"C:\Program Files\x""#), [text(r"C:\Program Files\x")]);
        assert_eq!(
            value(r"f:C:\Users\*\x?"),
            [text(r"C:\Users\"), Piece::Many, text(r"\x"), Piece::One]
        );
        assert_eq!(value("https://a.b/c"), [text("https://a.b/c")]);
        assert_eq!(value(r"(f:C:\Temp\)"), [text(r"C:\Temp\")]);
        assert_eq!(value(r#"f:"*""#), [text("*")]);
        assert_eq!(value(r#"f:*"a b"*"#), [Piece::Many, text("a b"), Piece::Many]);
    }

    #[test]
    fn operators_bind_as_everywhere() {
        let both = parse("a:1 and b:2 OR not c:3 d:4").unwrap();
        let Ast::Or(any) = both else { panic!("{both:?}") };
        assert!(matches!(&any[0], Ast::And(all) if all.len() == 2));
        assert!(matches!(&any[1], Ast::And(all) if matches!(all[0], Ast::Not(_))));
        assert_eq!(parse("a:(1 or 2)").unwrap(), {
            let test = |v: &str, column| Ast::Test {
                field: Some(FieldName { name: "a".into(), column: 1 }),
                test: Test::Value(Value { pieces: vec![text(v)], quoted: false }),
                column,
            };
            Ast::Or(vec![test("1", 4), test("2", 9)])
        });
        assert!(matches!(parse("pid >= 5").unwrap(), Ast::Test { test: Test::Range { .. }, .. }));
        assert!(matches!(
            parse("pid:[1 TO *}").unwrap(),
            Ast::Test { test: Test::Range { high: None, .. }, .. }
        ));
        for query in [r#"a=~"x\d \"y""#, r#"a =~ "x\d \"y""#, r#"a  =~"x\d \"y""#] {
            let Ast::Test { field, test, .. } = parse(query).unwrap() else { panic!("{query}") };
            assert_eq!(field.unwrap().name, "a", "{query}");
            assert_eq!(test, Test::Regex(r#"x\d "y"#.to_owned()), "{query}");
        }
        assert_eq!(parse("  ").unwrap(), Ast::All);
    }

    #[test]
    fn errors_name_the_column() {
        for (query, wanted) in [
            ("a:1 )", 5),
            ("(a:1", 1),
            ("a:\"x", 3),
            ("a:", 3),
            ("and b", 1),
            ("a or", 5),
            ("a:[1 2]", 6),
            ("a =~ x", 6),
            ("a =~ \"x", 6),
        ] {
            match parse(query) {
                Err(HuntError::Query { column, .. }) => assert_eq!(column, wanted, "{query}"),
                other => panic!("{query}: {other:?}"),
            }
        }
        assert!(parse(&"(".repeat(10_000)).is_err());
        assert!(parse(&"not ".repeat(4_000)).is_err());
        assert!(parse(&"a ".repeat(2_000)).is_err());
    }
}
