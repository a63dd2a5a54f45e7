//! Marks in the world: written before a fault's first change and seen to be there, renewed while the run lives, removed when the fault is out.
//!
//! Everything here passes the gate: a drill that has closed a region for itself must still keep the promise its marks make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::writing::{self, RUN, STEP, UNTIL, Unreadable, is_mark};
use crate::engine::action::ActionError;
use crate::engine::lease::{Anchor, Mark, Marked, Marker};
use crate::model::time::Timestamp;
use crate::ports::gate::exempt;
use crate::ports::tags::{TagMap, Tagged, Tags};
use crate::ports::{Cloud, CloudError, Kind};
use crate::world::World;

/// How long tags may take to be seen, or to be gone, everywhere.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);
/// How often a mark that is missing is looked for before it is called gone: an answer may be older than the mark.
const LOOKS: u32 = 3;

/// Marks as tags on the objects of a [`World`].
#[derive(Clone, Debug)]
pub struct WorldMarker {
    world: Arc<World>,
}

impl Marker for WorldMarker {
    fn put<'a>(&'a self, anchors: &'a [Anchor], mark: &'a Mark) -> Marked<'a> {
        Box::pin(exempt(self.put_all(anchors, mark)))
    }

    fn renew<'a>(&'a self, anchors: &'a [Anchor], run: &'a str, until: Timestamp) -> Marked<'a> {
        Box::pin(exempt(async move {
            for place in places(&self.world, anchors)? {
                place.renew(run, until).await?;
            }
            Ok(())
        }))
    }

    fn clear<'a>(&'a self, anchors: &'a [Anchor], run: &'a str) -> Marked<'a> {
        Box::pin(exempt(async move {
            for place in places(&self.world, anchors)? {
                place.clear(&place.objects, run).await?;
            }
            Ok(())
        }))
    }
}

impl WorldMarker {
    /// Marks in `world`, through its clients.
    #[must_use]
    pub const fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// What the tags of each anchor say; `None` for one that carries no mark or is not there.
    pub(in crate::ops) async fn marks(&self, anchors: &[Anchor]) -> Result<Vec<Option<Result<Mark, Unreadable>>>, ActionError> {
        let mut marks = Vec::new();
        for place in places(&self.world, anchors)? {
            let there = exempt(place.there(&place.objects)).await?;
            marks.extend(place.objects.iter().map(|object| there.get(&object.id).and_then(writing::read)));
        }
        Ok(marks)
    }

    async fn put_all(&self, anchors: &[Anchor], mark: &Mark) -> Result<(), ActionError> {
        // Every place is looked at before the first tag is written.
        let mut ready = Vec::new();
        for place in places(&self.world, anchors)? {
            let (marks, there) = place.ready(mark).await?;
            ready.push((place, marks, there));
        }
        for (number, (place, marks, there)) in ready.iter().enumerate() {
            if let Err(error) = place.put(marks, there).await {
                // Nothing was changed yet that these marks could help to undo; those of an earlier attempt stay.
                for (place, _, there) in ready.iter().take(number + 1) {
                    let had_none = |object: &&Tagged| !there.get(&object.id).is_some_and(|tags| tags.keys().any(|key| is_mark(key)));
                    let fresh: Vec<Tagged> = place.objects.iter().filter(had_none).cloned().collect();
                    // What cannot be removed now the reaper finds when it has expired, and there will be nothing to undo.
                    let _ = place.clear(&fresh, &mark.run).await;
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Whether `mark` could be put on all anchors now. Changes nothing. Gives how many tags each would get at most.
///
/// # Errors
/// As [`Marker::put`].
pub async fn check(world: &World, anchors: &[Anchor], mark: &Mark) -> Result<usize, ActionError> {
    exempt(async {
        let mut most = 0;
        for place in places(world, anchors)? {
            most = most.max(place.ready(mark).await?.0.len());
        }
        Ok(most)
    })
    .await
}

/// The vendor calls that marks on `anchors` take, there and off again; with whether each changes something.
///
/// # Errors
/// When the environment has no such cloud.
pub fn calls(world: &World, anchors: &[Anchor]) -> Result<Vec<(&'static str, bool)>, ActionError> {
    Ok(places(world, anchors)?.iter().flat_map(|place| place.tags.calls(&place.objects)).collect())
}

/// The anchors by cloud and region.
fn places(world: &World, anchors: &[Anchor]) -> Result<Vec<Place>, ActionError> {
    let mut sorted: BTreeMap<(Cloud, &str), BTreeSet<Tagged>> = BTreeMap::new();
    for anchor in anchors {
        let object = Tagged { kind: anchor.kind.clone(), id: anchor.id.clone() };
        sorted.entry((anchor.cloud, &anchor.region)).or_default().insert(object);
    }
    sorted
        .into_iter()
        .map(|((cloud, region), objects)| Ok(Place { tags: world.tags(cloud, region)?, objects: objects.into_iter().collect() }))
        .collect()
}

/// The anchors in one region of one cloud.
struct Place {
    tags: Box<dyn Tags>,
    objects: Vec<Tagged>,
}

/// What the objects have, by id. One that is not there any more has no entry.
type There = BTreeMap<String, TagMap>;

impl Place {
    /// The tags that `mark` becomes here, and what is there now.
    async fn ready(&self, mark: &Mark) -> Result<(TagMap, There), ActionError> {
        let room = self.tags.room();
        let marks = writing::write(mark, room).map_err(ActionError::Parameters)?;
        let there = self.tags.read(&self.objects).await?;
        for object in &self.objects {
            let name = format!("{} {}", object.kind, object.id);
            let tags = there.get(&object.id).ok_or_else(|| ActionError::NoTargets(format!("{name} is not there")))?;
            let free = match (tags.get(RUN), tags.get(STEP)) {
                (Some(run), Some(step)) if *run == mark.run && *step == mark.step => Ok(()),
                (Some(run), _) => Err(format!(
                    "it carries the mark of run {run}, whose fault may still stand; `lifeboat abort {run}` or, once its lease has ended, `lifeboat reaper` takes it out"
                )),
                (None, _) if tags.keys().any(|key| is_mark(key)) => {
                    Err("it carries a part of another mark; see that no fault stands there, then remove its tags `lifeboat:…`".to_owned())
                }
                (None, _) => writing::fit(&marks, tags, room).map_err(|why| format!("{why}; remove tags of its own, or inject a smaller fault")),
            };
            free.map_err(|why| ActionError::Parameters(format!("{name} cannot be marked: {why}")))?;
        }
        Ok((marks, there))
    }

    async fn put(&self, marks: &TagMap, there: &There) -> Result<(), ActionError> {
        self.write(marks).await?;
        // An earlier attempt may have written more pieces.
        let more: BTreeSet<&String> = there.values().flat_map(TagMap::keys).filter(|key| is_mark(key) && !marks.contains_key(*key)).collect();
        if !more.is_empty() {
            self.tags.remove(&self.objects, &more.into_iter().cloned().collect::<Vec<_>>()).await?;
        }
        self.seen(|tags| marks.iter().all(|(key, value)| tags.get(key) == Some(value))).await
    }

    async fn renew(&self, run: &str, until: Timestamp) -> Result<(), ActionError> {
        for look in 1.. {
            match self.lost(run, &self.there(&self.objects).await?) {
                None => break,
                Some((conflict, is_sure)) if is_sure || look >= LOOKS => return Err(conflict),
                Some(_) => sleep(PAUSE).await,
            }
        }
        let end = TagMap::from([(UNTIL.to_owned(), until.to_string())]);
        self.write(&end).await?;
        let seen = self.seen(|tags| tags.get(UNTIL) == end.get(UNTIL)).await;
        // Who ended the lease in this very moment has left nothing but what was just written.
        let there = self.there(&self.objects).await?;
        let Some((conflict, _)) = self.lost(run, &there) else { return seen };
        let orphans: Vec<Tagged> =
            self.objects.iter().filter(|object| there.get(&object.id).is_some_and(|tags| !tags.contains_key(RUN))).cloned().collect();
        if !orphans.is_empty() {
            self.tags.remove(&orphans, &[UNTIL.to_owned()]).await?;
        }
        Err(conflict)
    }

    /// The first object that does not carry the mark of `run`, and whether that is sure: a mark may be too young to be seen, but not another's.
    fn lost(&self, run: &str, there: &There) -> Option<(ActionError, bool)> {
        self.objects.iter().find_map(|object| {
            let found = there.get(&object.id).map(|tags| tags.get(RUN));
            let (found, is_sure) = match found {
                Some(Some(found)) if found == run => return None,
                Some(Some(found)) => (format!("that of run {found}"), true),
                Some(None) => ("no mark".to_owned(), false),
                None => (format!("no {} of this id", object.kind), false),
            };
            let what = format!("the mark on {} {}", object.kind, object.id);
            Some((ActionError::Conflict { what, expected: format!("that of run {run}"), found }, is_sure))
        })
    }

    async fn clear(&self, objects: &[Tagged], run: &str) -> Result<(), ActionError> {
        let begun = Instant::now();
        loop {
            let there = self.there(objects).await;
            let marked = |object: &&Tagged| {
                there.as_ref().is_ok_and(|there| there.get(&object.id).is_some_and(|tags| tags.get(RUN).is_some_and(|found| found == run)))
            };
            let left: Vec<Tagged> = objects.iter().filter(marked).cloned().collect();
            let error = match &there {
                Ok(_) if left.is_empty() => return Ok(()),
                Ok(there) => {
                    let keys: BTreeSet<&String> =
                        left.iter().filter_map(|object| there.get(&object.id)).flat_map(TagMap::keys).filter(|key| is_mark(key)).collect();
                    // All of a mark in one call: half of one would be of no use to anybody.
                    self.tags.remove(&left, &keys.into_iter().cloned().collect::<Vec<_>>()).await.err()
                }
                Err(error) => Some(error.clone()),
            };
            match error {
                Some(error) if !may_pass(&error) || begun.elapsed() > PATIENCE => return Err(error.into()),
                None if begun.elapsed() > PATIENCE => {
                    return Err(ActionError::NoEffect(format!("the marks were removed but are still seen on {}", names(&left))));
                }
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// Sets tags on all objects. They are values: what may have been set is set again.
    async fn write(&self, tags: &TagMap) -> Result<(), ActionError> {
        let begun = Instant::now();
        loop {
            match self.tags.write(&self.objects, tags).await {
                Err(error) if may_pass(&error) && begun.elapsed() < PATIENCE => sleep(PAUSE).await,
                written => return Ok(written?),
            }
        }
    }

    /// Waits until the tags of every object are as they should.
    async fn seen(&self, is_there: impl Fn(&TagMap) -> bool) -> Result<(), ActionError> {
        let begun = Instant::now();
        loop {
            let there = self.there(&self.objects).await;
            let missing = |there: &There| -> Vec<Tagged> {
                self.objects.iter().filter(|object| !there.get(&object.id).is_some_and(&is_there)).cloned().collect()
            };
            match there {
                Ok(there) if missing(&there).is_empty() => return Ok(()),
                Ok(there) if begun.elapsed() > PATIENCE => {
                    return Err(ActionError::NoEffect(format!("the marks were written but are not seen on {}", names(&missing(&there)))));
                }
                Err(error) if !may_pass(&error) || begun.elapsed() > PATIENCE => return Err(error.into()),
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// The tags of those objects that still exist.
    async fn there(&self, objects: &[Tagged]) -> Result<There, CloudError> {
        match self.tags.read(objects).await {
            Err(error) if error.kind == Kind::NotFound => {}
            read => return read,
        }
        // The call is refused for all when one is gone.
        let mut there = There::new();
        for object in objects {
            match self.tags.read(std::slice::from_ref(object)).await {
                Ok(tags) => there.extend(tags),
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(there)
    }
}

fn may_pass(error: &CloudError) -> bool {
    error.retry || error.ambiguous
}

fn names(objects: &[Tagged]) -> String {
    objects.iter().map(|object| format!("{} {}", object.kind, object.id)).collect::<Vec<_>>().join(", ")
}
