//! The encodings that rules apply to their own values, on bytes.

use crate::{error::Problem, pattern::Part};

/// A piece of a value while modifiers transform it; as in [`Part`], with bytes, since UTF-16
/// is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    One,
    Many,
}

impl Piece {
    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::One | Self::Many => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `wide` and its other name `utf16le`.
    Utf16Le,
    Utf16Be,
    /// UTF-16LE behind its byte order mark.
    Utf16,
    Base64,
    Base64Offset,
    Windash,
}

/// Dashes in one value that `windash` varies; each multiplies the value by five.
const WINDASH_MAX: usize = 3;
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// The value as pieces.
pub(crate) fn pieces(parts: Vec<Part>) -> Vec<Piece> {
    parts
        .into_iter()
        .map(|part| match part {
            Part::Lit(text) => Piece::Bytes(text.into_bytes()),
            Part::One => Piece::One,
            Part::Many => Piece::Many,
        })
        .collect()
}

/// Back to text, which what was encoded as UTF-16 need not be.
pub(crate) fn parts(pieces: Vec<Piece>, line: u32) -> Result<Vec<Part>, Problem> {
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Bytes(bytes) => String::from_utf8(bytes).map(Part::Lit).map_err(|_| {
                Problem::new(
                    line,
                    "UTF-16 of other than ASCII is no text that an event could hold; follow the modifier by base64 or base64offset",
                )
            }),
            Piece::One => Ok(Part::One),
            Piece::Many => Ok(Part::Many),
        })
        .collect()
}

/// How many times its bytes a value takes at most under `encoding`.
pub(crate) fn forms_max(encoding: Encoding) -> usize {
    match encoding {
        Encoding::Utf16Le | Encoding::Utf16Be | Encoding::Utf16 | Encoding::Base64 => 2,
        Encoding::Base64Offset => 6,
        // Each dash in one of five forms; a value without dashes is small change.
        Encoding::Windash => DASHES.len().pow(3),
    }
}

/// All forms that `value` takes under `encoding`.
pub(crate) fn encode(
    value: Vec<Piece>,
    encoding: Encoding,
    line: u32,
) -> Result<Vec<Vec<Piece>>, Problem> {
    match encoding {
        Encoding::Utf16Le => utf16(value, u16::to_le_bytes, &[], line).map(|v| vec![v]),
        Encoding::Utf16Be => utf16(value, u16::to_be_bytes, &[], line).map(|v| vec![v]),
        Encoding::Utf16 => utf16(value, u16::to_le_bytes, &[0xff, 0xfe], line).map(|v| vec![v]),
        Encoding::Base64 => {
            let bytes = plain_bytes(value, line)?;
            Ok(vec![vec![Piece::Bytes(base64(&bytes))]])
        }
        Encoding::Base64Offset => {
            let bytes = plain_bytes(value, line)?;
            Ok((0..3).map(|offset| vec![Piece::Bytes(base64_at(&bytes, offset))]).collect())
        }
        Encoding::Windash => windash(value, line),
    }
}

fn plain_bytes(value: Vec<Piece>, line: u32) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    for piece in value {
        match piece {
            Piece::Bytes(bytes) => out.extend(bytes),
            _ => {
                return Err(Problem::new(
                    line,
                    "a value with wildcards cannot be encoded as base64; escape * and ? with a backslash if they are meant literally",
                ));
            }
        }
    }
    if out.is_empty() {
        return Err(Problem::new(line, "an empty value cannot be encoded as base64"));
    }
    Ok(out)
}

fn utf16(
    value: Vec<Piece>,
    bytes_of: fn(u16) -> [u8; 2],
    mark: &[u8],
    line: u32,
) -> Result<Vec<Piece>, Problem> {
    let mut out = Vec::with_capacity(value.len() + 1);
    if !mark.is_empty() {
        out.push(Piece::Bytes(mark.to_vec()));
    }
    for piece in value {
        out.push(match piece {
            Piece::Bytes(bytes) => {
                let text = String::from_utf8(bytes).map_err(|_| {
                    Problem::new(line, "a value can be encoded as UTF-16 only once")
                })?;
                Piece::Bytes(text.encode_utf16().flat_map(bytes_of).collect())
            }
            wildcard => wildcard,
        });
    }
    Ok(out)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0_u8; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for position in 0..4 {
            out.push(if position <= chunk.len() {
                ALPHABET[(bits >> (18 - 6 * position)) as usize & 63]
            } else {
                b'='
            });
        }
    }
    out
}

/// What the base64 of any text that holds `bytes` at a position that leaves `offset` when
/// divided by three holds too: the characters that depend on `bytes` alone.
fn base64_at(bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![b' '; offset];
    padded.extend(bytes);
    let encoded = base64(&padded);
    // A first character shared with the bytes before, and a last one shared with those
    // behind (and the padding), can be anything.
    let start = [0, 2, 3][offset];
    let end = encoded.len() - [0, 3, 2][padded.len() % 3];
    encoded[start.min(end)..end].to_vec()
}

/// A dash is varied where it begins a parameter: no word character before it, one behind.
fn windash(value: Vec<Piece>, line: u32) -> Result<Vec<Vec<Piece>>, Problem> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut forms: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut varied = 0;
    for piece in value {
        let Piece::Bytes(bytes) = piece else {
            forms.iter_mut().for_each(|form| form.push(piece.clone()));
            continue;
        };
        let text = String::from_utf8(bytes)
            .map_err(|_| Problem::new(line, "windash comes before the UTF-16 modifiers"))?;
        forms.iter_mut().for_each(|form| form.push(Piece::Bytes(Vec::new())));
        let mut before = None;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let begins = DASHES.contains(&c)
                && !before.is_some_and(word)
                && chars.peek().copied().is_some_and(word);
            before = Some(c);
            if !begins {
                forms.iter_mut().for_each(|form| push_char(form, c));
                continue;
            }
            varied += 1;
            if varied > WINDASH_MAX {
                return Err(Problem::new(
                    line,
                    format!(
                        "windash varies at most {WINDASH_MAX} dashes of one value; split the value into several, e.g. with |all"
                    ),
                ));
            }
            forms = forms
                .into_iter()
                .flat_map(|form| {
                    DASHES.map(|dash| {
                        let mut form = form.clone();
                        push_char(&mut form, dash);
                        form
                    })
                })
                .collect();
        }
    }
    Ok(forms)
}

fn push_char(form: &mut [Piece], c: char) {
    if let Some(Piece::Bytes(bytes)) = form.last_mut() {
        bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, encodings: &[Encoding]) -> Vec<String> {
        let mut forms = vec![vec![Piece::Bytes(value.into())]];
        for encoding in encodings {
            forms =
                forms.into_iter().flat_map(|form| encode(form, *encoding, 1).unwrap()).collect();
        }
        forms
            .into_iter()
            .map(|form| match parts(form, 1).unwrap().as_slice() {
                [Part::Lit(text)] => text.clone(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn base64_and_its_offsets_are_those_of_pysigma() {
        assert_eq!(text("foobar", &[Encoding::Base64]), ["Zm9vYmFy"]);
        assert_eq!(text("fooba", &[Encoding::Base64]), ["Zm9vYmE="]);
        assert_eq!(text("foobar", &[Encoding::Base64Offset]), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
        assert_eq!(
            text("ping", &[Encoding::Utf16Le, Encoding::Base64Offset]),
            ["cABpAG4AZw", "AAaQBuAGcA", "wAGkAbgBnA"]
                .iter()
                .enumerate()
                .map(|(offset, _)| {
                    let wide: Vec<u8> = "ping".encode_utf16().flat_map(u16::to_le_bytes).collect();
                    String::from_utf8(base64_at(&wide, offset)).unwrap()
                })
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn an_offset_form_is_in_every_base64_that_holds_the_value() {
        for value in ["a", "ab", "abc", "é€", "longer value"] {
            for (before, after) in [(0, 0), (1, 2), (2, 1), (3, 5), (4, 0), (5, 3)] {
                let whole = format!("{}{value}{}", "\u{1}".repeat(before), "~".repeat(after));
                let whole = String::from_utf8(base64(whole.as_bytes())).unwrap();
                let forms = text(value, &[Encoding::Base64Offset]);
                assert!(whole.contains(&forms[before % 3]), "{value} {before} {after}");
            }
        }
    }

    #[test]
    fn windash_varies_what_begins_a_parameter() {
        assert_eq!(text("-a", &[Encoding::Windash]).len(), 5);
        assert_eq!(
            text(" /a-b", &[Encoding::Windash]),
            [" -a-b", " /a-b", " –a-b", " —a-b", " ―a-b"]
        );
        assert_eq!(text("a - b", &[Encoding::Windash]), ["a - b"]);
        assert_eq!(text("-a -b", &[Encoding::Windash]).len(), 25);
        let four = vec![Piece::Bytes(b"-a -b -c -d".to_vec())];
        assert!(encode(four, Encoding::Windash, 1).is_err());
    }

    #[test]
    fn utf16_of_ascii_is_text_with_nuls() {
        assert_eq!(text("ab", &[Encoding::Utf16Le]), ["a\0b\0"]);
        assert_eq!(text("ab", &[Encoding::Utf16Be]), ["\0a\0b"]);
        assert_eq!(text("a", &[Encoding::Utf16, Encoding::Base64]), ["//5hAA=="]);
    }
}
