//! Database servers: where they are, who asks, and a connection to them.

pub(crate) mod mysql;
pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod table;

use std::pin::Pin;

use tokio::net::TcpStream;

use super::expect::place::HostPort;
use crate::world::World;
use crate::world::connect::connect;

/// What moves the messages of a connection; it ends with its client.
type Driver<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A connection to the first of the host's addresses that accepts one.
async fn reached(world: &World, place: &HostPort) -> Result<TcpStream, String> {
    let mut last = format!("{} has no address", place.host);
    for address in world.resolver().addresses(&place.host).await.map_err(|error| error.to_string())? {
        match connect((address, place.port).into()).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}
