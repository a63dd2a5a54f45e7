//! A lab that runs: what it says about itself, whether it is one, and how its clouds are to misbehave.
//!
//! What is done in a lab is done without guards and called simulated. So whoever says to be one has to be on this machine, with everything that it names,
//! and each of its clouds has to answer a challenge as this lab: a control address cannot lead anybody into another cloud.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::try_join_all;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::exit::{Exit, Kind};
use crate::lab::serve::Endpoints;
use crate::model::lab::{FaultRule, PROOF_PATH, proof};
use crate::model::project::{EnvironmentFile, ZoneFile};

/// What a lab says about itself at `GET /environment`.
#[derive(Debug, Deserialize)]
pub(super) struct About {
    #[serde(flatten)]
    pub(super) endpoints: Endpoints,
    pub(super) accounts: Pair,
    /// The first of each cloud's.
    pub(super) regions: Pair,
    /// All of each cloud's.
    #[serde(default)]
    all_regions: BTreeMap<String, Vec<String>>,
    pub(super) vars: Map<String, Value>,
    /// Which of its clouds serves which zone.
    #[serde(default)]
    pub(super) zones: BTreeMap<String, ZoneFile>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Pair {
    pub(super) aws: String,
    pub(super) aliyun: String,
}

impl About {
    /// The region of each cloud in which an environment is: the one that it names, or the first.
    ///
    /// # Errors
    /// When it names one that this lab does not have.
    pub(super) fn in_regions(&self, name: &str, file: &EnvironmentFile) -> Result<Pair, Exit> {
        let written = [file.aws.as_ref().and_then(|aws| aws.region.as_ref()), file.aliyun.as_ref().and_then(|aliyun| aliyun.region.as_ref())];
        let [aws, aliyun] = [("aws", &self.regions.aws, written[0]), ("aliyun", &self.regions.aliyun, written[1])].map(|(cloud, first, written)| {
            let Some(region) = written else { return Ok(first.clone()) };
            let known = self.all_regions.get(cloud).map_or(std::slice::from_ref(first), Vec::as_slice);
            if known.contains(region) {
                return Ok(region.clone());
            }
            let message = format!("environment {name} is in the {cloud} region {region}, which the lab does not have; nothing was changed");
            Err(Exit::new(Kind::Environment, message).hint(format!("its regions are {}", known.join(", "))))
        });
        Ok(Pair { aws: aws?, aliyun: aliyun? })
    }
}

/// What a lab says about itself takes a few KiB; whoever sends more is no lab.
const LONGEST_ANSWER: usize = 1 << 20;

/// Asks the lab at a control address what it is, and lets it prove it.
///
/// # Errors
/// When nobody answers there, or somebody who is no lab.
pub(super) async fn ask(control: &str) -> Result<About, Exit> {
    is_here("it", control).map_err(|why| no_lab(control, why))?;
    let silent = |cause: String| {
        Exit::new(Kind::Environment, format!("no lab answers at {control}"))
            .cause(cause)
            .hint("`lifeboat lab` starts one and prints its control address")
    };
    let client = client().map_err(|error| silent(error.to_string()))?;
    let answer = client.get(format!("{control}/environment")).send().await.map_err(|error| silent(root_cause(&error)))?;
    let answer = answer.error_for_status().map_err(|error| silent(error.without_url().to_string()))?;
    let body = body(answer).await.map_err(silent)?;
    let about: About = serde_json::from_slice(&body).map_err(|error| silent(format!("its answer is not a lab's: {error}")))?;
    prove(&client, &about.endpoints).await.map_err(|why| no_lab(control, why))?;
    Ok(about)
}

/// Gives a lab the rules of the environment in the place of any it has: those of an earlier run would otherwise be there twice.
pub(super) async fn misbehave(control: &str, faults: &[FaultRule]) -> Result<(), Exit> {
    let refused =
        |cause: String| Exit::new(Kind::Environment, format!("the lab at {control} does not take the environment's `lab.faults`")).cause(cause);
    let rules = serde_json::to_vec(faults).map_err(|error| refused(error.to_string()))?;
    let client = client().map_err(|error| refused(error.to_string()))?;
    let answer = client.put(format!("{control}/faults")).body(rules).send().await.map_err(|error| refused(root_cause(&error)))?;
    answer.error_for_status().map(drop).map_err(|error| refused(error.without_url().to_string()))
}

fn no_lab(control: &str, why: String) -> Exit {
    Exit::new(Kind::Environment, format!("what is at {control} is no lab of Lifeboat's; nothing was changed"))
        .cause(why)
        .hint("`lifeboat lab` starts one and prints its control address; real clouds belong into an environment with `aws` and `aliyun`")
}

/// Whether everything that a lab names is on this machine, and each of its clouds is this lab's.
async fn prove(client: &Client, endpoints: &Endpoints) -> Result<(), String> {
    let Endpoints { id, control, aws, aliyun, oss, dns, prometheus, .. } = endpoints;
    for (part, address) in [("control", control), ("aws", aws), ("aliyun", aliyun), ("oss", oss), ("prometheus", prometheus)] {
        is_here(&format!("its `{part}`"), address)?;
    }
    if !dns.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback()) {
        return Err(format!("its `dns` is not on this machine: {dns}"));
    }
    let challenge = format!("{:032x}", rand::random::<u128>());
    let one = async |(part, address): (&str, &String)| {
        let asked = client.get(format!("{address}{PROOF_PATH}{challenge}")).send().await;
        let answer = match asked {
            Ok(answer) => body(answer).await,
            Err(error) => Err(root_cause(&error)),
        };
        match answer {
            Ok(answer) if answer == proof(id, part, &challenge).as_bytes() => Ok(()),
            Ok(_) => Err(format!("its `{part}` at {address} does not prove to be a cloud of lab {id}")),
            Err(why) => Err(format!("its `{part}` at {address} does not prove to be a cloud of lab {id}: {why}")),
        }
    };
    try_join_all([("aws", aws), ("aliyun", aliyun), ("oss", oss)].map(one)).await.map(drop)
}

/// Whether an address is one of this machine's loopback, written as a number: a name may lead anywhere.
fn is_here(what: &str, address: &str) -> Result<(), String> {
    let url = Url::parse(address).map_err(|error| format!("the address of {what} cannot be read: {error}: {address}"))?;
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::from(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::from(ip)),
        Some(Host::Domain(_)) | None => None,
    };
    if url.scheme() == "http" && ip.is_some_and(|ip| ip.is_loopback()) {
        Ok(())
    } else {
        Err(format!("{what} is not at a loopback address of this machine: {address}"))
    }
}

fn client() -> reqwest::Result<Client> {
    Client::builder().no_proxy().redirect(Policy::none()).timeout(Duration::from_secs(5)).build()
}

async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| root_cause(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            return Err("its answer is not a lab's: it does not end".to_owned());
        }
    }
    Ok(body)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::lab::serve::{Lab, Options};

    fn crypto() {
        // As the command line does; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    /// Somebody who answers every request with `body`; ends with the runtime.
    async fn stranger(body: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        control
    }

    #[tokio::test]
    async fn a_lab_is_one_only_with_its_own_clouds_on_this_machine() {
        crypto();
        let (lab, other) = (Lab::start(Options::default()).unwrap(), Lab::start(Options::default()).unwrap());
        let own = lab.endpoints();
        assert_eq!(ask(&own.control).await.unwrap().endpoints, *own);
        assert_ne!(own.id, other.endpoints().id);
        let vendor = "https://ec2.us-east-1.amazonaws.com".to_owned();
        let nobody = stranger("<Response/>".to_owned()).await;
        let elsewhere = "not at a loopback address of this machine";
        for (changed, why) in [
            (Endpoints { aws: vendor, ..own.clone() }, elsewhere),
            (Endpoints { aliyun: "http://localhost:1".to_owned(), ..own.clone() }, elsewhere),
            (Endpoints { prometheus: "http://10.0.0.1:9090".to_owned(), ..own.clone() }, elsewhere),
            (Endpoints { oss: own.oss.replace("http:", "https:"), ..own.clone() }, elsewhere),
            (Endpoints { dns: "8.8.8.8:53".to_owned(), ..own.clone() }, "`dns` is not on this machine"),
            (Endpoints { aws: nobody, ..own.clone() }, "`aws` at"),
            (Endpoints { aliyun: own.aws.clone(), ..own.clone() }, "`aliyun` at"),
            (Endpoints { oss: other.endpoints().oss.clone(), ..own.clone() }, "does not prove to be a cloud of lab"),
            (Endpoints { id: other.endpoints().id.clone(), ..own.clone() }, "does not prove to be a cloud of lab"),
        ] {
            let mut said = serde_json::to_value(&changed).unwrap();
            said.as_object_mut().unwrap().extend(
                serde_json::json!({ "accounts": { "aws": "1", "aliyun": "2" }, "regions": { "aws": "a", "aliyun": "b" }, "vars": {} })
                    .as_object()
                    .unwrap()
                    .clone(),
            );
            let exit = ask(&stranger(said.to_string()).await).await.unwrap_err();
            assert_eq!(exit.kind, Kind::Environment, "{changed:?}");
            assert!(exit.message.contains("is no lab of Lifeboat's; nothing was changed") && exit.causes[0].contains(why), "{exit}");
        }
    }

    #[tokio::test]
    async fn a_control_address_is_a_number_on_loopback() {
        for control in ["http://localhost:7000", "http://10.0.0.1:7000", "https://127.0.0.1:7000", "http://lab.example", "127.0.0.1:7000", ""] {
            let exit = ask(control).await.unwrap_err();
            assert!(exit.kind == Kind::Environment && exit.message.contains("is no lab of Lifeboat's"), "{control}: {exit}");
        }
    }

    #[tokio::test]
    async fn a_lab_that_misbehaves_is_still_this_lab() {
        crypto();
        let lab = Lab::start(Options::default()).unwrap();
        misbehave(&lab.endpoints().control, &[serde_json::from_str(r#"{"does":"hang-before"}"#).unwrap()]).await.unwrap();
        assert_eq!(ask(&lab.endpoints().control).await.unwrap().endpoints.id, lab.endpoints().id);
    }

    #[tokio::test]
    async fn a_stranger_that_never_stops_talking_is_left() {
        crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let control = format!("http://{}", listener.local_addr().unwrap());
        let stranger = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await.unwrap();
            // Ends when the other side has had enough.
            while stream.write_all(&[b' '; 1 << 16]).await.is_ok() {}
        };
        let (asked, ()) = tokio::join!(ask(&control), stranger);
        let exit = asked.unwrap_err();
        assert_eq!((exit.kind, exit.causes), (Kind::Environment, vec!["its answer is not a lab's: it does not end".to_owned()]));
    }
}
