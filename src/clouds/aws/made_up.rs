//! HTTP clients for the SDK that send nothing: one with made-up answers for fuzzers, one for settings that cannot be used.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;

type Answers = Arc<dyn Fn() -> Option<http::Response<Bytes>> + Send + Sync>;

/// A client that gives these answers, whatever it is asked; `None` is a connection that broke.
pub(super) fn client(answers: impl Fn() -> Option<http::Response<Bytes>> + Send + Sync + 'static) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(MadeUp(Arc::new(answers)));
    http_client_fn(move |_, _| connector.clone())
}

struct MadeUp(Answers);

impl fmt::Debug for MadeUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MadeUp")
    }
}

impl HttpConnector for MadeUp {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let answer = (self.0)().ok_or_else(|| ConnectorError::io("the connection broke".into()));
        let answer = answer.and_then(|answer| {
            let answer = answer.map(SdkBody::from);
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::user(error.into()))
        });
        HttpConnectorFuture::ready(answer)
    }
}

/// A client that sends nothing and says why: the settings that it should be made of are of no use.
pub(super) fn refusing(why: String) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Refusing(why));
    http_client_fn(move |_, _| connector.clone())
}

#[derive(Debug)]
struct Refusing(String);

impl HttpConnector for Refusing {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Err(ConnectorError::user(self.0.clone().into())))
    }
}
