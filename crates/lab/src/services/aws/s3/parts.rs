//! Objects that are put in parts. Their etag is the MD5 of the MD5s of their parts and how many these are, so equal contents in other parts have other etags
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>).

use bytes::{Bytes, BytesMut};
use md5::{Digest as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Result, s3_error};

use super::objects::NO_TYPE;
use super::{bucket, bucket_mut};
use crate::world::state::{Object, State, Upload};

/// The smallest part but the last: 5 MiB.
const SMALLEST: usize = 5 << 20;

/// The parts of an upload are numbered 1 to this.
const MOST: i32 = 10_000;

/// `CreateMultipartUpload`.
pub(super) fn create(state: &mut State, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
    bucket(state, &input.bucket)?;
    let id = hex::encode(rand::random::<[u8; 16]>());
    let upload = Upload {
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        content_type: input.content_type.unwrap_or_else(|| NO_TYPE.to_owned()),
        metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        parts: std::collections::BTreeMap::new(),
    };
    state.uploads.insert(id.clone(), upload);
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        ..CreateMultipartUploadOutput::default()
    })
}

fn upload<'a>(state: &'a mut State, id: &str, name: &str, key: &str) -> S3Result<&'a mut Upload> {
    bucket(state, name)?;
    let upload = state.uploads.get_mut(id).filter(|upload| upload.bucket == name && upload.key == key);
    upload.ok_or_else(|| {
        s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        )
    })
}

/// `UploadPart`.
pub(super) fn part(state: &mut State, input: &UploadPartInput, body: Bytes) -> S3Result<UploadPartOutput> {
    let upload = upload(state, &input.upload_id, &input.bucket, &input.key)?;
    if !(1..=MOST).contains(&input.part_number) {
        return Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"));
    }
    let etag = hex::encode(Md5::digest(&body));
    upload.parts.insert(input.part_number, (etag.clone(), body));
    Ok(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..UploadPartOutput::default() })
}

/// `CompleteMultipartUpload`.
pub(super) fn complete(state: &mut State, input: CompleteMultipartUploadInput) -> S3Result<CompleteMultipartUploadOutput> {
    let now = state.now;
    let upload = upload(state, &input.upload_id, &input.bucket, &input.key)?;
    let asked = input.multipart_upload.and_then(|asked| asked.parts).unwrap_or_default();
    if asked.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let numbers = asked.iter().map(|part| part.part_number.unwrap_or_default());
    if !numbers.is_sorted_by(|one, next| one < next) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. The parts list must be specified in order by part number."
        ));
    }
    let (mut body, mut digests) = (BytesMut::new(), Md5::new());
    for (index, part) in asked.iter().enumerate() {
        let wanted = part.e_tag.as_ref().map(ETag::value);
        let known = part.part_number.and_then(|number| upload.parts.get(&number)).filter(|(etag, _)| wanted.is_none_or(|wanted| wanted == etag));
        let Some((_, content)) = known else {
            return Err(s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag."
            ));
        };
        if content.len() < SMALLEST && index + 1 < asked.len() {
            return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
        }
        body.extend_from_slice(content);
        digests.update(Md5::digest(content));
    }
    let mut object = Object::new(body.freeze(), &upload.content_type, upload.metadata.clone(), now);
    object.etag = format!("{}-{}", hex::encode(digests.finalize()), asked.len());
    let e_tag = Some(ETag::Strong(object.etag.clone()));
    state.uploads.remove(&input.upload_id);
    bucket_mut(state, &input.bucket)?.objects.insert(input.key.clone(), object);
    Ok(CompleteMultipartUploadOutput { bucket: Some(input.bucket), key: Some(input.key), e_tag, ..CompleteMultipartUploadOutput::default() })
}

/// `AbortMultipartUpload`.
pub(super) fn abort(state: &mut State, input: &AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
    upload(state, &input.upload_id, &input.bucket, &input.key)?;
    state.uploads.remove(&input.upload_id);
    Ok(AbortMultipartUploadOutput::default())
}
