//! A service that quotes everything it is sent, in every writing: as a web service, and as a cloud that refuses a signature and says why at length.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{canary, forms};
use crate::common::folder;

pub(super) struct Echo {
    url: String,
    told: Arc<Mutex<Vec<u8>>>,
    /// A home with the profiles of both clouds, and a secret in a file.
    home: tempfile::TempDir,
}

impl Echo {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told: Arc<Mutex<Vec<u8>>> = Arc::default();
        let hears = told.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let hears = hears.clone();
                std::thread::spawn(move || answer(stream, &hears));
            }
        });
        Self { url, told, home: home() }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Whether it was sent this: a secret that is never used would never leak.
    pub(super) fn was_told(&self, secret: &str) -> bool {
        String::from_utf8_lossy(&self.told.lock().unwrap()).contains(secret)
    }
}

fn home() -> tempfile::TempDir {
    let home = folder();
    for (folder, file, text) in [
        (
            ".aws",
            "credentials",
            format!(
                "[canary]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = {}\naws_session_token = {}\n",
                canary("AWS_SECRET_ACCESS_KEY"),
                canary("PROFILE_AWS")
            ),
        ),
        (
            ".aliyun",
            "config.json",
            json!({ "current": "canary", "profiles": [{
                "name": "canary", "mode": "StsToken", "access_key_id": "STS.PROFILE",
                "access_key_secret": canary("ALIBABA_CLOUD_ACCESS_KEY_SECRET"), "sts_token": canary("PROFILE_ALIYUN"),
            }] })
            .to_string(),
        ),
    ] {
        std::fs::create_dir(home.path().join(folder)).unwrap();
        std::fs::write(home.path().join(folder).join(file), text).unwrap();
    }
    std::fs::write(home.path().join("secret"), format!("{}\n", canary("FILE"))).unwrap();
    home
}

fn answer(mut stream: TcpStream, hears: &Mutex<Vec<u8>>) {
    let Some(asked) = request(&mut stream) else { return };
    hears.lock().unwrap().extend_from_slice(&asked);
    let said = String::from_utf8_lossy(&asked).into_owned();
    let head = said.to_ascii_lowercase();
    let writings = [said.clone(), STANDARD.encode(&asked), hex::encode(&asked), forms::percent(&said)].join(" ");
    let (status, kind, body) = if head.contains("aws4-hmac") || head.contains("oss4-hmac") || said.contains("AKID") {
        let message =
            writings.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(|c: char| c.is_control() || c == '\u{fffd}', " ");
        let error = format!("<Code>SignatureDoesNotMatch</Code><Message>{message}</Message>");
        (403, "text/xml", format!("<ErrorResponse><Errors><Error>{error}</Error></Errors><Error>{error}</Error>{error}</ErrorResponse>"))
    } else if head.contains("x-acs-") {
        (403, "application/json", json!({ "Code": "SignatureDoesNotMatch", "Message": writings, "RequestId": "r-1" }).to_string())
    } else {
        let status = if said.split(' ').nth(1).is_some_and(|path| path.starts_with("/bad")) { 500 } else { 200 };
        (status, "application/json", json!({ "said": said, "writings": writings, "control": super::CONTROL }).to_string())
    };
    let length = body.len();
    // Whoever asked may be gone.
    let _ = write!(stream, "HTTP/1.1 {status} Said\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
}

/// Head and body as they were sent.
fn request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0_usize);
        if bytes.len() >= end + 4 + length {
            return Some(bytes);
        }
    }
}

/// Sends a request to the lab's control address.
pub(super) fn send(method: &str, base: &str, path: &str, body: &str) {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let length = body.len();
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 200 "), "{method} {path}: {answer}");
}
