//! Syslog's framing: the same messages however the stream is cut.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ingest::collect::syslog::fuzz::streams(data));
