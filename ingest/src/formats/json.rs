//! JSON text as a tree that borrows from it.
//!
//! A record is parsed once, strings without escapes are slices of it, and numbers keep
//! their digits, so that what no 64-bit number holds is not rounded. It takes what real
//! shippers send wrong: raw control characters inside strings, lone surrogates (U+FFFD),
//! duplicate keys (all are kept). Containers deeper than [`DEPTH_MAX`] are kept as text, so
//! recursion is bounded; more than [`VALUES_MAX`] values are refused, so memory is.

use std::borrow::Cow;

/// Levels of nesting that become a tree.
pub(crate) const DEPTH_MAX: usize = 32;

/// Values that a record has at most.
pub(crate) const VALUES_MAX: usize = 1 << 20;

/// An object's pairs in their order.
pub(crate) type Object<'a> = [(Cow<'a, str>, Json<'a>)];

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// The digits as they stand.
    Number(&'a str),
    Str(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    /// A container below [`DEPTH_MAX`], as text.
    Deep(&'a str),
}

/// Why text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    #[error("the JSON ends early, inside {inside}; it may have been cut by a length limit")]
    Short { inside: &'static str },
    #[error("byte {at} of the JSON should be {wanted}, not {found:?}")]
    Unexpected { at: usize, wanted: &'static str, found: char },
    #[error("the JSON has more than {VALUES_MAX} values; split it into several records")]
    Values,
}

impl<'a> Json<'a> {
    /// Parses `text`, which is one value with nothing but white space around it.
    pub(crate) fn parse(text: &'a str) -> Result<Self, JsonError> {
        let mut parser = Parser { text, at: 0, values: 0 };
        let value = parser.value(0)?;
        parser.space();
        match parser.peek() {
            None => Ok(value),
            Some(_) => Err(parser.unexpected("the end")),
        }
    }

    /// The pairs, where it is an object.
    pub(crate) fn object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(pairs) => Some(pairs),
            _ => None,
        }
    }

    /// The first value of `key`, where it is an object that has one.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.object().and_then(|pairs| find(pairs, key))
    }

    /// The value at the end of `keys`.
    pub(crate) fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text of a scalar as a shipper wrote it; `None` for null and containers.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            Self::Number(digits) => Some(digits),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Deep(_) | Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The text of a scalar, unless it says "nothing" (`""`, `-`).
    pub(crate) fn present(&self) -> Option<&str> {
        self.text().filter(|text| super::text::is_present(text))
    }

    /// A whole number, also where it stands as text.
    pub(crate) fn whole(&self) -> Option<i64> {
        self.text()?.trim().parse().ok()
    }
}

/// The first value of `key` among `pairs`.
pub(crate) fn find<'o, 'a>(pairs: &'o Object<'a>, key: &str) -> Option<&'o Json<'a>> {
    pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

struct Parser<'a> {
    text: &'a str,
    /// Always on a character boundary: it only ever passes whole ASCII bytes or whole
    /// strings.
    at: usize,
    values: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// The text from `start` to here.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn unexpected(&self, wanted: &'static str) -> JsonError {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => JsonError::Unexpected { at: self.at + 1, wanted, found },
            None => JsonError::Short { inside: "a value" },
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(JsonError::Values);
        }
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(Json::Str),
            Some(b'{' | b'[') if depth >= DEPTH_MAX => self.skip_container().map(Json::Deep),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &'static str, value: Json<'a>) -> Result<Json<'a>, JsonError> {
        match self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            true => {
                self.at += word.len();
                Ok(value)
            }
            false => Err(self.unexpected("true, false or null")),
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        self.digits()?;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(self.since(start)))
    }

    fn array(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Json::Array(items));
                }
                None => return Err(JsonError::Short { inside: "an array" }),
                Some(_) => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json<'a>, JsonError> {
        self.at += 1;
        // Most objects are whole events; small ones waste little.
        let mut pairs = Vec::with_capacity(if depth == 0 { 64 } else { 8 });
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(match self.peek() {
                    None => JsonError::Short { inside: "an object" },
                    Some(_) => self.unexpected("a key in quotes"),
                });
            }
            let key = self.string()?;
            self.space();
            match self.peek() {
                Some(b':') => self.at += 1,
                None => return Err(JsonError::Short { inside: "an object" }),
                Some(_) => return Err(self.unexpected("`:`")),
            }
            pairs.push((key, self.value(depth + 1)?));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Json::Object(pairs));
                }
                None => return Err(JsonError::Short { inside: "an object" }),
                Some(_) => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let bytes = self.text.as_bytes();
        match memchr::memchr2(b'"', b'\\', &bytes[start..]) {
            Some(len) if bytes[start + len] == b'"' => {
                self.at = start + len + 1;
                Ok(Cow::Borrowed(self.text.get(start..start + len).unwrap_or_default()))
            }
            Some(len) => self.escaped(start, start + len).map(Cow::Owned),
            None => Err(JsonError::Short { inside: "a string" }),
        }
    }

    /// The rest of a string that began at `start` and has its first escape at `escape`.
    fn escaped(&mut self, start: usize, escape: usize) -> Result<String, JsonError> {
        let short = JsonError::Short { inside: "a string" };
        let bytes = self.text.as_bytes();
        let mut out = String::with_capacity((escape - start) * 2 + 32);
        let (mut from, mut at) = (start, escape);
        loop {
            out.push_str(self.text.get(from..at).unwrap_or_default());
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(out);
            }
            self.at = at + 1;
            match self.peek() {
                None => return Err(short),
                Some(b'u') => {
                    self.at += 1;
                    self.unicode(&mut out)?;
                }
                Some(letter) => {
                    out.push(match letter {
                        b'"' => '"',
                        b'\\' => '\\',
                        b'/' => '/',
                        b'b' => '\u{8}',
                        b'f' => '\u{c}',
                        b'n' => '\n',
                        b'r' => '\r',
                        b't' => '\t',
                        _ => return Err(self.unexpected("an escape of JSON")),
                    });
                    self.at += 1;
                }
            }
            from = self.at;
            match memchr::memchr2(b'"', b'\\', &bytes[from..]) {
                Some(len) => at = from + len,
                None => return Err(short),
            }
        }
    }

    /// Appends what stands behind `\u`.
    fn unicode(&mut self, out: &mut String) -> Result<(), JsonError> {
        let first = self.hex4()?;
        if (0xD800..0xDC00).contains(&first) {
            let behind = self.at;
            if self.text.get(behind..).is_some_and(|rest| rest.starts_with("\\u")) {
                self.at += 2;
                let second = self.hex4()?;
                if (0xDC00..0xE000).contains(&second) {
                    let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    return Ok(());
                }
                // The second is no low surrogate: it stands for itself.
                self.at = behind;
            }
        }
        out.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(16))
                .ok_or_else(|| self.unexpected("a hexadecimal digit"))?;
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    /// Passes a container without looking into it, and without recursion.
    fn skip_container(&mut self) -> Result<&'a str, JsonError> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let mut open = 0usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(self.since(start));
                    }
                }
                b'"' => loop {
                    match memchr::memchr2(b'"', b'\\', &bytes[self.at.min(bytes.len())..]) {
                        None => return Err(JsonError::Short { inside: "a string" }),
                        Some(len) if bytes[self.at + len] == b'"' => {
                            self.at += len + 1;
                            break;
                        }
                        Some(len) => self.at += len + 2,
                    }
                },
                _ => {}
            }
        }
        Err(JsonError::Short { inside: "an array or object" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn to_serde(json: &Json<'_>) -> serde_json::Value {
        match json {
            Json::Null => serde_json::Value::Null,
            Json::Bool(b) => (*b).into(),
            Json::Number(digits) => serde_json::from_str(digits).unwrap(),
            Json::Str(text) => text.as_ref().into(),
            Json::Array(items) => items.iter().map(to_serde).collect(),
            Json::Object(pairs) => serde_json::Value::Object(
                pairs.iter().map(|(k, v)| (k.to_string(), to_serde(v))).collect(),
            ),
            Json::Deep(text) => serde_json::from_str(text).unwrap(),
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1.0e9..1.0e9f64).prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map(".*", inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in any_json(), pretty in any::<bool>()) {
            let text = match pretty {
                true => serde_json::to_string_pretty(&value).unwrap(),
                false => value.to_string(),
            };
            // Read back rather than compared with `value`: serde_json may round a double.
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(to_serde(&Json::parse(&text).unwrap()), read);
        }

        #[test]
        fn accepts_all_that_serde_json_accepts_and_never_panics(
            text in r#"[\[\]{},:"\\0-9a-fnrtuD.eE+\- ]{0,40}"#,
        ) {
            let ours = Json::parse(&text);
            if serde_json::from_str::<serde_json::Value>(&text).is_ok() {
                prop_assert!(ours.is_ok(), "{:?}", ours);
            }
        }
    }

    #[test]
    fn is_tolerant_where_nothing_is_lost() {
        let json = Json::parse("{\"a\":\"x\0\n\",\"a\":1e400,\"b\":\"\\ud800!\"}").unwrap();
        assert_eq!(
            json.object().unwrap(),
            [
                ("a".into(), Json::Str("x\0\n".into())),
                ("a".into(), Json::Number("1e400")),
                ("b".into(), Json::Str("\u{fffd}!".into())),
            ]
        );
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let deep = format!("{}\"]\\\"\"{}", "[".repeat(10_000), "]".repeat(10_000));
        let mut value = &Json::parse(&deep).unwrap();
        while let Json::Array(items) = value {
            value = &items[0];
        }
        let Json::Deep(text) = value else { panic!("{value:?}") };
        assert_eq!(text.len(), deep.len() - 2 * DEPTH_MAX);
        assert_eq!(Json::parse(&format!("[{}1]", "1,".repeat(VALUES_MAX))), Err(JsonError::Values));
    }

    #[test]
    fn errors_say_where() {
        for (text, error) in [
            ("", "the JSON ends early, inside a value; it may have been cut by a length limit"),
            (
                "{\"a\":\"",
                "the JSON ends early, inside a string; it may have been cut by a length limit",
            ),
            ("{a:1}", "byte 2 of the JSON should be a key in quotes, not 'a'"),
            ("{} x", "byte 4 of the JSON should be the end, not 'x'"),
            ("[1 2]", "byte 4 of the JSON should be `,` or `]`, not '2'"),
            ("é", "byte 1 of the JSON should be a value, not 'é'"),
        ] {
            assert_eq!(Json::parse(text).unwrap_err().to_string(), error);
        }
    }
}
