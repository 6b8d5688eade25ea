//! What a rule's metadata lacks: nothing that keeps it from firing, all that makes its detections
//! harder to judge or to trace.

use std::collections::HashMap;

use crate::{
    Correlation, Refusal, Rule, attack,
    rule::RuleSource,
    yaml::{self, Node},
};

const STATUSES: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];

/// The flaws of the metadata of rules and correlations, in the order of files and lines. Of a
/// correlation that only feeds others (`is_quiet`) no tag or level is asked: it raises nothing.
pub fn lint<'r>(
    rules: impl IntoIterator<Item = &'r Rule>,
    correlations: impl IntoIterator<Item = &'r Correlation>,
    is_quiet: impl Fn(&Correlation) -> bool,
) -> Vec<Refusal> {
    let rules = rules.into_iter().map(|rule| Subject {
        source: rule.source(),
        id: rule.id(),
        title: rule.title(),
        text: rule.texts.first().map_or("", |text| text),
        is_quiet: false,
    });
    let correlations = correlations.into_iter().map(|correlation| Subject {
        source: correlation.source(),
        id: correlation.id(),
        title: correlation.title(),
        text: correlation.document(),
        is_quiet: is_quiet(correlation),
    });
    let mut found = Vec::new();
    let mut titles: HashMap<String, &RuleSource> = HashMap::new();
    for subject in rules.chain(correlations) {
        let mut flaws = Flaws { subject: &subject, found: &mut found };
        if let Some(first) = titles.insert(subject.title.to_lowercase(), subject.source) {
            let (path, line) = (first.path.display(), first.line);
            flaws.add(0, format!("has the title of another rule, at {path}:{line}"));
        }
        if let Ok(Some(node)) = yaml::parse(subject.text, 1) {
            // Lines of the document as it stands in its file.
            let offset = subject.source.line.saturating_sub(node.line);
            flaws.of(&node, offset);
        }
    }
    found.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    found
}

/// A document with metadata.
struct Subject<'r> {
    source: &'r RuleSource,
    id: &'r str,
    title: &'r str,
    text: &'r str,
    /// Whether it only feeds others.
    is_quiet: bool,
}

struct Flaws<'a> {
    subject: &'a Subject<'a>,
    found: &'a mut Vec<Refusal>,
}

impl Flaws<'_> {
    fn add(&mut self, line: u32, reason: String) {
        self.found.push(Refusal {
            path: self.subject.source.path.clone(),
            line: if line == 0 { self.subject.source.line } else { line },
            rule_id: Some(self.subject.id.to_owned()),
            title: Some(self.subject.title.to_owned()),
            reason,
        });
    }

    fn of(&mut self, node: &Node, offset: u32) {
        for (key, why) in [
            ("id", "its id is derived from its title, so another title makes another rule of it"),
            ("status", "nobody can tell whether it is meant for use"),
            ("description", "analysts do not learn what it means"),
            ("author", "nobody can be asked"),
            ("date", "nobody can tell how old it is"),
            ("tags", "it counts for no ATT&CK technique"),
            ("level", "it counts as informational and raises no incident"),
        ] {
            if self.subject.is_quiet && matches!(key, "tags" | "level") {
                continue;
            }
            if node.get(key).is_none_or(Node::is_null) {
                self.add(0, format!("has no {key}: {why}"));
            }
        }
        let text = |key: &str| {
            let value = node.get(key)?;
            Some((value.text()?.trim().to_owned(), value.line + offset))
        };
        if let Some((status, line)) = text("status") {
            match status.as_str() {
                "deprecated" | "unsupported" => {
                    self.add(line, format!("is {status}; leave it out, or take what replaced it"));
                }
                status if !STATUSES.contains(&status) => self.add(
                    line,
                    format!("status {status:?} is none of Sigma's; use {}", STATUSES.join(", ")),
                ),
                _ => {}
            }
        }
        let mut dates = Vec::new();
        for key in ["date", "modified"] {
            let Some((date, line)) = text(key) else { continue };
            match is_date(&date) {
                true => dates.push(date),
                false => {
                    self.add(line, format!("{key} {date:?} is no date; write it as 2026-01-31"));
                }
            }
        }
        if let [date, modified] = dates.as_slice()
            && modified < date
        {
            let line = text("modified").map_or(0, |(_, line)| line);
            self.add(line, format!("was modified {modified}, before its date {date}"));
        }
        let Some(tags) = node.get("tags") else { return };
        for tag in tags.list().unwrap_or_default() {
            if let Some(flaw) = tag.text().and_then(flaw_of_tag) {
                self.add(tag.line + offset, flaw);
            }
        }
    }
}

fn flaw_of_tag(tag: &str) -> Option<String> {
    let Some((space, name)) = tag.split_once('.') else {
        return Some(format!("tag {tag:?} has no namespace; write e.g. attack.t1059"));
    };
    if tag.chars().any(|c| c.is_uppercase() || c.is_whitespace()) {
        return Some(format!("tag {tag:?} has capitals or blanks; tags are in lower case"));
    }
    if space != "attack" || attack::TACTICS.contains(&name) || attack::is_id(name) {
        return None;
    }
    if attack::TACTICS.contains(&&*name.replace('_', "-")) {
        return Some(format!("tag {tag:?} is of Sigma 1; write {}", tag.replace('_', "-")));
    }
    Some(format!(
        "tag {tag:?} is no tactic, technique (t1059, t1059.001), group (g0001) or software (s0001) of ATT&CK"
    ))
}

/// `2026-01-31`, a day that there was.
fn is_date(text: &str) -> bool {
    let has_shape = text.len() == 10
        && text.bytes().enumerate().all(|(place, byte)| match place {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    has_shape && text.parse::<jiff::civil::Date>().is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const GOOD: &str = "title: Good\nid: 0a1b2c3d-0000-4000-8000-000000000001\nstatus: test\ndescription: x\nauthor: x\ndate: 2026-01-31\nmodified: 2026-02-28\ntags:\n  - attack.execution\n  - attack.t1059.001\n  - cve.2026-1234\nlevel: high\nlogsource: {product: windows}\ndetection:\n  s: {A: 1}\n  condition: s\n";

    fn flaws(text: &str) -> Vec<(u32, String)> {
        let loaded = crate::parse(text, Path::new("x.yml"));
        assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
        let linked = crate::Correlations::link(loaded.correlations, &loaded.rules);
        assert!(linked.refused.is_empty(), "{:?}", linked.refused);
        let correlations = linked.correlations;
        let is_quiet = |one: &Correlation| correlations.is_quiet_correlation(one.id());
        lint(&loaded.rules, correlations.rules().map(|one| &**one), is_quiet)
            .into_iter()
            .map(|flaw| (flaw.line, flaw.reason))
            .collect()
    }

    #[test]
    fn a_good_rule_has_none() {
        assert_eq!(flaws(GOOD), []);
    }

    #[test]
    fn each_flaw_is_said_where_it_is() {
        for (from, to, line, said) in [
            ("status: test", "status: loved", 3, "none of Sigma's"),
            ("status: test", "status: deprecated", 3, "is deprecated"),
            ("status: test\n", "", 1, "has no status"),
            ("description: x\n", "", 1, "has no description"),
            ("author: x\n", "author:\n", 1, "has no author"),
            ("level: high\n", "", 1, "has no level"),
            ("id: 0a1b2c3d-0000-4000-8000-000000000001\n", "", 1, "has no id"),
            ("date: 2026-01-31", "date: 2026/01/31", 6, "is no date"),
            ("date: 2026-01-31", "date: 2026-02-30", 6, "is no date"),
            ("modified: 2026-02-28", "modified: 2025-02-28", 7, "before its date"),
            ("attack.execution", "attack.executing", 9, "no tactic"),
            ("attack.execution", "attack.credential_access", 9, "credential-access"),
            ("attack.t1059.001", "attack.t1059.1", 10, "no tactic, technique"),
            ("attack.t1059.001", "attack.T1059.001", 10, "capitals"),
            ("cve.2026-1234", "nonsense", 11, "no namespace"),
        ] {
            let found = flaws(&GOOD.replace(from, to));
            assert_eq!(found.len(), 1, "{to:?}: {found:?}");
            assert!(found[0].0 == line && found[0].1.contains(said), "{to:?}: {found:?}");
        }
        let second = GOOD.replace("000001", "000002").replace("status: test", "status: loved");
        let found = flaws(&format!("{GOOD}---\n{second}"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].1.contains("title of another rule, at x.yml:1"), "{found:?}");
        assert_eq!((found[0].0, found[1].0), (18, 20), "{found:?}");
    }

    #[test]
    fn correlations_are_asked_the_same_unless_they_only_feed_others() {
        let correlation = "title: Many\nid: 0a1b2c3d-0000-4000-8000-000000000002\nstatus: test\ndescription: x\nauthor: x\ndate: 2026-01-31\nname: many\ncorrelation:\n  type: event_count\n  rules: [0a1b2c3d-0000-4000-8000-000000000001]\n  group-by: [A]\n  timespan: 1m\n  condition: {gte: 3}\n";
        let found = flaws(&format!("{GOOD}---\n{correlation}"));
        let said: Vec<&str> = found.iter().map(|(_, reason)| reason.as_str()).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("has no tags") && said[1].starts_with("has no level"));
        assert_eq!(found[0].0, 18);
        let last = correlation
            .replace("000002", "000003")
            .replace("title: Many", "title: Twice\ntags: [attack.nothing]\nlevel: high")
            .replace("[0a1b2c3d-0000-4000-8000-000000000001]", "[many]")
            .replace("name: many", "name: twice");
        let found = flaws(&format!("{GOOD}---\n{correlation}---\n{last}"));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].1.contains("attack.nothing"), "{found:?}");
    }
}
