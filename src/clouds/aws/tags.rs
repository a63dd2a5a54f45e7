//! Tags of everything that EC2 keeps: instances, VPCs, subnets, route tables.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Tag, TagDescription};

use super::Aws;
use super::call::send;
use crate::ports::tags::{Room, Search, TagMap, Tagged, Tags};
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const DESCRIBE: &str = "ec2:DescribeTags";
const CREATE: &str = "ec2:CreateTags";
const DELETE: &str = "ec2:DeleteTags";

/// The most rows of a page.
const PAGE: i32 = 1000;
/// The most values of a filter.
const VALUES: usize = 200;
/// The most resources of one call.
const AT_ONCE: usize = 1000;

impl Tags for Aws {
    fn room(&self) -> Room {
        Room { tags: 50, value: 256 }
    }

    fn calls(&self, _: &[Tagged]) -> Vec<(&'static str, bool)> {
        vec![(DESCRIBE, false), (CREATE, true), (DELETE, true)]
    }

    fn read<'a>(&'a self, objects: &'a [Tagged]) -> PortFuture<'a, BTreeMap<String, TagMap>> {
        Box::pin(async move {
            let mut tags: BTreeMap<String, TagMap> = objects.iter().map(|object| (object.id.clone(), TagMap::new())).collect();
            for objects in objects.chunks(VALUES) {
                let ids = objects.iter().map(|object| object.id.clone()).collect();
                for row in self.rows(Filter::builder().name("resource-id").set_values(Some(ids)).build()).await? {
                    let (id, key) = (needed(row.resource_id, "resource")?, needed(row.key, "key")?);
                    tags.entry(id).or_default().insert(key, row.value.unwrap_or_default());
                }
            }
            Ok(tags)
        })
    }

    fn write<'a>(&'a self, objects: &'a [Tagged], tags: &'a TagMap) -> PortFuture<'a, ()> {
        Box::pin(async move {
            let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
            for (round, objects) in objects.chunks(AT_ONCE).enumerate() {
                let operation = self.changing(CREATE)?;
                let request = self.shared.ec2.create_tags().set_resources(Some(ids(objects))).set_tags(Some(tags.clone()));
                send!(operation, aws_sdk_ec2, request).map_err(|error| some_done(error, round))?;
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, objects: &'a [Tagged], keys: &'a [String]) -> PortFuture<'a, ()> {
        Box::pin(async move {
            // Without any keys the call would remove all tags there are.
            if keys.is_empty() {
                return Ok(());
            }
            // A key without a value goes whatever its value is.
            let tags: Vec<Tag> = keys.iter().map(|key| Tag::builder().key(key).build()).collect();
            for (round, objects) in objects.chunks(AT_ONCE).enumerate() {
                let operation = self.changing(DELETE)?;
                let request = self.shared.ec2.delete_tags().set_resources(Some(ids(objects))).set_tags(Some(tags.clone()));
                send!(operation, aws_sdk_ec2, request).map_err(|error| some_done(error, round))?;
            }
            Ok(())
        })
    }

    fn find<'a>(&'a self, key: &'a str) -> PortFuture<'a, Search> {
        Box::pin(async move {
            let rows = self.rows(Filter::builder().name("key").values(key).build()).await?;
            let tagged = |row: TagDescription| {
                let kind = row.resource_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default();
                Ok(Tagged { kind, id: needed(row.resource_id, "resource")? })
            };
            let mut found = rows.into_iter().map(tagged).collect::<Result<Vec<_>, CloudError>>()?;
            found.sort();
            found.dedup();
            Ok(Search { found, failed: Vec::new() })
        })
    }
}

impl Aws {
    async fn rows(&self, filter: Filter) -> Result<Vec<TagDescription>, CloudError> {
        let (mut rows, mut next) = (Vec::new(), None);
        loop {
            let operation = self.reading(DESCRIBE)?;
            let request = self.shared.ec2.describe_tags().filters(filter.clone()).max_results(PAGE).set_next_token(next);
            let page = send!(operation, aws_sdk_ec2, request)?;
            rows.extend(page.tags.unwrap_or_default());
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(rows);
            }
        }
    }
}

fn ids(objects: &[Tagged]) -> Vec<String> {
    objects.iter().map(|object| object.id.clone()).collect()
}

/// Several calls are one change: after the first, a failure leaves some of it done.
fn some_done(error: CloudError, round: usize) -> CloudError {
    if round > 0 { error.ambiguous(true) } else { error }
}

fn needed(text: Option<String>, what: &str) -> Result<String, CloudError> {
    text.ok_or_else(|| CloudError::new(Cloud::Aws, DESCRIBE, Kind::Malformed, format!("a tag without its {what}")))
}
