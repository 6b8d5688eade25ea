//! Memory that a parser and an event under construction share, so that what the parser reads
//! becomes the event's without being copied value by value.

use std::{borrow::Cow, marker::PhantomData};

/// Where a parser unescapes the text of one record.
///
/// The event's buffer begins with the whole text, followed by everything that was unescaped.
/// Invariant: whatever stands at an offset of `source` or of the used part of `memory` stands
/// at the same offset of its region in `copy`. All three only grow by appending here, and
/// `source` and `memory` stay borrowed until the [`Lent`] that this becomes is given back, so
/// a text within either of them can be told by its address and found in the copy.
///
/// Invariant: while `repeats` stands, every run of characters in the unescaped texts that is free
/// of `"`, `\` and control characters stands in `source` too.
pub struct Space<'a> {
    source: &'a str,
    repeats: bool,
    /// Begins where `memory` began.
    unescaped: Region,
    rest: &'a mut [u8],
    copy: String,
}

/// What the text written by [`Space::unescape`] has to do with what it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unescaped {
    /// It differs only where the source has escapes of `"`, `\` and control characters, so that
    /// what stands between those stands in the source too.
    Repeats,
    /// Other characters were escaped too, so that it may hold texts that the source has not.
    Differs,
}

impl<'a> Space<'a> {
    /// Space for parsing `source`. What is unescaped goes into `memory`, whose content does
    /// not matter; as long as `source` it is always enough, and past its end nothing is lost
    /// but the saving.
    pub fn new(source: &'a str, memory: &'a mut [u8]) -> Self {
        // What is unescaped is rarely more than half; ECS fields that are made need a little.
        let mut copy = String::with_capacity(source.len() + source.len() / 2 + 512);
        copy.push_str(source);
        let unescaped = Region { start: memory.as_ptr().addr(), len: 0, base: source.len() };
        Self { source, repeats: true, unescaped, rest: memory, copy }
    }

    /// The text that is parsed.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The text that `write` appends to the buffer it is given.
    #[inline]
    pub fn unescape<E>(
        &mut self,
        write: impl FnOnce(&mut String) -> Result<Unescaped, E>,
    ) -> Result<Cow<'a, str>, E> {
        let start = self.copy.len();
        match write(&mut self.copy) {
            Ok(unescaped) => self.repeats &= unescaped == Unescaped::Repeats,
            Err(error) => {
                self.copy.truncate(start);
                return Err(error);
            }
        }
        let written = self.copy.get(start..).unwrap_or_default();
        let rest = std::mem::take(&mut self.rest);
        let Some((room, rest)) = rest.split_at_mut_checked(written.len()) else {
            return Ok(Cow::Owned(self.copy.split_off(start)));
        };
        room.copy_from_slice(written.as_bytes());
        self.rest = rest;
        self.unescaped.len += room.len();
        // It was copied from text.
        Ok(Cow::Borrowed(std::str::from_utf8(room).unwrap_or_default()))
    }

    /// What an event takes over.
    pub fn finish(self) -> Lent<'a> {
        let source = Region { start: self.source.as_ptr().addr(), len: self.source.len(), base: 0 };
        Lent {
            regions: [source, self.unescaped],
            source: self.source,
            repeats: self.repeats,
            copy: self.copy,
            borrowed: PhantomData,
        }
    }
}

/// A parsed text, ready for [`EventBuilder::with_lent`](crate::EventBuilder::with_lent).
pub struct Lent<'a> {
    pub(crate) regions: [Region; 2],
    pub(crate) source: &'a str,
    /// See [`Space`].
    pub(crate) repeats: bool,
    pub(crate) copy: String,
    /// The memory that was unescaped into stays as it is.
    borrowed: PhantomData<&'a [u8]>,
}

/// Memory whose content stands in the event's buffer too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Region {
    /// Address of its first byte.
    pub(crate) start: usize,
    /// Bytes.
    pub(crate) len: usize,
    /// Where its first byte is in the buffer.
    pub(crate) base: usize,
}

impl Region {
    /// Where `text` is in the buffer, where it lies within this region.
    #[inline]
    pub(crate) fn find(&self, text: &str) -> Option<usize> {
        let at = text.as_ptr().addr().wrapping_sub(self.start);
        (at < self.len && text.len() <= self.len - at).then(|| self.base + at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescape(space: &mut Space<'_>, text: &str) -> String {
        let write = |out: &mut String| {
            out.push_str(text);
            Ok::<_, ()>(Unescaped::Repeats)
        };
        space.unescape(write).unwrap().into_owned()
    }

    #[test]
    fn texts_are_found_where_their_copy_is() {
        let source = String::from("ab\u{e9}cd");
        let mut memory = vec![0; source.len()];
        let mut space = Space::new(&source, &mut memory);
        let first = space
            .unescape(|out| {
                out.push_str("xy");
                Ok::<_, ()>(Unescaped::Repeats)
            })
            .unwrap();
        let second = space
            .unescape(|out| {
                out.push('\u{e9}');
                Ok::<_, ()>(Unescaped::Repeats)
            })
            .unwrap();
        let lent = space.finish();
        let find = |text: &str| lent.regions.iter().find_map(|region| region.find(text));
        for text in [&source[..], &source[2..4], &source[4..], &first, &first[1..], &second] {
            let at = find(text).unwrap();
            assert_eq!(&lent.copy[at..at + text.len()], text);
        }
        assert_eq!(find("ab"), None);
    }

    #[test]
    fn memory_that_ends_early_loses_nothing() {
        let mut memory = vec![0; 3];
        let mut space = Space::new("", &mut memory);
        assert_eq!(unescape(&mut space, "ab"), "ab");
        assert_eq!(unescape(&mut space, "cde"), "cde");
        assert_eq!(unescape(&mut space, "f"), "f");
    }
}
