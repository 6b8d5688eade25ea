//! `[s3]`: the server behind `splits = "s3://…"`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ByteSize, indicators::check_url};

/// How the bucket of `splits = "s3://BUCKET/PREFIX"` is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct S3 {
    /// The bucket's region.
    pub(crate) region: String,
    /// The server, other than AWS's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key_id: Option<String>,
    /// The secret of the key, in a file of one line or a variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_access_key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret_access_key_env: Option<String>,
    /// Authorities trusted besides the system's, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Splits that were fetched are kept under `<data_dir>/cache` up to so many bytes.
    pub(crate) cache_bytes_max: ByteSize,
}

impl Default for S3 {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            endpoint: None,
            access_key_id: None,
            secret_access_key_file: None,
            secret_access_key_env: None,
            ca_file: None,
            cache_bytes_max: ByteSize::gib(20),
        }
    }
}

impl S3 {
    /// Things that types can't say, where `splits` is on S3: the key, and what is wrong with it.
    pub(super) fn check(&self, is_used: bool) -> Result<(), (&'static str, String)> {
        if let Some(endpoint) = &self.endpoint {
            check_url(endpoint).map_err(|reason| ("endpoint", reason))?;
        }
        if !is_used {
            return Ok(());
        }
        let has_secret =
            self.secret_access_key_file.is_some() || self.secret_access_key_env.is_some();
        if self.access_key_id.is_none() {
            return Err(("access_key_id", "is missing; splits on S3 need a key".to_owned()));
        }
        if !has_secret {
            let reason = "is missing; it, or `secret_access_key_env`, holds the key's secret";
            return Err(("secret_access_key_file", reason.to_owned()));
        }
        Ok(())
    }
}
