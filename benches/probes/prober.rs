//! The product's own probes on their own thread, with everything they say kept.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat::catalogue;
use lifeboat::engine::clock::RunClock;
use lifeboat::engine::samples::{Row, SampleFile, Samples, Writer};
use lifeboat::engine::watch::{Closer, Report, Watch, Watched};
use lifeboat::model::event::KeptSamples;
use lifeboat::model::event::probe::ProbeKind;
use lifeboat::ports::gate::Gate;
use lifeboat::world::World;
use lifeboat::world::settings::Settings;
use serde_json::Value;
use tokio::sync::mpsc;

/// What a probe is.
pub(crate) struct Probe {
    pub(crate) with: Value,
    pub(crate) every: Duration,
    pub(crate) while_bad: Option<Duration>,
}

/// Probes that sample.
pub(crate) struct Prober {
    watch: Watch,
    reports: mpsc::UnboundedReceiver<Report>,
    writer: Writer,
    rows: Arc<Mutex<Vec<Row>>>,
}

/// What they said.
pub(crate) struct Said {
    /// Of each probe, in the order in which they were given.
    pub(crate) events: Vec<Vec<ProbeKind>>,
    pub(crate) rows: Vec<Row>,
}

struct Memory(Arc<Mutex<Vec<Row>>>);

impl SampleFile for Memory {
    fn add(&mut self, rows: &[Row]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(rows);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<KeptSamples> {
        Ok(KeptSamples { file: String::new(), rows: 0, sha256: String::new() })
    }
}

impl Prober {
    pub(crate) async fn start(probes: Vec<Probe>, clock: RunClock, name_server: Option<String>) -> Self {
        let settings = Settings { environment: "bench".into(), name_server, ..Settings::default() };
        let world = Arc::new(World::connect(&settings, &Gate::default()).await);
        let row = catalogue::probe("http").expect("there are HTTP probes");
        let watched = probes.into_iter().enumerate().map(|(number, probe)| Watched {
            id: number.to_string(),
            probe: (row.parse)(&probe.with).map_err(|error| error.message).unwrap(),
            every: probe.every,
            while_bad: probe.while_bad.map(|every| Closer { every, budget: Duration::from_secs(3600) }),
            bad_after: 1,
            good_after: 1,
        });
        let rows = Arc::new(Mutex::new(Vec::new()));
        let (samples, writer) = Samples::start(Box::new(Memory(rows.clone()))).unwrap();
        let (sender, reports) = mpsc::unbounded_channel();
        let watch = Watch::start(watched.collect(), world, clock, sender, samples).unwrap();
        Self { watch, reports, writer, rows }
    }

    pub(crate) async fn end(mut self, probes: usize) -> Said {
        self.watch.end().await;
        self.writer.finish().await.unwrap();
        let mut events = vec![Vec::new(); probes];
        while let Ok(report) = self.reports.try_recv() {
            events[report.probe.parse::<usize>().unwrap()].extend(report.events);
        }
        let rows = std::mem::take(&mut *self.rows.lock().unwrap());
        Said { events, rows }
    }
}

/// CPU time that the thread with this name has taken so far, in seconds, by the scheduler's own account: counted ticks miss who wakes for less than one.
pub(crate) fn cpu_of_thread(name: &str) -> f64 {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if read("comm").trim() == name {
            nanos += read("schedstat").split_whitespace().next().and_then(|ran| ran.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    nanos as f64 / 1e9
}
