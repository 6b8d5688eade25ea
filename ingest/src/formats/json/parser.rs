//! Reading the text.

use std::borrow::Cow;

use event::{Space, Unescaped};

use super::{DEPTH_MAX, Json, JsonError, VALUES_MAX};

pub(super) struct Parser<'a, 's> {
    text: &'a str,
    /// Always on a character boundary: it only ever passes whole ASCII bytes or whole
    /// strings.
    at: usize,
    values: usize,
    /// Where escapes are resolved; into strings of their own without it.
    space: Option<&'s mut Space<'a>>,
}

impl<'a, 's> Parser<'a, 's> {
    pub(super) fn new(text: &'a str, space: Option<&'s mut Space<'a>>) -> Self {
        Self { text, at: 0, values: 0, space }
    }

    /// One value with nothing but white space around it.
    pub(super) fn document(mut self) -> Result<Json<'a>, JsonError> {
        let value = self.value(0)?;
        self.skip_space();
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.unexpected("the end")),
        }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
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
        self.count()?;
        self.skip_space();
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
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
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
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Json::Object(pairs));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(match self.peek() {
                    None => JsonError::Short { inside: "an object" },
                    Some(_) => self.unexpected("a key in quotes"),
                });
            }
            // Most pairs are plain texts and numbers, whose parts stay in registers; a value
            // that is handed on through memory costs more than its text.
            if let Some(key) = self.plain_string() {
                self.colon()?;
                self.skip_space();
                if let Some(text) = self.plain_string() {
                    self.count()?;
                    pairs.push((key.into(), Json::Str(text.into())));
                } else if let Some(digits) = self.plain_number() {
                    self.count()?;
                    pairs.push((key.into(), Json::Number(digits)));
                } else {
                    let value = self.value(depth + 1)?;
                    pairs.push((key.into(), value));
                }
            } else {
                let key = self.string()?;
                self.colon()?;
                let value = self.value(depth + 1)?;
                pairs.push((key, value));
            }
            self.skip_space();
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

    #[inline]
    fn count(&mut self) -> Result<(), JsonError> {
        self.values += 1;
        if self.values > VALUES_MAX { Err(JsonError::Values) } else { Ok(()) }
    }

    #[inline]
    fn colon(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        match self.peek() {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            None => Err(JsonError::Short { inside: "an object" }),
            Some(_) => Err(self.unexpected("`:`")),
        }
    }

    /// The string that begins here, where one does and needs no memory of its own; else
    /// nothing, and what is wrong is left to [`string`](Self::string) to tell.
    #[inline]
    fn plain_string(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let end = start + find_stop(self.text.as_bytes().get(start..)?)?;
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return self.unescaped(start, end);
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// The same for a string that began at `start` and has its first escape at `escape`.
    #[inline(never)]
    fn unescaped(&mut self, start: usize, escape: usize) -> Option<&'a str> {
        let space = self.space.take()?;
        let string = space.unescape(|out| self.escaped(start, escape, out));
        self.space = Some(space);
        match string {
            Ok(Cow::Borrowed(text)) => Some(text),
            _ => {
                self.at = start - 1;
                None
            }
        }
    }

    /// The whole number that begins here; nothing where there is none or it goes on.
    #[inline]
    fn plain_number(&mut self) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let goes_on = matches!(rest.get(sign + digits), Some(b'.' | b'e' | b'E'));
        if digits == 0 || goes_on {
            return None;
        }
        let start = self.at;
        self.at += sign + digits;
        self.text.get(start..self.at)
    }

    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at += 1;
        let start = self.at;
        let end = self.string_stop(start)?;
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Cow::Borrowed(self.text.get(start..end).unwrap_or_default()));
        }
        match self.space.take() {
            Some(space) => {
                let string = space.unescape(|out| self.escaped(start, end, out));
                self.space = Some(space);
                string
            }
            None => {
                let mut out = String::with_capacity((end - start) * 2 + 32);
                self.escaped(start, end, &mut out)?;
                Ok(Cow::Owned(out))
            }
        }
    }

    /// Where the next quote or backslash is, from `at` on.
    fn string_stop(&self, at: usize) -> Result<usize, JsonError> {
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        match find_stop(rest) {
            Some(len) => Ok(at + len),
            None => Err(JsonError::Short { inside: "a string" }),
        }
    }

    /// Appends the rest of a string that began at `start` and has its first escape at
    /// `escape`.
    fn escaped(
        &mut self,
        start: usize,
        escape: usize,
        out: &mut String,
    ) -> Result<Unescaped, JsonError> {
        let (text, bytes) = (self.text, self.text.as_bytes());
        let mut unescaped = Unescaped::Repeats;
        let (mut from, mut at) = (start, escape);
        loop {
            out.push_str(text.get(from..at).unwrap_or_default());
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(unescaped);
            }
            self.at = at + 1;
            match self.peek() {
                None => return Err(JsonError::Short { inside: "a string" }),
                Some(b'u') => {
                    self.at += 1;
                    self.unicode(out)?;
                    unescaped = Unescaped::Differs;
                }
                Some(letter) => {
                    if letter == b'/' {
                        unescaped = Unescaped::Differs;
                    }
                    out.push(match letter {
                        b'\\' => '\\',
                        b'"' => '"',
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
            at = self.string_stop(from)?;
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
                    match find_stop(&bytes[self.at.min(bytes.len())..]) {
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

/// Words that are looked at before a search with wider registers begins, which costs more
/// than most strings are long.
const WORDS: usize = 4;

/// Where the first quote or backslash is.
#[inline]
fn find_stop(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The highest bit of each byte that is zero is set; of those above the first one perhaps
    // too many, which the lowest set bit does not see.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().take(WORDS).enumerate() {
        let word = u64::from_le_bytes(*word);
        let stops = zeros(word ^ (LOW * b'"' as u64)) | zeros(word ^ (LOW * b'\\' as u64));
        if stops != 0 {
            return Some(index * 8 + stops.trailing_zeros() as usize / 8);
        }
    }
    let seen = words.len().min(WORDS) * 8;
    memchr::memchr2(b'"', b'\\', &bytes[seen..]).map(|len| seen + len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(
            bytes in prop::collection::vec(prop_oneof![
                8 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\'), 1 => Just(b'#'), 1 => Just(b']'),
            ], 0..80),
        ) {
            let plain = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(find_stop(&bytes), plain);
        }
    }
}
