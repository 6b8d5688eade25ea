//! Objects that are written over several lines, one after another.

use super::{Splitter, Unsplittable, array, check};

impl Splitter<'_> {
    /// The values from the cursor on. After a broken one it goes on behind its closing bracket,
    /// or at the next line that begins with `{`, whichever comes first.
    pub(super) fn values(&mut self) -> Result<(), Unsplittable> {
        // Where the next such line is; looked for once per line, so that many broken values
        // cost no more than their bytes.
        let mut next_object = 0;
        loop {
            self.skip_space();
            if self.peek().is_none() {
                return Ok(());
            }
            let (start, line) = (self.at, self.line);
            match self.parse() {
                Ok(len) => {
                    let range = start..start + len;
                    self.go(range.end);
                    let checked = check::utf8(&self.body[range.clone()]);
                    self.offer(range, line, checked)?;
                }
                Err(fault) => {
                    if next_object <= start {
                        next_object = memchr::memmem::find(self.rest(), b"\n{")
                            .map_or(self.body.len(), |at| start + at + 1);
                    }
                    let mine = &self.body[start..next_object];
                    let end = match mine.first() {
                        Some(b'{' | b'[') => start + array::broken_len(mine),
                        _ => next_object,
                    };
                    self.go(end);
                    self.offer(start..end, line, Err(fault))?;
                }
            }
        }
    }
}
