//! `grpc.health` against the health service of gRPC's own library.

use serde_json::json;

use crate::server::{Server, free_port};
use crate::{is_bad, is_good, is_unknown, sample};

const SERVE: &str = r#"
import sys
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

states = health_pb2.HealthCheckResponse
service = health.HealthServicer()
service.set("", states.SERVING)
service.set("shop.Orders", states.NOT_SERVING)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
health_pb2_grpc.add_HealthServicer_to_server(service, server)
assert server.add_insecure_port("127.0.0.1:" + sys.argv[1])
server.start()
server.wait_for_termination()
"#;

#[tokio::test]
async fn a_service_says_how_it_is() {
    let python = std::env::var("LIFEBOAT_PYTHON").expect("LIFEBOAT_PYTHON is the Python that has grpcio; tests/run sets it");
    let server = Server::start(&python, |port, folder| {
        std::fs::write(folder.join("serve.py"), SERVE).unwrap();
        vec!["serve.py".to_owned(), port.to_string()]
    });
    let address = format!("127.0.0.1:{}", server.port);
    let ask = async |service: &str| sample("grpc.health", json!({ "address": address, "service": service })).await;
    is_good(&ask("").await, "SERVING in ");
    is_bad(&ask("shop.Orders").await, "NOT_SERVING, expected SERVING");
    is_unknown(&ask("shop.Nothing").await, "gRPC status 5: ");
    is_bad(&sample("grpc.health", json!({ "address": format!("127.0.0.1:{}", free_port()) })).await, "connection refused");
}
