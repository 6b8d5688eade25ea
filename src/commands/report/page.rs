//! A page of HTML: everything that comes from elsewhere is escaped, nothing is loaded or run.

use std::fmt::Write as _;

/// A page as it grows.
pub(super) struct Page(String);

const STYLE: &str = "
:root { font: 15px/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff; }
main { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { margin-top: 2.2rem; border-bottom: 2px solid #5a2a82; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border-bottom: 1px solid #bbb; padding: .25rem .5rem; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
tbody th { font-weight: normal; }
td { overflow-wrap: break-word; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: #1b1b1b; }
.note { color: #444; font-size: .9rem; }
@page { size: A4; margin: 16mm; }
@media print { main { max-width: none; margin: 0; padding: 0; } h2 { break-after: avoid; } tr, svg { break-inside: avoid; } thead { display: table-header-group; } }
";

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let mut page = Self(
            "<!DOCTYPE html>\n<html lang=\"fr\">\n<head>\n<meta charset=\"utf-8\">\n".to_owned(),
        );
        page.raw("<meta name=\"viewport\" content=\"width=device-width\">\n");
        page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n");
        page.element("title", title);
        page.raw("<style>");
        page.raw(STYLE);
        page.raw("</style>\n</head>\n<body>\n<main>\n");
        page.element("h1", title);
        page
    }

    pub(super) fn finish(mut self) -> String {
        self.raw("</main>\n</body>\n</html>\n");
        self.0
    }

    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// An element with a text in it.
    pub(super) fn element(&mut self, name: &str, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "<{name}>{}</{name}>", escaped(text));
    }

    pub(super) fn note(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p class=\"note\">{}</p>", escaped(text));
    }

    /// A table; columns whose head begins with `#` hold numbers. Says so where it is empty.
    pub(super) fn table(&mut self, caption: &str, heads: &[&str], rows: &[Vec<String>]) {
        if rows.is_empty() {
            self.note(&format!("{caption} : rien."));
            return;
        }
        let _ = write!(self.0, "<table>\n<caption>{}</caption>\n<thead><tr>", escaped(caption));
        let is_number: Vec<bool> = heads.iter().map(|head| head.starts_with('#')).collect();
        let class = |place: usize| match is_number.get(place) {
            Some(true) => " class=\"n\"",
            _ => "",
        };
        for (place, head) in heads.iter().enumerate() {
            let text = escaped(head.trim_start_matches('#'));
            let _ = write!(self.0, "<th scope=\"col\"{}>{text}</th>", class(place));
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.raw("<tr>");
            for (place, cell) in row.iter().enumerate() {
                let text = escaped(cell);
                // What names the row is its head.
                let _ = match place {
                    0 => write!(self.0, "<th scope=\"row\"{}>{text}</th>", class(place)),
                    _ => write!(self.0, "<td{}>{text}</td>", class(place)),
                };
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody>\n</table>\n");
    }

    /// Upright bars of stacked parts, each part of a colour that its `parts` name and that is told
    /// apart without it by its place and the legend. The table beside it has the numbers.
    pub(super) fn bars(
        &mut self,
        title: &str,
        parts: &[(&str, &str)],
        bars: &[(String, Vec<u64>)],
    ) {
        let most = bars.iter().map(|(_, parts)| parts.iter().sum::<u64>()).max().unwrap_or(0);
        if most == 0 {
            return;
        }
        let (width, height, left, top) = (720.0, 220.0, 60.0, 24.0);
        let step = ((width - left) / bars.len() as f64).min(90.0);
        let title = escaped(title);
        let _ = writeln!(
            self.0,
            "<svg viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>",
            height + top + 40.0
        );
        for (place, (name, colour)) in parts.iter().enumerate().filter(|_| parts.len() > 1) {
            let x = left + 150.0 * place as f64;
            let _ = writeln!(
                self.0,
                "<rect x=\"{x}\" y=\"2\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{}\" y=\"13\">{}</text>",
                x + 18.0,
                escaped(name)
            );
        }
        let floor = top + height;
        let _ = writeln!(
            self.0,
            "<line x1=\"{left}\" y1=\"{floor}\" x2=\"{width}\" y2=\"{floor}\" stroke=\"#444\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{most}</text><text x=\"{}\" y=\"{floor}\" text-anchor=\"end\">0</text>",
            left - 6.0,
            top + 10.0,
            left - 6.0
        );
        // A label for about every tenth bar, so that they do not cover each other.
        let every = bars.len().div_ceil(10).max(1);
        for (place, (label, values)) in bars.iter().enumerate() {
            let x = left + step * place as f64;
            let mut y = floor;
            for (value, (_, colour)) in values.iter().zip(parts) {
                let tall = height * *value as f64 / most as f64;
                y -= tall;
                if *value > 0 {
                    let _ = writeln!(
                        self.0,
                        "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"{colour}\"/>",
                        x + step * 0.1,
                        step * 0.8
                    );
                }
            }
            if place % every == 0 {
                let _ = writeln!(
                    self.0,
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"start\">{}</text>",
                    x + step * 0.1,
                    floor + 18.0,
                    escaped(label)
                );
            }
        }
        self.raw("</svg>\n");
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Characters that turn the direction of what follows would show another text.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_is_text() {
        let evil = "<script>alert(1)</script>\" onload='x' \u{202e}\u{0}&amp;";
        let mut page = Page::new(evil);
        page.element("p", evil);
        page.table(evil, &[evil, "#n"], &[vec![evil.to_owned(), evil.to_owned()]]);
        page.bars(evil, &[(evil, "#000"), ("b", "#fff")], &[(evil.to_owned(), vec![1, 2])]);
        let html = page.finish();
        assert!(!html.contains("<script") && !html.contains("onload='"), "{html}");
        assert!(!html.contains('\u{202e}') && html.contains("&amp;amp;"), "{html}");
    }
}
