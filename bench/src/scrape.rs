//! Reading the centre's own metrics.

use std::{collections::HashMap, path::Path};

use anyhow::Context as _;

/// The samples of one scrape of `/metrics`, by name and labels as they stand in the text.
pub(crate) struct Samples(HashMap<String, f64>);

/// A way to a centre's API through its socket.
pub(crate) fn client(socket: &Path) -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().unix_socket(socket.to_owned()).build()?)
}

impl Samples {
    pub(crate) async fn take(http: &reqwest::Client) -> anyhow::Result<Self> {
        let text =
            http.get("http://localhost/metrics").send().await?.error_for_status()?.text().await?;
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect();
        Ok(Self(samples))
    }

    /// The sum over all labels of the metric `name`.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let labelled = format!("{name}{{");
        self.0
            .iter()
            .filter(|(key, _)| key.as_str() == name || key.starts_with(&labelled))
            .map(|(_, value)| value)
            .sum()
    }

    /// An upper bound in seconds of the quantile `q` of the histogram `name`: the bound of the
    /// bucket that it falls into.
    pub(crate) fn quantile_bound(&self, name: &str, q: f64) -> anyhow::Result<f64> {
        let prefix = format!("{name}_bucket{{le=\"");
        let mut buckets: Vec<(f64, f64)> = self
            .0
            .iter()
            .filter_map(|(key, count)| {
                let bound = key.strip_prefix(&prefix)?.strip_suffix("\"}")?;
                Some((bound.replace("+Inf", "inf").parse().ok()?, *count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (_, total) = *buckets.last().with_context(|| format!("no histogram {name}"))?;
        let bound = buckets.iter().find(|(_, count)| *count >= total * q).map(|(bound, _)| *bound);
        bound.context("an empty histogram")
    }
}
