//! What is read again and again. A probe is a *client* or an *instrument*: a client asks for what users ask for, so that no answer is bad; an instrument tells of something else,
//! so that no answer is unknown ([`Probe::SILENCE`](crate::engine::probe::Probe::SILENCE)).

mod freshness;
mod monitoring;

probes! {
    canary_mysql::CanaryMysql,
    canary_objects::CanaryObjects,
    canary_postgres::CanaryPostgres,
    canary_redis::CanaryRedis,
    cloudmonitor_alarm::CloudMonitorAlarm,
    cloudmonitor_metric::CloudMonitorMetric,
    cloudwatch_alarm::CloudWatchAlarm,
    cloudwatch_metric::CloudWatchMetric,
    dns::DnsProbe,
    dts_delay::DtsDelay,
    exec::ExecProbe,
    group::Group,
    grpc_health::GrpcHealth,
    http::HttpProbe,
    http_share::HttpShare,
    lag::ObjectsLag,
    mysql::MysqlProbe,
    oss_freshness::OssFreshness,
    postgres::PostgresProbe,
    prometheus::PrometheusProbe,
    redis::RedisProbe,
    s3_freshness::S3Freshness,
    tcp::TcpProbe,
    tls::TlsProbe,
}
