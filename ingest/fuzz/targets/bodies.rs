//! Bodies of all HTTP protocols.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ingest::collect::http::fuzz::bodies(data));
