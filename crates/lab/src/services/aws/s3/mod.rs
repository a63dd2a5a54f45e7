//! S3 over the world's buckets, through the `s3s` crate: it knows the protocol and its signatures (header, query, streamed chunks
//! with trailers); here are only the calls that the lab has. Path style only.
//!
//! [`objects`] reads and writes objects, [`listing`] lists keys, [`parts`] puts objects together,
//! [`checksum`] checks what clients say about bodies.

mod checksum;
mod listing;
mod objects;
mod parts;

use std::sync::Arc;

use bytes::Bytes;
use chrono::NaiveDateTime;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use lifeboat_notation::time::Timestamp;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket as BucketDto, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Owner, PutObjectInput, PutObjectOutput, Timestamp as S3Time, UploadPartInput, UploadPartOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::count;
use crate::faults::during;
use crate::wire::aws_answer::{self, ApiError, Dialect};
use crate::wire::sigv4::MAX_SKEW_SECONDS;
use crate::world::World;
use crate::world::state::{Bucket, Cloud, State};

/// Answers one request whose body is complete.
pub(super) async fn respond(world: &Arc<World>, request: Request<Bytes>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let region = super::region(&parts);
    let request = Request::from_parts(parts, body);
    let mut builder = S3ServiceBuilder::new(Objects { world: Arc::clone(world), region });
    builder.set_auth(Keys { world: Arc::clone(world) });
    let now = world.clock.now();
    builder.set_access(Signed { now: during::told(now) });
    if during::is_skewed() {
        // The library knows only the machine's own clock; `Signed` judges by the service's.
        let mut config = S3Config::default();
        config.presigned_url_max_skew_time_secs = u32::MAX;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    }
    let request_id = aws_answer::request_id();
    let response = match builder.build().call(request.map(Body::from)).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            body.collect().await.map(|body| Response::from_parts(parts, Full::new(body.to_bytes()))).ok()
        }
        Err(_) => None,
    };
    let mut response = response.unwrap_or_else(|| {
        let error =
            ApiError::new("InternalError", "We encountered an internal error. Please try again.").with_status(StatusCode::INTERNAL_SERVER_ERROR);
        aws_answer::refusal(Dialect::RestXml, &error, &request_id)
    });
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-amz-request-id", value.clone());
        response.headers_mut().insert("x-amzn-requestid", value);
    }
    response
}

/// The one key pair there is.
struct Keys {
    world: Arc<World>,
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let (known, secret) = self.world.lock().accounts.key(access_key);
        if access_key != known {
            return Err(s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records."));
        }
        Ok(SecretKey::from(secret.as_str()))
    }
}

/// Lets everything through that is signed with a long-term key, now.
struct Signed {
    /// By the service's clock.
    now: Timestamp,
}

#[async_trait::async_trait]
impl S3Access for Signed {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        // Nobody can get a session token in the lab, so none is valid.
        if context.headers().contains_key("x-amz-security-token") {
            return Err(s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid."));
        }
        let signed_at =
            context.headers().get("x-amz-date").and_then(|value| NaiveDateTime::parse_from_str(value.to_str().ok()?, "%Y%m%dT%H%M%SZ").ok());
        if signed_at.is_some_and(|at| (self.now.to_utc() - at.and_utc()).num_seconds().abs() > MAX_SKEW_SECONDS) {
            return Err(s3_error!(RequestTimeTooSkewed, "The difference between the request time and the server's time is too large."));
        }
        Ok(())
    }
}

/// The world's AWS buckets.
struct Objects {
    world: Arc<World>,
    /// The region that the call is sent to; `None` = the first.
    region: Option<String>,
}

impl Objects {
    /// One call at one moment of the world, counted.
    fn call<T>(&self, action: &str, act: impl FnOnce(&mut State) -> S3Result<T>) -> S3Result<S3Response<T>> {
        let mut state = self.world.lock();
        let region = self.region.clone().unwrap_or_else(|| state.regions.first(Cloud::Aws));
        let outcome = act(&mut state.in_region(Cloud::Aws, &region));
        let code = outcome.as_ref().map_or_else(|error| error.code().as_str(), |_| "OK").to_owned();
        count(&mut state, "s3", action, &code);
        outcome.map(S3Response::new)
    }
}

fn bucket<'a>(state: &'a State, name: &str) -> S3Result<&'a Bucket> {
    let bucket = state.buckets.get(name).filter(|bucket| bucket.cloud == Cloud::Aws);
    let bucket = bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
    if bucket.region != state.here(Cloud::Aws) {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint.";
        return Err(s3_error!(PermanentRedirect, "{message}"));
    }
    Ok(bucket)
}

fn bucket_mut<'a>(state: &'a mut State, name: &str) -> S3Result<&'a mut Bucket> {
    bucket(state, name)?;
    state.buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))
}

/// A moment in the library's type, to the second: S3 tells no finer times (`2009-10-12T17:50:30.000Z` in the API reference of ListObjectsV2).
fn s3_time(at: Timestamp) -> S3Time {
    let since = std::time::Duration::from_secs(u64::try_from(at.as_nanos()).unwrap_or(0) / 1_000_000_000);
    S3Time::from(std::time::UNIX_EPOCH + since)
}

fn owner(state: &State) -> Owner {
    Owner { display_name: Some("lifeboat-lab".into()), id: Some(state.accounts.aws.clone()) }
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        self.call("ListBuckets", |state| {
            let buckets = state.buckets.values().filter(|bucket| bucket.cloud == Cloud::Aws);
            let buckets = buckets.map(|bucket| BucketDto {
                name: Some(bucket.name.clone()),
                creation_date: Some(s3_time(bucket.created_at)),
                ..BucketDto::default()
            });
            Ok(ListBucketsOutput { buckets: Some(buckets.collect()), owner: Some(owner(state)), ..ListBucketsOutput::default() })
        })
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.call("HeadBucket", |state| {
            let region = bucket(state, &request.input.bucket)?.region.clone();
            Ok(HeadBucketOutput { bucket_region: Some(region), ..HeadBucketOutput::default() })
        })
    }

    async fn get_bucket_location(&self, request: S3Request<GetBucketLocationInput>) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.call("GetBucketLocation", |state| {
            let region = &bucket(state, &request.input.bucket)?.region;
            // The constraint of this region is empty.
            let location_constraint = (region != "us-east-1").then(|| region.clone().into());
            Ok(GetBucketLocationOutput { location_constraint })
        })
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.call("ListObjectsV2", |state| listing::list_v2(state, request.input))
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.call("ListObjects", |state| listing::list_v1(state, request.input))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.call("GetObject", |state| objects::get(state, request.input))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.call("HeadObject", |state| objects::head(state, &request.input))
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let body = match request.input.body.take() {
            Some(body) => objects::collect(body).await?,
            None => Bytes::new(),
        };
        // Trailers are there only when the body was read to its end.
        let trailers = request.trailing_headers.as_ref().and_then(s3s::TrailingHeaders::take).unwrap_or_default();
        self.call("PutObject", |state| objects::put(state, request.input, &trailers, body))
    }

    async fn create_multipart_upload(&self, request: S3Request<CreateMultipartUploadInput>) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.call("CreateMultipartUpload", |state| parts::create(state, request.input))
    }

    async fn upload_part(&self, mut request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let body = match request.input.body.take() {
            Some(body) => objects::collect(body).await?,
            None => Bytes::new(),
        };
        self.call("UploadPart", |state| parts::part(state, &request.input, body))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.call("CompleteMultipartUpload", |state| parts::complete(state, request.input))
    }

    async fn abort_multipart_upload(&self, request: S3Request<AbortMultipartUploadInput>) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.call("AbortMultipartUpload", |state| parts::abort(state, &request.input))
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.call("CopyObject", |state| objects::copy(state, &request.input))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.call("DeleteObject", |state| objects::delete(state, &request.input))
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.call("DeleteObjects", |state| objects::delete_many(state, request.input))
    }
}

/// A request that contradicts itself.
fn bad_digest(name: &str) -> S3Error {
    s3_error!(BadDigest, "The {name} you specified did not match the calculated checksum.")
}

#[cfg(test)]
mod tests {
    use s3s::dto::{CopySource, Delete, ObjectIdentifier, Range};

    use super::*;
    use crate::world::LabClock;
    use crate::world::build::build;

    pub(super) fn objects() -> Objects {
        let clock = LabClock::start(1.0);
        let state = build(42, 1.0, 10, clock.now());
        Objects { world: Arc::new(World::new(clock, state)), region: None }
    }

    pub(super) fn request<T>(input: T) -> S3Request<T> {
        S3Request {
            input,
            method: http::Method::GET,
            uri: http::Uri::from_static("/"),
            headers: http::HeaderMap::new(),
            extensions: http::Extensions::new(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        }
    }

    fn put(bucket: &str, key: &str, body: &'static [u8]) -> S3Request<PutObjectInput> {
        let body = Some(s3s::dto::StreamingBlob::from(Body::from(Bytes::from_static(body))));
        let metadata = Some([("committed".to_owned(), "now".to_owned())].into());
        request(PutObjectInput { bucket: bucket.into(), key: key.into(), body, metadata, ..PutObjectInput::default() })
    }

    fn get(bucket: &str, key: &str, range: Option<Range>) -> S3Request<GetObjectInput> {
        request(GetObjectInput { bucket: bucket.into(), key: key.into(), range, ..GetObjectInput::default() })
    }

    #[tokio::test]
    async fn what_is_put_can_be_got_in_whole_and_in_part() {
        let objects = objects();
        let etag = objects.put_object(put("shop-assets", "a/区 b", b"0123456789")).await.unwrap().output.e_tag.unwrap();
        assert_eq!(etag.value(), "781e5e245d69b566979b86e28d23f2c7");
        let whole = objects.get_object(get("shop-assets", "a/区 b", None)).await.unwrap().output;
        assert_eq!(whole.metadata.unwrap()["committed"], "now");
        assert_eq!(objects::collect(whole.body.unwrap()).await.unwrap(), "0123456789");
        let part = objects.get_object(get("shop-assets", "a/区 b", Some(Range::Int { first: 2, last: Some(4) }))).await.unwrap().output;
        assert_eq!((part.content_length, part.content_range.as_deref()), (Some(3), Some("bytes 2-4/10")));
        assert_eq!(objects::collect(part.body.unwrap()).await.unwrap(), "234");
        let beyond = objects.get_object(get("shop-assets", "a/区 b", Some(Range::Int { first: 10, last: None }))).await.unwrap_err();
        assert_eq!(beyond.code().as_str(), "InvalidRange");
    }

    #[tokio::test]
    async fn parts_become_one_object_with_an_etag_that_is_no_md5() {
        use s3s::dto::{CompletedMultipartUpload, CompletedPart};

        let objects = objects();
        let code = |error: S3Error| error.code().as_str().to_owned();
        let content = vec![7_u8; (6 << 20) + 1];
        let mut create = CreateMultipartUploadInput::builder();
        create.set_bucket("shop-assets".into());
        create.set_key("large".into());
        let id = objects.create_multipart_upload(request(create.build().unwrap())).await.unwrap().output.upload_id.unwrap();
        let complete = async |parts: Vec<CompletedPart>| {
            let mut complete = CompleteMultipartUploadInput::builder();
            complete.set_bucket("shop-assets".into());
            complete.set_key("large".into());
            complete.set_upload_id(id.clone());
            complete.set_multipart_upload(Some(CompletedMultipartUpload { parts: Some(parts) }));
            objects.complete_multipart_upload(request(complete.build().unwrap())).await
        };
        let mut done = Vec::new();
        for (number, part) in [(1, &content[..5 << 20]), (2, &content[5 << 20..])] {
            let mut upload = UploadPartInput::builder();
            upload.set_bucket("shop-assets".into());
            upload.set_key("large".into());
            upload.set_upload_id(id.clone());
            upload.set_part_number(number);
            upload.set_body(Some(s3s::dto::StreamingBlob::from(Body::from(Bytes::copy_from_slice(part)))));
            let e_tag = objects.upload_part(request(upload.build().unwrap())).await.unwrap().output.e_tag;
            done.push(CompletedPart { e_tag, part_number: Some(number), ..CompletedPart::default() });
        }
        assert_eq!(code(complete(vec![]).await.unwrap_err()), "MalformedXML");
        assert_eq!(code(complete(done.iter().rev().cloned().collect()).await.unwrap_err()), "InvalidPartOrder");
        let unknown = CompletedPart { part_number: Some(3), ..CompletedPart::default() };
        assert_eq!(code(complete(vec![unknown]).await.unwrap_err()), "InvalidPart");
        let etag = complete(done.clone()).await.unwrap().output.e_tag.unwrap();
        assert!(etag.value().len() == 34 && etag.value().ends_with("-2"), "{etag:?}");
        assert_eq!(code(complete(done).await.unwrap_err()), "NoSuchUpload", "it is over");
        let whole = objects.get_object(get("shop-assets", "large", None)).await.unwrap().output;
        assert_eq!(objects::collect(whole.body.unwrap()).await.unwrap(), content);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_so() {
        let objects = objects();
        let code = |error: S3Error| error.code().as_str().to_owned();
        assert_eq!(code(objects.get_object(get("shop-assets", "nothing", None)).await.unwrap_err()), "NoSuchKey");
        assert_eq!(code(objects.get_object(get("nowhere", "nothing", None)).await.unwrap_err()), "NoSuchBucket");
        assert_eq!(code(objects.get_object(get("shop-orders", "orders/1", None)).await.unwrap_err()), "NoSuchBucket", "the other cloud's");
    }

    #[tokio::test]
    async fn a_wrong_checksum_is_refused_and_nothing_written() {
        let objects = objects();
        let mut wrong = put("shop-assets", "x", b"1");
        wrong.input.checksum_crc32 = Some("AAAAAA==".into());
        assert_eq!(objects.put_object(wrong).await.unwrap_err().code().as_str(), "BadDigest");
        let mut right = put("shop-assets", "y", b"1");
        right.input.checksum_crc32 = Some("g9zvtw==".into());
        assert_eq!(objects.put_object(right).await.unwrap().output.checksum_crc32.as_deref(), Some("g9zvtw=="));
        assert!(!objects.world.lock().buckets["shop-assets"].objects.contains_key("x"));
    }

    #[tokio::test]
    async fn objects_are_copied_and_deleted() {
        let objects = objects();
        let mut copy = CopyObjectInput::builder();
        copy.set_bucket("shop-assets".into());
        copy.set_key("copy".into());
        copy.set_copy_source(CopySource::parse("shop-assets/robots.txt").unwrap());
        objects.copy_object(request(copy.build().unwrap())).await.unwrap();
        let mut many = DeleteObjectsInput::builder();
        many.set_bucket("shop-assets".into());
        let key = |key: &str| ObjectIdentifier { key: key.into(), ..ObjectIdentifier::default() };
        many.set_delete(Delete { objects: vec![key("copy"), key("never-there")], quiet: None });
        let gone = objects.delete_objects(request(many.build().unwrap())).await.unwrap().output.deleted.unwrap();
        assert_eq!(gone.len(), 2);
        let keys: Vec<String> = objects.world.lock().buckets["shop-assets"].objects.keys().cloned().collect();
        assert_eq!(keys, ["css/shop.css", "index.html", "robots.txt"]);
    }
}
