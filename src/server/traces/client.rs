//! The HTTP client that takes spans to the collector.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::delivery::Delivery;
use super::{Collector, TracesError};
use crate::server::tls::roots;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(10);

/// Longest answer. A collector answers with a few bytes.
const ANSWER_BYTES: usize = 64 << 10;

/// Sends from any thread: the SDK's has no reactor, so requests run on the runtime that this was made in.
#[derive(Debug)]
pub(super) struct Client {
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    delivery: Arc<Delivery>,
}

impl Client {
    pub(super) fn new(collector: &Collector, delivery: Arc<Delivery>) -> Result<Self, TracesError> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(collector)?)
            .https_or_http()
            .enable_http1()
            .build();
        let http = Http::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, runtime: Handle::current(), delivery })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let exchange = exchange(self.http.clone(), request.map(Full::new));
        // The timer too is made on the runtime.
        let bounded = async move { timeout(REQUEST, exchange).await };
        let result = match self.runtime.spawn(bounded).await {
            Ok(Ok(result)) => result,
            Ok(Err(_elapsed)) => Err(format!("no answer within {} s", REQUEST.as_secs()).into()),
            Err(_cancelled) => Err("the runtime ends".into()),
        };
        result.inspect_err(|error| self.delivery.failed_by(chain(&**error)))
    }
}

async fn exchange(
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = http.request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// An error with what caused it: hyper's own words are "client error (Connect)".
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Whom to trust. A collector without TLS needs nobody, and the image of wavegate has no CAs to load.
fn tls(collector: &Collector) -> Result<ClientConfig, TracesError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TracesError::NoCas)?;
    let builder = match &collector.ca {
        Some(path) => builder.with_root_certificates(named(path)?),
        None if collector.url.is_https() => {
            builder.with_platform_verifier().map_err(TracesError::NoCas)?
        }
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// The CAs of the file that was named.
fn named(path: &Path) -> Result<RootCertStore, TracesError> {
    let wrong = |problem: String| TracesError::Ca { path: path.to_owned(), problem };
    let pem = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    roots(&pem).map_err(|why| wrong(format!("holds no certificate to trust: {why}")))
}
