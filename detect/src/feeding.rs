//! Which rules the records of a format can make fire.

use std::collections::BTreeSet;

use crate::{
    Rule,
    logsource::{Route, product, service},
    route, route_feeds,
};

/// The log sources that the events of a format may belong to.
#[derive(Clone, Debug)]
pub struct Feeding(BTreeSet<Route>);

impl Feeding {
    /// Of the format called `format`, e.g. `windows`; `None` where nothing is known of it, as of
    /// a format whose vendor no table names.
    pub fn of_format(format: &str) -> Option<Self> {
        let console = product("sentinelone");
        let funnel = service("cloud_funnel");
        let pick = |wanted: &dyn Fn(&Route) -> bool| {
            Some(Self(route::all().iter().copied().filter(|route| wanted(route)).collect()))
        };
        match format {
            "windows" => pick(&|route| {
                let windows = route.has(&product("windows"));
                let sysmon = route.has(&product("linux").with(service("sysmon")));
                (windows || sysmon) && !route.has(&console)
            }),
            "sentinelone" => pick(&|route| route.has(&console) && !route.has(&funnel)),
            "sentinelone-cloud-funnel" => pick(&|route| route.has(&console.with(funnel))),
            other => route_feeds::of_module(other)
                .or_else(|| route_feeds::of_module(&other.replace('-', "_")))
                .or_else(|| route_feeds::of_module(other.split('-').next().unwrap_or_default()))
                .map(Self),
        }
    }

    /// Whether some event of the format is offered to `rule`.
    pub fn feeds(&self, rule: &Rule) -> bool {
        let asked = rule.logsource().route();
        asked.is_some_and(|asked| self.0.iter().any(|route| route.has(&asked)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn rule(logsource: &str) -> Rule {
        let text = format!(
            "title: x\nlogsource: {{{logsource}}}\ndetection:\n  s: {{A: 1}}\n  condition: s\n"
        );
        crate::parse(&text, Path::new("x.yml")).rules.remove(0)
    }

    #[test]
    fn formats_feed_the_rules_of_their_log_sources_and_no_others() {
        for (format, logsource, feeds) in [
            ("windows", "product: windows, category: process_creation", true),
            ("windows", "category: process_creation", true),
            ("windows", "product: sentinelone, service: threats", false),
            ("windows", "product: linux, service: auditd", false),
            ("sentinelone", "product: sentinelone, service: threats", true),
            ("sentinelone", "product: windows, category: process_creation", false),
            ("sentinelone-cloud-funnel", "product: windows, category: process_creation", true),
            ("pradeo-mtd", "category: mobile_threat", true),
            ("pradeo-mtd", "product: windows", false),
        ] {
            let feeding = Feeding::of_format(format).unwrap();
            assert_eq!(feeding.feeds(&rule(logsource)), feeds, "{format}: {logsource}");
        }
        assert!(Feeding::of_format("nobodys-format").is_none());
    }
}
