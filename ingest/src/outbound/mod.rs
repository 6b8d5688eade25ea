//! Asking servers of others over HTTP: sources of indicators, vendors' APIs, buckets of S3, and, from a
//! commune's side, the doors of the service.
//!
//! Every request is bounded in time and bytes, tried again where that may help, and shows its proof
//! to no other origin. Nothing secret is in any error.

pub(crate) mod aws;
mod client;
mod connect;
mod public;
mod s3;
mod webhook;

pub(crate) use aws::Aws;
pub use aws::AwsKey;
pub use client::{Access, Auth, CallError, Client, Limits, Secret};
pub(crate) use client::{Answer, Call, shown};
pub use s3::Bucket;
pub use webhook::Webhook;
