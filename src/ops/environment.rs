//! From a name to something that can be connected to: the embedded lab, a running lab, or the accounts of the project file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use serde_json::{Map, Value};
use tracing::info;

use super::exit::{Exit, Kind};
use super::marks::MarksKey;
use super::running_lab;
use crate::lab::serve::{Endpoints, Lab, LabError, Options};
use crate::lab::world::file::Blueprint;
use crate::model::call::Cloud;
use crate::model::host::{Owner, authority, host, owner};
use crate::model::project::{EnvironmentFile, EnvironmentKind, ZoneFile, Zones};
use crate::model::realism::{Exercise, Realism};
use crate::model::whereabouts::{CloudWorld, LabWorld, Whereabouts};
use crate::world::command::Programs;
use crate::world::settings::{CloudSettings, Keys, Settings};

/// An environment that is there.
#[derive(Debug)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// How to reach it.
    pub settings: Settings,
    /// In which world it is.
    pub whereabouts: Whereabouts,
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
    /// Where the key is with which the marks of faults are signed.
    pub marks_key: MarksKey,
}

/// What was said about the lab: for environments of kind `lab` only.
#[derive(Debug, Clone, Default)]
pub struct LabChoice {
    /// The control address of one that runs already (`--lab`); else it is one of its own, in this process.
    pub control: Option<String>,
    /// Its seed (`--seed`).
    pub seed: Option<u64>,
    /// How fast its world moves (`--time-scale`).
    pub time_scale: Option<f64>,
    /// What is in it as the environment says it; `None` = whatever is in the one that runs, or the shop.
    pub world: Option<Arc<Blueprint>>,
}

impl LabChoice {
    /// The one that runs at this control address.
    #[must_use]
    pub fn at(control: impl Into<String>) -> Self {
        Self { control: Some(control.into()), ..Self::default() }
    }

    /// Refuses an environment of accounts to whoever means a lab: what is changed there is changed for real.
    fn fits(&self, name: &str, kind: EnvironmentKind) -> Result<(), Exit> {
        let said = [("--lab", self.control.is_some()), ("--seed", self.seed.is_some()), ("--time-scale", self.time_scale.is_some())];
        match said.iter().find(|(_, is_said)| *is_said && kind != EnvironmentKind::Lab) {
            None => Ok(()),
            Some((flag, _)) => {
                Err(Exit::new(Kind::Usage, format!("{flag} is said of a lab, and environment {name} is one of accounts; nothing was changed"))
                    .hint(format!("leave {flag} out, or name an environment of `kind: lab`, such as --env lab")))
            }
        }
    }
}

/// Which cloud serves which zone in an environment of real clouds, as far as it is written.
#[must_use]
pub fn zones_of(name: &str, file: &EnvironmentFile) -> Zones {
    let clouds = [file.aws.as_ref().map(|_| Cloud::Aws), file.aliyun.as_ref().map(|_| Cloud::Aliyun)];
    Zones::of(name, clouds.into_iter().flatten(), &file.zones)
}

impl Environment {
    /// Opens the environment `name`: starts or asks the lab, or takes the accounts as written. Sends nothing to a cloud.
    ///
    /// # Errors
    /// When a lab cannot be started or reached.
    pub async fn open(name: &str, file: &EnvironmentFile, choice: LabChoice, set: &Map<String, Value>) -> Result<Self, Exit> {
        choice.fits(name, file.kind)?;
        let mut environment = match file.kind {
            EnvironmentKind::Lab => Self::lab(name, file, choice).await?,
            EnvironmentKind::Cloud => Self::found(Self::cloud(name, file)).await?,
        };
        environment.vars.extend(file.vars.clone());
        environment.vars.extend(set.clone());
        environment.log();
        Ok(environment)
    }

    /// Says where it is.
    fn log(&self) {
        for (cloud, settings) in [(Cloud::Aws, &self.settings.aws), (Cloud::Aliyun, &self.settings.aliyun)] {
            let Some(CloudSettings { region, account, profile, endpoint, .. }) = settings else { continue };
            let [account, profile, endpoint] = [account, profile, endpoint].map(Option::as_deref);
            info!(environment = self.name, lab = self.is_lab, %cloud, region, account, profile, endpoint, "environment opened");
        }
    }

    async fn lab(name: &str, file: &EnvironmentFile, choice: LabChoice) -> Result<Self, Exit> {
        let wanted = choice.world.as_ref().map(|world| world.digest().to_owned()).filter(|digest| !digest.is_empty());
        let (embedded, control) = match choice {
            LabChoice { control: Some(control), .. } => (None, control.trim_end_matches('/').to_owned()),
            LabChoice { control: None, seed, time_scale, world } => {
                let usual = Options::default();
                let (seed, scale) = (seed.unwrap_or(usual.seed), time_scale.unwrap_or(usual.scale));
                let lab = EmbeddedLab::start(Options { seed, scale, world: world.unwrap_or_else(Blueprint::shop), ..usual })?;
                let control = lab.endpoints.control.clone();
                (Some(lab), control)
            }
        };
        let about = running_lab::ask(&control).await?;
        if let Some(wanted) = wanted.filter(|wanted| *wanted != about.endpoints.world) {
            let holds = if about.endpoints.world.is_empty() { "the shipped shop".to_owned() } else { format!("the world {}", about.endpoints.world) };
            return Err(Exit::new(
                Kind::Environment,
                format!("the lab at {control} holds another world than environment {name} says; nothing was changed"),
            )
            .cause(format!("it holds {holds}, and the SHA-256 of the environment's world file is {wanted}"))
            .hint("start one with `lifeboat lab --world FILE`, or leave --lab out"));
        }
        let regions = about.in_regions(name, file)?;
        if let Some(faults) = file.lab.as_ref().map(|lab| &lab.faults).filter(|faults| !faults.is_empty()) {
            running_lab::misbehave(&control, faults).await?;
        }
        let keys = Keys { access_key_id: about.endpoints.access_key_id, secret_access_key: about.endpoints.secret_access_key, session_token: None };
        let side = |region: &str, account: &str, endpoint: &str| CloudSettings {
            region: region.to_owned(),
            account: Some(account.to_owned()),
            endpoint: Some(endpoint.to_owned()),
            keys: Some(keys.clone()),
            ..CloudSettings::default()
        };
        let aws = side(&regions.aws, &about.accounts.aws, &about.endpoints.aws);
        let mut aliyun = side(&regions.aliyun, &about.accounts.aliyun, &about.endpoints.aliyun);
        aliyun.objects_endpoint = Some(about.endpoints.oss);
        let lab = LabWorld { id: Some(about.endpoints.id), world: about.endpoints.world, control, embedded: embedded.is_some() };
        // A lab is known by its id: where its services listen says nothing more.
        let whereabouts = Whereabouts::new(Some(lab), [(Cloud::Aws, world_of(&aws, None)), (Cloud::Aliyun, world_of(&aliyun, None))]);
        let zones: BTreeMap<String, ZoneFile> = about.zones.into_iter().chain(file.zones.clone()).collect();
        let zones = Zones::of(name, [Cloud::Aws, Cloud::Aliyun], &zones);
        let settings = Settings { environment: name.to_owned(), aws: Some(aws), aliyun: Some(aliyun), name_server: Some(about.endpoints.dns), zones };
        Ok(Self {
            name: name.to_owned(),
            settings,
            whereabouts,
            vars: about.vars,
            is_lab: true,
            exercise: file.exercise,
            marks_key: if embedded.is_some() { MarksKey::Process } else { MarksKey::of(file) },
            embedded,
            programs: Programs::Here,
        })
    }

    /// Finds out where the calls of each cloud go: from then on they go there, and to one place only.
    async fn found(mut self) -> Result<Self, Exit> {
        self.settings.find_endpoints().await;
        let sides = [(Cloud::Aws, &self.settings.aws), (Cloud::Aliyun, &self.settings.aliyun)];
        let side = |(cloud, settings): (Cloud, &Option<CloudSettings>)| Some((cloud, world_of(settings.as_ref()?, Some(self.endpoints(cloud)))));
        self.whereabouts = Whereabouts::new(None, sides.into_iter().filter_map(side));
        [Cloud::Aws, Cloud::Aliyun].into_iter().try_for_each(|cloud| self.is_one_place(cloud))?;
        Ok(self)
    }

    /// By service, every address of a cloud that is not left to the vendor's own choice, whoever names it.
    fn endpoints(&self, cloud: Cloud) -> BTreeMap<String, String> {
        match cloud {
            Cloud::Aws => self.settings.aws.as_ref().and_then(|aws| aws.services.clone()).unwrap_or_default(),
            Cloud::Aliyun => {
                let written = |aliyun: &CloudSettings| [("all but OSS", aliyun.endpoint.clone()), ("OSS", aliyun.objects_endpoint.clone())];
                let written = self.settings.aliyun.as_ref().map(written).into_iter().flatten();
                written.filter_map(|(service, address)| Some((service.to_owned(), address?))).collect()
            }
        }
    }

    /// Refuses a cloud of which some services are asked at the vendor's and others elsewhere, or at several addresses that nobody wrote: whose account it is
    /// would be checked in one place and things changed in another.
    fn is_one_place(&self, cloud: Cloud) -> Result<(), Exit> {
        let found = self.endpoints(cloud);
        let foreign: BTreeMap<&str, &str> = found
            .iter()
            .filter(|(_, address)| owner(address) != Owner::Vendor)
            .map(|(service, address)| (service.as_str(), address.as_str()))
            .collect();
        let (services, may_differ) = match cloud {
            Cloud::Aws => (SERVICES_OF_AWS, false),
            // The object store has an address of its own, which is written beside the other.
            Cloud::Aliyun => (2, true),
        };
        let authorities: BTreeSet<String> = foreign.values().map(|address| authority(address)).collect();
        if foreign.is_empty() || foreign.len() == services && (may_differ || authorities.len() == 1) {
            return Ok(());
        }
        let told: Vec<String> = foreign.iter().map(|(service, address)| format!("{service} at {}", authority(address))).collect();
        let rest = if foreign.len() < services { ", the others at the vendor's own" } else { "" };
        let hint = match cloud {
            Cloud::Aws => format!(
                "unset AWS_ENDPOINT_URL_… and the `services` of the profile, or write one `endpoint` under `aws` of `{}` in lifeboat.yaml",
                self.name
            ),
            Cloud::Aliyun => format!("write both `endpoint` and `oss_endpoint` under `aliyun` of `{}` in lifeboat.yaml, or neither", self.name),
        };
        Err(Exit::new(
            Kind::Environment,
            format!("the calls of environment {} to {cloud} go to different places: {}{rest}; nothing was changed", self.name, told.join(", ")),
        )
        .cause("whose account it is would be checked in one of them, and things changed in another")
        .hint(hint))
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
        let name_server = file.dns.as_ref().and_then(|dns| dns.server.clone());
        Self {
            name: name.to_owned(),
            settings: Settings { environment: name.to_owned(), aws, aliyun, name_server, zones: zones_of(name, file) },
            whereabouts: Whereabouts::default(),
            vars: Map::new(),
            is_lab: false,
            exercise: file.exercise,
            embedded: None,
            programs: Programs::Here,
            marks_key: MarksKey::of(file),
        }
    }

    /// The same place, for whoever only looks at it; a lab of this process ends with the original.
    #[must_use]
    pub fn seen(&self) -> Self {
        let Self { name, settings, whereabouts, vars, is_lab, exercise, embedded: _, programs, marks_key } = self;
        Self {
            name: name.clone(),
            settings: settings.clone(),
            whereabouts: whereabouts.clone(),
            vars: vars.clone(),
            is_lab: *is_lab,
            exercise: *exercise,
            embedded: None,
            programs: programs.clone(),
            marks_key: marks_key.clone(),
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
    #[must_use]
    pub fn realism(&self) -> Realism {
        if self.is_lab {
            return Realism { declared: self.exercise, hosts: Vec::new() };
        }
        let found =
            [Cloud::Aws, Cloud::Aliyun].into_iter().flat_map(|cloud| self.endpoints(cloud).into_values().map(move |address| (cloud, address)));
        let foreign = found.filter(|(_, address)| owner(address) != Owner::Vendor);
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

/// One cloud of a world, by the settings with which it is reached.
fn world_of(settings: &CloudSettings, endpoints: Option<BTreeMap<String, String>>) -> CloudWorld {
    CloudWorld { account: settings.account.clone(), region: Some(settings.region.clone()), endpoints }
}

/// How many services of AWS are asked.
const SERVICES_OF_AWS: usize = 5;

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
        let Endpoints { control, aws, aliyun, oss, dns, .. } = &endpoints;
        info!(control, aws, aliyun, oss, %dns, "lab started");
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
        Environment::cloud("e", &serde_saphyr::from_str(yaml).unwrap())
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
        let of = async |yaml: &str| written(yaml).found().await.unwrap().realism();
        let vendor = of("{ exercise: live_full, aws: { endpoint: 'https://ec2.us-east-1.amazonaws.com' } }").await;
        assert_eq!(vendor, Realism { declared: Some(Exercise::LiveFull), hosts: Vec::new() });
        let moto = of("{ exercise: component, aws: { endpoint: 'http://u:p@127.0.0.1:5000' }, aliyun: {} }").await;
        assert_eq!(moto, Realism { declared: Some(Exercise::Component), hosts: vec!["aws 127.0.0.1".to_owned()] });
        let both = of("aliyun: { endpoint: 'https://relay.example.org', oss_endpoint: 'https://store.example.org' }").await;
        assert_eq!(both.hosts, ["aliyun relay.example.org", "aliyun store.example.org"]);
    }

    #[tokio::test]
    async fn whose_account_it_is_is_asked_where_things_are_changed() {
        let settings = |services: &[(&str, &str)]| {
            let mut environment = written("aws: {}");
            let found = services.iter().map(|(service, address)| ((*service).to_owned(), (*address).to_owned())).collect();
            environment.settings.aws.as_mut().unwrap().services = Some(found);
            environment
        };
        let all = |address: &'static str| ["CloudWatch", "EC2", "Route 53", "S3", "STS"].map(|service| (service, address));
        let (here, vpce) = ("http://127.0.0.1:5000", "https://vpce-1.ec2.us-east-1.vpce.amazonaws.com");
        let mut apart = all(here);
        apart[4].1 = "http://127.0.0.1:6000";
        for (services, one) in [
            (&[][..], true),
            (&all(here)[..], true),
            (&[("EC2", vpce)][..], true),
            (&[("EC2", vpce), ("STS", "https://sts.us-east-1.amazonaws.com")][..], true),
            (&[("STS", here)][..], false),
            (&[("EC2", here)][..], false),
            (&[("S3", here)][..], false),
            (&[("EC2", here), ("STS", here)][..], false),
            (&apart[..], false),
        ] {
            let said = settings(services).is_one_place(Cloud::Aws);
            assert_eq!(said.is_ok(), one, "{services:?}");
            if let Err(exit) = said {
                assert!(exit.kind == Kind::Environment && exit.message.contains("go to different places"), "{exit}");
            }
        }
        for (yaml, one) in [
            ("aliyun: {}", true),
            ("aliyun: { endpoint: 'http://127.0.0.1:1', oss_endpoint: 'http://127.0.0.1:2' }", true),
            ("aliyun: { endpoint: 'http://127.0.0.1:1' }", false),
            ("aliyun: { oss_endpoint: 'http://127.0.0.1:1' }", false),
            ("aliyun: { oss_endpoint: 'https://oss-cn-hangzhou-internal.aliyuncs.com' }", true),
        ] {
            assert_eq!(written(yaml).is_one_place(Cloud::Aliyun).is_ok(), one, "{yaml}");
        }
    }

    #[tokio::test]
    async fn what_is_said_of_a_lab_is_refused_where_accounts_are() {
        let accounts: EnvironmentFile = serde_saphyr::from_str("aws: {}").unwrap();
        for choice in [
            LabChoice::at("http://127.0.0.1:1"),
            LabChoice { seed: Some(1), ..LabChoice::default() },
            LabChoice { time_scale: Some(1.0), ..LabChoice::default() },
        ] {
            let exit = Environment::open("prod", &accounts, choice, &Map::new()).await.unwrap_err();
            assert!(exit.kind == Kind::Usage && exit.message.contains("environment prod is one of accounts; nothing was changed"), "{exit}");
        }
    }
}
