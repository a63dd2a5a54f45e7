//! Tags of VPCs, vSwitches, route tables, machines and synchronisation instances: three products with the same three calls.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Aliyun;
use super::call::Api;
use super::rpc::Params;
use crate::ports::tags::{Room, Search, TagMap, Tagged, Tags};
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

/// The most things, and the most tags, of one call.
const AT_ONCE: usize = 50;
const TAGS: usize = 20;

/// A kind of thing, and how its product tags it.
struct Product {
    /// Ours.
    kind: &'static str,
    /// The vendor's.
    resource_type: &'static str,
    tag: Api,
    untag: Api,
    list: Api,
}

/// One of VPC's. A tag is set or removed, so a second copy of the request does no more than the first.
const fn vpc(kind: &'static str, resource_type: &'static str) -> Product {
    Product {
        kind,
        resource_type,
        tag: Api::changes_by_token("vpc:TagResources"),
        // With this product's own capital.
        untag: Api::changes_by_token("vpc:UnTagResources"),
        list: Api::reads("vpc:ListTagResources"),
    }
}

/// What a tagged DTS instance is called here; a job is tagged as its instance.
const SYNC_INSTANCE: &str = "sync-instance";
const SYNC_JOB: &str = "sync-job";

const PRODUCTS: [Product; 5] = [
    vpc("vpc", "VPC"),
    vpc("vswitch", "VSWITCH"),
    vpc("route-table", "ROUTETABLE"),
    Product {
        kind: "instance",
        resource_type: "instance",
        tag: Api::changes_by_token("ecs:TagResources"),
        untag: Api::changes_by_token("ecs:UntagResources"),
        list: Api::reads("ecs:ListTagResources"),
    },
    Product {
        kind: SYNC_INSTANCE,
        resource_type: "ALIYUN::DTS::INSTANCE",
        tag: Api::changes_by_token("dts:TagResources"),
        untag: Api::changes_by_token("dts:UntagResources"),
        list: Api::reads("dts:ListTagResources"),
    },
];

impl Tags for Aliyun {
    fn room(&self) -> Room {
        Room { tags: TAGS, value: 128 }
    }

    fn calls(&self, objects: &[Tagged]) -> Vec<(&'static str, bool)> {
        let kind_of = |object: &Tagged| if object.kind == SYNC_JOB { SYNC_INSTANCE } else { object.kind.as_str() }.to_owned();
        let kinds: BTreeSet<String> = objects.iter().map(kind_of).collect();
        let products = PRODUCTS.iter().filter(|product| kinds.contains(product.kind));
        let mut calls: Vec<(&'static str, bool)> =
            products.flat_map(|product| [(product.list.name, false), (product.tag.name, true), (product.untag.name, true)]).collect();
        calls.sort_unstable();
        calls.dedup();
        calls
    }

    fn carrier<'a>(&'a self, object: &'a Tagged) -> PortFuture<'a, Tagged> {
        Box::pin(async {
            let (kind, id) = self.tagged(object).await?;
            Ok(Tagged { kind: kind.to_owned(), id })
        })
    }

    fn read<'a>(&'a self, objects: &'a [Tagged]) -> PortFuture<'a, BTreeMap<String, TagMap>> {
        Box::pin(async move {
            let mut tags: BTreeMap<String, TagMap> = objects.iter().map(|object| (object.id.clone(), TagMap::new())).collect();
            for (product, ids) in self.by_product(objects).await? {
                // The vendor's id and ours, which is the job's where its instance has the tags.
                for chunk in ids.chunks(AT_ONCE) {
                    let params = self.about(product).list("ResourceId", chunk.iter().map(|(id, _)| id));
                    for row in self.rows(product, params).await? {
                        for (_, ours) in chunk.iter().filter(|(id, _)| *id == row.resource_id) {
                            tags.entry(ours.clone()).or_default().insert(row.tag_key.clone(), row.tag_value.clone().unwrap_or_default());
                        }
                    }
                }
            }
            Ok(tags)
        })
    }

    fn write<'a>(&'a self, objects: &'a [Tagged], tags: &'a TagMap) -> PortFuture<'a, ()> {
        Box::pin(async move {
            let tags = || tags.iter().map(|(key, value)| [("Key", key), ("Value", value)]);
            let mut done = false;
            for (product, ids) in self.by_product(objects).await? {
                for chunk in ids.chunks(AT_ONCE) {
                    let params = self.about(product).list("ResourceId", chunk.iter().map(|(id, _)| id)).structs("Tag", tags());
                    self.change(product.tag, &params, &mut done).await?;
                }
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, objects: &'a [Tagged], keys: &'a [String]) -> PortFuture<'a, ()> {
        Box::pin(async move {
            let mut done = false;
            for (product, ids) in self.by_product(objects).await? {
                for chunk in ids.chunks(AT_ONCE) {
                    for keys in keys.chunks(TAGS) {
                        let params = self.about(product).list("ResourceId", chunk.iter().map(|(id, _)| id)).list("TagKey", keys);
                        self.change(product.untag, &params, &mut done).await?;
                    }
                }
            }
            Ok(())
        })
    }

    fn find<'a>(&'a self, key: &'a str) -> PortFuture<'a, Search> {
        Box::pin(async move {
            let (mut found, mut failed) = (BTreeSet::new(), Vec::new());
            for product in &PRODUCTS {
                match self.rows(product, self.about(product).set("Tag.1.Key", key)).await {
                    Ok(rows) => found.extend(rows.into_iter().map(|row| Tagged { kind: product.kind.to_owned(), id: row.resource_id })),
                    Err(error) => failed.push(error),
                }
            }
            Ok(Search { found: found.into_iter().collect(), failed })
        })
    }
}

impl Aliyun {
    fn about(&self, product: &Product) -> Params {
        Params::new().set("RegionId", &self.region).set("ResourceType", product.resource_type)
    }

    async fn change(&self, api: Api, params: &Params, done: &mut bool) -> Result<(), CloudError> {
        // Several calls are one change: after the first, a failure leaves some of it done.
        self.rpc::<IgnoredAny>(api, params).await.map_err(|error| if *done { error.ambiguous(true) } else { error })?;
        *done = true;
        Ok(())
    }

    async fn rows(&self, product: &Product, params: Params) -> Result<Vec<Row>, CloudError> {
        let (mut rows, mut next) = (Vec::new(), None);
        loop {
            let page = self.rpc::<Answer>(product.list, &params.clone().maybe("NextToken", next)).await?;
            rows.extend(page.tag_resources.map(|list| list.tag_resource).unwrap_or_default());
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Kind and id of what the vendor tags: of a job, its instance.
    async fn tagged<'a>(&self, object: &'a Tagged) -> Result<(&'a str, String), CloudError> {
        Ok(match object.kind.as_str() {
            SYNC_JOB => (SYNC_INSTANCE, self.sync_instance(&object.id).await?),
            kind => (kind, object.id.clone()),
        })
    }

    /// The things by product, each with the id that the vendor tags and ours.
    async fn by_product(&self, objects: &[Tagged]) -> Result<Vec<(&'static Product, Vec<(String, String)>)>, CloudError> {
        let mut sorted: Vec<(&Product, Vec<(String, String)>)> = PRODUCTS.iter().map(|product| (product, Vec::new())).collect();
        for object in objects {
            let (kind, id) = self.tagged(object).await?;
            let unknown = || CloudError::new(Cloud::Aliyun, "TagResources", Kind::Invalid, format!("tags of a {kind} ({id}) are not known"));
            let row = sorted.iter_mut().find(|(product, _)| product.kind == kind).ok_or_else(unknown)?;
            row.1.push((id, object.id.clone()));
        }
        sorted.retain(|(_, ids)| !ids.is_empty());
        Ok(sorted)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    next_token: Option<String>,
    tag_resources: Option<List>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    #[serde(default)]
    tag_resource: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    resource_id: String,
    tag_key: String,
    tag_value: Option<String>,
}
