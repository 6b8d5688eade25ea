//! Connections: HTTP and, by rustls with the system's authorities and those given, HTTPS.

use std::sync::Arc;

use hyper::body::Body;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::public::Resolver;

pub(super) type Connector<B> = Client<HttpsConnector<HttpConnector<Resolver>>, B>;

/// Connections that trust the system's authorities and those of `ca_pem`. A system without any is
/// no error: its sources may be reached over HTTP, or bring their own.
/// With `public_only` names that have no public address are not connected to.
pub(super) fn connector<B>(ca_pem: Option<&[u8]>, public_only: bool) -> Result<Connector<B>, String>
where
    B: Body<Data: Send> + Send,
{
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "an authority of the system can't be read");
    }
    roots.add_parsable_certificates(native.certs);
    for certificate in ca_pem.into_iter().flat_map(CertificateDer::pem_slice_iter) {
        let certificate =
            certificate.map_err(|error| format!("ca_file holds no certificates: {error}"))?;
        roots.add(certificate).map_err(|error| format!("ca_file: {error}"))?;
    }
    // Named rather than installed for the process, so that nothing else depends on it.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = HttpConnector::new_with_resolver(Resolver::new(public_only));
    http.enforce_http(false);
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http);
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}
