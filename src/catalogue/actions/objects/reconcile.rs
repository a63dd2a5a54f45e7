//! `objects.reconcile`.

use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join;
use md5::{Digest, Md5};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::catalogue::difference::Compared;
use crate::catalogue::orders::Place;
use crate::catalogue::orders::compare::compare;
use crate::catalogue::until::until;
use crate::engine::action::{Action, ActionError, Applied, Cx, Planned, PlannedCall, Undone};
use crate::model::event::step::Target;
use crate::ports::{Cloud, Kind};
use crate::ports::objects::{ObjectInfo, ObjectStore};
use crate::world::World;

/// Compares the objects of two buckets, count, keys and checksums, until both hold the same: nothing missing, nothing too many, nothing different,
/// nothing doubled.
///
/// Keys are expected to grow with time: what is newer than the source's newest object at the first look is left out, because objects may be
/// written all the time. The step's timeout ends the wait; what then still differs is said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reconcile {
    /// What has to be there.
    source: Place,
    /// Where it has to be as well.
    mirror: Place,
}

impl Action<World> for Reconcile {
    const KIND: &'static str = "objects.reconcile";
    const MUTATES: bool = false;
    type Before = ();
    type Output = Compared;

    async fn plan(&self, _: &Cx<'_, World>) -> Result<Planned<()>, ActionError> {
        let targets = [&self.source, &self.mirror].map(|place| Target::new("objects", place.to_string(), "")).to_vec();
        let of = |place: &Place, call: &str| {
            let service = if place.store == Cloud::Aws { "s3" } else { "oss" };
            PlannedCall::read(format!("{service}:{call}"), place.to_string())
        };
        // Contents are read where no checksum of both sides says the same.
        let calls = ["ListObjectsV2", "GetObject"].into_iter().flat_map(|call| [of(&self.source, call), of(&self.mirror, call)]).collect();
        Ok(Planned::new((), targets, calls))
    }

    async fn apply(&self, cx: &Cx<'_, World>, _: &()) -> Result<Applied<Compared>, ActionError> {
        let (source, mirror) = (self.source.objects(cx.world)?, self.mirror.objects(cx.world)?);
        let first = source.list(&self.source.bucket, &self.source.prefix, "").await?;
        let newest = first.last().map(|object| name(object, &self.source).to_owned());
        let (newest, shown) = (&newest, &Mutex::new(String::new()));
        let output = until(|| async move {
            let (mut here, mut there) = try_join(
                source.list(&self.source.bucket, &self.source.prefix, ""),
                mirror.list(&self.mirror.bucket, &self.mirror.prefix, ""),
            )
            .await?;
            here.retain(|object| Some(name(object, &self.source)) <= newest.as_deref());
            there.retain(|object| Some(name(object, &self.mirror)) <= newest.as_deref());
            let (mut found, unsure) = compare(&here, &self.source.prefix, &there, &self.mirror.prefix);
            for name in unsure {
                if self.checksum(source, &self.source, &name).await? != self.checksum(mirror, &self.mirror, &name).await? {
                    found.different.push(name);
                }
            }
            let (here, there) = (here.len() as u64, there.len() as u64);
            let line = found.line(here, there);
            let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
            if *shown != line {
                (cx.progress)(line.clone());
                *shown = line;
            }
            Ok(found.is_none().then(|| Compared::new(here, there, &found)))
        })
        .await?;
        Ok(Applied::changed(output))
    }

    async fn undo(&self, _: &Cx<'_, World>, _: &()) -> Result<Undone, ActionError> {
        Ok(Undone::Already)
    }
}

impl Reconcile {
    /// `None` when it has gone since it was listed.
    async fn checksum(&self, store: &dyn ObjectStore, place: &Place, name: &str) -> Result<Option<[u8; 16]>, ActionError> {
        match store.get(&place.bucket, &format!("{}{name}", place.prefix)).await {
            Ok(content) => Ok(Some(Md5::digest(&content).into())),
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn name<'a>(object: &'a ObjectInfo, place: &Place) -> &'a str {
    object.key.strip_prefix(&place.prefix).unwrap_or(&object.key)
}
