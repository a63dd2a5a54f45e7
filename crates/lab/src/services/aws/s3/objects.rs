//! Objects: reading, writing, copying, deleting.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::HeaderMap;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, MetadataDirective, PutObjectInput,
    PutObjectOutput, Range, StreamingBlob,
};
use s3s::{Body, S3Result, s3_error};

use super::{bucket, bucket_mut, checksum, s3_time};
use crate::world::state::{Object, State};

/// The type of an object that was put without one.
pub(super) const NO_TYPE: &str = "binary/octet-stream";

/// A body as a whole; the server bounds its size before.
pub(super) async fn collect(mut blob: StreamingBlob) -> S3Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = blob.next().await {
        body.extend_from_slice(
            &chunk.map_err(|_| s3_error!(IncompleteBody, "The request body does not have the length or the checksum it should have."))?,
        );
    }
    Ok(body.freeze())
}

fn find<'a>(state: &'a State, name: &str, key: &str) -> S3Result<&'a Object> {
    bucket(state, name)?.objects.get(key).ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
}

fn etag(object: &Object) -> ETag {
    ETag::Strong(object.etag.clone())
}

/// `If-Match` and `If-None-Match` of a read.
fn check_conditions(object: &Object, if_match: Option<&ETagCondition>, if_none_match: Option<&ETagCondition>) -> S3Result<()> {
    let fits = |condition: &ETagCondition| condition.is_any() || condition.as_etag().is_some_and(|wanted| wanted.value() == object.etag);
    if if_match.is_some_and(|condition| !fits(condition)) {
        return Err(s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold"));
    }
    if if_none_match.is_some_and(fits) {
        return Err(s3_error!(NotModified, "Not Modified"));
    }
    Ok(())
}

/// The part of an object that a range asks for, with its `Content-Range`.
fn part(object: &Object, range: Option<Range>) -> S3Result<(Bytes, Option<String>)> {
    let Some(range) = range else { return Ok((object.body.clone(), None)) };
    let length = object.body.len();
    let bounds = range.check(length as u64).map_err(|_| s3_error!(InvalidRange, "The requested range is not satisfiable"))?;
    let (Ok(start), Ok(end)) = (usize::try_from(bounds.start), usize::try_from(bounds.end)) else {
        return Err(s3_error!(InvalidRange, "The requested range is not satisfiable"));
    };
    Ok((object.body.slice(start..end), Some(format!("bytes {start}-{}/{length}", end - 1))))
}

/// `GetObject`.
pub(super) fn get(state: &State, input: GetObjectInput) -> S3Result<GetObjectOutput> {
    let object = find(state, &input.bucket, &input.key)?;
    check_conditions(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let (body, content_range) = part(object, input.range)?;
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        content_length: i64::try_from(body.len()).ok(),
        content_range,
        content_type: Some(object.content_type.clone()),
        e_tag: Some(etag(object)),
        last_modified: Some(s3_time(object.modified_at)),
        metadata: Some(object.metadata.clone().into_iter().collect()),
        body: Some(StreamingBlob::from(Body::from(body))),
        ..GetObjectOutput::default()
    })
}

/// `HeadObject`.
pub(super) fn head(state: &State, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
    let object = find(state, &input.bucket, &input.key)?;
    check_conditions(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
    let (body, content_range) = part(object, input.range)?;
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".into()),
        content_length: i64::try_from(body.len()).ok(),
        content_range,
        content_type: Some(object.content_type.clone()),
        e_tag: Some(etag(object)),
        last_modified: Some(s3_time(object.modified_at)),
        metadata: Some(object.metadata.clone().into_iter().collect()),
        ..HeadObjectOutput::default()
    })
}

/// `PutObject`: checked against its checksums, and, with `If-None-Match: *`, only when the key is free.
pub(super) fn put(state: &mut State, input: PutObjectInput, trailers: &HeaderMap, body: Bytes) -> S3Result<PutObjectOutput> {
    let now = state.now;
    let bucket = bucket_mut(state, &input.bucket)?;
    let known = bucket.objects.get(&input.key);
    let refused = || s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
    if input.if_none_match.as_ref().is_some_and(ETagCondition::is_any) && known.is_some() {
        return Err(refused());
    }
    if input.if_match.as_ref().is_some_and(|wanted| known.is_none_or(|known| check_conditions(known, Some(wanted), None).is_err())) {
        return Err(refused());
    }
    let mut output = PutObjectOutput::default();
    checksum::verify(&input, trailers, &body, &mut output)?;
    let metadata = input.metadata.unwrap_or_default().into_iter().collect();
    let object = Object::new(body, input.content_type.as_deref().unwrap_or(NO_TYPE), metadata, now);
    output.e_tag = Some(etag(&object));
    bucket.objects.insert(input.key, object);
    Ok(output)
}

/// `CopyObject`, within the cloud.
pub(super) fn copy(state: &mut State, input: &CopyObjectInput) -> S3Result<CopyObjectOutput> {
    let CopySource::Bucket { bucket: source, key, .. } = &input.copy_source else {
        return Err(s3_error!(NotImplemented, "The lab copies from buckets only."));
    };
    let source = find(state, source, key)?;
    let replaces = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let metadata = if replaces { input.metadata.clone().unwrap_or_default().into_iter().collect() } else { source.metadata.clone() };
    let content_type = input.content_type.as_deref().filter(|_| replaces).unwrap_or(&source.content_type);
    let object = Object::new(source.body.clone(), content_type, metadata, state.now);
    let result = CopyObjectResult { e_tag: Some(etag(&object)), last_modified: Some(s3_time(object.modified_at)), ..CopyObjectResult::default() };
    bucket_mut(state, &input.bucket)?.objects.insert(input.key.clone(), object);
    Ok(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
}

/// `DeleteObject`: what is not there is deleted as well.
pub(super) fn delete(state: &mut State, input: &DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    bucket_mut(state, &input.bucket)?.objects.remove(&input.key);
    Ok(DeleteObjectOutput::default())
}

/// `DeleteObjects`.
pub(super) fn delete_many(state: &mut State, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    let bucket = bucket_mut(state, &input.bucket)?;
    let is_quiet = input.delete.quiet == Some(true);
    let mut deleted = Vec::new();
    for object in input.delete.objects {
        bucket.objects.remove(&object.key);
        if !is_quiet {
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
    }
    Ok(DeleteObjectsOutput { deleted: Some(deleted), ..DeleteObjectsOutput::default() })
}
