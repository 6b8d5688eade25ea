//! Records of every format: the first byte says of which.
#![no_main]

use ingest_fuzz::{decode, formats};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((which, raw)) = data.split_first() else { return };
    let names = formats().names();
    decode(formats(), names[usize::from(*which) % names.len()], raw);
});
