//! The split storage that the configuration names.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use ingest::outbound::{AwsKey, Bucket};
use store::split::SplitStorage;

use crate::{Failure, config::Config, secret};

/// Opens it for a centre. Reads files, so it blocks for a moment.
pub(crate) fn open(config: &Config) -> Result<SplitStorage, Failure> {
    open_with(config, &config.data_dir.join("cache"))
}

/// Opens it beside a centre that may be running, whose cache is its own; there is none then.
pub(crate) fn open_beside(config: &Config) -> Result<SplitStorage, Failure> {
    open_with(config, &config.data_dir.join("no-cache"))
}

fn open_with(config: &Config, cache: &Path) -> Result<SplitStorage, Failure> {
    let url = config.splits_url();
    let Some(place) = url.strip_prefix("s3://") else {
        let storage = SplitStorage::connect(&url, cache);
        return Ok(storage.context("failed to open the split storage")?);
    };
    let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_end_matches('/');
    if name.is_empty() {
        return Err(Failure::usage(format!("splits: {url:?}: write s3://BUCKET/PREFIX")));
    }
    let s3 = &config.s3;
    let open = || -> anyhow::Result<_> {
        let (file, variable) =
            (s3.secret_access_key_file.as_ref(), s3.secret_access_key_env.as_ref());
        let bucket = Bucket {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            region: s3.region.clone(),
            endpoint: s3.endpoint.as_deref().map(str::parse).transpose().context("s3.endpoint")?,
            key: AwsKey {
                id: s3.access_key_id.clone().context("s3.access_key_id is missing")?,
                secret: secret::read(file, variable).context("s3.secret_access_key_file")?,
            },
            ca_pem: s3.ca_file.as_deref().map(secret::file).transpose().context("s3.ca_file")?,
        };
        bucket.open().map_err(|reason| anyhow!(reason))
    };
    let bucket = open().context("failed to open the split storage")?;
    Ok(SplitStorage::over(bucket, cache, s3.cache_bytes_max.0))
}
