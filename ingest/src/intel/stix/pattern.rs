//! STIX patterns (STIX 2.1, part 9), as far as they name single values.
//!
//! An indicator is compared with one value at a time, so a pattern is of use where one value
//! alone fulfils it: comparisons joined by `OR`, in one observation or in several. Of `AND` two
//! uses say no more than one value: the hashes of one file by different algorithms, and the type
//! of an address beside its value. Everything else is refused with the reason, as taking half of
//! an `AND` would fire where the pattern does not.

use std::collections::BTreeSet;

use event::IndicatorType;

/// Characters of a pattern at most.
const PATTERN_CHARS_MAX: usize = 1 << 20;
/// Levels of parentheses at most.
const DEPTH_MAX: usize = 32;

/// The values that each by itself fulfil `pattern`, or why there are none.
pub(super) fn values(pattern: &str) -> Result<Vec<(IndicatorType, String)>, String> {
    if pattern.len() > PATTERN_CHARS_MAX {
        return Err(format!("the pattern is longer than {PATTERN_CHARS_MAX} characters"));
    }
    let mut parser = Parser { tokens: tokens(pattern)?, at: 0, depth: 0 };
    let expr = parser.observations()?;
    match parser.peek() {
        None => alternatives(&expr),
        Some(Token::Word(word)) if QUALIFIERS.contains(&word.as_str()) => {
            Err(format!("the qualifier {word} asks for more than one value"))
        }
        Some(token) => Err(format!("{token:?} is not expected after the pattern's end")),
    }
}

const QUALIFIERS: [&str; 4] = ["WITHIN", "REPEATS", "START", "STOP"];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A keyword or a part of a path.
    Word(String),
    /// A quoted text, unescaped.
    Text(String),
    /// `[`, `]`, `(`, `)`, `=`, `!=`, …
    Sign(&'static str),
}

const SIGNS: [&str; 15] =
    ["!=", "<=", ">=", "<>", "==", "=", "<", ">", "[", "]", "(", ")", ":", ".", ","];

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = pattern.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (text, after) = quoted(rest)?;
            tokens.push(Token::Text(text));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '+');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("{first:?} has no meaning in a pattern"));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// A text in single quotes, in which `\'` and `\\` stand for the second character.
fn quoted(rest: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok((text, &rest[at + 1..])),
            '\\' => text.extend(chars.next().map(|(_, c)| c)),
            c => text.push(c),
        }
    }
    Err("a quote is not closed".to_owned())
}

#[derive(Debug)]
enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Is(Comparison),
}

#[derive(Debug)]
struct Comparison {
    /// E.g. `file`.
    object: String,
    /// E.g. `hashes`, `SHA-256`.
    path: Vec<String>,
    operator: String,
    values: Vec<String>,
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn takes(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(next)) if next == word);
        self.at += usize::from(is);
        is
    }

    fn demand(&mut self, sign: &'static str) -> Result<(), String> {
        match self.takes(&Token::Sign(sign)) {
            true => Ok(()),
            false => Err(format!("{sign:?} is missing before {}", self.place())),
        }
    }

    fn place(&self) -> String {
        match self.peek() {
            Some(token) => format!("{token:?}"),
            None => "the end".to_owned(),
        }
    }

    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.depth >= DEPTH_MAX {
            return Err(format!("parentheses are nested deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn observations(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.observation()?];
        loop {
            if self.word("OR") {
                parts.push(self.observation()?);
                continue;
            }
            return match self.peek() {
                Some(Token::Word(word)) if word == "AND" || word == "FOLLOWEDBY" => {
                    Err(format!("{word} joins observations, which need more than one event"))
                }
                _ => Ok(Expr::Or(parts)),
            };
        }
    }

    fn observation(&mut self) -> Result<Expr, String> {
        let closing = match self.next() {
            Some(Token::Sign("[")) => "]",
            Some(Token::Sign("(")) => ")",
            _ => return Err("a pattern begins with \"[\"".to_owned()),
        };
        let inner = match closing {
            "]" => self.deeper(Self::alternation)?,
            _ => self.deeper(Self::observations)?,
        };
        self.demand(closing)?;
        Ok(inner)
    }

    fn alternation(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.conjunction()?];
        while self.word("OR") {
            parts.push(self.conjunction()?);
        }
        Ok(Expr::Or(parts))
    }

    fn conjunction(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.comparison()?];
        while self.word("AND") {
            parts.push(self.comparison()?);
        }
        Ok(match parts.len() {
            1 => parts.remove(0),
            _ => Expr::And(parts),
        })
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        if self.takes(&Token::Sign("(")) {
            let inner = self.deeper(Self::alternation)?;
            self.demand(")")?;
            return Ok(inner);
        }
        let (object, path) = self.path()?;
        let operator = match self.next() {
            Some(Token::Sign(sign)) => sign.to_owned(),
            Some(Token::Word(word)) => word,
            _ => return Err(format!("{object}: an operator is missing")),
        };
        if operator == "NOT" {
            // `=`, `IN`: whatever it is, what is denied is no value.
            self.next();
        }
        Ok(Expr::Is(Comparison { object, path, operator, values: self.operands()? }))
    }

    fn path(&mut self) -> Result<(String, Vec<String>), String> {
        let Some(Token::Word(object)) = self.next() else {
            return Err("a comparison begins with an object such as ipv4-addr".to_owned());
        };
        if object == "NOT" || object == "EXISTS" {
            return Err(format!("{object} asks for what is absent or for no value"));
        }
        self.demand(":")?;
        let mut path = Vec::new();
        loop {
            match self.next() {
                Some(Token::Word(part) | Token::Text(part)) => path.push(part),
                _ => return Err(format!("{object}: a property is missing")),
            }
            // `[*]`, `[0]`: any member will do, as events are compared with all of theirs.
            if self.takes(&Token::Sign("[")) {
                self.next();
                self.demand("]")?;
            }
            if !self.takes(&Token::Sign(".")) {
                return Ok((object, path));
            }
        }
    }

    fn operands(&mut self) -> Result<Vec<String>, String> {
        if !self.takes(&Token::Sign("(")) {
            return Ok(vec![self.operand()?]);
        }
        let mut values = vec![self.operand()?];
        while self.takes(&Token::Sign(",")) {
            values.push(self.operand()?);
        }
        self.demand(")")?;
        Ok(values)
    }

    fn operand(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text) | Token::Word(text)) => Ok(text),
            _ => Err("a value in single quotes is missing".to_owned()),
        }
    }
}

type Values = Vec<(IndicatorType, String)>;

fn alternatives(expr: &Expr) -> Result<Values, String> {
    match expr {
        Expr::Or(parts) => {
            let found: Vec<Values> = parts.iter().map(alternatives).collect::<Result<_, _>>()?;
            Ok(found.concat())
        }
        Expr::And(parts) => conjunction(parts),
        Expr::Is(comparison) => comparison.values(),
    }
}

/// An `AND` that one value alone fulfils.
fn conjunction(parts: &[Expr]) -> Result<Values, String> {
    let mut said = Vec::new();
    for part in parts {
        match part {
            Expr::Is(comparison) if comparison.is_redundant() => {}
            Expr::Is(comparison) => said.push(comparison),
            _ => return Err("AND joins alternatives; one value alone is not enough".to_owned()),
        }
    }
    if let [single] = said.as_slice() {
        return single.values();
    }
    let of_one_file = said.iter().all(|comparison| {
        comparison.path.first().is_some_and(|part| part == "hashes")
            && comparison.object == said[0].object
            && comparison.values.len() == 1
    });
    let algorithms: BTreeSet<_> = said.iter().map(|comparison| comparison.path.last()).collect();
    if !of_one_file || algorithms.len() != said.len() {
        return Err(
            "AND asks for several values at once; one alone would fire too often".to_owned()
        );
    }
    // Those of other algorithms say nothing that these do not.
    let usable: Vec<Values> =
        said.iter().filter_map(|comparison| comparison.values().ok()).collect();
    match usable.is_empty() {
        true => said[0].values(),
        false => Ok(usable.concat()),
    }
}

impl Comparison {
    /// Whether it says the type of an address, which its value shows.
    fn is_redundant(&self) -> bool {
        let last = self.path.last().is_some_and(|part| part == "type");
        last && self.path.len() > 1 && self.operator == "="
    }

    fn values(&self) -> Result<Values, String> {
        let kind = self.kind()?;
        let of = |value: &String| (kind.unwrap_or_else(|| host_kind(value)), value.clone());
        match (self.operator.as_str(), kind) {
            ("=" | "==", _) if self.values.len() == 1 => {}
            ("IN", _) => {}
            ("ISSUBSET", Some(IndicatorType::Ip)) => {}
            (operator, _) => {
                return Err(format!("operator {operator} of {} is not compared", self.name()));
            }
        }
        Ok(self.values.iter().map(of).collect())
    }

    fn name(&self) -> String {
        format!("{}:{}", self.object, self.path.join("."))
    }

    /// What sort of value it asks for; `None` for an address or a domain, whichever it is.
    fn kind(&self) -> Result<Option<IndicatorType>, String> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let kind = match (self.object.as_str(), path.as_slice()) {
            ("ipv4-addr" | "ipv6-addr", ["value"]) => IndicatorType::Ip,
            ("domain-name", ["value"]) => IndicatorType::Domain,
            ("domain-name", ["resolves_to_refs", "value"]) => return Ok(None),
            ("url", ["value"]) => IndicatorType::Url,
            ("email-addr", ["value"]) => IndicatorType::Email,
            ("email-message", ["from_ref" | "sender_ref", "value"]) => IndicatorType::Email,
            ("network-traffic", ["src_ref" | "dst_ref", "value"]) => return Ok(None),
            ("network-traffic", ["extensions", "http-request-ext", "request_header", header])
                if header.eq_ignore_ascii_case("user-agent") =>
            {
                IndicatorType::UserAgent
            }
            ("file", ["name"]) => IndicatorType::FileName,
            ("file" | "artifact", ["hashes", algorithm]) => {
                compared(algorithm)?;
                IndicatorType::Hash
            }
            ("file", ["content_ref", "hashes", algorithm])
            | ("process", ["image_ref" | "binary_ref", "hashes", algorithm]) => {
                compared(algorithm)?;
                IndicatorType::Hash
            }
            ("x509-certificate", ["hashes", algorithm]) => {
                compared(algorithm)?;
                IndicatorType::Certificate
            }
            _ => return Err(format!("{} is not compared", self.name())),
        };
        Ok(Some(kind))
    }
}

/// Refuses a hash that events do not carry.
fn compared(algorithm: &str) -> Result<(), String> {
    let name = algorithm.to_ascii_uppercase().replace('-', "");
    match name.as_str() {
        "MD5" | "SHA1" | "SHA256" => Ok(()),
        _ => Err(format!("hashes by {algorithm} are not compared; MD5, SHA-1 and SHA-256 are")),
    }
}

fn host_kind(value: &str) -> IndicatorType {
    let address = value.split_once('/').map_or(value, |(address, _)| address);
    match address.parse::<std::net::IpAddr>() {
        Ok(_) => IndicatorType::Ip,
        Err(_) => IndicatorType::Domain,
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
