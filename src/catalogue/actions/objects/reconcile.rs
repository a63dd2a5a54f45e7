//! `objects.reconcile`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::future::try_join;
use futures_util::stream;
use md5::{Digest, Md5};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::difference::Compared;
use crate::catalogue::buckets::BucketPath;
use crate::catalogue::buckets::compare::{Listings, Pair, Side, newest};
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::engine::operations::Operations;
use crate::engine::place::Acts;
use crate::model::time::Timestamp;
use crate::ports::{Cloud, Kind};
use crate::ports::objects::{ObjectInfo, ObjectStore};
use crate::world::World;
use crate::model::target::{Target, TargetKind};

/// So many pairs of objects are read at once.
const AT_ONCE: usize = 4;

/// Compares the objects of two buckets, count, keys and contents, until both hold the same: nothing missing, nothing too many, nothing different,
/// nothing doubled.
///
/// Objects may be written all the time: what is newer than the newest object at the first look is left out, by the time at which each store took it. Contents
/// are the same when their etags are equal and may be MD5s, as one pair that is read shows; all others of equal size are read whole and compared, whatever
/// their size. The step's timeout ends the wait; what then still differs is said. A source without any object fails: nothing would be compared.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reconcile {
    /// What has to be there.
    source: BucketPath,
    /// Where it has to be as well.
    mirror: BucketPath,
}

impl Action<World> for Reconcile {
    const KIND: &'static str = "objects.reconcile";
    const EXAMPLE: &'static str = r#"
        source: { store: aliyun, bucket: "${{ vars.orders_bucket }}", prefix: "${{ vars.orders_prefix }}" }
        mirror: { store: aws, bucket: "${{ vars.mirror_bucket }}", prefix: "${{ vars.orders_prefix }}" }
    "#;
    const ACTS: Acts = Acts::Outside;
    const CALLS: Operations = Operations::reading(&["s3:ListObjectsV2", "s3:GetObject", "oss:ListObjectsV2", "oss:GetObject"]);
    const MUTATES: bool = false;
    type Before = ();
    type Output = Compared;

    async fn plan(&self, cx: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        let target = |place: &BucketPath| Target::at(&cx.world.location(place.store), TargetKind::Objects, place.to_string());
        let targets = [&self.source, &self.mirror].map(target).to_vec();
        let of = |place: &BucketPath, call: &str| {
            let service = if place.store == Cloud::Aws { "s3" } else { "oss" };
            PlannedCall::read(format!("{service}:{call}"), place.to_string())
        };
        // Contents are read where no checksum of both sides says the same.
        let calls = ["ListObjectsV2", "GetObject"].into_iter().flat_map(|call| [of(&self.source, call), of(&self.mirror, call)]).collect();
        Ok(Planned::new((), targets, calls))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Compared>, ActionError> {
        let comparison = &Comparison {
            source: (self.source.objects(cx.world)?, &self.source),
            mirror: (self.mirror.objects(cx.world)?, &self.mirror),
            known: Mutex::default(),
        };
        let [source, mirror] = [comparison.source, comparison.mirror].map(|(store, place)| store.list(&place.bucket, &place.prefix, ""));
        let (first, first_copies) = try_join(source, mirror).await?;
        let Some(until_source) = newest(&first) else {
            return Err(ActionError::Check(format!("there is nothing under {}, so that nothing would be compared", self.source)));
        };
        let (bounds, shown) = ([Some(until_source), newest(&first_copies)], &Mutex::new(String::new()));
        drop((first, first_copies));
        let output = until(|| async move {
            let (line, output) = comparison.look(bounds).await?;
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if *shown != line {
                (cx.progress)(line.clone());
                *shown = line;
            }
            Ok(output)
        })
        .await?;
        Ok(Applied::changed(output))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}

/// Two sides, and what is known of their contents.
struct Comparison<'a> {
    source: (&'a dyn ObjectStore, &'a BucketPath),
    mirror: (&'a dyn ObjectStore, &'a BucketPath),
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether equal etags mean equal contents here, once that was tried.
    etags_tell: Option<bool>,
    /// Whether two objects that were read hold the same.
    read: BTreeMap<Version, bool>,
}

/// Two objects as they were when they were read: their name, and etag and time on both sides.
type Version = (String, [(String, Timestamp); 2]);

fn version(pair: &Pair<'_>) -> Version {
    let of = |object: &ObjectInfo| (object.etag.clone(), object.modified);
    (pair.name.to_owned(), [of(pair.source), of(pair.mirror)])
}

impl Comparison<'_> {
    /// Looks once: how it stands in one line, and the counts if both sides hold the same.
    async fn look(&self, [until_source, until_mirror]: [Option<Timestamp>; 2]) -> Result<(String, Option<Compared>), ActionError> {
        let ((source, here), (mirror, there)) = (self.source, self.mirror);
        // One after the other: what has come to the mirror by now is in the source's list.
        let copies = mirror.list(&there.bucket, &there.prefix, "").await?;
        let objects = source.list(&here.bucket, &here.prefix, "").await?;
        let mut listed = Listings::of(
            Side { objects: &objects, prefix: &here.prefix, until: until_source },
            Side { objects: &copies, prefix: &there.prefix, until: until_mirror },
        );
        if !self.etags_tell(&listed.alike).await? {
            listed.unsure.append(&mut listed.alike);
        }
        let mut different = Vec::new();
        let readings: Vec<_> = listed.unsure.iter().map(|pair| self.unless_same(*pair)).collect();
        let mut readings = stream::iter(readings).buffer_unordered(AT_ONCE);
        while let Some(name) = readings.next().await {
            different.extend(name?);
        }
        drop(readings);
        let ([here, there], newer) = (listed.counts, listed.newer);
        let found = listed.with(different);
        let left_out = if newer > 0 { format!("; {newer} newer than the first look left out") } else { String::new() };
        // Nothing agrees with nothing: what was there at the first look must still be, or something older than it.
        Ok((found.line(here, there) + &left_out, (here > 0 && found.is_none()).then(|| Compared::new(here, there, &found))))
    }

    /// Whether equal etags mean equal contents, as the smallest pair that has them shows: its etag must be the MD5 of what it holds.
    async fn etags_tell(&self, alike: &[Pair<'_>]) -> Result<bool, ActionError> {
        if let Some(known) = self.known().etags_tell {
            return Ok(known);
        }
        let Some(pair) = alike.iter().min_by_key(|pair| pair.source.size) else { return Ok(true) };
        let (source, mirror) = self.checksums(pair).await?;
        let (Some(source), Some(mirror)) = (source, mirror) else { return Ok(false) };
        let tells = [source, mirror].iter().all(|checksum| hex::encode(checksum) == pair.source.etag);
        self.known().etags_tell = Some(tells);
        Ok(tells)
    }

    /// The name of the two, unless both are there still and hold the same.
    async fn unless_same(&self, pair: Pair<'_>) -> Result<Option<String>, ActionError> {
        let version = version(&pair);
        let known = self.known().read.get(&version).copied();
        let is_same = match known {
            Some(known) => known,
            None => match self.checksums(&pair).await? {
                (Some(source), Some(mirror)) => {
                    self.known().read.insert(version, source == mirror);
                    source == mirror
                }
                _ => false,
            },
        };
        Ok((!is_same).then(|| pair.name.to_owned()))
    }

    async fn checksums(&self, pair: &Pair<'_>) -> Result<(Option<[u8; 16]>, Option<[u8; 16]>), ActionError> {
        try_join(checksum(self.source, pair.name, pair.source.size), checksum(self.mirror, pair.name, pair.mirror.size)).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The MD5 of what an object of `size` bytes holds, read piece by piece; `None` when it has gone or changed since it was listed.
async fn checksum((store, place): (&dyn ObjectStore, &BucketPath), name: &str, size: u64) -> Result<Option<[u8; 16]>, ActionError> {
    let key = format!("{}{name}", place.prefix);
    let (mut md5, mut from) = (Md5::new(), 0);
    while from < size {
        match store.piece(&place.bucket, &key, from, size).await {
            Ok(piece) => {
                md5.update(&piece);
                from += piece.len() as u64;
            }
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Conflict) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(md5.finalize().into()))
}
