//! `objects.lag`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::catalogue::expect::json;
use crate::catalogue::buckets::blind::{Blind, BlindLook};
use crate::catalogue::buckets::lag::{Gap, Sides};
use crate::catalogue::buckets::{BucketPath, detail};
use crate::engine::clock::wall;
use crate::engine::probe::{Probe, Reading, Sample};
use crate::model::time::{Span, Timestamp};
use crate::ports::CloudError;
use crate::world::World;

/// Looks how far a mirror is behind its source, in committed time: from the newest object of the source to the newest one of the mirror below which
/// nothing is missing. Keys grow with time; each object is JSON with its commit time in a field.
///
/// Without both sides there is no reading: while one cannot be read this is unknown, and the value tells between which bounds the lag is (`lag_at_least_ms`
/// by what the source was last known to have, `lag_at_most_ms` as if it had committed all the time since). The value is
/// `{ source_newest, mirror_contiguous, lag_ms, missing, source_read, mirror_read }`, and the two bounds in the place of `lag_ms` while a side is unread. The
/// first reading after that also tells how far the mirror was behind at most meanwhile, by what the source holds now (`unseen_ms`), and at
/// least (`unseen_at_least_ms`), if anything was missing for certain.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObjectsLag {
    /// Where objects are written first.
    source: BucketPath,
    /// Where they are copied to.
    mirror: BucketPath,
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
    #[serde(skip)]
    #[schemars(skip)]
    blind: Mutex<Blind>,
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
    /// Commit times by name, of the objects at the two ends.
    times: BTreeMap<String, Timestamp>,
}

impl Probe<World> for ObjectsLag {
    const KIND: &'static str = "objects.lag";
    const EXAMPLE: &'static str = r#"
        source: { store: aliyun, bucket: "${{ vars.orders_bucket }}", prefix: "${{ vars.orders_prefix }}" }
        mirror: { store: aws, bucket: "${{ vars.mirror_bucket }}", prefix: "${{ vars.orders_prefix }}" }
        expect: { max_lag: 2s }
    "#;
    const CALLS: &'static [&'static str] = &["s3:ListObjectsV2", "s3:GetObject", "oss:ListObjectsV2", "oss:GetObject"];
    const SILENCE: Reading = Reading::Unknown;

    fn timeout(&self) -> Duration {
        // Each side has its own; this is for a machine that is late to notice.
        self.timeout.duration() + Duration::from_millis(100)
    }

    async fn sample(&self, world: &World) -> Sample {
        let (sent, until) = (wall(), Instant::now() + self.timeout.duration());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let floor = known.sides.after().to_owned();
        let since = self.blind().since(&floor);
        let (source, mirror) = join(in_time(until, names(world, &self.source, &since)), in_time(until, names(world, &self.mirror, &floor))).await;
        let mut look = self.look(world, &mut known, [&source, &mirror], until).await;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
        let now = wall();
        match source {
            Ok(source) if look.is_whole() => {
                let unseen = self.blind().end(&source);
                look.unseen = unseen.as_ref().and_then(|unseen| unseen.most);
                if let Some((name, common)) = unseen.and_then(|unseen| unseen.missed) {
                    let committed = in_time(until, self.time_at(world, &self.source, &name)).await.ok().flatten();
                    look.unseen_at_least = committed.map(|committed| committed.since(common));
                }
            }
            _ => {
                let seen = BlindLook { sent, done: now, common: look.contiguous, mirror_read: mirror.is_ok() };
                self.blind().keep(seen, &floor, mirror.unwrap_or_default().into_keys());
            }
        }
        look.judged(self.expect.max_lag, now)
    }
}

/// What was seen of both sides.
#[derive(Debug, Default)]
struct Look {
    /// When the newest object that is known of the source was committed.
    newest: Option<Timestamp>,
    /// When the newest object of the mirror with nothing missing below it was committed.
    contiguous: Option<Timestamp>,
    /// Whether there is such an object, whatever it says of its time.
    has_contiguous: bool,
    /// See [`Gap`].
    missing: Option<usize>,
    /// Whether the source is known to have had anything.
    has_any: bool,
    /// Why the source could not be read, if so.
    source: Option<String>,
    /// Why the mirror could not be read, if so.
    mirror: Option<String>,
    /// How far the mirror was behind at most in the blind time that this look ends.
    unseen: Option<Duration>,
    /// How far it was behind at least.
    unseen_at_least: Option<Duration>,
}

impl ObjectsLag {
    fn blind(&self) -> MutexGuard<'_, Blind> {
        self.blind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What two listings say, with the times of what is at their ends.
    async fn look(&self, world: &World, known: &mut Known, listed: [&Listed; 2], until: Instant) -> Look {
        let floor = known.sides.after();
        let [source, mirror] = listed.map(|listed| listed.as_ref().ok().map(|names| names.keys().filter(|name| name.as_str() > floor).cloned().collect()));
        let Gap { newest, contiguous, missing } = known.sides.look(source, mirror.as_ref());
        let [unread_source, unread_mirror] = listed.map(|listed| listed.as_ref().err().cloned());
        let mut look = Look { missing, has_contiguous: contiguous.is_some(), has_any: newest.is_some(), source: unread_source, mirror: unread_mirror, ..Look::default() };
        // The copy carries the same time, so whichever side can be read says when an object was committed.
        let (newest_time, contiguous_time) = join(
            in_time(until, self.time(world, [&self.source, &self.mirror], newest.as_deref(), &known.times)),
            in_time(until, self.time(world, [&self.mirror, &self.source], contiguous.as_deref(), &known.times)),
        )
        .await;
        match newest_time {
            Ok(time) => look.newest = time,
            Err(why) => look.source = look.source.or(Some(why)),
        }
        match contiguous_time {
            Ok(time) => look.contiguous = time,
            Err(why) => look.mirror = look.mirror.or(Some(why)),
        }
        let times = [(newest, look.newest), (contiguous, look.contiguous)];
        known.times.extend(times.into_iter().filter_map(|(name, time)| name.zip(time)));
        known.times.retain(|name, _| known.sides.is_at_an_end(name));
        look
    }

    /// When the object was committed, by the first of two places that has it; nothing when it does not say, or there is none.
    async fn time(&self, world: &World, places: [&BucketPath; 2], name: Option<&str>, known: &BTreeMap<String, Timestamp>) -> Result<Option<Timestamp>, CloudError> {
        let Some(name) = name else { return Ok(None) };
        if let Some(time) = known.get(name) {
            return Ok(Some(*time));
        }
        let [one, other] = places;
        match self.time_at(world, one, name).await {
            Ok(time) => Ok(time),
            Err(error) => self.time_at(world, other, name).await.map_err(|_| error),
        }
    }

    async fn time_at(&self, world: &World, place: &BucketPath, name: &str) -> Result<Option<Timestamp>, CloudError> {
        let content = place.objects(world)?.get(&place.bucket, &format!("{}{name}", place.prefix)).await?;
        let content: serde_json::Value = serde_json::from_slice(&content).unwrap_or_default();
        Ok(json::at(&content, &self.field).and_then(|time| time.as_str()).and_then(|time| time.parse().ok()))
    }
}

/// An answer that is there by `until`, or why not.
async fn in_time<T>(until: Instant, asked: impl Future<Output = Result<T, CloudError>>) -> Result<T, String> {
    tokio::time::timeout_at(until, asked).await.map_err(|_| "no answer in time".to_owned())?.map_err(|error| detail(&error))
}

/// The names of one side, and when its store took each; or why it could not be read.
type Listed = Result<BTreeMap<String, Timestamp>, String>;

async fn names(world: &World, place: &BucketPath, after: &str) -> Result<BTreeMap<String, Timestamp>, CloudError> {
    let after = if after.is_empty() { String::new() } else { format!("{}{after}", place.prefix) };
    let objects = place.objects(world)?.list(&place.bucket, &place.prefix, &after).await?;
    Ok(objects.iter().map(|object| (object.key.strip_prefix(&place.prefix).unwrap_or(&object.key).to_owned(), object.modified)).collect())
}

impl Look {
    const fn is_whole(&self) -> bool {
        self.source.is_none() && self.mirror.is_none()
    }

    fn judged(&self, longest: Span, now: Timestamp) -> Sample {
        let millis = |lag: Duration| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        let known = self.newest.zip(self.contiguous).map(|(newest, contiguous)| newest.since(contiguous));
        let is_whole = self.is_whole();
        let mut value = json!({
            "source_newest": self.newest,
            "mirror_contiguous": self.contiguous,
            "lag_ms": known.filter(|_| is_whole).map(millis),
            "missing": self.missing,
            "source_read": self.source.is_none(),
            "mirror_read": self.mirror.is_none(),
        });
        for (name, unseen) in [("unseen_ms", self.unseen), ("unseen_at_least_ms", self.unseen_at_least)] {
            if let Some(unseen) = unseen {
                value[name] = json!(millis(unseen));
            }
        }
        if is_whole {
            let sample = self.of_both(known, longest);
            return if self.has_any { sample.with_value(value) } else { sample };
        }
        // A mirror that cannot be read may have got everything meanwhile.
        let least = if self.mirror.is_some() { Some(Duration::ZERO) } else { known };
        let most = self.contiguous.map(|contiguous| now.since(contiguous).max(known.unwrap_or_default()));
        value["lag_at_least_ms"] = json!(least.map(millis));
        value["lag_at_most_ms"] = json!(most.map(millis));
        let unread = [("source", &self.source), ("mirror", &self.mirror)].into_iter().filter_map(|(side, why)| Some(format!("the {side} cannot be read: {}", why.as_ref()?)));
        let unread = unread.collect::<Vec<_>>().join("; ");
        let bounds = least.zip(most).map(|(least, most)| format!("; {:.1} to {:.1} s behind", least.as_secs_f64(), most.as_secs_f64()));
        Sample::unknown(format!("{unread}{}", bounds.unwrap_or_default())).with_value(value)
    }

    /// Both sides were read.
    fn of_both(&self, lag: Option<Duration>, longest: Span) -> Sample {
        let missing = self.missing.unwrap_or_default();
        match lag {
            Some(lag) => {
                let text = format!("{:.1} s behind, {missing} missing", lag.as_secs_f64());
                if lag <= longest.duration() { Sample::good(text) } else { Sample::bad(format!("{text}, allowed {longest}")) }
            }
            None if !self.has_any => Sample::unknown("no objects in the source yet"),
            // Nothing at all in the mirror is a loss; a commit time that is not told is not known to be one.
            None if missing > 0 && !self.has_contiguous && self.newest.is_some() => Sample::bad(format!("{missing} missing")),
            None => Sample::unknown("the objects do not say when they were committed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn look(newest: i64, contiguous: i64) -> Look {
        Look { newest: Some(at(newest)), contiguous: Some(at(contiguous)), has_contiguous: true, missing: Some(3), has_any: true, ..Look::default() }
    }

    fn check(look: &Look, now: i64, reading: Reading, detail: &str, lags: [Option<u64>; 3]) {
        let sample = look.judged(Span::from_secs(2), at(now));
        assert_eq!((sample.reading, sample.detail.as_str()), (reading, detail));
        let value = sample.value.unwrap_or_default();
        assert_eq!(["lag_ms", "lag_at_least_ms", "lag_at_most_ms"].map(|name| value[name].as_u64()), lags, "{value}");
    }

    #[test]
    fn lag_is_judged_when_both_sides_were_read() {
        check(&look(10, 10), 99, Reading::Good, "0.0 s behind, 3 missing", [Some(0), None, None]);
        check(&look(10, 8), 99, Reading::Good, "2.0 s behind, 3 missing", [Some(2000), None, None]);
        check(&look(10, 7), 99, Reading::Bad, "3.0 s behind, 3 missing, allowed 2s", [Some(3000), None, None]);
        check(&Look { contiguous: None, has_contiguous: false, ..look(10, 0) }, 99, Reading::Bad, "3 missing", [None; 3]);
        check(&Look { contiguous: None, ..look(10, 0) }, 99, Reading::Unknown, "the objects do not say when they were committed", [None; 3]);
        check(&Look { newest: None, contiguous: None, ..look(0, 0) }, 99, Reading::Unknown, "the objects do not say when they were committed", [None; 3]);
        check(&Look::default(), 99, Reading::Unknown, "no objects in the source yet", [None; 3]);
    }

    #[test]
    fn without_its_source_a_reading_is_none_and_the_upper_bound_grows() {
        let blind = Look { source: Some("503".to_owned()), ..look(10, 10) };
        check(&blind, 11, Reading::Unknown, "the source cannot be read: 503; 0.0 to 1.0 s behind", [None, Some(0), Some(1000)]);
        check(&blind, 15, Reading::Unknown, "the source cannot be read: 503; 0.0 to 5.0 s behind", [None, Some(0), Some(5000)]);
        let behind = Look { source: Some("503".to_owned()), ..look(10, 6) };
        check(&behind, 15, Reading::Unknown, "the source cannot be read: 503; 4.0 to 9.0 s behind", [None, Some(4000), Some(9000)]);
        let value = behind.judged(Span::from_secs(2), at(15)).value.unwrap();
        assert_eq!((&value["source_read"], &value["mirror_read"], &value["missing"]), (&json!(false), &json!(true), &json!(3)));
        // A source that never could be read has no bounds at all.
        check(&Look { source: Some("503".to_owned()), ..Look::default() }, 15, Reading::Unknown, "the source cannot be read: 503", [None; 3]);
        // Clocks that differ make no bound smaller than what is known.
        check(&behind, 0, Reading::Unknown, "the source cannot be read: 503; 4.0 to 4.0 s behind", [None, Some(4000), Some(4000)]);
    }

    #[test]
    fn once_the_source_can_be_read_again_it_tells_what_was_missing_meanwhile() {
        let secs = |seconds| Some(Duration::from_secs(seconds));
        let again = Look { unseen: secs(6), unseen_at_least: secs(4), ..look(29, 29) };
        let value = again.judged(Span::from_secs(2), at(29)).value.unwrap();
        assert_eq!((&value["unseen_ms"], &value["unseen_at_least_ms"], &value["lag_ms"]), (&json!(6000), &json!(4000), &json!(0)));
        assert!(look(29, 29).judged(Span::from_secs(2), at(29)).value.unwrap()["unseen_ms"].is_null());
    }

    #[test]
    fn without_its_mirror_a_reading_is_none_either() {
        let blind = Look { mirror: Some("403".to_owned()), missing: None, ..look(10, 6) };
        check(&blind, 15, Reading::Unknown, "the mirror cannot be read: 403; 0.0 to 9.0 s behind", [None, Some(0), Some(9000)]);
    }
}
