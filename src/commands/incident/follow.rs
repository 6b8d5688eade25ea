//! `jacquemart incident follow`: the live stream, event by event.

use std::time::Duration;

use event::CommuneId;
use serde_json::Value;

use crate::{
    Exit, Failure,
    cli::Output,
    client::Client,
    print::{self, cell},
};

/// How long after the connection broke it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Bytes of one event at most.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// Prints incidents as they change. A server that cannot be reached at first is an error; one
/// that goes away later is waited for.
pub(super) async fn follow(
    output: Output,
    client: &Client,
    commune: Option<CommuneId>,
    after: Option<u64>,
) -> Result<Exit, Failure> {
    let query: Vec<_> =
        commune.into_iter().map(|commune| ("commune", commune.to_string())).collect();
    let mut last = after.map(|id| id.to_string());
    let mut connected = false;
    loop {
        match client.follow("/api/v1/incidents/stream", &query, last.as_deref()).await {
            Ok(mut response) => {
                connected = true;
                let mut events = Events::default();
                while let Ok(Some(chunk)) = response.chunk().await {
                    for event in events.push(&chunk)? {
                        last = event.id.or(last);
                        print_event(output, &event.kind, &event.data)?;
                    }
                }
            }
            Err(failure) if connected && failure.exit() == Exit::Unreachable => {}
            Err(failure) => return Err(failure),
        }
        eprintln!("the connection broke; connecting again");
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

fn print_event(output: Output, kind: &str, data: &str) -> Result<(), Failure> {
    if kind == "reset" {
        eprintln!("the server's incidents are others than before; list them anew");
        return Ok(());
    }
    let Ok(incident) = serde_json::from_str::<Value>(data) else { return Ok(()) };
    match output {
        Output::Json => print::outln!("{data}"),
        Output::Table => print::outln!(
            "{}  {}  {}-{}  {:<8} {:<12} {}",
            cell(&incident, "updated"),
            cell(&incident, "id"),
            cell(&incident, "commune"),
            cell(&incident, "number"),
            cell(&incident, "severity"),
            cell(&incident, "status"),
            cell(&incident, "title")
        ),
    }
    Ok(())
}

/// One event of a stream.
#[derive(Debug, Default, PartialEq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: String,
}

/// Reads server-sent events (WHATWG HTML, 9.2.6) out of chunks.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
}

impl Events {
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<Event>, Failure> {
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
