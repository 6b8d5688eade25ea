//! Bodies of every protocol, as fuzzers send them.

use super::{Whole, bulk, hec, intake, otlp, split::SplitLimits, take::Split};

const LIMITS: SplitLimits =
    SplitLimits { record_bytes_max: 4 << 10, batch_records_max: 1_000, rejections_max: 10 };

/// Splits `data` as each protocol does. Each record lies within the body, no two overlap but those
/// that a protocol gives twice, and none is larger than the bound.
pub fn bodies(data: &[u8]) {
    check(&Whole, data);
    bulk::fuzz(data);
    hec::fuzz(data);
    intake::fuzz(data);
    otlp::fuzz(data);
}

/// One protocol.
pub(super) fn check<S: Split>(split: &S, data: &[u8]) {
    let Ok(found) = split.split(data, LIMITS) else { return };
    let body = found.text.as_deref().unwrap_or(data);
    let pieces = &found.pieces;
    let count = pieces.good.len() as u64 + pieces.rejected_count();
    assert!(count <= LIMITS.batch_records_max as u64, "{count} records");
    assert!(pieces.rejected.len() <= LIMITS.rejections_max);
    for piece in &pieces.good {
        let record = &body[piece.range.clone()];
        assert!(record.len() <= LIMITS.record_bytes_max, "{} bytes", record.len());
        // Places count what a protocol knows and does not take, too.
        assert!(piece.record < LIMITS.batch_records_max as u64, "record {}", piece.record);
    }
    let mut order = pieces.good.iter().map(|piece| piece.record);
    let mut last = None;
    assert!(order.all(|record| last.replace(record).is_none_or(|before| before < record)));
}
