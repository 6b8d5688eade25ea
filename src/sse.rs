//! The reading side of the API's live streams.

use crate::Failure;

/// Bytes of one event at most.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// One event of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// Reads server-sent events (WHATWG HTML, 9.2.6) out of chunks.
#[derive(Default)]
pub(crate) struct Events {
    rest: Vec<u8>,
}

impl Events {
    /// The events that are whole with `chunk`.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<Vec<Event>, Failure> {
        self.rest.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let event = event(&String::from_utf8_lossy(&block));
            if !event.data.is_empty() {
                events.push(event);
            }
        }
        if self.rest.len() > EVENT_BYTES_MAX {
            return Err(Failure::from(anyhow::anyhow!(
                "an event has no end; is this a Jacquemart?"
            )));
        }
        Ok(events)
    }
}

fn event(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut event.kind),
            "id" => event.id = Some(value.to_owned()),
            "data" => {
                if !event.data.is_empty() {
                    event.data.push('\n');
                }
                event.data.push_str(value);
            }
            // A comment, or what later versions send.
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text =
            ": hello\n\nevent: incident\nid: 7\ndata: {\"a\":\ndata: \"é\"}\n\nid: 8\ndata: x\n\n";
        let whole = Events::default().push(text.as_bytes()).unwrap();
        assert_eq!(whole.len(), 2);
        assert_eq!(
            whole[0],
            Event {
                kind: "incident".to_owned(),
                id: Some("7".to_owned()),
                data: "{\"a\":\n\"é\"}".to_owned()
            }
        );
        for size in 1..text.len() {
            let mut events = Events::default();
            let cut: Vec<_> =
                text.as_bytes().chunks(size).flat_map(|c| events.push(c).unwrap()).collect();
            assert_eq!(cut, whole, "{size}");
        }
    }
}
