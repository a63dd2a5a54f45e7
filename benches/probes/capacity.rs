//! How many samples a second, at what cost and how punctually, against a server of one's own: nginx if it is there.

use std::time::Duration;

use lifeboat::engine::clock::RunClock;
use lifeboat::engine::probe::Reading;
use lifeboat::engine::watch::beginnings;
use lifeboat::model::event::probe::ProbeKind;
use serde_json::json;

use crate::prober::{Probe, Prober, cpu_of_thread};

/// `probes` probes with `every` between two samples of each, for `lasts`, of the server at `port`.
pub(crate) async fn run(port: u16, probes: usize, every: Duration, lasts: Duration) {
    let probe =
        |number: usize| Probe { with: json!({ "url": format!("http://127.0.0.1:{port}/?{number}"), "timeout": "1s" }), every, while_bad: None };
    let prober = Prober::start((0..probes).map(probe).collect(), RunClock::start(), None).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (begun, before) = (tokio::time::Instant::now(), cpu_of_thread("probes"));
    tokio::time::sleep(lasts).await;
    let (cpu, took) = (cpu_of_thread("probes") - before, begun.elapsed().as_secs_f64());
    let memory = memory();
    let said = prober.end(probes).await;
    let rate = probes as f64 / every.as_secs_f64();
    let not_good = said.rows.iter().filter(|row| row.reading != Reading::Good).count();
    let (late, missed) = said.events.iter().flatten().fold((0, 0), |(late, missed), event| match event {
        ProbeKind::Tally { late: l, missed: m, .. } => (late + l, missed + m),
        _ => (late, missed),
    });
    let sent_late = lateness(&said.rows, probes, every);
    println!(
        "{probes} probes every {every:?} ({rate:.0}/s): {:.1} µs of CPU a sample ({:.2} of a core); late p50 {:.3} p99 {:.3} max {:.1} ms; {} samples, {not_good} not good, {late} late, {missed} not sent; {memory:.0} MB",
        cpu * 1e6 / (rate * took),
        cpu / took,
        quantile(&sent_late, 0.5),
        quantile(&sent_late, 0.99),
        quantile(&sent_late, 1.0),
        said.rows.len(),
    );
    if let Some(row) = said.rows.iter().find(|row| row.reading != Reading::Good) {
        println!("  the first that was not good: {:?}", row.detail);
    }
}

/// How long after its time each sample was sent, in ms, by the schedule of all probes; sorted. When the schedule began is not told: it is taken to be the latest moment
/// by which no sample was sent before its time.
fn lateness(rows: &[lifeboat::engine::samples::Row], probes: usize, every: Duration) -> Vec<f64> {
    let begins = beginnings(&vec![every; probes]);
    let nanos = |length: Duration| i64::try_from(length.as_nanos()).unwrap();
    // Of each sample, as if its probe's turn were at the beginning of every interval.
    let turns: Vec<i64> = rows.iter().map(|row| row.sent.as_nanos() - nanos(begins[row.probe as usize])).collect();
    let Some(first) = turns.first().copied() else { return Vec::new() };
    let phases: Vec<i64> = turns.iter().map(|turn| (turn - first + nanos(every) / 2).rem_euclid(nanos(every)) - nanos(every) / 2).collect();
    let earliest = phases.iter().min().copied().unwrap_or(0);
    let mut late: Vec<f64> = phases.iter().map(|phase| (phase - earliest) as f64 / 1e6).collect();
    late.sort_by(f64::total_cmp);
    late
}

/// The value below which this share of `sorted` is.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Resident memory of this process in MB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("0 0");
    line.split_whitespace().nth(1).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
