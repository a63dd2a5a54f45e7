//! Which marks there are, in all regions of both clouds.

use tracing::info;

use super::signing::{Signer, Unsigned};
use super::writing::{RUN, SIGNED, UNTIL, Unreadable, read, with_words};
use crate::engine::lease::{Anchor, Mark};
use crate::ports::gate::exempt;
use crate::ports::tags::{TagMap, Tagged};
use crate::ports::{Cloud, CloudError};
use crate::world::World;

/// Everything a search found.
#[derive(Debug, Default)]
pub(in crate::ops) struct Found {
    pub(in crate::ops) standing: Vec<Standing>,
    pub(in crate::ops) unreadable: Vec<(Anchor, Unreadable)>,
    pub(in crate::ops) failed: Vec<CloudError>,
}

/// One fault, as its marks tell it.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Standing {
    /// With the latest end of all its marks: a renewal reaches one object after the other.
    pub(in crate::ops) mark: Mark,
    pub(in crate::ops) objects: Vec<Anchor>,
    /// Whether the environment has signed it.
    pub(in crate::ops) signature: Result<(), Unsigned>,
}

/// Who tells the marks of an environment from others, or why nobody can.
pub(in crate::ops) type Checker = Result<Signer, String>;

/// What tags hold of a mark, and whether the environment has signed it.
pub(in crate::ops) type Read = Result<(Mark, Result<(), Unsigned>), Unreadable>;

/// The mark that tags of `anchor` hold, and whether the environment has signed it; `None` when there is nothing of one.
pub(in crate::ops) fn signed(tags: &TagMap, anchor: &Anchor, checker: &Checker) -> Option<Read> {
    let signature = || match checker {
        // Without a signature no key would help.
        _ if !tags.contains_key(SIGNED) => Err(Unsigned::Missing),
        Err(why) => Err(Unsigned::NoKey(why.clone())),
        Ok(signer) => with_words(tags, |words| signer.check(anchor, words, tags)).unwrap_or(Err(Unsigned::Wrong)),
    };
    read(tags).map(|mark| mark.map(|mark| (mark, signature())))
}

/// Looks in the environment's own region of each cloud and in `regions`. What one place does not answer keeps no other from being searched.
pub(in crate::ops) async fn everywhere(world: &World, regions: &[(Cloud, String)], checker: &Checker) -> Found {
    let mut found = Found::default();
    let own = [(Cloud::Aws, String::new()), (Cloud::Aliyun, String::new())];
    for (cloud, region) in own.iter().chain(regions) {
        if let Err(error) = exempt(place(world, *cloud, region, checker, &mut found)).await {
            found.failed.push(error);
        }
    }
    info!(standing = found.standing.len(), unreadable = found.unreadable.len(), failed = found.failed.len(), "marks searched for");
    for Standing { mark, objects, signature } in &found.standing {
        info!(run = mark.run, step = mark.step, uses = mark.uses, until = %mark.until, objects = objects.len(), signed = signature.is_ok(), "mark found");
    }
    found
}

async fn place(world: &World, cloud: Cloud, region: &str, checker: &Checker, found: &mut Found) -> Result<(), CloudError> {
    let tags = world.tags(cloud, region)?;
    let mut objects: Vec<Tagged> = Vec::new();
    // A set that has lost the one key is found by the other.
    for key in [RUN, UNTIL] {
        let search = tags.find(key).await?;
        objects.extend(search.found);
        found.failed.extend(search.failed.into_iter().filter(|_| key == RUN));
    }
    objects.sort();
    objects.dedup();
    if objects.is_empty() {
        return Ok(());
    }
    let there = tags.read(&objects).await?;
    for object in objects {
        let anchor = Anchor { cloud, region: region.to_owned(), kind: object.kind, id: object.id };
        match there.get(&anchor.id).and_then(|tags| signed(tags, &anchor, checker)) {
            // Removed since the search.
            None => {}
            Some(Err(why)) => found.unreadable.push((anchor, why)),
            // Only what has the same word for it is one: the copy of a mark has no part in the end of the lease.
            Some(Ok((mark, signature))) => {
                let same = found.standing.iter_mut().find(|standing| is_same(&standing.mark, &mark) && standing.signature == signature);
                match same {
                    Some(standing) => {
                        standing.mark.until = standing.mark.until.max(mark.until);
                        standing.objects.push(anchor);
                    }
                    None => found.standing.push(Standing { mark, objects: vec![anchor], signature }),
                }
            }
        }
    }
    Ok(())
}

/// Whether two marks are of one fault; their ends may differ.
pub(in crate::ops) fn is_same(one: &Mark, other: &Mark) -> bool {
    Mark { until: other.until, ..one.clone() } == *other
}
