//! Questions to name servers, one datagram each.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// How long an answer is waited for before the question is sent again.
pub(super) const TRY: Duration = Duration::from_millis(700);

/// How often a question is sent.
pub(super) const TRIES: u32 = 3;

/// For how long a socket asks. Who asks many times a second is spared making one each time; who asks seldom does so from a port that nobody can know
/// (RFC 5452, section 9.2).
const KEPT: Duration = Duration::from_secs(1);

/// The largest answer that is read.
const LARGEST: usize = 4096;

/// Sockets that wait for nothing, for the next question to the same server. To be used inside one runtime.
#[derive(Debug, Default)]
pub struct Sockets {
    idle: Mutex<Vec<Socket>>,
}

/// A socket for questions to one server.
#[derive(Debug)]
struct Socket {
    server: SocketAddr,
    made: Instant,
    socket: UdpSocket,
}

impl Sockets {
    /// Asks `server`; `bytes` is `query` as it is sent. `None` after every try went unanswered.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub(super) async fn ask(&self, server: SocketAddr, bytes: &[u8], query: &Message) -> io::Result<Option<Message>> {
        let used = match self.take(server) {
            Some(used) => used,
            None => Socket::to(server).await?,
        };
        let mut buffer = Vec::with_capacity(LARGEST);
        for attempt in 0..TRIES {
            used.socket.send(bytes).await?;
            let answer = tokio::time::timeout(TRY, async {
                loop {
                    buffer.clear();
                    used.socket.recv_buf(&mut buffer).await?;
                    // What is not the answer to this question is passed over, as a stray or forged datagram must be.
                    if let Some(message) = Message::from_vec(&buffer).ok().filter(|message| answers(message, query)) {
                        return Ok::<_, io::Error>(message);
                    }
                }
            });
            if let Ok(answer) = answer.await {
                // What comes of an earlier try is not for the next question.
                if attempt == 0 && answer.is_ok() {
                    self.idle().push(used);
                }
                return answer.map(Some);
            }
        }
        Ok(None)
    }

    fn take(&self, server: SocketAddr) -> Option<Socket> {
        let mut idle = self.idle();
        idle.retain(|socket| socket.made.elapsed() < KEPT);
        let place = idle.iter().position(|socket| socket.server == server)?;
        Some(idle.swap_remove(place))
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Socket>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket {
    async fn to(server: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(server).await?;
        Ok(Self { server, made: Instant::now(), socket })
    }
}

/// Whether `message` answers `query`.
pub(super) fn answers(message: &Message, query: &Message) -> bool {
    message.metadata.id == query.metadata.id
        && message.metadata.message_type == MessageType::Response
        // A server that could not read the question may leave it out.
        && (message.queries.is_empty() || message.queries == query.queries)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;

    use super::*;

    /// Asks once; the port that the server saw.
    async fn port_of(sockets: &Sockets, server: &UdpSocket, answered_at: usize) -> u16 {
        let query = Message::new(rand::random(), MessageType::Query, OpCode::Query);
        let answer = Message::response(query.metadata.id, OpCode::Query).to_vec().unwrap();
        let asked = async { sockets.ask(server.local_addr().unwrap(), &query.to_vec().unwrap(), &query).await.unwrap().unwrap() };
        let answering = async {
            let mut last = None;
            for _ in 0..=answered_at {
                last = Some(server.recv_from(&mut [0; 512]).await.unwrap().1);
            }
            server.send_to(&answer, last.unwrap()).await.unwrap();
            last.unwrap().port()
        };
        tokio::join!(asked, answering).1
    }

    #[tokio::test]
    async fn a_socket_asks_again_unless_it_is_old_or_was_not_answered_at_once() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let sockets = Sockets::default();
        let first = port_of(&sockets, &server, 0).await;
        assert_eq!(port_of(&sockets, &server, 0).await, first);
        assert_ne!(port_of(&sockets, &other, 0).await, first);
        // The second try of the next question is answered, over the same socket; then the question after it has another.
        assert_eq!(port_of(&sockets, &server, 1).await, first);
        assert!(sockets.idle().iter().all(|socket| socket.server != server.local_addr().unwrap()));
        port_of(&sockets, &server, 0).await;
        for socket in sockets.idle().iter_mut() {
            socket.made -= KEPT;
        }
        assert!(sockets.take(server.local_addr().unwrap()).is_none() && sockets.idle().is_empty());
    }
}
