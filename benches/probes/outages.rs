//! 200 outages of known beginning and end, 20 services at once; found by the product's probes and, in the same run, by a bare asyncio prober.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use lifeboat::engine::clock::RunClock;
use lifeboat::model::event::probe::ProbeKind;
use lifeboat::model::plan::ProbeState;
use lifeboat::model::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::prober::{Probe, Prober, cpu_of_thread};
use crate::services::{KINDS, Kind, Service, name_server};

const SERVICES: usize = 20;
const TIMEOUT: Duration = Duration::from_millis(250);
/// A gap in which what was down is up again for sure.
const GAP: Duration = Duration::from_millis(700);

/// An outage that there was.
#[derive(Clone, Copy)]
struct Truth {
    kind: Kind,
    down: (Timestamp, Timestamp),
    up: (Timestamp, Timestamp),
}

/// What was found of it.
struct Found {
    down: [Timestamp; 3],
    up: [Timestamp; 3],
}

/// How many outages each service has, the interval of the probes, and the closer one.
pub(crate) async fn run(each: usize, every: Duration, while_bad: Option<Duration>, peer: bool) {
    let mut services = Vec::new();
    for number in 0..SERVICES {
        services.push(Service::start(number).await);
    }
    let names = name_server(services.clone()).await.to_string();
    let clock = RunClock::start();
    let probe = |service: &Service| Probe {
        with: json!({ "url": format!("http://{}:{}/", service.name, service.address.port()), "timeout": "250ms", "expect": { "body_contains": "ok" } }),
        every,
        while_bad,
    };
    let prober = Prober::start(services.iter().map(probe).collect(), clock, Some(names.clone())).await;
    let python = peer.then(|| asyncio(&services, every, &names));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = (tokio::time::Instant::now(), cpu_of_thread("probes"));
    let mut tasks = Vec::new();
    for (number, service) in services.iter().cloned().enumerate() {
        tasks.push(tokio::spawn(outages(service, number, each, clock)));
    }
    let mut truth = Vec::new();
    for task in tasks {
        truth.push(task.await.unwrap());
    }
    tokio::time::sleep(GAP).await;
    let (took, cpu) = (begun.0.elapsed().as_secs_f64(), cpu_of_thread("probes") - begun.1);
    let said = prober.end(SERVICES).await;
    println!(
        "\n{} outages of {SERVICES} services in {took:.0} s, a sample every {every:?}{}",
        each * SERVICES,
        while_bad.map(|every| format!(", every {every:?} while bad")).unwrap_or_default()
    );
    let ours: Vec<Vec<Option<Found>>> =
        truth.iter().zip(&said.events).map(|(truth, events)| truth.iter().map(|truth| find(truth, events)).collect()).collect();
    report("lifeboat", &truth, &ours, every);
    println!("lifeboat: {cpu:.2} s of CPU, {} samples, {:.1} µs each", said.rows.len(), cpu * 1e6 / said.rows.len() as f64);
    if let Some(python) = python {
        let (theirs, their_cpu, sent) = python.await;
        let theirs: Vec<Vec<Option<Found>>> =
            truth.iter().zip(&theirs).map(|(truth, edges)| truth.iter().map(|truth| find_theirs(truth, edges)).collect()).collect();
        report("asyncio", &truth, &theirs, every);
        println!("asyncio: {their_cpu:.2} s of CPU, {sent} samples; lifeboat takes {:.2} of that", cpu / their_cpu);
    }
}

async fn outages(service: Service, number: usize, each: usize, clock: RunClock) -> Vec<Truth> {
    let mut random = StdRng::seed_from_u64(u64::try_from(number).unwrap());
    let mut truth = Vec::new();
    let at = |(from, to)| (clock.at(from), clock.at(to));
    for turn in 0..each {
        let kind = KINDS[(number + turn) % KINDS.len()];
        // Log-uniform from 50 ms to 60 s.
        let lasts = Duration::from_secs_f64(0.05 * (60.0_f64 / 0.05).powf(random.random::<f64>()));
        tokio::time::sleep(GAP + Duration::from_secs_f64(random.random::<f64>())).await;
        let down = at(service.set(Some(kind)));
        tokio::time::sleep(lasts).await;
        truth.push(Truth { kind, down, up: at(service.set(None)) });
    }
    truth
}

/// The first time the samples went bad and the last time they came back, around an outage.
fn find(truth: &Truth, events: &[ProbeKind]) -> Option<Found> {
    let reach = GAP / 2;
    let edges = events.iter().filter_map(|event| match event {
        ProbeKind::Edge { to, lo, hi, likely, .. } => Some((*to, [*lo, likely.unwrap_or(*lo), *hi])),
        _ => None,
    });
    let near: Vec<_> = edges.filter(|(_, edge)| edge[2] >= truth.down.0 && edge[0] <= truth.up.1.plus(reach)).collect();
    let first = near.iter().position(|(to, _)| *to == ProbeState::Bad)?;
    let down = near[first].1;
    // By their order: what was sent after a sample that waited for its timeout may be done before it.
    let up = near[first..].iter().rev().find(|(to, _)| *to == ProbeState::Good)?.1;
    Some(Found { down, up })
}

fn find_theirs(truth: &Truth, edges: &Value) -> Option<Found> {
    let at = |value: &Value| Timestamp::from_nanos(value.as_i64().unwrap_or(0));
    // What it tells is where the edge most likely was: perhaps a little before it.
    let near = edges
        .as_array()?
        .iter()
        .filter(|edge| at(&edge[1]).plus(GAP / 4) >= truth.down.0 && at(&edge[1]) <= truth.up.1.plus(GAP / 2))
        .collect::<Vec<_>>();
    let down = at(&near.iter().find(|edge| edge[0] == "bad")?[1]);
    let up = at(&near.iter().rev().find(|edge| edge[0] == "good" && at(&edge[1]) > down)?[1]);
    Some(Found { down: [down; 3], up: [up; 3] })
}

fn report(who: &str, truth: &[Vec<Truth>], found: &[Vec<Option<Found>>], every: Duration) {
    let mut by_kind: BTreeMap<Kind, Vec<(&Truth, Option<&Found>)>> = BTreeMap::new();
    for (truth, found) in truth.iter().flatten().zip(found.iter().flatten()) {
        by_kind.entry(truth.kind).or_default().push((truth, found.as_ref()));
    }
    println!(
        "{who}: kind, outages, found, missed though longer than could be, outside the bounds; error of start, end, length in ms: median / worst"
    );
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for (kind, rows) in &by_kind {
        let shortest = if matches!(kind, Kind::Hang | Kind::Slow) { every + TIMEOUT } else { every };
        let missed = rows.iter().filter(|(truth, found)| found.is_none() && truth.up.0.since(truth.down.1) > shortest).count();
        let both: Vec<_> = rows.iter().filter_map(|(truth, found)| Some((*truth, (*found)?))).collect();
        let outside = both.iter().filter(|(truth, found)| !(inside(truth.down, found.down) && inside(truth.up, found.up))).count();
        let error = |is: Timestamp, was: (Timestamp, Timestamp)| is.nanos_since(was.0) as f64 / 1e6;
        let errors = [
            both.iter().map(|(truth, found)| error(found.down[1], truth.down).abs()).collect::<Vec<_>>(),
            both.iter().map(|(truth, found)| error(found.up[1], truth.up).abs()).collect(),
            both.iter().map(|(truth, found)| (error(found.up[1], truth.up) - error(found.down[1], truth.down)).abs()).collect(),
        ];
        println!(
            "  {:8} {:4} {:4} {missed:4} {:>4}   {}",
            format!("{kind:?}"),
            rows.len(),
            both.len(),
            if who == "lifeboat" { outside.to_string() } else { "–".into() },
            errors.iter().map(|errors| spread(errors)).collect::<Vec<_>>().join("  ")
        );
        for (truth, found) in both
            .iter()
            .filter(|(truth, found)| error(found.up[1], truth.up).abs().max(error(found.down[1], truth.down).abs()) > every.as_secs_f64() * 1e3 + 5.0)
        {
            let from = |at: Timestamp, to: (Timestamp, Timestamp)| at.nanos_since(to.0) as f64 / 1e6;
            println!(
                "    lasted {:.0} ms; start {:.1?} ms off, end {:.1?} ms off (not before, likely, not after)",
                truth.up.0.nanos_since(truth.down.0) as f64 / 1e6,
                found.down.map(|at| from(at, truth.down)),
                found.up.map(|at| from(at, truth.up))
            );
        }
        all.iter_mut().zip(errors).for_each(|(all, errors)| all.extend(errors));
    }
    println!("  all                          {}", all.iter().map(|errors| spread(errors)).collect::<Vec<_>>().join("  "));
}

fn inside(truth: (Timestamp, Timestamp), found: [Timestamp; 3]) -> bool {
    found[0] <= truth.1 && truth.0 <= found[2]
}

fn spread(errors: &[f64]) -> String {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    if sorted.is_empty() { "–".to_owned() } else { format!("{:6.1} /{:6.1}", sorted[sorted.len() / 2], sorted[sorted.len() - 1]) }
}

/// Starts the peer; what it found comes when the standard input of the process is closed.
fn asyncio(services: &[Service], every: Duration, names: &str) -> impl Future<Output = (Vec<Value>, f64, u64)> + use<> {
    let targets: Vec<Value> = services.iter().map(|service| json!([service.name, service.address.port()])).collect();
    let moved: Vec<Service> = services.to_vec();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/probes/asyncio_prober.py");
    let mut child = tokio::process::Command::new("python3")
        .arg(script)
        .arg(json!({ "targets": targets, "names": names, "every": every.as_secs_f64(), "timeout": TIMEOUT.as_secs_f64() }).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python3 is there");
    async move {
        drop(child.stdin.take());
        let mut text = String::new();
        child.stdout.take().expect("it is piped").read_to_string(&mut text).await.expect("it prints text");
        let _ = child.wait().await;
        drop(moved);
        let said: Value = serde_json::from_str(&text).expect("it prints JSON");
        (said["edges"].as_array().cloned().unwrap_or_default(), said["cpu"].as_f64().unwrap_or(f64::NAN), said["sent"].as_u64().unwrap_or(0))
    }
}
