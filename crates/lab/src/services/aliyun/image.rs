//! Between ECS image calls and the world's machine images: what there is, and which accounts may use it.

use serde_json::{Value, json};

use crate::wire::aliyun_rpc::{ApiError, Call};
use crate::world::state::{Cloud, Image, State};

/// Accounts after the tenth of a list are ignored without a word, as the vendor's documentation says.
const ACCOUNTS_HEEDED: usize = 10;

fn find<'a>(state: &'a State, id: &str) -> Result<&'a Image, ApiError> {
    let image = state.images.get(id).filter(|image| image.cloud == Cloud::Aliyun);
    image.ok_or_else(|| ApiError::new(404, "InvalidImageId.NotFound", "The specified ImageId does not exist."))
}

pub(super) fn describe(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let ids: Option<Vec<&str>> = call.text("ImageId").map(|ids| ids.split(',').collect());
    let page = call.page(10, 100)?;
    let owner = call.text("ImageOwnerAlias");
    let all: Vec<Value> = state
        .images
        .values()
        .filter(|image| image.cloud == Cloud::Aliyun)
        .filter(|image| ids.as_ref().is_none_or(|ids| ids.contains(&image.id.as_str())))
        .filter(|image| call.text("ImageName").is_none_or(|name| name == image.name))
        .filter(|_| owner.is_none_or(|owner| owner == "self"))
        .map(|image| {
            json!({
                "ImageId": image.id,
                "ImageName": image.name,
                "ImageOwnerAlias": "self",
                "IsSelfShared": if image.shared_with.is_empty() { "False" } else { "True" },
                "Status": "Available",
                "Progress": "100%",
                "OSType": "linux",
                "Architecture": "x86_64",
                "Size": 20,
                "Usage": "instance",
                "Description": "",
            })
        })
        .collect();
    Ok(json!({
        "RegionId": state.here(Cloud::Aliyun),
        "TotalCount": all.len(),
        "PageNumber": page.number,
        "PageSize": page.size,
        "Images": { "Image": page.cut(all) },
    }))
}

pub(super) fn describe_share_permission(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let image = find(state, call.need("ImageId")?)?;
    let page = call.page(10, 100)?;
    let all: Vec<Value> = image.shared_with.iter().map(|account| json!({ "AliyunId": account })).collect();
    Ok(json!({
        "RegionId": state.here(Cloud::Aliyun),
        "ImageId": image.id,
        "TotalCount": all.len(),
        "PageNumber": page.number,
        "PageSize": page.size,
        "Accounts": { "Account": page.cut(all) },
        "ShareGroups": { "ShareGroup": [] },
    }))
}

pub(super) fn modify_share_permission(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let id = find(state, call.need("ImageId")?)?.id.clone();
    let accounts = |name: &str| -> Vec<String> { call.list(name).into_iter().take(ACCOUNTS_HEEDED).map(str::to_owned).collect() };
    let (added, removed) = (accounts("AddAccount"), accounts("RemoveAccount"));
    let is_account = |account: &String| account.len() <= 20 && account.bytes().all(|byte| byte.is_ascii_digit());
    if !added.iter().all(is_account) {
        return Err(ApiError::new(404, "InvalidAccount.NotFound", "The specified account does not exist."));
    }
    call.dry_run()?;
    if let Some(image) = state.images.get_mut(&id) {
        image.shared_with.extend(added);
        for account in &removed {
            image.shared_with.remove(account);
        }
        let shared_with = json!(image.shared_with);
        state.truth.record(state.now, "image", json!({ "id": id, "shared_with": shared_with }));
    }
    Ok(json!({}))
}
