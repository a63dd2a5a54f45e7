//! Services that go down and come back at moments that are known.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::{Name, RData, Record, rdata};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::Instant;

/// How a service is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Refused,
    Hang,
    Reset,
    Status,
    Body,
    DnsMove,
    Slow,
}

pub(crate) const KINDS: [Kind; 7] = [Kind::Refused, Kind::Hang, Kind::Reset, Kind::Status, Kind::Body, Kind::DnsMove, Kind::Slow];

/// How late a slow service answers: too late for anybody.
pub(crate) const SLOW: Duration = Duration::from_millis(400);

/// One service, with a name and an address of its own.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Option<Kind>>,
    moved: Arc<AtomicBool>,
}

impl Service {
    pub(crate) async fn start(number: usize) -> Self {
        let listener = listen((Ipv4Addr::new(127, 0, 0, 2), 0).into());
        let address = listener.local_addr().unwrap();
        let (mode, heard) = watch::channel(None);
        tokio::spawn(serve(listener, address, heard));
        Self { name: format!("s{number}.test"), address, mode, moved: Arc::default() }
    }

    /// Down from now on, or up again; gives the moments between which that became true.
    pub(crate) fn set(&self, kind: Option<Kind>) -> (Instant, Instant) {
        let begins = Instant::now();
        self.moved.store(kind == Some(Kind::DnsMove), Ordering::SeqCst);
        self.mode.send_replace(kind);
        (begins, Instant::now())
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket.listen(1024).unwrap()
}

async fn serve(listener: TcpListener, address: SocketAddr, mut mode: watch::Receiver<Option<Kind>>) {
    let mut listener = Some(listener);
    loop {
        let now = *mode.borrow_and_update();
        if now == Some(Kind::Refused) {
            listener = None;
            if mode.changed().await.is_err() {
                return;
            }
            continue;
        }
        let accepts = listener.get_or_insert_with(|| listen(address));
        tokio::select! {
            biased;
            changed = mode.changed() => if changed.is_err() { return },
            Ok((stream, _)) = accepts.accept() => { tokio::spawn(answer(stream, mode.clone())); }
        }
    }
}

async fn answer(mut stream: TcpStream, mut mode: watch::Receiver<Option<Kind>>) {
    let mut request = [0; 1024];
    if !matches!(stream.read(&mut request).await, Ok(1..)) {
        return;
    }
    let now = *mode.borrow_and_update();
    let said = match now {
        // What was asked meanwhile is answered once it goes on, as by a process that was stopped.
        // Whoever has gone meanwhile is forgotten, so that it has not thousands to answer first.
        Some(Kind::Hang) => {
            tokio::select! {
                _ = mode.wait_for(|mode| *mode != Some(Kind::Hang)) => {}
                _ = stream.read(&mut request) => return,
            }
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
        }
        Some(Kind::Slow) => {
            tokio::time::sleep(SLOW).await;
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
        }
        Some(Kind::Reset) => {
            let _ = stream.set_zero_linger();
            return;
        }
        Some(Kind::Status) => "HTTP/1.1 503 Down\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
        Some(Kind::Body) => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
    };
    let _ = stream.write_all(said.as_bytes()).await;
}

/// A name server for the services, on a port of its own. What has moved is at an address where nobody listens.
pub(crate) async fn name_server(services: Vec<Service>) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = [0; 512];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut bytes).await else { continue };
            let Ok(mut message) = Message::from_vec(&bytes[..length]) else { continue };
            message.metadata.message_type = MessageType::Response;
            let asked = message.queries.first().map(|query| query.name().to_ascii()).unwrap_or_default();
            if let Some(service) = services.iter().find(|service| asked.trim_end_matches('.') == service.name) {
                let last = if service.moved.load(Ordering::SeqCst) { 3 } else { 2 };
                let record = Record::from_rdata(Name::from_ascii(&asked).unwrap(), 1, RData::A(rdata::A::new(127, 0, 0, last)));
                message.add_answer(record);
            }
            let _ = socket.send_to(&message.to_vec().unwrap(), from).await;
        }
    });
    address
}
