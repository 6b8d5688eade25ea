//! Event XML, as Windows itself writes it and as OpenWEC and event collectors forward it.
//!
//! Enters: one `<Event>` with `System`, `EventData` or `UserData`, and `RenderingInfo`. Leaves:
//! the same tree as an EVTX dump's JSON, attributes under `#attributes` and text beside them
//! under `#text`, so that [`super::evtx`] reads both. Namespace prefixes are left out. No
//! entity is expanded but XML's own five and characters by number, so no document can grow;
//! elements deeper than [`DEPTH_MAX`] are kept as text.

use std::borrow::Cow;

use event::{Space, Unescaped};
use quick_xml::{
    Reader,
    errors::SyntaxError,
    escape::unescape,
    events::{BytesStart, Event},
};

use crate::formats::{
    PREAMBLE_BYTES_MAX,
    json::{DEPTH_MAX, Json, VALUES_MAX},
};

/// Where event XML begins in `raw`, behind what a relay may have left; `None` where it is
/// something else.
pub(super) fn begin(raw: &[u8]) -> Option<usize> {
    let head = raw.get(..raw.len().min(PREAMBLE_BYTES_MAX)).unwrap_or_default();
    // JSON may hold XML; then it is JSON.
    let end = memchr::memchr(b'{', head).unwrap_or(head.len());
    let head = &head[..end];
    if let Some(at) = memchr::memmem::find(head, b"<?xml") {
        return Some(at);
    }
    memchr::memmem::find_iter(head, b"<Event").find(|at| {
        let behind = head.get(at + "<Event".len()).copied();
        behind.is_none_or(|byte| byte == b'>' || byte == b's' || byte.is_ascii_whitespace())
    })
}

/// What stands before the XML, and the XML.
pub(super) fn split(text: &str) -> (&str, &str) {
    let (preamble, body) =
        text.split_at_checked(begin(text.as_bytes()).unwrap_or(0)).unwrap_or(("", text));
    (preamble.trim_start_matches('\u{feff}').trim(), body)
}

/// An element that is open.
struct Open<'a> {
    name: &'a str,
    attributes: Vec<(Cow<'a, str>, Json<'a>)>,
    children: Vec<(Cow<'a, str>, Json<'a>)>,
    /// Its text so far; nearly always one piece.
    text: Vec<Cow<'a, str>>,
}

/// Reads `text`, which is one `Event` or an `Events` that holds one.
pub(super) fn parse<'a>(
    text: &'a str,
    mut space: Option<&mut Space<'a>>,
) -> Result<Json<'a>, String> {
    let mut reader = Reader::from_str(text);
    // Messages are rendered text, and not every renderer escapes it.
    reader.config_mut().allow_dangling_amp = true;
    let mut open: Vec<Open<'a>> = Vec::with_capacity(8);
    let mut values = 0usize;
    // Text from here on is not taken yet.
    let mut from = 0usize;
    loop {
        let before = position(&reader);
        let event = reader.read_event().map_err(|error| told(&error, before))?;
        let behind = position(&reader);
        let boundary = !matches!(event, Event::Text(_) | Event::GeneralRef(_));
        if boundary && let Some(element) = open.last_mut() {
            take_text(element, text.get(from..before).unwrap_or_default(), space.as_deref_mut());
        }
        if boundary {
            from = behind;
        }
        match event {
            Event::Start(start) => {
                values += 1;
                if open.len() >= DEPTH_MAX {
                    let end = reader.read_to_end(start.name());
                    let span = end.map_err(|error| told(&error, before))?;
                    from = position(&reader);
                    let inner = span_of(text, span.start, span.end);
                    let name = local(text, &start);
                    if let Some(parent) = open.last_mut() {
                        parent.children.push((name.into(), Json::Deep(inner)));
                    }
                } else {
                    open.push(begin_element(text, &start)?);
                }
            }
            Event::Empty(start) => {
                values += 1;
                let element = begin_element(text, &start)?;
                if let Some(root) = close(element, &mut open) {
                    return root_of(root);
                }
            }
            Event::End(_) => {
                // The reader has checked that it closes the one that is open.
                if let Some(root) = open.pop().and_then(|element| close(element, &mut open)) {
                    return root_of(root);
                }
            }
            Event::CData(_) => {
                let markup = text.get(before..behind).unwrap_or_default();
                let data = markup.strip_prefix("<![CDATA[").and_then(|m| m.strip_suffix("]]>"));
                if let (Some(element), Some(data)) = (open.last_mut(), data) {
                    element.text.push(data.into());
                }
            }
            Event::Eof => {
                let inside = open.last().map_or("the document", |element| element.name);
                return Err(format!(
                    "the XML ends early, inside {inside}; it may have been cut by a length limit"
                ));
            }
            _ => {}
        }
        if values > VALUES_MAX {
            return Err(format!("the XML has more than {VALUES_MAX} elements"));
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn told(error: &quick_xml::Error, at: usize) -> String {
    match error {
        quick_xml::Error::Syntax(syntax) if *syntax != SyntaxError::InvalidBangMarkup => {
            format!("the XML ends early: {syntax}; it may have been cut by a length limit")
        }
        other => format!("the XML is broken at byte {}: {other}", at + 1),
    }
}

fn span_of(text: &str, start: u64, end: u64) -> &str {
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) => text.get(start..end).unwrap_or_default(),
        _ => "",
    }
}

/// `part`, which lies within `text`, as text.
fn part_of<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    text.get(start..start + part.len())
}

/// The element's name without its prefix.
fn local<'a>(text: &'a str, start: &BytesStart<'_>) -> &'a str {
    part_of(text, start.local_name().into_inner()).unwrap_or_default()
}

fn begin_element<'a>(text: &'a str, start: &BytesStart<'_>) -> Result<Open<'a>, String> {
    let name = local(text, start);
    let mut attributes = Vec::new();
    for attribute in start.attributes().with_checks(false) {
        let attribute =
            attribute.map_err(|error| format!("an attribute of <{name}> is broken: {error}"))?;
        let key = part_of(text, attribute.key.local_name().into_inner()).unwrap_or_default();
        let raw = part_of(text, &attribute.value).unwrap_or_default();
        let value = unescape(raw).unwrap_or(Cow::Borrowed(raw));
        attributes.push((key.into(), Json::Str(value)));
    }
    Ok(Open { name, attributes, children: Vec::new(), text: Vec::new() })
}

/// Adds text between two tags, with its references resolved; unknown ones stay as they are.
fn take_text<'a>(element: &mut Open<'a>, raw: &'a str, space: Option<&mut Space<'a>>) {
    if raw.is_empty() {
        return;
    }
    if memchr::memchr(b'&', raw.as_bytes()).is_none() {
        return element.text.push(raw.into());
    }
    let resolved = match unescape(raw) {
        Ok(resolved) => resolved,
        Err(_) => return element.text.push(raw.into()),
    };
    let shared = space.and_then(|space| {
        let write = |out: &mut String| {
            out.push_str(&resolved);
            Ok::<_, std::convert::Infallible>(Unescaped::Differs)
        };
        space.unescape(write).ok()
    });
    element.text.push(shared.unwrap_or_else(|| resolved.into_owned().into()));
}

/// Gives a whole element to its parent; without one it is the root.
fn close<'a>(element: Open<'a>, open: &mut [Open<'a>]) -> Option<(&'a str, Json<'a>)> {
    let Open { name, attributes, mut children, mut text } = element;
    let content = match text.len() {
        0 => None,
        1 => text.pop(),
        _ => Some(text.concat().into()),
    };
    // White space between elements is only layout.
    let content = content.filter(|text| children.is_empty() || !text.trim().is_empty());
    let value = if attributes.is_empty() && children.is_empty() {
        content.map_or(Json::Null, Json::Str)
    } else {
        if !attributes.is_empty() {
            let named = attributes.iter().any(|(key, _)| key == "Name");
            children.insert(0, ("#attributes".into(), Json::Object(attributes)));
            // A named value without text is there, and empty.
            if content.is_none() && named && children.len() == 1 && name == "Data" {
                children.push(("#text".into(), Json::Str("".into())));
            }
        }
        if let Some(content) = content {
            children.push(("#text".into(), Json::Str(content)));
        }
        Json::Object(children)
    };
    match open.last_mut() {
        Some(parent) => {
            parent.children.push((name.into(), value));
            None
        }
        None => Some((name, value)),
    }
}

/// The `Event`, below a root of that name.
fn root_of<'a>((name, value): (&'a str, Json<'a>)) -> Result<Json<'a>, String> {
    let event = match (name, value) {
        ("Event", event) => event,
        ("Events", Json::Object(children)) => {
            let mut events = children.into_iter().filter(|(name, _)| name == "Event");
            match (events.next(), events.count()) {
                (Some((_, event)), 0) => event,
                (None, _) => return Err("its <Events> holds no <Event>".to_owned()),
                (_, more) => {
                    return Err(format!(
                        "its <Events> holds {}; send each <Event> as a record of its own",
                        more + 1
                    ));
                }
            }
        }
        (other, _) => return Err(format!("it is XML of <{other}>, not of a Windows <Event>")),
    };
    Ok(Json::Object(vec![("Event".into(), event)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Json<'_> {
        parse(text, None).unwrap().get("Event").unwrap().clone()
    }

    #[test]
    fn elements_have_the_form_of_a_dump() {
        let event = read(
            "<?xml version='1.0'?>\n<e:Event xmlns:e='x'><System><Provider Name='A &amp; B'/>\
             <EventID Qualifiers='16384'>7036</EventID><Correlation/></System>\n<EventData>\
             <Data Name='a'>1 &lt; 2 &#233;&unknown; &amp</Data><Data Name='b'/>\
             <Data>x<![CDATA[<y>]]>z</Data><Data></Data></EventData></e:Event>",
        );
        assert_eq!(
            event.at(&["System", "Provider", "#attributes", "Name"]).unwrap().text(),
            Some("A & B")
        );
        assert_eq!(event.at(&["System", "EventID", "#text"]).unwrap().text(), Some("7036"));
        assert_eq!(event.at(&["System", "Correlation"]), Some(&Json::Null));
        let data = event.get("EventData").unwrap().object().unwrap();
        // One unknown reference leaves its whole text as it is.
        assert_eq!(data[0].1.get("#text").unwrap().text(), Some("1 &lt; 2 &#233;&unknown; &amp"));
        assert_eq!(data[1].1.get("#text").unwrap().text(), Some(""));
        assert_eq!(data[2].1, Json::Str("x<y>z".into()));
        assert_eq!(data[3].1, Json::Null);
    }

    #[test]
    fn references_are_resolved_in_the_space_too() {
        let text = "<Event><M>a&#13;&#10;b &lt;c&gt;</M></Event>";
        let mut memory = vec![0; text.len()];
        let mut space = Space::new(text, &mut memory);
        assert_eq!(parse(text, Some(&mut space)), parse(text, None));
        assert_eq!(read(text).get("M").unwrap().text(), Some("a\r\nb <c>"));
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        for (text, reason) in [
            ("<Event><System>", "the XML ends early, inside System"),
            ("<Event><System", "ends early"),
            ("<Event></System>", "the XML is broken at byte 8"),
            ("<html></html>", "it is XML of <html>"),
            ("<Events></Events>", "it is XML of <Events>"),
            ("<Events><a/></Events>", "its <Events> holds no <Event>"),
            ("<Events><Event/><Event/></Events>", "its <Events> holds 2"),
            ("", "the XML ends early, inside the document"),
        ] {
            let error = parse(text, None).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn depth_and_entities_are_bounded() {
        let deep = format!("<Event>{}x{}</Event>", "<a>".repeat(10_000), "</a>".repeat(10_000));
        let mut value = &read(&deep);
        while let Some(inner) = value.get("a") {
            value = inner;
        }
        assert!(matches!(value, Json::Deep(text) if text.contains("<a>x</a>")));
        let bomb =
            "<!DOCTYPE x [<!ENTITY a '&b;&b;'><!ENTITY b '&a;&a;'>]><Event><M>&a;</M></Event>";
        assert_eq!(read(bomb).get("M").unwrap().text(), Some("&a;"));
    }

    #[test]
    fn xml_is_told_from_what_only_holds_it() {
        assert_eq!(begin(b"<Event xmlns='x'>"), Some(0));
        assert_eq!(begin(b"<13>1 - pc app - - - <Event>"), Some(21));
        assert_eq!(begin(b"\xef\xbb\xbf<?xml version='1.0'?>"), Some(3));
        assert_eq!(begin(b"{\"xml\":\"<Event>\"}"), None);
        assert_eq!(begin(b"<EventLog>"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_both_ways_agree(
            text in "(<Event>)?([<>/&;='\" a!\\[\\]?-]|<a>|</a>|<!\\[CDATA\\[|\\]\\]>|&lt;|é){0,24}(</Event>)?",
        ) {
            let mut memory = vec![0; text.len()];
            let mut space = Space::new(&text, &mut memory);
            prop_assert_eq!(parse(&text, Some(&mut space)), parse(&text, None));
        }
    }
}
