//! Reading a body from a sender that may be slow, endless or gone.

use std::{future::poll_fn, pin::Pin, time::Duration};

use axum::body::{Body, Bytes, HttpBody};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    buffer::{Buffer, NoRoom},
    limits::HttpLimits,
    problem::Refusal,
};
use crate::collect::admission::Admission;

/// What a refused body gets to run out, so that the sender reads the answer instead of a reset.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);

/// The whole body as it came over the wire.
pub(super) async fn read(
    body: &mut Body,
    limits: &HttpLimits,
    admission: &Admission,
) -> Result<Buffer, Refusal> {
    let too_large = || Refusal::BodyTooLarge { bytes_max: limits.body_bytes_max };
    let busy = || Refusal::Busy { retry: limits.busy_retry_after };

    // A declared length is believed only where it is bad news: memory follows what arrives.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > limits.body_bytes_max {
        return Err(too_large());
    }
    if declared > admission.in_flight_bytes_max().saturating_sub(admission.used_bytes()) {
        return Err(busy());
    }

    let mut buffer = Buffer::new(limits.body_bytes_max, admission).ok_or_else(busy)?;
    let deadline = Instant::now() + limits.body_time_max;
    loop {
        let patience = deadline.min(Instant::now() + limits.body_idle_time_max);
        let data = match timeout_at(patience, next(body)).await {
            Err(_) => {
                let (time_max, idle_max) = (limits.body_time_max, limits.body_idle_time_max);
                return Err(Refusal::Slow { time_max, idle_max });
            }
            Ok(None) => return Ok(buffer),
            Ok(Some(Err(error))) => return Err(Refusal::Interrupted(error.to_string())),
            Ok(Some(Ok(data))) => data,
        };
        buffer.push(&data).map_err(|no_room| match no_room {
            NoRoom::Bound => too_large(),
            NoRoom::Budget => busy(),
        })?;
    }
}

/// The next piece; trailers are passed over.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await? {
            Ok(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Some(Ok(data));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Reads on and throws away while the refusal is being sent. A connection that is closed with
/// unread bytes is reset, and a reset overtakes the answer.
pub(super) fn linger(mut body: Body, bytes_max: usize) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(timeout(LINGER_TIME_MAX, async move {
        let mut seen = 0;
        while let Some(Ok(data)) = next(&mut body).await {
            seen += data.len();
            if seen > bytes_max {
                break;
            }
        }
    }));
}
