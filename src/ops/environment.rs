//! From a name to something that can be connected to: the embedded lab, a running lab, or the accounts of the project file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::exit::{Exit, Kind};
use crate::lab::serve::{Endpoints, Lab, LabError, Options};
use crate::model::call::Cloud;
use crate::model::host::{Owner, host, owner};
use crate::model::lab::FaultRule;
use crate::model::project::{EnvironmentFile, EnvironmentKind, ZoneFile, Zones};
use crate::model::realism::{Exercise, Realism};
use crate::world::command::Programs;
use crate::world::settings::{CloudSettings, Keys, Settings};

/// An environment that is there.
#[derive(Debug)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub settings: Settings,
    /// What expressions see as `env`.
    pub env: Value,
    /// What expressions see as `vars`.
    pub vars: Map<String, Value>,
    /// Whether it is a lab.
    pub is_lab: bool,
    /// What a drill here is, as the project file declares it.
    pub exercise: Option<Exercise>,
    /// The lab that ends with this process.
    pub embedded: Option<EmbeddedLab>,
    /// Whether programs that definitions name are run, and where.
    pub programs: Programs,
}

/// Which lab an environment of kind `lab` uses.
#[derive(Debug, Clone)]
pub enum LabChoice {
    /// One of its own, in this process.
    Embedded(Options),
    /// One that runs already, by its control address.
    Running(String),
}

/// What a lab says about itself at `GET /environment`.
#[derive(Debug, Deserialize)]
struct About {
    #[serde(flatten)]
    endpoints: Endpoints,
    accounts: Pair,
    regions: Pair,
    vars: Map<String, Value>,
    /// Which of its clouds serves which zone.
    #[serde(default)]
    zones: BTreeMap<String, ZoneFile>,
}

/// Which cloud serves which zone in an environment of real clouds, as far as it is written.
#[must_use]
pub fn zones_of(name: &str, file: &EnvironmentFile) -> Zones {
    let clouds = [file.aws.as_ref().map(|_| Cloud::Aws), file.aliyun.as_ref().map(|_| Cloud::Aliyun)];
    Zones::of(name, clouds.into_iter().flatten(), &file.zones)
}

#[derive(Debug, Deserialize)]
struct Pair {
    aws: String,
    aliyun: String,
}

impl Environment {
    /// Opens the environment `name`: starts or asks the lab, or takes the accounts as written. Sends nothing to a cloud.
    ///
    /// # Errors
    /// When a lab cannot be started or reached.
    pub async fn open(name: &str, file: &EnvironmentFile, choice: LabChoice, set: &Map<String, Value>) -> Result<Self, Exit> {
        let mut environment = match file.kind {
            EnvironmentKind::Lab => Self::lab(name, file, choice).await?,
            EnvironmentKind::Cloud => Self::cloud(name, file),
        };
        environment.vars.extend(file.vars.clone());
        environment.vars.extend(set.clone());
        Ok(environment)
    }

    async fn lab(name: &str, file: &EnvironmentFile, choice: LabChoice) -> Result<Self, Exit> {
        let (embedded, control) = match choice {
            LabChoice::Embedded(options) => {
                let lab = EmbeddedLab::start(options)?;
                let control = lab.endpoints.control.clone();
                (Some(lab), control)
            }
            LabChoice::Running(control) => (None, control.trim_end_matches('/').to_owned()),
        };
        let about = ask(&control).await?;
        if let Some(faults) = file.lab.as_ref().map(|lab| &lab.faults).filter(|faults| !faults.is_empty()) {
            misbehave(&control, faults).await?;
        }
        let keys = Keys { access_key_id: about.endpoints.access_key_id, secret_access_key: about.endpoints.secret_access_key, session_token: None };
        let side = |region: &str, account: &str, endpoint: &str| CloudSettings {
            region: region.to_owned(),
            account: Some(account.to_owned()),
            endpoint: Some(endpoint.to_owned()),
            keys: Some(keys.clone()),
            ..CloudSettings::default()
        };
        let aws = side(&about.regions.aws, &about.accounts.aws, &about.endpoints.aws);
        let mut aliyun = side(&about.regions.aliyun, &about.accounts.aliyun, &about.endpoints.aliyun);
        aliyun.objects_endpoint = Some(about.endpoints.oss);
        let env = json!({
            "name": name,
            "aws": { "region": aws.region, "account": aws.account },
            "aliyun": { "region": aliyun.region, "account": aliyun.account },
            "lab": { "control": control, "embedded": embedded.is_some() },
        });
        let zones: BTreeMap<String, ZoneFile> = about.zones.into_iter().chain(file.zones.clone()).collect();
        let zones = Zones::of(name, [Cloud::Aws, Cloud::Aliyun], &zones);
        let settings = Settings { environment: name.to_owned(), aws: Some(aws), aliyun: Some(aliyun), name_server: Some(about.endpoints.dns), zones };
        Ok(Self { name: name.to_owned(), settings, env, vars: about.vars, is_lab: true, exercise: file.exercise, embedded, programs: Programs::Here })
    }

    fn cloud(name: &str, file: &EnvironmentFile) -> Self {
        let aws = file.aws.as_ref().map(|aws| CloudSettings {
            region: aws.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
            account: aws.account.clone(),
            profile: aws.profile.clone(),
            endpoint: aws.endpoint.clone(),
            ..CloudSettings::default()
        });
        let aliyun = file.aliyun.as_ref().map(|aliyun| CloudSettings {
            region: aliyun.region.clone().unwrap_or_else(|| "cn-hangzhou".to_owned()),
            account: aliyun.account.clone(),
            profile: aliyun.profile.clone(),
            endpoint: aliyun.endpoint.clone(),
            objects_endpoint: aliyun.oss_endpoint.clone(),
            ..CloudSettings::default()
        });
        let side = |cloud: &Option<CloudSettings>| cloud.as_ref().map(|cloud| json!({ "region": cloud.region, "account": cloud.account }));
        let env = json!({ "name": name, "aws": side(&aws), "aliyun": side(&aliyun) });
        let name_server = file.dns.as_ref().and_then(|dns| dns.server.clone());
        Self {
            name: name.to_owned(),
            settings: Settings { environment: name.to_owned(), aws, aliyun, name_server, zones: zones_of(name, file) },
            env,
            vars: Map::new(),
            is_lab: false,
            exercise: file.exercise,
            embedded: None,
            programs: Programs::Here,
        }
    }

    /// Whether something real may be changed here: it is no lab, and some call of some cloud goes to the vendor or to a host of which nobody knows whose it is.
    /// Told from the names of the hosts as the project file has them, never from their being written; nothing in the process's environment makes it less real.
    #[must_use]
    pub fn is_real(&self) -> bool {
        let addresses = self.addresses();
        !self.is_lab && (addresses.is_empty() || addresses.iter().any(|(_, address)| address.is_none_or(|address| owner(address) != Owner::Private)))
    }

    /// What is known of how real a run here is: what is declared, and every host that calls go to and that is not the vendor's own, whether the project file
    /// names it, the process's environment (`AWS_ENDPOINT_URL…`) or a profile of the AWS SDK.
    pub async fn realism(&self) -> Realism {
        if self.is_lab {
            return Realism { declared: self.exercise, hosts: Vec::new() };
        }
        let written = self.addresses().into_iter().filter_map(|(cloud, address)| Some((cloud, address?.to_owned())));
        let found = self.settings.endpoints_elsewhere().await.into_iter().map(|address| (Cloud::Aws, address));
        let foreign = written.chain(found).filter(|(_, address)| owner(address) != Owner::Vendor);
        let hosts: BTreeSet<String> = foreign.map(|(cloud, address)| format!("{cloud} {}", host(&address))).collect();
        Realism { declared: self.exercise, hosts: hosts.into_iter().collect() }
    }

    /// Where the services of each cloud are, as written; `None` = where the vendor has them.
    fn addresses(&self) -> Vec<(Cloud, Option<&str>)> {
        let aws = self.settings.aws.iter().map(|aws| (Cloud::Aws, aws.endpoint.as_deref()));
        let aliyun = self.settings.aliyun.iter();
        let aliyun = aliyun.flat_map(|aliyun| [&aliyun.endpoint, &aliyun.objects_endpoint].map(|address| (Cloud::Aliyun, address.as_deref())));
        aws.chain(aliyun).collect()
    }
}

/// What a lab says about itself takes a few KiB; whoever sends more is no lab.
const LONGEST_ANSWER: usize = 1 << 20;

/// Gives a lab the rules of the environment in the place of any it has: those of an earlier run would otherwise be there twice.
async fn misbehave(control: &str, faults: &[FaultRule]) -> Result<(), Exit> {
    let refused =
        |cause: String| Exit::new(Kind::Environment, format!("the lab at {control} does not take the environment's `lab.faults`")).cause(cause);
    let rules = serde_json::to_vec(faults).map_err(|error| refused(error.to_string()))?;
    let client = client().map_err(|error| refused(error.to_string()))?;
    let answer = client.put(format!("{control}/faults")).body(rules).send().await.map_err(|error| refused(root_cause(&error)))?;
    answer.error_for_status().map(drop).map_err(|error| refused(error.without_url().to_string()))
}

fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()
}

async fn ask(control: &str) -> Result<About, Exit> {
    let unreachable = |cause: String| {
        Exit::new(Kind::Environment, format!("no lab answers at {control}"))
            .cause(cause)
            .hint("`lifeboat lab` starts one and prints its control address")
    };
    let client = client().map_err(|error| unreachable(error.to_string()))?;
    let answer = client.get(format!("{control}/environment")).send().await.map_err(|error| unreachable(root_cause(&error)))?;
    let mut answer = answer.error_for_status().map_err(|error| unreachable(error.without_url().to_string()))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(root_cause(&error)))? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            return Err(unreachable("its answer is not a lab's: it does not end".to_owned()));
        }
    }
    serde_json::from_slice(&body).map_err(|error| unreachable(format!("its answer is not a lab's: {error}")))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().map(ToString::to_string).unwrap_or_default()
}

/// A lab on a thread and a runtime of its own, so that simulated clouds never take time from the run that measures them.
#[derive(Debug)]
pub struct EmbeddedLab {
    /// Where it is reached.
    pub endpoints: Endpoints,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedLab {
    /// Starts it; everything answers when this returns.
    ///
    /// # Errors
    /// When no loopback address or thread can be had.
    pub fn start(options: Options) -> Result<Self, Exit> {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("lab".into())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("lab").enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(Exit::new(Kind::Environment, "the lab cannot be started").cause(error.to_string())))),
                };
                runtime.block_on(async move {
                    match Lab::start(options) {
                        Ok(lab) => {
                            // The receiver waits for exactly this.
                            let _ = ready.send(Ok(lab.endpoints().clone()));
                            let _ = stopped.await;
                            lab.stop().await;
                        }
                        Err(error) => drop(ready.send(Err(advised(&error)))),
                    }
                });
            })
            .map_err(|error| Exit::new(Kind::Environment, "the lab cannot be started").cause(error.to_string()))?;
        let endpoints = started.recv().map_err(|_| Exit::new(Kind::Internal, "the lab ended while it started"))??;
        Ok(Self { endpoints, stop: Some(stop), thread: Some(thread) })
    }
}

fn advised(error: &LabError) -> Exit {
    let exit = Exit::from_error(Kind::Environment, error);
    match error {
        LabError::Taken { .. } => exit.hint("leave --prefix out to take the first free one"),
        LabError::NoPrefix => exit.hint("another program listens on that port of every address (`ss -ltnp` names it); end it first"),
        _ => exit,
    }
}

impl Drop for EmbeddedLab {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A lab that panicked has already said so.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(yaml: &str) -> Environment {
        Environment::cloud("e", &serde_yaml::from_str(yaml).unwrap())
    }

    #[test]
    fn a_written_endpoint_makes_nothing_less_real_unless_its_host_is_nobodys() {
        for (yaml, real) in [
            ("aws: {}", true),
            ("aws: { endpoint: 'https://ec2.us-east-1.amazonaws.com' }", true),
            ("aliyun: { endpoint: 'https://ecs-cn-hangzhou.aliyuncs.com', oss_endpoint: 'http://127.0.0.1:1' }", true),
            ("aws: { endpoint: 'https://relay.shop.example.com' }", true),
            ("{ aws: { endpoint: 'http://127.0.0.1:5000' }, aliyun: {} }", true),
            ("aliyun: { endpoint: 'http://127.0.0.1:5000' }", true),
            ("vars: {}", true),
            ("aws: { endpoint: 'http://127.0.0.1:5000' }", false),
            ("aws: { endpoint: 'http://moto:5000' }", false),
            ("{ aws: { endpoint: 'http://10.0.0.9' }, aliyun: { endpoint: 'http://[::1]:1', oss_endpoint: 'http://localhost:2' } }", false),
        ] {
            assert_eq!(written(yaml).is_real(), real, "{yaml}");
        }
    }

    #[tokio::test]
    async fn an_exercise_is_only_as_real_as_every_host_it_calls() {
        let of = async |yaml: &str| written(yaml).realism().await;
        let vendor = of("{ exercise: live_full, aws: { endpoint: 'https://ec2.us-east-1.amazonaws.com' } }").await;
        assert_eq!(vendor, Realism { declared: Some(Exercise::LiveFull), hosts: Vec::new() });
        let moto = of("{ exercise: component, aws: { endpoint: 'http://u:p@127.0.0.1:5000' }, aliyun: {} }").await;
        assert_eq!(moto, Realism { declared: Some(Exercise::Component), hosts: vec!["aws 127.0.0.1".to_owned()] });
        assert_eq!(of("aliyun: { oss_endpoint: 'https://store.example.org' }").await.hosts, ["aliyun store.example.org"]);
    }

    #[tokio::test]
    async fn a_stranger_that_never_stops_talking_is_left() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        // As the command line does; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
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
