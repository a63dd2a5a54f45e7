//! What is read again and again.

mod freshness;

probes! {
    dns::DnsProbe,
    http::HttpProbe,
    lag::ObjectsLag,
    oss_freshness::OssFreshness,
    prometheus::PrometheusProbe,
    s3_freshness::S3Freshness,
}
