//! What the probes of Lifeboat can and what they find out, in numbers. Nothing is judged here: the machine decides half of it.
//!
//! `cargo bench --bench probes -- outages` (about 4 minutes, with a bare asyncio prober in the same run; `short` has a fifth of the outages), `closer` (100 ms and 10 ms while bad),
//! `capacity` (needs nginx), `many` (10,000 probes), or no word for all.

#![expect(clippy::print_stdout, reason = "a program for people")]

mod capacity;
mod outages;
mod prober;
mod services;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |word: &str| words.is_empty() || words.iter().any(|other| other == word);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        if wanted("capacity") || wanted("many") {
            let nginx = Nginx::start();
            if wanted("capacity") {
                for rate in [1000, 4000, 10_000] {
                    capacity::run(nginx.port, rate / 10, Duration::from_millis(100), Duration::from_secs(10)).await;
                }
            }
            if wanted("many") {
                capacity::run(nginx.port, 10_000, Duration::from_secs(1), Duration::from_secs(30)).await;
            }
        }
        if wanted("outages") {
            outages::run(10, Duration::from_millis(10), None, true).await;
        }
        if words.iter().any(|word| word == "short") {
            outages::run(2, Duration::from_millis(10), None, true).await;
        }
        if wanted("closer") {
            outages::run(10, Duration::from_millis(100), Some(Duration::from_millis(10)), false).await;
        }
    });
}

/// nginx on a port of its own, answering 200.
struct Nginx {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().display().to_string();
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {place}/pid; error_log stderr crit; worker_rlimit_nofile 20000; events {{ worker_connections 16384; }}
             http {{ access_log off; client_body_temp_path {place}/1; proxy_temp_path {place}/2; fastcgi_temp_path {place}/3; uwsgi_temp_path {place}/4;
             scgi_temp_path {place}/5; server {{ listen 127.0.0.1:{port} backlog=16384; location / {{ return 200 ok; }} }} }}"
        );
        std::fs::write(folder.path().join("conf"), config).unwrap();
        let conf = format!("{place}/conf");
        let child = Command::new("nginx").args(["-c", &conf, "-p", &place, "-e", "stderr"]).stdin(Stdio::null()).spawn().expect("nginx is installed");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { child, port, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
