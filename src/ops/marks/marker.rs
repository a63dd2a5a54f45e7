//! Marks in the world: written before a fault's first change and seen to be there, renewed while the run lives, removed when the fault is out.
//!
//! Everything here passes the gate: a drill that has closed a region for itself must still keep the promise its marks make.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::field::display;
use tracing::{info, warn};

use super::search::{Checker, Read, signed};
use super::signing::Signer;
use super::writing::{self, RUN, SIGNED, STEP, UNTIL, is_mark, with_words};
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
    /// Who signs them, or why they cannot be signed.
    signer: Checker,
}

impl Marker for WorldMarker {
    fn put<'a>(&'a self, anchors: &'a [Anchor], mark: &'a Mark) -> Marked<'a> {
        Box::pin(exempt(async move { logged("marks written", anchors, &mark.run, Some(mark.until), self.put_all(anchors, mark).await) }))
    }

    fn renew<'a>(&'a self, anchors: &'a [Anchor], mark: &'a Mark) -> Marked<'a> {
        Box::pin(exempt(async move { logged("marks renewed", anchors, &mark.run, Some(mark.until), self.renew_all(anchors, mark).await) }))
    }

    fn clear<'a>(&'a self, anchors: &'a [Anchor], run: &'a str) -> Marked<'a> {
        Box::pin(exempt(async move { logged("marks removed", anchors, run, None, self.clear_all(anchors, run).await) }))
    }
}

/// Says what became of marks, and hands that on.
fn logged(done: &str, anchors: &[Anchor], run: &str, until: Option<Timestamp>, result: Result<(), ActionError>) -> Result<(), ActionError> {
    let on = anchors.iter().map(|anchor| anchor.id.as_str()).collect::<Vec<_>>().join(" ");
    let until = until.map(display);
    match &result {
        Ok(()) => info!(run, on, until, "{done}"),
        Err(error) => warn!(run, on, until, error = %error.failure(), "not all {done}"),
    }
    result
}

impl WorldMarker {
    /// Marks in `world`, through its clients; without a signer it can only look, and take marks off.
    #[must_use]
    pub const fn new(world: Arc<World>, signer: Result<Signer, String>) -> Self {
        Self { world, signer }
    }

    fn signer(&self) -> Result<&Signer, ActionError> {
        self.signer.as_ref().map_err(|why| ActionError::Parameters(format!("its marks cannot be signed: {why}")))
    }

    /// Who tells marks of the environment from others.
    pub(in crate::ops) const fn checker(&self) -> &Checker {
        &self.signer
    }

    /// What the tags of each anchor say, and whether the environment has signed that; `None` for one that carries no mark or is not there.
    pub(in crate::ops) async fn marks(&self, anchors: &[Anchor]) -> Result<Vec<Option<Read>>, ActionError> {
        let mut marks = Vec::new();
        for place in places(&self.world, anchors)? {
            let (there, carriers) = exempt(async { Ok::<_, CloudError>((place.there(&place.objects).await?, place.carriers().await?)) }).await?;
            marks.extend(place.objects.iter().map(|object| signed(there.get(&object.id)?, carriers.get(&object.id)?, &self.signer)));
        }
        Ok(marks)
    }

    async fn renew_all(&self, anchors: &[Anchor], mark: &Mark) -> Result<(), ActionError> {
        let signer = self.signer()?;
        for place in places(&self.world, anchors)? {
            place.renew(signer, mark).await?;
        }
        Ok(())
    }

    async fn clear_all(&self, anchors: &[Anchor], run: &str) -> Result<(), ActionError> {
        for place in places(&self.world, anchors)? {
            place.clear(&place.objects, run).await?;
        }
        Ok(())
    }

    async fn put_all(&self, anchors: &[Anchor], mark: &Mark) -> Result<(), ActionError> {
        let signer = self.signer()?;
        // Every place is looked at before the first tag is written.
        let mut ready = Vec::new();
        for place in places(&self.world, anchors)? {
            let (marks, there) = place.ready(mark).await?;
            ready.push((place, marks, there));
        }
        for (number, (place, marks, there)) in ready.iter().enumerate() {
            if let Err(error) = place.put(signer, marks, there).await {
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
            // With the signature.
            most = most.max(place.ready(mark).await?.0.len() + 1);
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
        .map(|((cloud, region), objects)| {
            Ok(Place { tags: world.tags(cloud, region)?, cloud, region: region.to_owned(), objects: objects.into_iter().collect() })
        })
        .collect()
}

/// The anchors in one region of one cloud.
struct Place {
    tags: Box<dyn Tags>,
    cloud: Cloud,
    region: String,
    objects: Vec<Tagged>,
}

/// What the objects have, by id. One that is not there any more has no entry.
type There = BTreeMap<String, TagMap>;

impl Place {
    /// What a signature names, by the id of each object that there is: whatever has its tags, which is where they are found again.
    async fn carriers(&self) -> Result<BTreeMap<String, Anchor>, CloudError> {
        let mut carriers = BTreeMap::new();
        for object in &self.objects {
            match self.tags.carrier(object).await {
                Ok(Tagged { kind, id }) => carriers.insert(object.id.clone(), Anchor { cloud: self.cloud, region: self.region.clone(), kind, id }),
                Err(error) if error.kind == Kind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(carriers)
    }

    /// The tags that `mark` becomes here, still unsigned, and what is there now.
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
                (None, _) => {
                    writing::fit(marks.len() + 1, tags, room).map_err(|why| format!("{why}; remove tags of its own, or inject a smaller fault"))
                }
            };
            free.map_err(|why| ActionError::Parameters(format!("{name} cannot be marked: {why}")))?;
        }
        Ok((marks, there))
    }

    async fn put(&self, signer: &Signer, marks: &TagMap, there: &There) -> Result<(), ActionError> {
        let (mut signed, carriers) = (There::new(), self.carriers().await?);
        for object in &self.objects {
            let mut tags = marks.clone();
            tags.extend(signature(signer, carriers.get(&object.id), marks));
            self.write(std::slice::from_ref(object), &tags).await?;
            signed.insert(object.id.clone(), tags);
        }
        // An earlier attempt may have written more pieces.
        let more: BTreeSet<&String> =
            there.values().flat_map(TagMap::keys).filter(|key| is_mark(key) && *key != SIGNED && !marks.contains_key(*key)).collect();
        if !more.is_empty() {
            self.tags.remove(&self.objects, &more.into_iter().cloned().collect::<Vec<_>>()).await?;
        }
        self.seen(|id, tags| signed.get(id).is_some_and(|signed| signed.iter().all(|(key, value)| tags.get(key) == Some(value)))).await
    }

    async fn renew(&self, signer: &Signer, mark: &Mark) -> Result<(), ActionError> {
        let (run, until) = (mark.run.as_str(), mark.until);
        let mut look = 0;
        let there = loop {
            look += 1;
            let there = self.there(&self.objects).await?;
            match self.lost(run, &there).or_else(|| self.altered(mark, &there)) {
                None => break there,
                Some((conflict, is_sure)) if is_sure || look >= LOOKS => return Err(conflict),
                Some(_) => sleep(PAUSE).await,
            }
        };
        let (mut ends, carriers) = (There::new(), self.carriers().await?);
        for object in &self.objects {
            let mut tags = there.get(&object.id).cloned().unwrap_or_default();
            tags.insert(UNTIL.to_owned(), until.to_string());
            let mut end = TagMap::from([(UNTIL.to_owned(), until.to_string())]);
            end.extend(signature(signer, carriers.get(&object.id), &tags));
            self.write(std::slice::from_ref(object), &end).await?;
            ends.insert(object.id.clone(), end);
        }
        let seen = self.seen(|id, tags| ends.get(id).is_some_and(|end| end.iter().all(|(key, value)| tags.get(key) == Some(value)))).await;
        // Who ended the lease in this very moment has left nothing but what was just written.
        let there = self.there(&self.objects).await?;
        let Some((conflict, _)) = self.lost(run, &there) else { return seen };
        let orphans: Vec<Tagged> =
            self.objects.iter().filter(|object| there.get(&object.id).is_some_and(|tags| !tags.contains_key(RUN))).cloned().collect();
        if !orphans.is_empty() {
            self.tags.remove(&orphans, &[UNTIL.to_owned(), SIGNED.to_owned()]).await?;
        }
        Err(conflict)
    }

    /// The first object whose mark says anything else than the run does: what somebody has written into it is not signed. Whose signature it has does not
    /// matter: who takes a run over signs with a key of their own. Never sure, for what is seen may be older than the mark.
    fn altered(&self, mark: &Mark, there: &There) -> Option<(ActionError, bool)> {
        self.objects.iter().find_map(|object| {
            let is_ours = matches!(writing::read(there.get(&object.id)?), Some(Ok(found)) if says_the_same(&found, mark));
            let conflict = || ActionError::Conflict {
                what: format!("the mark on {} {}", object.kind, object.id),
                expected: format!("that of run {}", mark.run),
                found: "one that this run has not written".to_owned(),
            };
            (!is_ours).then(|| (conflict(), false))
        })
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

    /// Sets tags on objects. They are values: what may have been set is set again.
    async fn write(&self, objects: &[Tagged], tags: &TagMap) -> Result<(), ActionError> {
        let begun = Instant::now();
        loop {
            match self.tags.write(objects, tags).await {
                Err(error) if may_pass(&error) && begun.elapsed() < PATIENCE => sleep(PAUSE).await,
                written => return Ok(written?),
            }
        }
    }

    /// Waits until the tags of every object are as they should.
    async fn seen(&self, is_there: impl Fn(&str, &TagMap) -> bool) -> Result<(), ActionError> {
        let begun = Instant::now();
        loop {
            let there = self.there(&self.objects).await;
            let missing = |there: &There| -> Vec<Tagged> {
                self.objects.iter().filter(|object| !there.get(&object.id).is_some_and(|tags| is_there(&object.id, tags))).cloned().collect()
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

/// The signature of a mark on what carries it, as a tag.
fn signature(signer: &Signer, carrier: Option<&Anchor>, mark: &TagMap) -> Option<(String, String)> {
    with_words(mark, |words| Some(signer.sign(carrier?, words)))?
}

/// Whether two marks are the same but for their ends. Numbers are compared as journals keep them.
fn says_the_same(one: &Mark, other: &Mark) -> bool {
    let values = |mark: &Mark| serde_json_canonicalizer::to_vec(&(&mark.with, &mark.before)).ok();
    let words = |mark: &Mark| (mark.run.clone(), mark.step.clone(), mark.uses.clone());
    words(one) == words(other) && values(one).is_some() && values(one) == values(other)
}

fn may_pass(error: &CloudError) -> bool {
    error.retry || error.ambiguous
}

fn names(objects: &[Tagged]) -> String {
    objects.iter().map(|object| format!("{} {}", object.kind, object.id)).collect::<Vec<_>>().join(", ")
}
