//! S3 behind the object store port.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use bytes::{Bytes, BytesMut};
use tokio::time;

use super::Aws;
use super::call::{fits, send};
use crate::model::time::Timestamp;
use crate::ports::objects::{ObjectInfo, ObjectStore, PIECE};
use crate::ports::pages::Pages;
use crate::ports::{Cloud, CloudError, Kind, PortFuture};

const LIST: &str = "s3:ListObjectsV2";
const GET: &str = "s3:GetObject";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";

/// The largest object that is read whole: 16 MiB.
const LARGEST: usize = 16 * 1024 * 1024;

impl ObjectStore for Aws {
    fn list<'a>(&'a self, bucket: &'a str, prefix: &'a str, after: &'a str) -> PortFuture<'a, Vec<ObjectInfo>> {
        Box::pin(async move {
            addressable(LIST, bucket, prefix)?;
            let mut objects = Vec::new();
            let mut pages = Pages::of(Cloud::Aws, LIST);
            let mut next = None;
            loop {
                let operation = self.reading(LIST)?;
                let request = self
                    .shared
                    .s3
                    .list_objects_v2()
                    .bucket(bucket)
                    .prefix(prefix)
                    .set_start_after((!after.is_empty()).then(|| after.to_owned()))
                    .set_continuation_token(next);
                let page = send!(operation, aws_sdk_s3, request)?;
                for object in page.contents() {
                    objects.push(info(object)?);
                }
                next = page.next_continuation_token.filter(|_| page.is_truncated == Some(true));
                match &next {
                    Some(token) => pages.turn(token)?,
                    None => return Ok(objects),
                }
            }
        })
    }

    fn get<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, Bytes> {
        Box::pin(async move {
            addressable(GET, bucket, key)?;
            let operation = self.reading(GET)?;
            let mut is_again = false;
            loop {
                let answer = send!(operation, aws_sdk_s3, self.shared.s3.get_object().bucket(bucket).key(key))?;
                // The SDK's deadline ends with the headers.
                match time::timeout(operation.timeout(), whole(answer.body)).await {
                    Ok(Err(error)) if error.kind == Kind::Transport && !is_again => is_again = true,
                    Ok(body) => return body,
                    Err(_) => return Err(CloudError::new(Cloud::Aws, GET, Kind::Timeout, "the content did not arrive in time")),
                }
            }
        })
    }

    fn piece<'a>(&'a self, bucket: &'a str, key: &'a str, from: u64, size: u64) -> PortFuture<'a, Bytes> {
        Box::pin(async move {
            addressable(GET, bucket, key)?;
            let operation = self.reading(GET)?;
            let wanted = size.saturating_sub(from).min(PIECE);
            if wanted == 0 {
                return Ok(Bytes::new());
            }
            let range = format!("bytes={from}-{}", from + wanted - 1);
            let mut is_again = false;
            let (body, is_part) = loop {
                let sent = send!(operation, aws_sdk_s3, self.shared.s3.get_object().bucket(bucket).key(key).range(&range));
                let answer = sent.map_err(|error| if error.code.as_deref() == Some("InvalidRange") { shrunk() } else { error })?;
                let is_part = answer.content_range().is_some() || from == 0;
                match time::timeout(operation.timeout(), whole(answer.body)).await {
                    Ok(Err(error)) if error.kind == Kind::Transport && !is_again => is_again = true,
                    Ok(body) => break (body?, is_part),
                    Err(_) => return Err(CloudError::new(Cloud::Aws, GET, Kind::Timeout, "the content did not arrive in time")),
                }
            };
            if is_part && body.len() as u64 == wanted { Ok(body) } else { Err(shrunk()) }
        })
    }

    fn put<'a>(&'a self, bucket: &'a str, key: &'a str, body: Bytes) -> PortFuture<'a, ()> {
        Box::pin(async move {
            addressable(PUT, bucket, key)?;
            let operation = self.changing(PUT)?;
            send!(operation, aws_sdk_s3, each self.shared.s3.put_object().bucket(bucket).key(key).body(ByteStream::from(body.clone())))?;
            Ok(())
        })
    }

    fn delete<'a>(&'a self, bucket: &'a str, key: &'a str) -> PortFuture<'a, ()> {
        Box::pin(async move {
            addressable(DELETE, bucket, key)?;
            let operation = self.changing(DELETE)?;
            send!(operation, aws_sdk_s3, self.shared.s3.delete_object().bucket(bucket).key(key))?;
            Ok(())
        })
    }
}

/// What S3 can address: bucket names have at most 63 bytes (255 in old regions), keys at most 1024.
fn addressable(operation: &'static str, bucket: &str, key: &str) -> Result<(), CloudError> {
    fits(operation, "bucket", bucket, 255)?;
    fits(operation, "key", key, 1024)
}

fn shrunk() -> CloudError {
    CloudError::new(Cloud::Aws, GET, Kind::Conflict, "the object is shorter than it was")
}

async fn whole(mut stream: ByteStream) -> Result<Bytes, CloudError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|cause| CloudError::new(Cloud::Aws, GET, Kind::Transport, format!("the content broke off: {cause}")))?;
        if body.len() + chunk.len() > LARGEST {
            return Err(CloudError::new(Cloud::Aws, GET, Kind::Invalid, "the object is larger than 16 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn info(object: &aws_sdk_s3::types::Object) -> Result<ObjectInfo, CloudError> {
    let malformed = |what: &str| CloudError::new(Cloud::Aws, LIST, Kind::Malformed, format!("a listed object without {what}"));
    Ok(ObjectInfo {
        key: object.key().ok_or_else(|| malformed("a key"))?.to_owned(),
        modified: object.last_modified().and_then(timestamp).ok_or_else(|| malformed("a time"))?,
        // S3 does not say how an object was put; the etags of parts tell it by their form.
        whole: true,
        etag: object.e_tag().unwrap_or_default().trim_matches('"').to_ascii_lowercase(),
        size: object.size().and_then(|size| u64::try_from(size).ok()).ok_or_else(|| malformed("a size"))?,
    })
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    i64::try_from(time.as_nanos()).ok().map(Timestamp::from_nanos)
}
