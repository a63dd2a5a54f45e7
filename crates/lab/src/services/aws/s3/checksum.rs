//! The checksums that clients send with a body, in headers or, for streamed bodies, in trailers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use s3s::S3Result;
use s3s::crypto::{Checksum, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{PutObjectInput, PutObjectOutput};

use super::bad_digest;

fn encoded<C: Checksum>(body: &[u8]) -> String {
    STANDARD.encode(C::checksum(body))
}

/// Compares every checksum that was sent with the body's own, and repeats those in the answer, as S3 does.
///
/// # Errors
/// `BadDigest` for one that differs.
pub(super) fn verify(input: &PutObjectInput, trailers: &HeaderMap, body: &Bytes, output: &mut PutObjectOutput) -> S3Result<()> {
    if input.content_md5.as_ref().is_some_and(|sent| *sent != encoded::<Md5>(body)) {
        return Err(bad_digest("Content-MD5"));
    }
    let check = |name: &str, header: Option<&String>, compute: fn(&[u8]) -> String| -> S3Result<Option<String>> {
        let trailer = trailers.get(format!("x-amz-checksum-{name}")).and_then(|value| value.to_str().ok());
        let Some(sent) = header.map(String::as_str).or(trailer) else { return Ok(None) };
        if compute(body) != sent {
            return Err(bad_digest(&name.to_uppercase()));
        }
        Ok(Some(sent.to_owned()))
    };
    output.checksum_crc32 = check("crc32", input.checksum_crc32.as_ref(), encoded::<Crc32>)?;
    output.checksum_crc32c = check("crc32c", input.checksum_crc32c.as_ref(), encoded::<Crc32c>)?;
    output.checksum_crc64nvme = check("crc64nvme", input.checksum_crc64nvme.as_ref(), encoded::<Crc64Nvme>)?;
    output.checksum_sha1 = check("sha1", input.checksum_sha1.as_ref(), encoded::<Sha1>)?;
    output.checksum_sha256 = check("sha256", input.checksum_sha256.as_ref(), encoded::<Sha256>)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_count_like_headers() {
        let body = Bytes::from_static(b"1");
        let sent = |name: &'static str, value: &'static str| {
            let trailers = HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))]);
            verify(&PutObjectInput::default(), &trailers, &body, &mut PutObjectOutput::default()).is_ok()
        };
        assert!(sent("x-amz-checksum-crc32", "g9zvtw=="));
        assert!(!sent("x-amz-checksum-crc32", "AAAAAA=="));
        assert!(sent("x-amz-checksum-sha256", "a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s="));
        assert!(!sent("x-amz-checksum-sha256", "a4ayc"));
    }
}
