//! `objects.lag`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::catalogue::expect::json;
use crate::catalogue::orders::lag::Sides;
use crate::catalogue::orders::{Place, detail, is_loss};
use crate::engine::probe::{Probe, Sample};
use crate::model::time::{Span, Timestamp};
use crate::ports::CloudError;
use crate::world::World;

/// Looks how far a mirror is behind its source, in committed time: from the newest object of the source to the newest one of the mirror below which
/// nothing is missing. Keys grow with time; each object is JSON with its commit time in a field.
///
/// While the source cannot be read, what it was last known to have counts. The value is
/// `{ source_newest, mirror_contiguous, lag_ms, missing, source_read }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectsLag {
    /// Where objects are written first.
    source: Place,
    /// Where they are copied to.
    mirror: Place,
    /// Path of the commit time in an object's JSON; `committed` unless written.
    #[serde(default = "committed")]
    field: String,
    /// How long a look may take; 5s unless written.
    #[serde(default = "five_seconds")]
    timeout: Span,
    /// What is good.
    expect: LagExpect,
    #[serde(skip)]
    #[schemars(skip)]
    known: Mutex<Known>,
}

/// What is good.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LagExpect {
    /// The greatest lag.
    max_lag: Span,
}

fn committed() -> String {
    "committed".to_owned()
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

#[derive(Clone, Debug, Default)]
struct Known {
    sides: Sides,
    /// Commit times by name, of the two objects that were last looked at.
    times: BTreeMap<String, Timestamp>,
}

impl Probe<World> for ObjectsLag {
    const KIND: &'static str = "objects.lag";

    fn timeout(&self) -> Duration {
        self.timeout.duration()
    }

    async fn sample(&self, world: &World) -> Sample {
        match self.read(world).await {
            Ok(sample) => sample,
            Err(error) if is_loss(&error) => Sample::bad(detail(&error)),
            Err(error) => Sample::unknown(detail(&error)),
        }
    }
}

impl ObjectsLag {
    async fn read(&self, world: &World) -> Result<Sample, CloudError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let after = known.sides.after().to_owned();
        let (source, mirror) = join(names(world, &self.source, &after), names(world, &self.mirror, &after)).await;
        let mirror = mirror?;
        // The mirror is what this is about; a source that cannot be read is what it is watched for.
        let unread = source.as_ref().err().map(detail);
        let gap = known.sides.look(source.ok(), &mirror);
        let Some(newest) = gap.newest else {
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
            return Ok(Sample::unknown(unread.unwrap_or_else(|| "no objects in the source yet".to_owned())));
        };
        // Whichever side can be read knows when an object was committed; the copy carries the same time.
        let newest_time = match self.time(world, &self.source, &newest, &known).await {
            Err(_) => self.time(world, &self.mirror, &newest, &known).await.ok().flatten(),
            Ok(time) => time,
        };
        let contiguous_time = match &gap.contiguous {
            Some(name) => self.time(world, &self.mirror, name, &known).await?,
            None => None,
        };
        let times = [(Some(newest), newest_time), (gap.contiguous, contiguous_time)];
        known.times = times.into_iter().filter_map(|(name, time)| name.zip(time)).collect();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;

        let lag = newest_time.zip(contiguous_time).map(|(newest, contiguous)| newest.since(contiguous));
        let value = json!({
            "source_newest": newest_time,
            "mirror_contiguous": contiguous_time,
            "lag_ms": lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
            "missing": gap.missing,
            "source_read": unread.is_none(),
        });
        Ok(judge(lag, gap.missing, self.expect.max_lag.duration(), unread.as_deref()).with_value(value))
    }

    /// When the object was committed; `None` when it does not say.
    async fn time(&self, world: &World, place: &Place, name: &str, known: &Known) -> Result<Option<Timestamp>, CloudError> {
        if let Some(time) = known.times.get(name) {
            return Ok(Some(*time));
        }
        let content = place.objects(world)?.get(&place.bucket, &format!("{}{name}", place.prefix)).await?;
        let content: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
        Ok(json::at(&content, &self.field).and_then(|time| time.as_str()).and_then(|time| time.parse().ok()))
    }
}

async fn names(world: &World, place: &Place, after: &str) -> Result<BTreeSet<String>, CloudError> {
    let after = if after.is_empty() { String::new() } else { format!("{}{after}", place.prefix) };
    let objects = place.objects(world)?.list(&place.bucket, &place.prefix, &after).await?;
    Ok(objects.iter().map(|object| object.key.strip_prefix(&place.prefix).unwrap_or(&object.key).to_owned()).collect())
}

fn judge(lag: Option<Duration>, missing: usize, longest: Duration, unread: Option<&str>) -> Sample {
    let source = unread.map(|why| format!("; by the source's last known state ({why})")).unwrap_or_default();
    let text = |lag: Duration| format!("{:.1} s behind, {missing} missing{source}", lag.as_secs_f64());
    match lag {
        Some(lag) if lag <= longest => Sample::good(text(lag)),
        Some(lag) => Sample::bad(format!("{}, allowed {}", text(lag), Span::from(longest))),
        // Nothing at all in the mirror is a loss; a commit time that cannot be read is not known to be one.
        None if missing > 0 => Sample::bad(format!("{missing} missing{source}")),
        None => Sample::unknown("the objects do not say when they were committed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::probe::Reading;

    fn check(lag: Option<u64>, missing: usize, reading: Reading) {
        let sample = judge(lag.map(Duration::from_millis), missing, Duration::from_secs(2), None);
        assert_eq!(sample.reading, reading, "{}", sample.detail);
    }

    #[test]
    fn lag_is_judged() {
        check(Some(0), 0, Reading::Good);
        check(Some(2000), 3, Reading::Good);
        check(Some(2001), 3, Reading::Bad);
        check(None, 5, Reading::Bad);
        check(None, 0, Reading::Unknown);
    }
}
